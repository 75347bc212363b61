/** One session in a server: an exchange after the other, each of which ends in the server too when it is interrupted. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import * as Wait from "../../concurrency/base/Wait.ts"
import { isLost, toSqlError } from "./Failure.ts"
import type { Client, Exchange, Pg } from "./Pg.ts"
import type { ConnectionOptions } from "node:tls"

/** How long the server may take to give up what it was asked to; beyond that the socket is closed. */
const cancelWithin = 5_000

export interface Where {
  readonly host: string
  readonly port: number
  readonly ssl: ConnectionOptions | false
}

export class Session {
  /** Why it is gone. */
  broken: Error | undefined
  readonly client: Client
  /** `statement_timeout` as the session began with it, in milliseconds; 0 for none. */
  statementTimeout = 0
  /** The id of the open transaction, once it has written something and that is known. */
  xid: string | undefined
  private readonly pg: Pg
  private readonly where: Where
  private readonly turn = Semaphore.makeUnsafe(1)
  private readonly onLost: Array<(error: Error) => void> = []
  private onReady: (() => void) | undefined
  private isBusy = false
  private waiting: ReadonlyArray<string> = []

  constructor(pg: Pg, client: Client, where: Where) {
    this.pg = pg
    this.client = client
    this.where = where
    // Without a listener, a connection that dies ends the process.
    client.on("error", (error: Error) => this.lose(error))
    client.on("end", () => this.lose(new Error("Connection terminated")))
    // Later than the client itself, which notes the state of the transaction.
    client.on("connect", () => client.connection.on("readyForQuery", () => this.ready()))
  }

  private ready(): void {
    const { onReady } = this
    this.onReady = undefined
    if (this.client.getTransactionStatus() === "I") this.xid = undefined
    onReady?.()
  }

  /** Between transactions, in one, or in one that has failed. */
  is(state: "I" | "T" | "E"): boolean {
    if (this.broken !== undefined) return false
    const status = this.client.getTransactionStatus()
    return state === (status === "I" && this.waiting.length > 0 ? "T" : status)
  }

  /** Statements that begin or go on with a transaction, and are sent with the next exchange: a round trip less for each. */
  later(statements: ReadonlyArray<string>): void {
    this.waiting = [...this.waiting, ...statements]
  }

  /** What is to be sent before an exchange, in the same message. */
  takeWaiting(): ReadonlyArray<string> {
    const { waiting } = this
    this.waiting = []
    return waiting
  }

  get pid(): number {
    return this.client.processID
  }

  /** Calls `listener` once, when the session is gone. */
  whenLost(listener: (error: Error) => void): void {
    if (this.broken === undefined) this.onLost.push(listener)
    else listener(this.broken)
  }

  lose(error: Error): void {
    if (this.broken !== undefined) return
    this.broken = error
    this.ready()
    for (const listener of this.onLost) listener(error)
  }

  /** Closes the socket without a word to the server. */
  drop(error: Error): void {
    this.lose(error)
    this.client.connection.stream.destroy()
  }

  /** Ends it, and in the server what it is at; by force where that takes too long. */
  readonly end: Effect.Effect<void> = Effect.promise(async () => {
    const isLost = this.broken !== undefined
    this.lose(new Error("the connection is closed"))
    if (this.isBusy && !isLost) await this.cancel()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(
        () => {
          this.client.connection.stream.destroy()
          resolve()
        },
        isLost ? 0 : cancelWithin
      )
      this.client.end(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  })

  /**
   * Runs one exchange, alone. When it is interrupted, `abort` may end it by what it sends; else the server is asked to cancel
   * it. Its answer is waited for, so that the session stays in step. Without an answer within so many milliseconds, where
   * that is given, the session is given up.
   */
  run<A>(
    operation: string,
    make: (done: (error: Error | undefined, value: A) => void) => Exchange,
    options: { readonly abort?: () => boolean; readonly within?: number | undefined } = {}
  ): Effect.Effect<A, SqlError> {
    return this.turn.withPermit(
      Wait.callback<A, SqlError>("an answer of the database", (resume) => {
        if (this.broken !== undefined) return resume(Effect.fail(toSqlError(this.broken, operation)))
        const { within } = options
        let isOver = false
        let onOver = () => {}
        const timer =
          within === undefined
            ? undefined
            : setTimeout(() => {
                this.drop(timedOut(`no answer within ${within} ms`))
              }, within)
        const exchange = make((error, value) => {
          if (error !== undefined && isLost(error)) this.lose(error)
          const end = () => {
            isOver = true
            this.isBusy = false
            clearTimeout(timer)
            onOver()
            resume(
              error === undefined ? Effect.succeed(value) : Effect.fail(toSqlError(this.broken ?? error, operation))
            )
          }
          // The server tells an error before it is ready again, and before it tells what became of the transaction.
          if (error === undefined || this.broken !== undefined) end()
          else this.onReady = end
        })
        this.isBusy = true
        this.client.query(exchange)
        return Effect.callback<void>((resume) => {
          if (isOver) return resume(Effect.void)
          const answered = new Promise<void>((resolve) => {
            onOver = resolve
          })
          const guard = setTimeout(() => this.drop(timedOut("a cancelled statement was not given up")), cancelWithin)
          const told = options.abort?.() === true ? Promise.resolve() : this.cancel()
          // Both: a request that is on its way yet would hit the next statement.
          void Promise.all([answered, told]).then(() => {
            clearTimeout(guard)
            resume(Effect.void)
          })
        })
      })
    )
  }

  /** On a socket of its own; the server closes it once it has told the session. */
  private cancel(): Promise<void> {
    const { host, port, ssl } = this.where
    return new Promise((resolve) => {
      const wire = new this.pg.Connection({ ssl })
      const give = setTimeout(() => wire.stream.destroy(), cancelWithin)
      const send = () => {
        wire.cancel(this.client.processID, this.client.secretKey)
        wire.stream.end()
      }
      wire.on("error", () => {
        wire.stream.destroy()
        resolve()
      })
      wire.on("end", () => {
        clearTimeout(give)
        resolve()
      })
      wire.once("connect", () => (ssl === false ? send() : wire.requestSsl()))
      wire.once("sslconnect", send)
      if (host.startsWith("/")) wire.connect(`${host}/.s.PGSQL.${port}`)
      else wire.connect(port, host)
    })
  }
}

export const timedOut = (message: string): Error => Object.assign(new Error(message), { code: "ETIMEDOUT" })
