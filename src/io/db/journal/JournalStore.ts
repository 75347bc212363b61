/** Reading and writing the rows of a journal, for whoever may. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { Checkpoint, DeadLetter, JournalKey, KeptDeadLetter, Seen } from "../../../pipeline/Journal.ts"
import { JournalError } from "../../../pipeline/JournalError.ts"
import type { JournalDialect } from "./JournalDialect.ts"
import {
  checkpointOf,
  decodeDead,
  decodeOld,
  decodeRow,
  decodeText,
  encodeDead,
  encodeText,
  keyRow,
  type Row
} from "./JournalRows.ts"
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
  readonly dead: (key: JournalKey) => Effect.Effect<ReadonlyArray<KeptDeadLetter>, Wrong>
  readonly bury: (key: JournalKey, letters: ReadonlyArray<DeadLetter>) => Effect.Effect<void, SqlError>
  readonly markReplayed: (key: JournalKey, ids: ReadonlyArray<number>) => Effect.Effect<void, SqlError>
  readonly forgetDead: (key: JournalKey) => Effect.Effect<unknown, SqlError>
  /** Those of the keys of a step that are there. */
  readonly seen: (
    key: JournalKey,
    step: string,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlySet<string>, Wrong>
  readonly see: (key: JournalKey, seen: ReadonlyArray<Seen>) => Effect.Effect<void, SqlError>
  readonly forgetSeen: (key: JournalKey) => Effect.Effect<unknown, SqlError>
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
    dead: Effect.fnUntraced(function* (key) {
      const { dead } = yield* tables.found
      // Version 0.1 knew no partitions.
      const isOld = dead.length > 0 && !dead.includes("part")
      if (dead.length === 0 || (isOld && key.partition !== null)) return []
      const whose = isOld ? sql`pipeline = ${key.pipeline}` : where(key)
      return yield* decodeDead(yield* sql`SELECT * FROM skein_dead WHERE ${whose} AND replayed = 0 ORDER BY id`)
    }),
    bury: (key, letters) =>
      inParts(
        letters,
        (part) => sql`INSERT INTO skein_dead ${sql.insert(Arr.map(part, (letter) => encodeDead(key, letter)))}`
      ),
    markReplayed: (key, ids) =>
      inParts(ids, (part) => sql`UPDATE skein_dead SET replayed = 1 WHERE ${where(key)} AND ${sql.in("id", part)}`),
    forgetDead: (key) => sql`DELETE FROM skein_dead WHERE ${where(key)}`,
    seen: Effect.fnUntraced(function* (key, step, keys) {
      yield* tables.readyForKeys
      const known = new Set<string>()
      const ofStep = sql`${where(key)} AND step = ${encodeText(step)}`
      yield* inParts(keys, (part) =>
        Effect.map(
          sql<{
            readonly key: string
          }>`SELECT key FROM skein_seen WHERE ${ofStep} AND ${sql.in("key", part.map(encodeText))}`,
          (rows) => {
            for (const { key } of rows) known.add(decodeText(key))
          }
        )
      )
      return known
    }),
    see: (key, seen) =>
      inParts(seen, (part) => {
        const rows = Arr.map(part, (one) => ({ ...keyRow(key), step: encodeText(one.step), key: encodeText(one.key) }))
        return sql`INSERT INTO skein_seen ${sql.insert(rows)} ON CONFLICT DO NOTHING`
      }),
    forgetSeen: (key) =>
      Effect.flatMap(tables.hasKeys, (hasKeys): Effect.Effect<unknown, SqlError> =>
        hasKeys ? sql`DELETE FROM skein_seen WHERE ${where(key)}` : Effect.void
      )
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

/** A statement may have only so many parameters. */
const inParts = <A>(
  all: ReadonlyArray<A>,
  run: (part: Arr.NonEmptyReadonlyArray<A>) => Effect.Effect<unknown, SqlError>
): Effect.Effect<void, SqlError> => Effect.forEach(Arr.chunksOf(all, 1000), run, { discard: true })
