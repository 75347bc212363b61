/**
 * The journal in a database: checkpoints and dead letters are rows beside the rows of the sink, so that one
 * transaction keeps all of them or none.
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import type { SqlError } from "effect/sql/SqlError"
import { JournalError } from "../../pipeline/Journal.ts"
import type { Checkpoint, DeadLetter, Journal, KeptDeadLetter } from "../../pipeline/Journal.ts"

/**
 * The journal in the database of `sql`, in the tables `skein_checkpoint` and `skein_dead`, which are created on first
 * use. A commit is one transaction, or a savepoint where one is open already. Of two runs of one pipeline in two
 * processes only one commits: the other fails with a `JournalError` that says so.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Db, Journal } from "skein"
 * import { Drivers } from "skein/node"
 *
 * // The journal that `Db.sqlite` brings along is one of these.
 * const fresh = Effect.flatMap(Journal.Journal, (journal) => journal.load("repos")).pipe(
 *   Effect.map(Option.isNone),
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(fresh) // => true
 * ```
 */
export const make = (client: SqlClient): Journal => {
  const sql = client.withoutTransforms()
  /** The revision that each pipeline's row had when it was last read or written here; none when there was no row. */
  const revisions = new Map<string, Option.Option<number>>()
  let tablesKept = false

  const createTables = Effect.gen(function* () {
    const id = sql.literal(
      sql.onDialectOrElse({ orElse: () => "INTEGER PRIMARY KEY", pg: () => "BIGSERIAL PRIMARY KEY" })
    )
    yield* sql`CREATE TABLE IF NOT EXISTS skein_checkpoint (
      pipeline TEXT PRIMARY KEY, version INTEGER NOT NULL, revision BIGINT NOT NULL, fingerprint TEXT NOT NULL,
      position TEXT, ahead TEXT NOT NULL, sink TEXT, counts TEXT NOT NULL, finished INTEGER NOT NULL)`
    yield* sql`CREATE TABLE IF NOT EXISTS skein_dead (
      id ${id}, pipeline TEXT NOT NULL, step TEXT NOT NULL, input TEXT NOT NULL, cause TEXT NOT NULL,
      attempts INTEGER NOT NULL, position TEXT NOT NULL, version TEXT, at BIGINT NOT NULL, replayed INTEGER NOT NULL)`
    yield* sql`CREATE INDEX IF NOT EXISTS skein_dead_pipeline ON skein_dead (pipeline, replayed, id)`
    // Inside a transaction of the caller's they may still be rolled back.
    tablesKept = Option.isNone(yield* Effect.serviceOption(sql.transactionService))
  })
  const ready = Effect.suspend(() => (tablesKept ? Effect.void : createTables))

  const load = Effect.fnUntraced(function* (pipeline: string) {
    yield* ready
    const rows = yield* sql`SELECT * FROM skein_checkpoint WHERE pipeline = ${pipeline}`
    const kept = rows[0] === undefined ? undefined : yield* decodeCheckpoint(rows[0])
    revisions.set(pipeline, Option.fromUndefinedOr(kept?.revision))
    return Option.fromUndefinedOr(kept?.checkpoint)
  })

  const currentRevision = (pipeline: string): Effect.Effect<Option.Option<number>, SqlError> =>
    Effect.map(
      sql<{ revision: number | string }>`SELECT revision FROM skein_checkpoint WHERE pipeline = ${pipeline}`,
      (rows) => Option.map(Option.fromUndefinedOr(rows[0]), (row) => Number(row.revision))
    )

  /** Replaces the row only in the revision known here: in any other, another run has committed. */
  const saveCheckpoint = Effect.fnUntraced(function* (pipeline: string, checkpoint: Checkpoint) {
    const known = revisions.get(pipeline) ?? (yield* currentRevision(pipeline))
    // A row that is deleted and made again must not look like the old one, so its count starts at the time.
    const revision = Option.isSome(known) ? known.value + 1 : yield* Clock.currentTimeMillis
    const row = encodeCheckpoint(checkpoint, revision)
    const saved = Option.isSome(known)
      ? yield* sql`UPDATE skein_checkpoint SET ${sql.update(row)}
          WHERE pipeline = ${pipeline} AND revision = ${known.value} RETURNING revision`
      : yield* sql`INSERT INTO skein_checkpoint ${sql.insert({ pipeline, ...row })}
          ON CONFLICT (pipeline) DO NOTHING RETURNING revision`
    if (saved.length === 0) return yield* Effect.fail(errorOf(pipeline, "commit")(overtaken))
    return revision
  })

  const saveDead = (pipeline: string, dead: ReadonlyArray<DeadLetter>): Effect.Effect<void, SqlError> =>
    inParts(
      dead,
      (part) => sql`INSERT INTO skein_dead ${sql.insert(Arr.map(part, (letter) => encodeDead(pipeline, letter)))}`
    )

  const commit: Journal["commit"] = <E, R>(
    pipeline: string,
    write: Effect.Effect<{ readonly checkpoint: Checkpoint; readonly dead: ReadonlyArray<DeadLetter> }, E, R>
  ): Effect.Effect<void, E | JournalError, R> => {
    // The writer's error may be an SqlError itself, and is the caller's to see.
    const written = Effect.mapError(write, (error) => new WriteFailed(error))
    const save = Effect.flatMap(written, ({ checkpoint, dead }) =>
      Effect.andThen(saveDead(pipeline, dead), saveCheckpoint(pipeline, checkpoint))
    )
    return Effect.andThen(ready, sql.withTransaction(save)).pipe(
      Effect.map((revision) => void revisions.set(pipeline, Option.some(revision))),
      // Whether it was committed is not known here: the next commit asks the database.
      Effect.onInterrupt(() => Effect.sync(() => revisions.delete(pipeline))),
      Effect.mapError((error) =>
        error instanceof WriteFailed ? (error.error as E) : errorOf(pipeline, "commit")(error)
      )
    )
  }

  return {
    load: (pipeline) => Effect.mapError(load(pipeline), errorOf(pipeline, "read the checkpoint")),
    reset: (pipeline) =>
      Effect.andThen(ready, sql`DELETE FROM skein_checkpoint WHERE pipeline = ${pipeline}`).pipe(
        Effect.map(() => void revisions.set(pipeline, Option.none())),
        Effect.mapError(errorOf(pipeline, "reset the checkpoint"))
      ),
    commit,
    dead: (pipeline) =>
      ready.pipe(
        Effect.andThen(sql`SELECT * FROM skein_dead WHERE pipeline = ${pipeline} AND replayed = 0 ORDER BY id`),
        Effect.flatMap(decodeDead),
        Effect.mapError(errorOf(pipeline, "read the dead letters"))
      ),
    markReplayed: (pipeline, ids) =>
      inParts(
        ids,
        (part) => sql`UPDATE skein_dead SET replayed = 1 WHERE pipeline = ${pipeline} AND ${sql.in("id", part)}`
      ).pipe(
        (marked) => Effect.andThen(ready, marked),
        Effect.mapError(errorOf(pipeline, "mark dead letters as replayed"))
      )
  }
}

/** Of what this version writes; a row of a later version is refused. */
const version = 1

const overtaken =
  "another run of this pipeline has committed since this one read the checkpoint, or the reply to a commit of its own was " +
  "lost. Let only one run at a time; a new run goes on from the last commit"

class WriteFailed {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

const errorOf =
  (pipeline: string, tried: string) =>
  (error: SqlError | Schema.SchemaError | JournalError | string): JournalError => {
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

/** PostgreSQL gives 64-bit integers as text. */
const Count = Schema.Union([Schema.Number, Schema.NumberFromString])
const JsonText = Schema.fromJsonString(Schema.Json)

const CheckpointRow = Schema.Struct({
  version: Count,
  revision: Count,
  fingerprint: Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)),
  position: Schema.NullOr(Schema.String),
  ahead: Schema.fromJsonString(Schema.Array(Schema.Number)),
  sink: Schema.NullOr(Schema.String),
  counts: Schema.fromJsonString(
    Schema.Struct({
      settled: Schema.Number,
      written: Schema.Number,
      filtered: Schema.Number,
      skipped: Schema.Number,
      dead: Schema.Number,
      bytes: Schema.Number
    })
  ),
  finished: Count
})

const decodeCheckpointRow = Schema.decodeUnknownEffect(CheckpointRow)
const decodeJson = Schema.decodeUnknownEffect(JsonText)

/** None is NULL; the JSON value null is the text `null`. */
const decodeOption = (text: string | null): Effect.Effect<Option.Option<Schema.Json>, Schema.SchemaError> =>
  text === null ? Effect.succeedNone : Effect.asSome(decodeJson(text))

const encodeOption = (value: Option.Option<Schema.Json>): string | null =>
  Option.isSome(value) ? JSON.stringify(value.value) : null

const decodeCheckpoint = Effect.fnUntraced(function* (input: unknown) {
  const row = yield* decodeCheckpointRow(input)
  if (row.version > version) {
    return yield* Effect.fail(
      `a newer version of Skein wrote it (format ${row.version}, this one knows ${version}). Update`
    )
  }
  const checkpoint: Checkpoint = {
    fingerprint: row.fingerprint,
    position: yield* decodeOption(row.position),
    ahead: row.ahead,
    sink: yield* decodeOption(row.sink),
    counts: row.counts,
    finished: row.finished !== 0
  }
  return { revision: row.revision, checkpoint }
})

const encodeCheckpoint = (checkpoint: Checkpoint, revision: number): Record<string, unknown> => ({
  version,
  revision,
  fingerprint: JSON.stringify(checkpoint.fingerprint),
  position: encodeOption(checkpoint.position),
  ahead: JSON.stringify(checkpoint.ahead),
  sink: encodeOption(checkpoint.sink),
  counts: JSON.stringify(checkpoint.counts),
  finished: checkpoint.finished ? 1 : 0
})

const DeadRow = Schema.Struct({
  id: Count,
  step: Schema.String,
  input: JsonText,
  cause: Schema.String,
  attempts: Count,
  position: JsonText,
  version: Schema.NullOr(Schema.String),
  at: Count,
  replayed: Count
})
const decodeDeadRows = Schema.decodeUnknownEffect(Schema.Array(DeadRow))

const decodeDead = (rows: unknown): Effect.Effect<ReadonlyArray<KeptDeadLetter>, Schema.SchemaError> =>
  Effect.map(decodeDeadRows(rows), (letters) =>
    letters.map((letter) => ({ ...letter, replayed: letter.replayed !== 0 }))
  )

const encodeDead = (pipeline: string, letter: DeadLetter): Record<string, unknown> => ({
  pipeline,
  step: letter.step,
  input: JSON.stringify(letter.input),
  cause: letter.cause,
  attempts: letter.attempts,
  position: JSON.stringify(letter.position),
  version: letter.version,
  at: letter.at,
  replayed: 0
})
