/** The journal's own of SQLite. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { JournalDialect } from "../journal/JournalDialect.ts"

/** A transaction locks the whole database, before it has read anything. */
export const sqliteJournal = (sql: SqlClient): JournalDialect => {
  const nothing = sql.literal("")
  return {
    now: Effect.map(Clock.currentTimeMillis, (now) => sql`${now}`),
    counted: sql.literal("INTEGER PRIMARY KEY AUTOINCREMENT"),
    texts: (json) => sql`json_each(${json}) AS texts`,
    keyed: sql.literal("WITHOUT ROWID"),
    indexOf: sql.literal("instr"),
    columns: (table) =>
      Effect.map(sql<{ name: string }>`SELECT name FROM pragma_table_info(${table})`, (rows) =>
        rows.map(({ name }) => name)
      ),
    isShared: false,
    transaction: sql.withTransaction,
    creating: Effect.void,
    toHold: nothing,
    toSettle: nothing,
    toTake: nothing,
    toSkip: nothing,
    row: sql.literal("rowid"),
    isOneOf: (rows) => sql`rowid IN (${rows})`,
    planned: (statement) => statement,
    listed: (json) => sql`json_each(${json})`,
    isolated: sql.literal("0"),
    soon: (effect) => effect,
    taking: sql.withTransaction
  }
}
