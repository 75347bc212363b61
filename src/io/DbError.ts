/** Why a database did not do what it was asked. */
import * as Schema from "effect/Schema"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** A database, or a table in it, that could not be opened, read or written. No message holds a value of a row but its key. */
export class DbError extends Schema.TaggedError<DbError>()("DbError", {
  /** Its file or URL, without credentials. */
  database: Schema.String,
  /** What was tried, as in `write 3 rows to table "repos"`. */
  tried: Schema.String,
  /** Why it failed, and what to do. */
  reason: Schema.String,
  /** The error of the driver, where it was the driver's: an `SqlError`, whose `reason._tag` tells its kind. */
  cause: Schema.optionalKey(Schema.Defect()),
  /** Of a row that was refused: which one of those that were to be written, from 0. */
  row: Schema.optionalKey(Schema.Int),
  /** Of a row that was refused: the columns of its key and what they hold, as JSON, where the table has a key. */
  key: Schema.optionalKey(Schema.String),
  /** What was refused in a row, where that is known: a column, or several with commas between. */
  column: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const key = this.key === undefined ? "" : ` (key ${shortened(this.key)})`
    return `Database ${this.database}: could not ${this.tried}: ${this.reason}${key}`
  }
}

const shortened = (key: string): string => (key.length > 200 ? `${key.slice(0, 200).toWellFormed()}…` : key)

/** What the driver says, with what was tried; what somebody has said already stays. */
export const fromSqlError =
  (database: string, tried: string): ((error: SqlError | DbError) => DbError) =>
  (error) =>
    isSqlError(error) ? new DbError({ database, tried, reason: error.message, cause: error }) : error

/** Whether it passes by itself, so that the same may succeed a little later. */
export const mayPass = (error: unknown): boolean =>
  error instanceof DbError && isSqlError(error.cause) && error.cause.isRetryable
