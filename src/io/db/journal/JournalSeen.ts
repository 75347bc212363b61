/** The rows of keys that steps have seen, in a table of their own, which is made for the first of them. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { JournalKey, Seen } from "../../../pipeline/Journal.ts"
import type { JournalDialect } from "./JournalDialect.ts"
import { decodeText, encodeText, keyRow } from "./JournalRows.ts"
import { notAllowed } from "./JournalTables.ts"

export interface JournalSeen {
  /** Those of the keys of a step that are there. */
  readonly among: (
    key: JournalKey,
    step: string,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlySet<string>, SqlError>
  readonly add: (key: JournalKey, seen: ReadonlyArray<Seen>) => Effect.Effect<void, SqlError | string>
  readonly forget: (key: JournalKey) => Effect.Effect<unknown, SqlError>
}

export const make = (sql: SqlClient, dialect: JournalDialect, where: (key: JournalKey) => Fragment): JournalSeen => {
  let isMade = false

  // Not what was found earlier: another process may have made it since.
  const isThere = Effect.map(dialect.columns("skein_seen"), (columns) => columns.length > 0)

  const create = Effect.mapError(
    sql`CREATE TABLE IF NOT EXISTS skein_seen (
      pipeline TEXT NOT NULL, part TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL,
      PRIMARY KEY (pipeline, part, step, key)) ${dialect.keyed}`,
    notAllowed("the table skein_seen is", "it", "it")
  )

  const ready = Effect.gen(function* () {
    if (isMade) return
    const isOutermost = Option.isNone(yield* Effect.serviceOption(sql.transactionService))
    if (!(yield* isThere)) yield* dialect.transaction(Effect.andThen(dialect.creating, create))
    // Inside a transaction of the caller's it may still be rolled back.
    isMade = isOutermost
  })

  const textsOf = (keys: ReadonlyArray<string>) => dialect.texts(JSON.stringify(keys.map(encodeText)))

  return {
    among: Effect.fnUntraced(function* (key, step, keys) {
      const known = new Set<string>()
      // Whoever only reads makes nothing, and may not be allowed to.
      if (!isMade && !(yield* isThere)) return known
      // One look into the index for each: a join would be planned by statistics, which a table that grows has none of.
      const rows = yield* dialect.planned(sql<{ readonly key: string | null }>`SELECT (SELECT key FROM skein_seen
        WHERE ${where(key)} AND step = ${encodeText(step)} AND key = texts.value) AS key FROM ${textsOf(keys)}`)
      for (const { key } of rows) if (key !== null) known.add(decodeText(key))
      return known
    }),
    add: Effect.fnUntraced(function* (key, seen) {
      if (seen.length === 0) return
      yield* ready
      const { part, pipeline } = keyRow(key)
      for (const step of new Set(seen.map((one) => one.step))) {
        const keys = seen.flatMap((one) => (one.step === step ? [one.key] : []))
        // Without a WHERE, SQLite takes what follows for the ON of a join.
        yield* sql`INSERT INTO skein_seen (pipeline, part, step, key)
          SELECT CAST(${pipeline} AS TEXT), CAST(${part} AS TEXT), CAST(${encodeText(step)} AS TEXT), value
          FROM ${textsOf(keys)} WHERE true ON CONFLICT DO NOTHING`
      }
    }),
    forget: (key) =>
      Effect.flatMap(isThere, (isThere): Effect.Effect<unknown, SqlError> =>
        isThere ? sql`DELETE FROM skein_seen WHERE ${where(key)}` : Effect.void
      )
  }
}
