/** What a server is asked for, and what it is to whoever started it. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Limiter } from "../../concurrency/Limiter.ts"

export interface Options {
  /** Port 0 takes one that is free; the server tells which. */
  readonly port: number
  /** Default "127.0.0.1": reached from this machine alone. "0.0.0.0" is reached from everywhere. */
  readonly host?: string | undefined
  /** That of its group, in messages and in the tree of tasks. Default "server". */
  readonly name?: string | undefined
  /** How many handlers run at once. Default: all. A WebSocket keeps no permit. */
  readonly limiter?: Limiter | undefined
  /** How many requests may wait for the limiter; those beyond are answered with 503. Default 256. */
  readonly queue?: number | undefined
  /** What `Retry-After` says then. Default 1 second. */
  readonly retryAfter?: Duration.Input | undefined
  /** How long a request may take, with its answer. Default 30 seconds; "Infinity": as long as it likes. */
  readonly deadline?: Duration.Input | undefined
  /** The header in which a client may ask for less time. Default: none. */
  readonly deadlineHeader?: { readonly name: string; readonly unit: "seconds" | "millis" } | undefined
  /** The most bytes of a request's body. Default 1 MiB. */
  readonly maxBody?: number | undefined
  /** The most bytes of a request's headers. Default 16 KiB. */
  readonly maxHeaders?: number | undefined
  /** How long a client may take to send the headers of a request. Default 10 seconds. */
  readonly headersWithin?: Duration.Input | undefined
  /** How long a client may take to send a whole request. Default 1 minute. */
  readonly requestWithin?: Duration.Input | undefined
  /** How long a connection may rest between two requests. Default 5 seconds. */
  readonly keepAlive?: Duration.Input | undefined
  /** How many WebSockets may be open at once. Default 1,000. */
  readonly maxSockets?: number | undefined
  /** How long a drain may finish what runs before it is cancelled. Default 20 seconds. */
  readonly drainWithin?: Duration.Input | undefined
}

/** What a server does: it takes requests, finishes those that it has, or is at its end. */
export type State = "serving" | "draining" | "stopped"

export interface Status {
  readonly state: State
  /** Requests that are under way, those that wait for the limiter among them. */
  readonly running: number
  readonly waiting: number
  /** Since the start: how many handlers gave an answer, and how many requests were refused because the queue was full. */
  readonly answered: number
  readonly shed: number
}

/** A server that listens. */
export interface Server {
  /** As "http://127.0.0.1:8080", without a slash at the end. */
  readonly url: string
  readonly port: number
  readonly status: Effect.Effect<Status>
  /**
   * Takes no more connections, finishes what runs and ends; what is not done within `drainWithin` is cancelled. Waits for the end.
   * A signal to stop and `TaskGroup.stop` do the same.
   */
  readonly drain: Effect.Effect<void>
  /** Waits until it has ended. Whoever waits may be cancelled without an effect on the server. */
  readonly await: Effect.Effect<void>
}
