/** A connection through a proxy: `CONNECT` to the host, and from then on as if there were none in between. */
import type * as Undici from "@effect/platform-node/Undici"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import type { Socket } from "node:net"
import { WireError } from "../../io/context/WireError.ts"
import type { Lookup } from "./PublicNetwork.ts"
import { literal } from "./PublicNetwork.ts"
import type { Proxy } from "./ProxySettings.ts"

type Connector = Undici.buildConnector.connector

/** Milliseconds until a connection stands, all that it takes included. */
export const connectTimeout = 10_000

interface Options {
  readonly proxy: Proxy
  /** Certificates to trust, and what else says how a TLS connection is made. */
  readonly tls: Pick<Https.RequestOptions, "ca" | "cert" | "key">
  /** Makes a connection of TLS to the host out of one of TCP. */
  readonly secure: Connector
  /** Where given, the proxy is sent to an address that this has looked up, and looks up no name itself. */
  readonly lookup: Lookup | undefined
  /** Those that are not yet made, for who closes them all. */
  readonly opening: Set<Http.ClientRequest>
}

/** Connects to hosts through a proxy. */
export const connector =
  (options: Options): Connector =>
  (target, callback) => {
    const port = target.port || (target.protocol === "https:" ? "443" : "80")
    resolved(target.hostname, options.lookup, (error, hostname) => {
      if (error !== null) return callback(error, null)
      const authority = `${Net.isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`
      open(options, authority, (failure, socket) => {
        if (failure !== null) return callback(failure, null)
        if (target.protocol === "https:") return options.secure({ ...target, httpSocket: socket }, callback)
        callback(null, socket)
      })
    })
  }

type Done<A> = (...result: [error: Error, value: undefined] | [error: null, value: A]) => void

const resolved = (hostname: string, lookup: Lookup | undefined, done: Done<string>): void => {
  const refusal = lookup === undefined ? undefined : literal(hostname)
  if (refusal !== undefined) return done(refusal, undefined)
  if (lookup === undefined || Net.isIP(hostname) !== 0) return done(null, hostname)
  lookup(hostname, { all: false }, (error, address) => {
    if (error !== null) return done(error, undefined)
    done(null, address as string)
  })
}

const open = ({ opening, proxy, tls }: Options, authority: string, done: Done<Socket>): void => {
  const { authorization, hostname, port, secure } = proxy
  const request = (secure ? Https : Http).request({
    ...(secure && tls),
    host: hostname,
    port,
    method: "CONNECT",
    path: authority,
    headers: { host: authority, ...(authorization !== undefined && { "proxy-authorization": authorization }) },
    agent: false
  })
  const timer = setTimeout(
    () => request.destroy(new Error(`no connection within ${connectTimeout / 1000} s`)),
    connectTimeout
  )
  opening.add(request)
  const settle = (): void => {
    clearTimeout(timer)
    opening.delete(request)
  }
  request.once("connect", ({ statusCode = 0 }, socket, head) => {
    settle()
    socket.setNoDelay(true)
    if (statusCode >= 200 && statusCode < 300) {
      if (head.length > 0) socket.unshift(head)
      return done(null, socket)
    }
    socket.on("error", () => {}).destroy()
    done(declined(proxy, statusCode), undefined)
  })
  request.once("error", (cause) => {
    settle()
    done(unreachable(proxy, cause), undefined)
  })
  request.end()
}

/** Why the proxy does not do what it is asked. */
export const declined = ({ authorization, origin }: Proxy, status: number): WireError => {
  if (status !== 407) {
    return new WireError("Connect", `the proxy ${origin} does not connect to it: it answered ${status}`, {
      retryable: status >= 500
    })
  }
  const asks = authorization === undefined ? "asks for a user and password" : "does not take its user and password"
  return new WireError("Connect", `the proxy ${origin} ${asks} (407)`)
}

/** No connection to the proxy itself. */
export const unreachable = ({ origin }: Proxy, cause: Error): WireError =>
  new WireError("Connect", `no connection to the proxy ${origin}: ${cause.message}`, { retryable: true, cause })
