/** Reading and writing the rows of a journal, for whoever may. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { Checkpoint, JournalKey } from "../../../pipeline/Journal.ts"
import { JournalError } from "../../../pipeline/JournalError.ts"
import type { JournalDialect } from "./JournalDialect.ts"
import * as JournalLetters from "./JournalLetters.ts"
import { checkpointOf, decodeOld, decodeRow, keyRow, type Row } from "./JournalRows.ts"
import * as JournalSeen from "./JournalSeen.ts"
import * as JournalTables from "./JournalTables.ts"

/** What goes wrong with a journal; a text is a reason. */
export type Wrong = SqlError | Schema.SchemaError | string

export interface JournalStore extends Pick<JournalTables.JournalTables, "ready" | "insert"> {
  readonly sql: SqlClient
  readonly dialect: JournalDialect
  /** What follows WHERE. */
  readonly where: (key: JournalKey) => Fragment
  /** With a lock of the dialect's at its end. */
  readonly row: (key: JournalKey, lock?: Fragment) => Effect.Effect<Row | undefined, SqlError | Schema.SchemaError>
  /** As it is once no commit is on its way any more. */
  readonly settledRow: (key: JournalKey) => Effect.Effect<Row | undefined, SqlError | Schema.SchemaError>
  readonly load: (key: JournalKey) => Effect.Effect<Option.Option<Checkpoint>, Wrong>
  readonly letters: JournalLetters.JournalLetters
  readonly seen: JournalSeen.JournalSeen
}

export const make = (sql: SqlClient, dialect: JournalDialect): JournalStore => {
  const tables = JournalTables.make(sql, dialect)
  const where = (key: JournalKey) => {
    const { part, pipeline } = keyRow(key)
    return sql`pipeline = ${pipeline} AND part = ${part}`
  }

  const row: JournalStore["row"] = (key, lock = sql.literal("")) =>
    Effect.flatMap(dialect.now, (now) =>
      Effect.flatMap(
        sql`SELECT *, ${now} AS now FROM skein_run WHERE ${where(key)} ${lock}`,
        ([found]): Effect.Effect<Row | undefined, Schema.SchemaError> =>
          found === undefined ? Effect.undefined : decodeRow(found)
      )
    )

  return {
    sql,
    dialect,
    ready: tables.ready,
    insert: tables.insert,
    where,
    row,
    settledRow: (key) => dialect.soon(row(key, dialect.toSettle)),
    load: Effect.fnUntraced(function* (key) {
      const { checkpoint, run } = yield* tables.found
      const found = run ? yield* row(key) : undefined
      if (found !== undefined) return yield* checkpointOf(found)
      // Not taken over yet: only a run does that.
      if (!checkpoint || key.partition !== null) return Option.none()
      const [old] = yield* sql`SELECT * FROM skein_checkpoint WHERE pipeline = ${key.pipeline} AND version <= 1`
      return old === undefined ? Option.none() : Option.some((yield* decodeOld(old)).checkpoint)
    }),
    letters: JournalLetters.make(sql, dialect, tables, where),
    seen: JournalSeen.make(sql, dialect, where)
  }
}

export const errorOf =
  (pipeline: string) =>
  (tried: string) =>
  (error: Wrong | JournalError): JournalError => {
    if (error instanceof JournalError) return error
    if (typeof error === "string") return new JournalError({ pipeline, tried, reason: error })
    if (isSqlError(error)) return new JournalError({ pipeline, tried, reason: error.message })
    const reason = `its row is not what Skein writes; was it changed by hand? Restore it, or delete it to start over: ${error.message}`
    return new JournalError({ pipeline, tried, reason })
  }
