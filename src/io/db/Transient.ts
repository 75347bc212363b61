/** What a database may not fail at again. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"

/** Tries a statement again that may run twice: a server that is started again is there within seconds. */
export const again = <A, R>(statement: Effect.Effect<A, SqlError, R>): Effect.Effect<A, SqlError, R> =>
  // A schedule costs more than a statement, so it is set up only for the one that has to be tried again.
  Effect.catchIf(
    statement,
    (error) => error.isRetryable,
    () =>
      Effect.retry(statement, {
        while: (error) => error.isRetryable,
        times: 8,
        schedule: Schedule.jittered(Schedule.exponential("50 millis"))
      })
  )
