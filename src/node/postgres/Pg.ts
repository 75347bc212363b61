/** The package `pg`, an optional peer, as far as it is used: its protocol, and none of its pooling, queries or types of values. */
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"

/** The messages a client sends. */
export interface Wire {
  readonly stream: Socket
  readonly connect: (port: number | string, host?: string) => void
  readonly requestSsl: () => void
  readonly cancel: (processID: number, secretKey: number) => void
  readonly query: (sql: string) => void
  readonly parse: (statement: { readonly name: string; readonly text: string }) => void
  readonly bind: (portal: {
    readonly portal: string
    readonly statement: string
    readonly values: ReadonlyArray<string | Buffer | null>
  }) => void
  readonly describe: (what: { readonly type: "P"; readonly name: string }) => void
  readonly execute: (portal: { readonly portal: string; readonly rows?: number }) => void
  readonly close: (what: { readonly type: "P" | "S"; readonly name: string }) => void
  readonly sync: () => void
  readonly sendCopyFail: (reason: string) => void
  readonly on: (event: string, listener: (message: never) => void) => void
  readonly once: (event: string, listener: (message: never) => void) => void
}

/** One exchange with the server, which `Client.query` runs when the one before has ended. */
export interface Exchange {
  readonly submit: (wire: Wire) => void
  readonly callback: () => void
  readonly handleRowDescription: (message: { readonly fields: ReadonlyArray<Field> }) => void
  readonly handleDataRow: (message: { readonly fields: ReadonlyArray<string | null> }) => void
  readonly handleCommandComplete: (message: { readonly text: string }) => void
  readonly handleEmptyQuery: () => void
  readonly handlePortalSuspended: () => void
  readonly handleCopyInResponse: (wire: Wire) => void
  readonly handleCopyData: () => void
  /** The server's error, after which it is ready again, or that of a connection which is gone. */
  readonly handleError: (error: Error) => void
  readonly handleReadyForQuery: () => void
}

export interface Field {
  readonly name: string
  readonly dataTypeID: number
}

export interface Client {
  readonly connection: Wire
  readonly processID: number
  readonly secretKey: number
  readonly connect: (done: (error: Error | null | undefined) => void) => void
  readonly query: (exchange: Exchange) => void
  readonly end: (done: () => void) => void
  /** "I" between transactions, "T" in one, "E" in one that has failed. */
  readonly getTransactionStatus: () => "I" | "T" | "E" | null
  readonly on: (event: string, listener: (message: never) => void) => void
}

export interface ClientOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: () => string
  readonly ssl: ConnectionOptions | false
  readonly enableChannelBinding: boolean
  readonly application_name: string
  readonly options: string
  readonly keepAlive: true
  readonly keepAliveInitialDelayMillis: number
  readonly client_encoding: "utf8"
}

export interface Pg {
  readonly Client: new (options: ClientOptions) => Client
  readonly Connection: new (options: { readonly ssl: ConnectionOptions | false }) => Wire
}

/** Fails where it is not installed. Its own types leave out the connection below a client, which is used here as `Wire` says. */
export const load = async (): Promise<Pg> => (await import("pg")) as unknown as Pg
