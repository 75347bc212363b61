/**
 * The journal in a database: checkpoints, leases and dead letters are rows beside the rows of the sink, so that one
 * transaction keeps all of them or none.
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import type { SqlError } from "effect/sql/SqlError"
import { Host, newId } from "../../pipeline/context/Host.ts"
import { InCommit } from "../../pipeline/context/InCommit.ts"
import { AlreadyRunning, JournalError, LeaseLost } from "../../pipeline/Journal.ts"
import type {
  Checkpoint,
  Commit,
  DeadLetter,
  Journal,
  JournalKey,
  KeptDeadLetter,
  Lease
} from "../../pipeline/Journal.ts"

export interface Options {
  /** The files of the database, by all of their names. */
  readonly places?: ReadonlyArray<string> | undefined
  /** Whether it outlives the process. Default true. */
  readonly durable?: boolean | undefined
  /** Who holds its leases. Default: the `Host` of whoever takes one. */
  readonly host?: Host | undefined
}

/**
 * The journal in the database of `sql`, in the tables `skein_run` and `skein_dead`, which are created on first use; what version
 * 0.1 kept in `skein_checkpoint` is taken over. A commit is one transaction, or a savepoint where one is open already, and
 * is fenced by its lease: once another run has taken that, nothing is written through it.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Db, Journal } from "skein"
 * import { Drivers } from "skein/node"
 *
 * // The journal that `Db.sqlite` brings along is one of these.
 * const fresh = Effect.flatMap(Journal.Journal, (journal) => journal.load(Journal.keyOf("repos"))).pipe(
 *   Effect.map(Option.isNone),
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(fresh) // => true
 * ```
 */
export const make = (client: SqlClient, { durable = true, host: given, places = [] }: Options = {}): Journal => {
  const sql = client.withoutTransforms()
  let tablesKept = false

  const createTables = Effect.gen(function* () {
    const id = sql.literal(
      sql.onDialectOrElse({ orElse: () => "INTEGER PRIMARY KEY", pg: () => "BIGSERIAL PRIMARY KEY" })
    )
    yield* sql`CREATE TABLE IF NOT EXISTS skein_run (
      pipeline TEXT NOT NULL, part TEXT NOT NULL, id TEXT NOT NULL, epoch BIGINT NOT NULL, revision BIGINT NOT NULL,
      holder TEXT, label TEXT NOT NULL, since BIGINT NOT NULL, expires BIGINT NOT NULL, clean INTEGER NOT NULL,
      format INTEGER NOT NULL, checkpoint TEXT, PRIMARY KEY (pipeline, part))`
    yield* sql`CREATE TABLE IF NOT EXISTS skein_dead (
      id ${id}, pipeline TEXT NOT NULL, step TEXT NOT NULL, input TEXT NOT NULL, cause TEXT NOT NULL,
      attempts INTEGER NOT NULL, position TEXT NOT NULL, version TEXT, at BIGINT NOT NULL, replayed INTEGER NOT NULL)`
    const columns = yield* columnsOf("skein_dead")
    for (const added of ["part", "path"]) {
      if (!columns.includes(added)) yield* sql`ALTER TABLE skein_dead ADD COLUMN ${sql(added)} TEXT NOT NULL DEFAULT ''`
    }
    yield* sql`CREATE INDEX IF NOT EXISTS skein_dead_pipeline ON skein_dead (pipeline, replayed, id)`
    if ((yield* columnsOf("skein_checkpoint")).length > 0) yield* adoptCheckpoints
  })

  const columnsOf = (table: string): Effect.Effect<ReadonlyArray<string>, SqlError> =>
    Effect.map(
      sql.onDialectOrElse({
        orElse: () => sql<{ name: string }>`SELECT name FROM pragma_table_info(${table})`,
        pg: () =>
          sql<{ name: string }>`SELECT column_name AS name FROM information_schema.columns WHERE table_name = ${table}`
      }),
      (rows) => rows.map(({ name }) => name)
    )

  /** What version 0.1 kept: it has no lease, and the states of sinks by their place. Its rows are marked, so that it refuses them. */
  const adoptCheckpoints = Effect.gen(function* () {
    const rows = yield* sql`SELECT * FROM skein_checkpoint WHERE version <= 1`
    for (const row of rows) {
      const old = yield* decodeOldRow(row)
      const checkpoint: Checkpoint = {
        fingerprint: old.fingerprint,
        position: yield* decodeOption(old.position),
        ahead: old.ahead,
        reach: Option.none(),
        sinks: {},
        unnamed: yield* decodeOption(old.sink),
        counts: old.counts,
        finished: old.finished !== 0
      }
      const text = yield* encodeCheckpoint(checkpoint)
      yield* insertRow({ pipeline: old.pipeline, partition: null }, yield* newId, text)
    }
    if (rows.length > 0) yield* sql`UPDATE skein_checkpoint SET version = 2 WHERE version <= 1`
  })

  const insertRow = (key: JournalKey, id: string, checkpoint: string | null) => {
    const row = { ...keyRow(key), id, epoch: 0, revision: 0, holder: null, label: "", since: 0, expires: 0 }
    return sql`INSERT INTO skein_run ${sql.insert({ ...row, clean: checkpoint === null ? 1 : 0, format, checkpoint })}
      ON CONFLICT (pipeline, part) DO NOTHING`
  }

  const ready: Effect.Effect<void, SqlError | Schema.SchemaError> = Effect.suspend(() =>
    tablesKept
      ? Effect.void
      : Effect.flatMap(Effect.serviceOption(sql.transactionService), (outer) =>
          Effect.map(sql.withTransaction(createTables), () => {
            // Inside a transaction of the caller's they may still be rolled back.
            tablesKept = Option.isNone(outer)
          })
        )
  )

  const where = ({ partition, pipeline }: JournalKey) => sql`pipeline = ${pipeline} AND part = ${partOf(partition)}`

  const rowOf = Effect.fnUntraced(function* (key: JournalKey) {
    const rows = yield* sql`SELECT * FROM skein_run WHERE ${where(key)}`
    return rows[0] === undefined ? undefined : yield* decodeRow(rows[0])
  })

  const load = Effect.fnUntraced(function* (key: JournalKey) {
    yield* ready
    const row = yield* rowOf(key)
    return row === undefined || row.checkpoint === null ? Option.none() : Option.some(yield* checkpointOf(row))
  })

  /** `step` is how much higher the epoch becomes: drawn, so that whoever finds it in the row knows that it is its own. */
  const take = Effect.fnUntraced(function* (key: JournalKey, duration: Duration.Duration, step: number) {
    const host = given ?? (yield* Host)
    const now = yield* Clock.currentTimeMillis
    yield* insertRow(key, yield* newId, null)
    const row = (yield* rowOf(key))!
    if (row.format > format) yield* checkpointOf(row)
    const { holder, label, since, expires } = row
    const runs = holder === null ? false : host.runs(holder)
    if (holder !== null && now < expires && runs !== false) {
      return yield* new AlreadyRunning({ pipeline: key.pipeline, holder: label, since, until: expires })
    }
    const epoch = row.epoch + step
    const held = {
      epoch,
      holder: host.id,
      label: host.label,
      since: now,
      expires: now + Duration.toMillis(duration)
    }
    yield* sql`UPDATE skein_run SET ${sql.update(held)} WHERE ${where(key)}`
    return { clean: row.clean !== 0, id: row.id, epoch, revision: row.revision, host }
  })

  /** The reply to a COMMIT may be lost, and the commit not (P13): then the row says who has taken it. */
  const taken = (key: JournalKey, duration: Duration.Duration) =>
    Effect.suspend(() => {
      let wanted: Effect.Success<ReturnType<typeof take>> | undefined
      const taking = Effect.flatMap(Random.nextIntBetween(1, 2 ** 20), (step) => take(key, duration, step))
      return Effect.catchIf(
        sql.withTransaction(Effect.tap(taking, (lease) => Effect.sync(() => void (wanted = lease)))),
        (error): error is SqlError => isSqlError(error) && wanted !== undefined,
        (error) =>
          Effect.flatMap(
            Effect.mapError(rowOf(key), () => error),
            (row) => (row?.epoch === wanted?.epoch ? Effect.succeed(wanted!) : Effect.fail(error))
          )
      )
    })

  const lease: Journal["lease"] = (key, { duration }) => {
    const { pipeline } = key
    const failed = errorOf(pipeline)
    return Effect.acquireRelease(
      Effect.mapError(Effect.andThen(ready, taken(key, duration)), (error) =>
        error instanceof AlreadyRunning ? error : failed("take its lease")(error)
      ),
      ({ epoch }) =>
        Effect.ignore(sql`UPDATE skein_run SET holder = NULL, expires = 0 WHERE ${where(key)} AND epoch = ${epoch}`)
    ).pipe(
      Effect.map(({ clean, epoch, host, id, revision: first }): Lease => {
        let revision = first
        /** Who has it now, where it is not this run. */
        const lost = Effect.map(
          sql<{ label: string; epoch: number | string }>`SELECT label, epoch FROM skein_run WHERE ${where(key)}`,
          ([row]) =>
            row === undefined
              ? new LeaseLost({ pipeline, holder: "somebody who deleted its row from the journal" })
              : Number(row.epoch) === epoch
                ? undefined
                : new LeaseLost({ pipeline, holder: row.label === host.label ? "another run" : row.label })
        )
        const held = <E>(updated: Effect.Effect<ReadonlyArray<unknown>, E>) =>
          Effect.flatMap(updated, (rows) =>
            rows.length > 0
              ? Effect.void
              : Effect.flatMap(lost, (error) =>
                  Effect.fail(error ?? new LeaseLost({ pipeline, holder: "another run" }))
                )
          )
        const expires = Effect.map(Clock.currentTimeMillis, (now) => now + Duration.toMillis(duration))

        /** The error of the caller's own, or what it means here. */
        const unwrapped =
          (tried: string) =>
          <E>(error: WriteFailed<E> | LeaseLost | Parameters<ReturnType<typeof failed>>[0]) =>
            error instanceof WriteFailed ? error.error : error instanceof LeaseLost ? error : failed(tried)(error)

        const save = Effect.fnUntraced(function* ({ checkpoint, dead, replayed, restart }: Commit) {
          const row = {
            revision: revision + 1,
            expires: yield* expires,
            format,
            checkpoint: yield* encodeCheckpoint(checkpoint)
          }
          yield* held(
            sql`UPDATE skein_run SET ${sql.update(row)} WHERE ${where(key)} AND epoch = ${epoch} RETURNING epoch`
          )
          if (restart) yield* sql`DELETE FROM skein_dead WHERE ${where(key)}`
          yield* markReplayed(key, replayed)
          yield* bury(key, dead)
        })

        const commit: Lease["commit"] = <E, R>(
          write: Effect.Effect<Commit, E, R>
        ): Effect.Effect<void, E | JournalError | LeaseLost, R> => {
          // The writer's error may be an SqlError itself, and is the caller's to see.
          const written = Effect.mapError(write, (error) => new WriteFailed(error))
          // First of all (P10): whoever would take the lease has to wait until this transaction ends, so that what a sink without
          // transactions writes meanwhile is fenced as well.
          const fence = held(
            sql.onDialectOrElse({
              // A transaction has locked the whole database by then.
              orElse: () => sql`SELECT epoch FROM skein_run WHERE ${where(key)} AND epoch = ${epoch}`,
              pg: () => sql`SELECT epoch FROM skein_run WHERE ${where(key)} AND epoch = ${epoch} FOR UPDATE`
            })
          )
          const transaction = Effect.provideService(
            sql.withTransaction(Effect.andThen(fence, Effect.flatMap(written, save))),
            InCommit,
            true
          )
          /** The reply to a COMMIT may be lost, and the commit not (P13). */
          const decide = (error: SqlError) =>
            Effect.flatMap(
              Effect.mapError(rowOf(key), () => error),
              (row) => (row?.epoch === epoch && row.revision === revision + 1 ? Effect.void : Effect.fail(error))
            )
          return transaction.pipe(
            Effect.catchIf((error): error is SqlError => isSqlError(error), decide),
            Effect.map(() => void (revision += 1)),
            Effect.mapError(unwrapped("commit"))
          )
        }

        const guard: Lease["guard"] = (work) => {
          const opened = sql`UPDATE skein_run SET clean = 0 WHERE ${where(key)} AND epoch = ${epoch} RETURNING epoch`
          const worked = Effect.mapError(work, (error) => new WriteFailed(error))
          return Effect.mapError(sql.withTransaction(Effect.andThen(held(opened), worked)), unwrapped("hold its lease"))
        }

        return {
          id,
          host,
          durable,
          clean,
          renewEvery: Option.some(Duration.divideUnsafe(duration, 3)),
          renew: Effect.flatMap(expires, (until) =>
            held(sql`UPDATE skein_run SET expires = ${until} WHERE ${where(key)} AND epoch = ${epoch} RETURNING epoch`)
          ).pipe(Effect.mapError((error) => (error instanceof LeaseLost ? error : failed("renew its lease")(error)))),
          load: Effect.tap(
            Effect.mapError(load(key), failed("read the checkpoint")),
            Effect.mapError(
              Effect.map(rowOf(key), (row) => void (revision = row?.revision ?? revision)),
              failed("read the checkpoint")
            )
          ),
          guard,
          commit,
          leaveClean: Effect.ignore(sql`UPDATE skein_run SET clean = 1 WHERE ${where(key)} AND epoch = ${epoch}`)
        }
      })
    )
  }

  const bury = (key: JournalKey, letters: ReadonlyArray<DeadLetter>): Effect.Effect<void, SqlError> =>
    inParts(
      letters,
      (part) => sql`INSERT INTO skein_dead ${sql.insert(Arr.map(part, (letter) => encodeDead(key, letter)))}`
    )

  const markReplayed = (key: JournalKey, ids: ReadonlyArray<number>): Effect.Effect<void, SqlError> =>
    inParts(ids, (part) => sql`UPDATE skein_dead SET replayed = 1 WHERE ${where(key)} AND ${sql.in("id", part)}`)

  return {
    places,
    lease,
    load: (key) => Effect.mapError(load(key), errorOf(key.pipeline)("read the checkpoint")),
    dead: (key) =>
      ready.pipe(
        Effect.andThen(sql`SELECT * FROM skein_dead WHERE ${where(key)} AND replayed = 0 ORDER BY id`),
        Effect.flatMap(decodeDead),
        Effect.mapError(errorOf(key.pipeline)("read the dead letters"))
      ),
    bury: (key, letters) =>
      Effect.mapError(
        Effect.andThen(ready, sql.withTransaction(bury(key, letters))),
        errorOf(key.pipeline)("keep dead letters")
      )
  }
}

/** Of what this version writes; a row of a later one is refused. */
const format = 2

class WriteFailed<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

const errorOf =
  (pipeline: string) =>
  (tried: string) =>
  (error: SqlError | Schema.SchemaError | JournalError | string): JournalError => {
    if (error instanceof JournalError) return error
    if (typeof error === "string") return new JournalError({ pipeline, tried, reason: error })
    if (isSqlError(error)) return new JournalError({ pipeline, tried, reason: error.message })
    const reason = `its row is not what Skein writes; was it changed by hand? Restore it, or delete it to start over: ${error.message}`
    return new JournalError({ pipeline, tried, reason })
  }

/** The whole is a part of its own, and no partition has its name. */
const partOf = (partition: string | null): string => (partition === null ? "" : `:${partition}`)

const keyRow = ({ partition, pipeline }: JournalKey) => ({ pipeline, part: partOf(partition) })

/** A statement may have only so many parameters. */
const inParts = <A>(
  all: ReadonlyArray<A>,
  run: (part: Arr.NonEmptyReadonlyArray<A>) => Effect.Effect<unknown, SqlError>
): Effect.Effect<void, SqlError> => Effect.forEach(Arr.chunksOf(all, 1000), run, { discard: true })

/** PostgreSQL gives 64-bit integers as text. */
const Count = Schema.Union([Schema.Finite, Schema.FiniteFromString])
const JsonText = Schema.fromJsonString(Schema.Json)
const Fingerprint = Schema.Record(Schema.String, Schema.Json)
const Counts = Schema.Struct({
  settled: Schema.Number,
  written: Schema.Number,
  filtered: Schema.Number,
  skipped: Schema.Number,
  dead: Schema.Number,
  bytes: Schema.Number
})

const Row = Schema.Struct({
  id: Schema.String,
  epoch: Count,
  revision: Count,
  holder: Schema.NullOr(Schema.String),
  label: Schema.String,
  since: Count,
  expires: Count,
  clean: Count,
  format: Count,
  checkpoint: Schema.NullOr(Schema.String)
})
const decodeRow = Schema.decodeUnknownEffect(Row)

/** What is absent is none; the JSON value null is a value. */
const Optional = Schema.optionalKey(Schema.Json)

const CheckpointText = Schema.fromJsonString(
  Schema.Struct({
    fingerprint: Fingerprint,
    position: Optional,
    ahead: Schema.Array(Schema.Number),
    reach: Schema.optionalKey(Schema.Struct({ position: Schema.Json, fingerprint: Fingerprint })),
    sinks: Schema.Record(Schema.String, Schema.Struct({ fingerprint: Fingerprint, state: Schema.Json })),
    unnamed: Schema.optionalKey(Schema.Struct({ state: Optional })),
    counts: Counts,
    finished: Schema.Boolean
  })
)
const decodeCheckpoint = Schema.decodeEffect(CheckpointText)

const checkpointOf = Effect.fnUntraced(function* (row: typeof Row.Type) {
  if (row.format > format) {
    return yield* Effect.fail(
      `a newer version of Skein wrote it (format ${row.format}, this one knows ${format}). Update`
    )
  }
  const { position, reach, unnamed, ...kept } = yield* decodeCheckpoint(row.checkpoint ?? "")
  const checkpoint: Checkpoint = {
    ...kept,
    position: position === undefined ? Option.none() : Option.some(position),
    reach: Option.fromUndefinedOr(reach),
    ...(unnamed !== undefined && {
      unnamed: unnamed.state === undefined ? Option.none() : Option.some(unnamed.state)
    })
  }
  return checkpoint
})

/** By hand, as a schema would cost as much as the rest of a commit; `Schema.Json` is what it says. */
const encodeCheckpoint = ({ position, reach, unnamed, ...kept }: Checkpoint): Effect.Effect<string> =>
  Effect.sync(() =>
    JSON.stringify({
      ...kept,
      ...(Option.isSome(position) && { position: position.value }),
      ...(Option.isSome(reach) && { reach: reach.value }),
      ...(unnamed !== undefined && { unnamed: Option.isSome(unnamed) ? { state: unnamed.value } : {} })
    })
  )

const OldRow = Schema.Struct({
  pipeline: Schema.String,
  fingerprint: Schema.fromJsonString(Fingerprint),
  position: Schema.NullOr(Schema.String),
  ahead: Schema.fromJsonString(Schema.Array(Schema.Number)),
  sink: Schema.NullOr(Schema.String),
  counts: Schema.fromJsonString(Counts),
  finished: Count
})
const decodeOldRow = Schema.decodeUnknownEffect(OldRow)
const decodeJson = Schema.decodeUnknownEffect(JsonText)

/** None is NULL; the JSON value null is the text `null`. */
const decodeOption = (text: string | null): Effect.Effect<Option.Option<Schema.Json>, Schema.SchemaError> =>
  text === null ? Effect.succeedNone : Effect.asSome(decodeJson(text))

const DeadRow = Schema.Struct({
  id: Count,
  step: Schema.String,
  input: JsonText,
  cause: Schema.String,
  attempts: Count,
  position: JsonText,
  path: Schema.String,
  version: Schema.NullOr(Schema.String),
  at: Count,
  replayed: Count
})
const decodeDeadRows = Schema.decodeUnknownEffect(Schema.Array(DeadRow))

const decodeDead = (rows: unknown): Effect.Effect<ReadonlyArray<KeptDeadLetter>, Schema.SchemaError> =>
  Effect.map(decodeDeadRows(rows), (letters) =>
    letters.map((letter) => ({ ...letter, replayed: letter.replayed !== 0 }))
  )

const encodeDead = (key: JournalKey, letter: DeadLetter): Record<string, unknown> => ({
  ...keyRow(key),
  step: letter.step,
  input: JSON.stringify(letter.input),
  cause: letter.cause,
  attempts: letter.attempts,
  position: JSON.stringify(letter.position),
  path: letter.path,
  version: letter.version,
  at: letter.at,
  replayed: 0
})
