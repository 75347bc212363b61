/** Databases for tests: real files in a folder that goes with the scope. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import { Db, Journal, type Sink } from "skein"
import { Drivers } from "skein/node"
import * as Child from "./child.ts"

/** The path of a file that is not there yet. */
export const newFile = Effect.map(Child.folder, (folder) => join(folder, "test.db"))

/** The body with `Db` and `Journal` of a new database. */
export const within =
  (url: Effect.Effect<string, never, Scope.Scope>) =>
  <A, E, R>(body: Effect.Effect<A, E, R>) =>
    Effect.scoped(Effect.flatMap(url, (url) => Effect.provide(body, Db.open(url).pipe(Layer.provide(Drivers.layer)))))

/** One more connection to the database, closed with the scope. */
export const connect = (url: string, options?: Db.PostgresOptions) =>
  Effect.map(Layer.build(Db.open(url, options).pipe(Layer.provide(Drivers.layer))), Context.get(Db.Db))

/** The body with `Db` and `Journal` of a new file. */
export const withDb = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  Effect.flatMap(newFile, (file) => Effect.provide(body, Db.sqlite(file).pipe(Layer.provide(Drivers.layer))))

export const rowsOf = (table: string) =>
  Effect.flatMap(Db.Db, ({ sql }) =>
    Effect.map(sql`SELECT * FROM ${sql(table)}`, (rows) => rows.map((row) => ({ ...row })))
  )

export const checkpoint = (changes: Partial<Journal.Checkpoint> = {}): Journal.Checkpoint => ({
  fingerprint: { path: "in.csv", size: 3 },
  position: Option.some(10),
  ahead: [],
  reach: Option.none(),
  sinks: {},
  counts: { settled: 1, written: 1, filtered: 0, skipped: 0, dead: 0, bytes: 7 },
  finished: false,
  ...changes
})

/** What a commit keeps. */
export const kept = (
  changes: Partial<Journal.Checkpoint> = {},
  rest: Partial<Omit<Journal.Commit, "checkpoint">> = {}
): Journal.Commit => ({ checkpoint: checkpoint(changes), dead: [], replayed: [], seen: [], restart: false, ...rest })

/** The lease of a pipeline, for as long as the scope is open. */
export const leaseOf = (
  journal: Journal.Journal,
  { duration = "15 seconds", partition, pipeline = "test" }: Leased = {}
) => journal.lease(Journal.keyOf(pipeline, partition), { duration: Duration.fromInputUnsafe(duration) })

interface Leased {
  readonly pipeline?: string
  readonly partition?: string | undefined
  readonly duration?: Duration.Input
}

/** As a sink is opened by the run of a lease; by default for the first time. */
export const openingBy = (
  { clean, durable, host, id: owner }: Journal.Lease,
  committed: Option.Option<Schema.Json> = Option.none()
): Sink.Opening => ({ committed, clean, host, owner, durable })

/** As a sink is opened outside of any run. */
export const openingAlone = (committed: Option.Option<Schema.Json> = Option.none()): Sink.Opening => ({
  committed,
  clean: true,
  host: { id: "test", label: "this test", runs: () => true },
  owner: "test",
  durable: true
})

/** Writes as the engine does: opened with what was committed, in the transaction of the sink's journal. */
export const writeTo = <A, E, R>(
  sink: Sink.Sink<A, E, R, "exactly-once">,
  elements: ReadonlyArray<A>,
  committed: Option.Option<Schema.Json> = Option.none()
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = Option.getOrThrow(yield* sink.journal)
      const lease = yield* leaseOf(journal)
      const writer = yield* sink.open(openingBy(lease, committed))
      yield* lease.commit(
        Effect.map(writer.write(elements, committed), (state) =>
          kept({ sinks: { [sink.name]: { fingerprint: {}, state } } })
        )
      )
      yield* lease.leaveClean
    })
  )
