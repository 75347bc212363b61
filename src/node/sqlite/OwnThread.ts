/** The connection that statements use, on the thread of the program. */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Database, Form } from "./Database.ts"
import { isReadOnly, rolledBack, sqlErrorOf } from "./Failure.ts"
import type { RetryLock } from "./Lock.ts"
import * as Rows from "./Rows.ts"

/** Transactions that the client has open: one at most, and the savepoints in it. */
export interface Transactions {
  open: number
}

/** `onBound` is told how many parameters a statement in a transaction had. */
export const connectionOf = (
  database: Database,
  transactions: Transactions,
  retryLock: RetryLock,
  onBound: (parameters: number) => void
): Connection => {
  const once = (sql: string, params: ReadonlyArray<unknown>, form: Form): Effect.Effect<unknown, SqlError> =>
    Effect.withFiber((fiber) => {
      try {
        return Effect.succeed(database.run(sql, params, form, fiber.getRef(SqlClient.SafeIntegers)))
      } catch (error) {
        return Effect.fail(sqlErrorOf(error, "execute"))
      }
    })

  const whole = <A, R>(effect: () => Effect.Effect<A, SqlError, R>): Effect.Effect<A, SqlError, R> =>
    retryLock(
      Effect.suspend(() => (transactions.open > 0 && !database.isTransaction ? Effect.fail(rolledBack()) : effect()))
    )

  const run = <A>(sql: string, params: ReadonlyArray<unknown>, form: Form): Effect.Effect<A, SqlError> =>
    whole(() => {
      if (transactions.open > 0) onBound(params.length)
      return once(sql, params, form)
    }) as Effect.Effect<A, SqlError>

  /** BEGIN, COMMIT and their like, which come from `withTransaction`: it does the waiting. */
  const control = (sql: string, params: ReadonlyArray<unknown>) => {
    const given = once(sql, params, "rows")
    // What can only be read has no lock to take; the first write in it says so.
    return sql === beginTransaction ? Effect.catchIf(given, isReadOnly, () => once("BEGIN", [], "rows")) : given
  }

  return {
    execute: (sql, params, transform) =>
      Effect.map(run<ReadonlyArray<never>>(sql, params, "rows"), transform ?? identity),
    executeRaw: (sql, params) => run(sql, params, "raw"),
    executeValues: (sql, params) => run(sql, params, "values"),
    executeValuesUnprepared: (sql, params) => run(sql, params, "values"),
    executeUnprepared: (sql, params, transform) =>
      Effect.map(control(sql, params) as Effect.Effect<ReadonlyArray<never>, SqlError>, transform ?? identity),
    executeStream: (sql, params, transform) =>
      Rows.stream((exact) => whole(() => Effect.map(Rows.begin(database, sql, params, exact), Rows.inTurn)), transform)
  }
}

/** The lock is taken when waiting for it is still possible: before anything was read. */
export const beginTransaction = "BEGIN IMMEDIATE"
