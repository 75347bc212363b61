/** The tables of a journal: which there are, made where there are none, with what version 0.1 kept. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { newId } from "../../../pipeline/context/Host.ts"
import type { Checkpoint, JournalKey } from "../../../pipeline/Journal.ts"
import type { JournalDialect } from "./JournalDialect.ts"
import { decodeOld, encodeCheckpoint, format, keyRow } from "./JournalRows.ts"

/** What is there. Whoever only reads makes nothing, and may not be allowed to. */
export interface Tables {
  readonly run: boolean
  readonly dead: ReadonlyArray<string>
  /** Of version 0.1. */
  readonly checkpoint: boolean
}

export interface JournalTables {
  readonly found: Effect.Effect<Tables, SqlError>
  /** Makes what is not there. */
  readonly ready: Effect.Effect<void, SqlError | Schema.SchemaError | string>
  /** The row of a pipeline that has none yet. */
  readonly insert: (key: JournalKey, checkpoint: Checkpoint | null) => Effect.Effect<unknown, SqlError>
}

export const make = (sql: SqlClient, dialect: JournalDialect): JournalTables => {
  let known: Tables | undefined

  const found: JournalTables["found"] = Effect.suspend(() =>
    known !== undefined
      ? Effect.succeed(known)
      : Effect.map(
          Effect.all([
            dialect.columns("skein_run"),
            dialect.columns("skein_dead"),
            dialect.columns("skein_checkpoint")
          ]),
          ([run, dead, old]) => ({ run: run.length > 0, dead, checkpoint: old.length > 0 })
        )
  )

  const create = Effect.fnUntraced(function* ({ checkpoint, dead, run }: Tables) {
    if (!run) {
      yield* sql`CREATE TABLE skein_run (
        pipeline TEXT NOT NULL, part TEXT NOT NULL, id TEXT NOT NULL, epoch BIGINT NOT NULL, revision BIGINT NOT NULL,
        holder TEXT, label TEXT NOT NULL, since BIGINT NOT NULL, expires BIGINT NOT NULL, clean INTEGER NOT NULL,
        format INTEGER NOT NULL, checkpoint TEXT, PRIMARY KEY (pipeline, part))`
    }
    if (dead.length === 0) {
      yield* sql`CREATE TABLE skein_dead (
        id ${dialect.counted}, pipeline TEXT NOT NULL, step TEXT NOT NULL, input TEXT NOT NULL, cause TEXT NOT NULL,
        attempts INTEGER NOT NULL, position TEXT NOT NULL, version TEXT, at BIGINT NOT NULL, replayed INTEGER NOT NULL,
        part TEXT NOT NULL DEFAULT '', path TEXT NOT NULL DEFAULT '', causes TEXT NOT NULL DEFAULT '',
        untold INTEGER NOT NULL DEFAULT 0)`
      yield* sql`CREATE INDEX skein_dead_pipeline ON skein_dead (pipeline, replayed, id)`
    }
    for (const added of dead.length === 0 ? [] : lacking(dead)) {
      yield* sql`ALTER TABLE skein_dead ADD COLUMN ${sql(added)} ${sql.literal(columns[added])}`
    }
    yield* sql`CREATE INDEX IF NOT EXISTS skein_dead_at ON skein_dead (at)`
    if (checkpoint) yield* adoptCheckpoints
  })

  /** What version 0.1 kept: it has no lease, and the states of sinks by their place. Its rows are marked, so that it refuses them. */
  const adoptCheckpoints = Effect.gen(function* () {
    const rows = yield* sql`SELECT * FROM skein_checkpoint WHERE version <= 1`
    for (const row of rows) {
      const { checkpoint, pipeline } = yield* decodeOld(row)
      yield* insert({ pipeline, partition: null }, checkpoint)
    }
    if (rows.length > 0) yield* sql`UPDATE skein_checkpoint SET version = 2 WHERE version <= 1`
  })

  const insert: JournalTables["insert"] = (key, checkpoint) =>
    Effect.flatMap(newId, (id) => {
      const row = { ...keyRow(key), id, epoch: 0, revision: 0, holder: null, label: "", since: 0, expires: 0, format }
      const kept = { clean: checkpoint === null ? 1 : 0, checkpoint: checkpoint && encodeCheckpoint(checkpoint) }
      return sql`INSERT INTO skein_run ${sql.insert({ ...row, ...kept })} ON CONFLICT (pipeline, part) DO NOTHING`
    })

  const isComplete = ({ dead, run }: Tables) => run && dead.length > 0 && lacking(dead).length === 0

  const ready: JournalTables["ready"] = Effect.suspend(() =>
    known !== undefined
      ? Effect.void
      : Effect.gen(function* () {
          const isOutermost = Option.isNone(yield* Effect.serviceOption(sql.transactionService))
          const first = yield* found
          if (!isComplete(first) || first.checkpoint) {
            yield* dialect.transaction(
              // Somebody else may have made them meanwhile.
              Effect.andThen(dialect.creating, Effect.mapError(Effect.flatMap(found, create), explained))
            )
          }
          // Inside a transaction of the caller's they may still be rolled back.
          if (isOutermost) known = yield* found
        })
  )

  return { found, ready, insert }
}

/** Those that the table did not have from the beginning. */
const columns = {
  part: "TEXT NOT NULL DEFAULT ''",
  path: "TEXT NOT NULL DEFAULT ''",
  causes: "TEXT NOT NULL DEFAULT ''",
  untold: "INTEGER NOT NULL DEFAULT 0"
}
const added = ["part", "path", "causes", "untold"] as const

const lacking = (there: ReadonlyArray<string>): ReadonlyArray<keyof typeof columns> =>
  added.filter((column) => !there.includes(column))

const explained = (error: SqlError | Schema.SchemaError): SqlError | Schema.SchemaError | string =>
  error._tag === "SqlError" ? notAllowed("the tables skein_run and skein_dead are", "them", "both")(error) : error

/** What to do where a role may not make what is not there. */
export const notAllowed =
  (what: string, them: string, each: string) =>
  (error: SqlError): SqlError | string =>
    error.reason._tag === "AuthorizationError"
      ? `${what} not there, and this role may not make ${them}: ${error.message}. ` +
        `Let it create tables, or run once as a role that may, and grant this one SELECT, INSERT, UPDATE and DELETE on ${each}`
      : error
