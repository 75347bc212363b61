/** One statement with parameters: its rows decoded by a schema, or the number of rows that it changed. */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { DbError, fromSqlError } from "../../DbError.ts"
import { Db } from "../Contract.ts"
import * as DbParameter from "./DbParameter.ts"
import * as DbTransaction from "./DbTransaction.ts"
import * as Fields from "../Fields.ts"
import * as RowDecoder from "../rows/RowDecoder.ts"

/** SQL in backticks. */
export type Statement<A> = (
  statement: TemplateStringsArray,
  ...parameters: ReadonlyArray<DbParameter.Parameter>
) => Effect.Effect<A, DbError, Db>

export const query = <A, I extends object>(schema: Schema.Codec<A, I>): Statement<ReadonlyArray<A>> => {
  const fields = Fields.of(schema)
  return Effect.fnUntraced(function* (statement, ...parameters) {
    const db = yield* Db
    const tried = `run the query "${shown(statement)}"`
    const failed = (reason: string) => new DbError({ database: db.name, tried, reason })
    if (Result.isFailure(fields)) return yield* failed(fields.failure)
    const bound = yield* bindAll(db, tried, parameters)
    const decoder = RowDecoder.make(schema, fields.success, db.dialect)
    const rows = yield* db.sql(statement, ...bound).withoutTransform.pipe(
      Effect.provideService(SqlClient.SafeIntegers, decoder.exact),
      Effect.mapError((error) => hiding(parameters, fromSqlError(db.name, tried)(error)))
    )
    const decoded: Array<A> = []
    for (const row of rows) {
      const value = decoder.decode(row)
      if (Result.isFailure(value)) {
        return yield* failed(`row ${decoded.length + 1} is not as the schema says: ${value.failure}`)
      }
      decoded.push(value.success)
    }
    return decoded
  })
}

export const execute: Statement<number> = Effect.fnUntraced(function* (statement, ...parameters) {
  const db = yield* Db
  const tried = `execute "${shown(statement)}"`
  const bound = yield* bindAll(db, tried, parameters)
  const result = yield* Effect.mapError(db.sql(statement, ...bound).raw, (error) =>
    hiding(parameters, fromSqlError(db.name, tried)(error))
  )
  return changed(statement.join(" "), result)
})

/** The parameters as the driver gets them. */
export const bindAll = (
  db: Db,
  tried: string,
  parameters: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<DbParameter.Bound>, DbError> =>
  Effect.andThen(
    DbTransaction.check(db, tried),
    Effect.suspend(() => {
      const bound: Array<DbParameter.Bound> = []
      for (const parameter of parameters) {
        const value = db.dialect.parameter(parameter)
        if (Result.isFailure(value)) {
          const reason = `parameter ${bound.length + 1} ${value.failure}`
          return Effect.fail(new DbError({ database: db.name, tried, reason }))
        }
        bound.push(value.success)
      }
      return Effect.succeed(bound)
    })
  )

/** A database may quote in its error what it was given. */
export const hiding = (parameters: ReadonlyArray<unknown>, error: DbError): DbError => {
  const secrets = DbParameter.secretsOf(parameters).filter((secret) => error.reason.includes(secret))
  if (secrets.length === 0) return error
  const reason = secrets.reduce((text, secret) => text.replaceAll(secret, "***"), error.reason)
  return new DbError({ database: error.database, tried: error.tried, reason })
}

/** The results of drivers: rows, the `rowCount` of `pg`, one for each statement of a text with several, `changes` of SQLite. */
const changed = (statement: string, result: unknown): number => {
  if (Array.isArray(result)) {
    return result.every((part) => hasProperty(part, "rowCount"))
      ? result.reduce((sum: number, part) => sum + changed(statement, part), 0)
      : result.length
  }
  if (hasProperty(result, "rowCount")) return Number(result.rowCount ?? 0)
  // SQLite tells the number of the statement before, where this one changes no rows.
  return hasProperty(result, "changes") && changesRows(statement) ? Number(result.changes) : 0
}

const changesRows = (statement: string): boolean =>
  /^(?:\s|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/|;)*(?:insert|update|delete|replace|with)\b/i.test(statement)

/** The statement with its parameters as `?`: values have no place in messages. */
const shown = (statement: TemplateStringsArray): string => statement.join("?").trim().replace(/\s+/g, " ")
