/** A body read to its end however often its connection breaks: each piece of it is a call under the policy's retries. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Policies from "../../../pipeline/Policy.ts"
import type { FetchError } from "../../FetchError.ts"
import type { Options } from "../call/FetchCall.ts"
import * as Policy from "../policy/FetchPolicy.ts"
import type { Opened, Rest } from "./Rest.ts"

/** Bytes of the body, with where they stand in it. */
export interface Piece {
  readonly at: number
  readonly bytes: Uint8Array
}

type Pull = Effect.Effect<ReadonlyArray<Uint8Array>, FetchError | Cause.Done>

interface Connection {
  readonly scope: Scope.Closeable
  readonly opened: Opened
  readonly pull: Pull
}

export class Reading {
  /** From here on is asked for where there is no connection. */
  at: number
  validator: string | undefined
  /** The answer that gives it, or gave what came last; undefined before there is one. */
  opened: Opened | undefined
  private readonly rest: Rest
  private readonly options: Options
  private connection: Connection | undefined
  private arrived: Array<Uint8Array> = []

  constructor(rest: Rest, options: Options, at: number, validator: string | undefined) {
    this.rest = rest
    this.options = options
    this.at = at
    this.validator = validator
  }

  /**
   * The next piece; undefined at the end, which is that of the body and no break of it. It stands behind the one before, or
   * at 0: then the server could not go on, or has another body now, and gives all of it.
   */
  get next(): Effect.Effect<Piece | undefined, FetchError, HttpClient.HttpClient> {
    return Effect.flatMap(Policy.Current, (around) => {
      const { backoff, retries } = Policy.merged(around, this.options)
      return Policies.apply(this.attempt, { retries, backoff, retryWhile: isRetryable, retryAfter })
    })
  }

  /** Lets go of the connection: for who reads no further. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { connection } = this
      this.connection = undefined
      this.arrived = []
      return connection === undefined ? Effect.void : Scope.close(connection.scope, Exit.void)
    })
  }

  private get attempt(): Effect.Effect<Piece | undefined, FetchError, HttpClient.HttpClient> {
    return Effect.suspend(() => {
      const { connection } = this
      if (connection === undefined) return Effect.flatMap(this.connect, (opened) => this.read(opened))
      return this.read(connection)
    }).pipe(Effect.onError(() => this.close))
  }

  private get connect(): Effect.Effect<Connection, FetchError, HttpClient.HttpClient> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) =>
        restore(
          Effect.flatMap(this.rest.open(this.at, this.validator), (opened) =>
            Effect.map(Stream.toPull(opened.answer.body), (pull) => ({ scope, opened, pull }))
          )
        ).pipe(
          Scope.provide(scope),
          Effect.onError(() => Scope.close(scope, Exit.void)),
          Effect.map((connection) => {
            this.connection = connection
            this.at = connection.opened.at
            this.validator = connection.opened.validator
            this.opened = connection.opened
            return connection
          })
        )
      )
    )
  }

  private read(connection: Connection): Effect.Effect<Piece | undefined, FetchError> {
    const { opened, pull } = connection
    const bytes = this.arrived.shift()
    if (bytes !== undefined) {
      const piece = { at: this.at, bytes }
      this.at += bytes.length
      return Effect.succeed(piece)
    }
    if (opened.isOver) return this.end(opened)
    return Effect.matchEffect(pull, {
      onSuccess: (pieces) => {
        this.arrived = [...pieces]
        return this.read(connection)
      },
      onFailure: (error) => (Cause.isDone(error) ? this.end(opened) : Effect.fail(error))
    })
  }

  /** A transport that takes a broken connection for the end would pass a part for the whole. */
  private end({ answer, total }: Opened): Effect.Effect<undefined, FetchError> {
    if (total === undefined || total === this.at) return Effect.as(this.close, undefined)
    const detail = `it ended after ${this.at} bytes, and has ${total}`
    return Effect.fail(answer.error("Connect", detail, { retryable: true }))
  }
}

/** Whether another connection may do better: a body that stood still goes on in the next one. */
export const isRetryable = (error: FetchError): boolean => error.retryable || error.reason === "Timeout"
const retryAfter = (error: FetchError): Option.Option<Duration.Duration> =>
  Option.map(Option.fromUndefinedOr(error.retryAfter), Duration.millis)
