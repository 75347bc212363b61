/** A database as pipelines see it: rows go in through a sink, exactly once, and come out decoded. */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import { Host } from "../pipeline/context/Host.ts"
import { Journal } from "../pipeline/Journal.ts"
import * as Sinks from "../pipeline/Sink.ts"
import type { Sink } from "../pipeline/Sink.ts"
import type { Source } from "../pipeline/Source.ts"
import { Db, type Opened, type TableOptions } from "./db/Contract.ts"
import type { CopyConnection } from "./db/CopyConnection.ts"
import type { Dialect } from "./db/Dialect.ts"
import { DbError, fromSqlError } from "./DbError.ts"
import * as DbQueue from "./db/DbQueue.ts"
import type { QueueOptions } from "./db/DbQueue.ts"
import * as DbRows from "./db/DbRows.ts"
import type { RowPosition, RowsOptions } from "./db/DbRows.ts"
import * as DbTable from "./db/DbTable.ts"
import * as Fields from "./db/Fields.ts"
import type { From } from "./db/RowQuery.ts"
import * as RowQuery from "./db/RowQuery.ts"
import { sqlite as sqliteDialect } from "./db/SqliteDialect.ts"
import * as SqlJournal from "./db/SqlJournal.ts"
import * as JsonText from "../concurrency/base/JsonText.ts"

export {
  type CopyConnection,
  Db,
  DbError,
  type Opened,
  type QueueOptions,
  type RowPosition,
  type RowsOptions,
  type TableOptions
}

/** Opens databases: `Drivers.layer` of `skein/node`. */
export interface Driver {
  readonly open: (url: string, options: OpenOptions) => Effect.Effect<Opened, DbError, Scope.Scope>
}

/**
 * Opens the databases of `Db.sqlite` and `Db.open`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * // Another driver around the one there is: it says what is opened.
 * const opened: Array<string> = []
 * const telling = Layer.effect(Db.Driver)(
 *   Effect.map(Db.Driver, (driver) => ({
 *     open: (url, options) => Effect.andThen(Effect.sync(() => opened.push(url)), driver.open(url, options))
 *   }))
 * ).pipe(Layer.provide(Drivers.layer))
 *
 * await Effect.runPromise(Effect.map(Db.Db, ({ name }) => name).pipe(Effect.provide(Db.sqlite(":memory:")), Effect.provide(telling)))
 * opened // => ["sqlite::memory:"]
 * ```
 */
export const Driver: Context.Service<Driver, Driver> = Context.Service("skein/Db/Driver")

export interface OpenOptions {
  /**
   * What a commit waits for. "full", the default: the disk; a power failure loses nothing. "normal": the operating
   * system; a power failure can undo the last commits, rows and checkpoint together, so that a run goes on from there.
   */
  readonly synchronous?: "full" | "normal" | undefined
  /** How long to wait for another process that holds the lock. Default 5 seconds. */
  readonly lockTimeout?: Duration.Input | undefined
}

/**
 * The SQLite database in `file`, created where there is none; ":memory:" is one that ends with the program. Gives `Db`
 * and its `Journal`, and needs a `Driver`. Fails with a `DbError` when the file cannot be opened or is no database.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const name = Effect.map(Db.Db, (db) => db.name).pipe(
 *   Effect.provide(Db.sqlite("repos.db")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(name) // => "repos.db"
 * ```
 */
export const sqlite = (file: string, options: OpenOptions = {}): Layer.Layer<Db | Journal, DbError, Driver> =>
  open(`sqlite:${file}`, options)

/**
 * The database at `url`: the path of an SQLite file, or a `sqlite:` or `file:` URL of one. Gives `Db` and its `Journal`,
 * and needs a `Driver`. Fails with a `DbError` for a database that cannot be opened or is of a kind without a driver.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const error = Effect.flip(Db.Db).pipe(
 *   Effect.provide(Db.open("mysql://localhost/repos")),
 *   Effect.catchTag("DbError", (error) => Effect.succeed(error.tried)),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(error) // => "open it"
 * ```
 */
export const open = (url: string, options: OpenOptions = {}): Layer.Layer<Db | Journal, DbError, Driver> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const driver = yield* Driver
      const host = yield* Host
      const opened = yield* driver.open(url, options)
      const journal = SqlJournal.make(opened.sql, { durable: opened.durable, places: opened.places, host })
      const dialect = opened.sql.onDialectOrElse<Dialect>({ orElse: () => sqliteDialect })
      return Context.make(Db, { ...opened, dialect, journal }).pipe(Context.add(Journal, journal))
    })
  )

/**
 * The sink that writes elements as rows of a table, in one transaction with the checkpoint of the pipeline: exactly once.
 * The table is created from the encoded side of `schema` where there is none: INTEGER, REAL, TEXT and BLOB columns, with
 * objects and arrays as JSON text. Fails with a `DbError` that names the columns when a table there does not fit, and the
 * field when an element does not encode.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Db, Pipeline } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Repo = Schema.Struct({ id: Schema.Int, name: Schema.String, topics: Schema.Array(Schema.String) })
 *
 * const job = Pipeline.from([{ id: 1, name: "skein", topics: ["effect", "sql"] }]).pipe(
 *   Pipeline.to(Db.table("repos", Repo, { key: "id" }))
 * )
 * const program = Effect.gen(function*() {
 *   yield* Pipeline.run(job, { name: "repos" })
 *   return yield* Db.query(Repo)`SELECT * FROM repos`
 * }).pipe(Effect.provide(Db.sqlite("repos.db").pipe(Layer.provide(Drivers.layer))))
 *
 * await Effect.runPromise(program) // => [{ id: 1, name: "skein", topics: ["effect", "sql"] }]
 * ```
 */
export const table = <A, I extends object>(
  name: string,
  schema: Schema.Codec<A, I>,
  options: TableOptions<I> = {}
): Sink<A, DbError, Db, "exactly-once"> =>
  Sinks.make({
    name: `table ${name}`,
    guarantee: "exactly-once",
    // Of the database that the journal is in.
    identity: Effect.succeed(`table ${name}`),
    form: Effect.succeed({ key: DbTable.keyOf(options.key) }),
    journal: Effect.map(Db, (db) => Option.some(db.journal)),
    open: ({ committed }) => Effect.flatMap(Db, (db) => DbTable.open(db, { name, schema, options, committed }))
  })

/**
 * The rows of a query, each decoded by `schema` from the columns of `table`: booleans from 0 and 1, JSON from text. What
 * is interpolated becomes a parameter and never SQL. Fails with a `DbError` when the query fails, or a row is not as the
 * schema says.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Row = Schema.Struct({ n: Schema.Int, even: Schema.Boolean })
 *
 * const rows = Db.query(Row)`SELECT ${4} AS n, true AS even`.pipe(
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(rows) // => [{ n: 4, even: true }]
 * ```
 */
export const query = <A, I extends object>(
  schema: Schema.Codec<A, I>
): ((
  query: TemplateStringsArray,
  ...parameters: ReadonlyArray<Parameter>
) => Effect.Effect<ReadonlyArray<A>, DbError, Db>) => {
  const fields = Fields.of(schema)
  const decode = Schema.decodeUnknownExit(schema)
  return Effect.fnUntraced(function* (query, ...parameters) {
    const db = yield* Db
    const tried = `run the query "${shown(query)}"`
    const failed = (reason: string) => new DbError({ database: db.name, tried, reason })
    if (Result.isFailure(fields)) return yield* failed(fields.failure)
    // An object could pass as a piece of SQL: `sql` knows its pieces by their fields.
    const odd = parameters.findIndex((value) => !isParameter(value))
    if (odd >= 0) return yield* failed(`parameter ${odd + 1} is no string, number, bigint, boolean, bytes or null`)
    const half = parameters.findIndex((value) => typeof value === "string" && !value.isWellFormed())
    if (half >= 0) return yield* failed(`parameter ${half + 1} ${JsonText.noUtf8}`)

    const rows = yield* db.sql(query, ...parameters).withoutTransform.pipe(
      Effect.provideService(
        SqlClient.SafeIntegers,
        fields.success.list.some(({ kind }) => kind === "bigint")
      ),
      Effect.mapError(fromSqlError(db.name, tried))
    )
    const columns = Arr.getSuccesses(fields.success.list.map((field) => db.dialect.column(field)))
    const decoded: Array<A> = []
    for (const row of rows) {
      // Without a prototype, whose names a schema would take for fields.
      const encoded: Record<string, unknown> = Object.create(null)
      for (const column of columns) {
        if (!Object.hasOwn(row, column.name)) continue
        const value = column.fromColumn(row[column.name])
        if (value !== undefined) encoded[column.name] = value
      }
      const exit = decode(encoded)
      if (Exit.isFailure(exit)) {
        return yield* failed(`row ${decoded.length + 1} is not as the schema says: ${DbTable.issueOf(exit.cause)}`)
      }
      decoded.push(exit.value)
    }
    return decoded
  })
}

/**
 * The rows of a table, or of a query made with the tag it is given, as a source that is resumed behind the last row settled: by the
 * columns of `by`, which put the rows in order and tell them apart. They are read up to the last one there is when a run begins, a
 * thousand at most at a time; the next run goes on with those behind it, and changes to rows already passed are not seen. Fails with
 * a `DbError` for two rows with the same key or one with NULL in it, and for rows that are not as the schema says.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Db, Pipeline } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const City = Schema.Struct({ id: Schema.Int, name: Schema.String, people: Schema.Int })
 * const Size = Schema.Struct({ id: Schema.Int, large: Schema.Boolean })
 *
 * const least = 1000
 * const job = Pipeline.from(Db.rows((sql) => sql`SELECT * FROM cities WHERE people > ${least}`, City, { by: "id" })).pipe(
 *   Pipeline.map(({ id, people }) => Effect.succeed({ id, large: people >= 100_000 })),
 *   Pipeline.to(Db.table("sizes", Size, { key: "id" }))
 * )
 * const program = Effect.gen(function* () {
 *   const cities = [{ id: 1, name: "Ulm", people: 129_942 }, { id: 2, name: "Arnis", people: 263 }]
 *   yield* Pipeline.run(Pipeline.from(cities).pipe(Pipeline.to(Db.table("cities", City, { key: "id" }))), { name: "cities" })
 *   yield* Pipeline.run(job, { name: "sizes" })
 *   return yield* Pipeline.collect(Pipeline.from(Db.rows("sizes", Size, { by: "id" })))
 * }).pipe(Effect.provide(Db.sqlite("cities.db").pipe(Layer.provide(Drivers.layer))))
 *
 * await Effect.runPromise(program) // => [{ id: 1, large: true }]
 * ```
 */
export const rows = <A, I extends object>(
  from: From,
  schema: Schema.Codec<A, I>,
  options: RowsOptions<I>
): Source<A, DbError, Db, RowPosition> => {
  checkDuration("Db.rows: lag", options.lag)
  const rows: DbRows.Rows<A, I> = {
    from: RowQuery.of(from),
    schema,
    by: typeof options.by === "string" ? [options.by] : options.by,
    lag: options.lag === undefined ? undefined : Duration.fromInputUnsafe(options.lag)
  }
  return {
    name: RowQuery.nameOf(rows.from),
    resumable: true,
    size: Effect.flatMap(Db, (db) => DbRows.size(db, rows)),
    fingerprint: (upTo, since) => Effect.flatMap(Db, (db) => DbRows.fingerprint(db, rows, upTo, since)),
    changed: (kept, upTo, watermark) => Effect.flatMap(Db, (db) => DbRows.changed(db, rows, kept, upTo, watermark)),
    read: (after) => Stream.unwrap(Effect.map(Db, (db) => DbRows.read(db, rows, after)))
  }
}

/** Items in a table, to add to and to take from. The position of an item is its key. */
export interface Queue<in out A> extends Source<A, DbError, Db, string>, Sink<A, DbError, Db, "exactly-once"> {
  /** Adds items, in the transaction that is open where one is; those whose key was ever added are left out. */
  readonly add: (items: ReadonlyArray<A>) => Effect.Effect<void, DbError, Db>
}

/**
 * A queue in a table of that name, which is made where there is none. As a sink it takes each key once, however often it is added. As
 * a source it gives items to any number of runs, each under a name or partition of its own, in this process and others: an item is
 * taken by one of them, done in the transaction of what is written for it, and another's again when that run ends or is not heard of
 * for `lease`. A run ends once nothing is left to take. Fails with a `DbError`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Db, Pipeline } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Job = Schema.Struct({ url: Schema.String })
 * const Page = Schema.Struct({ url: Schema.String, length: Schema.Int })
 *
 * const jobs = Db.queue("jobs", Job, { key: "url" })
 * const worker = Pipeline.from(jobs).pipe(
 *   Pipeline.map(({ url }) => Effect.succeed({ url, length: url.length })),
 *   Pipeline.to(Db.table("pages", Page, { key: "url" }))
 * )
 * const program = Effect.gen(function* () {
 *   yield* jobs.add([{ url: "/a" }, { url: "/bc" }, { url: "/a" }])
 *   yield* Effect.all([Pipeline.run(worker, { name: "one" }), Pipeline.run(worker, { name: "two" })], { concurrency: 2 })
 *   return yield* Db.query(Page)`SELECT * FROM pages ORDER BY url`
 * }).pipe(Effect.provide(Db.sqlite("jobs.db").pipe(Layer.provide(Drivers.layer))))
 *
 * await Effect.runPromise(program) // => [{ url: "/a", length: 2 }, { url: "/bc", length: 3 }]
 * ```
 */
export const queue = <A, I extends object>(
  name: string,
  schema: Schema.Codec<A, I>,
  options: QueueOptions<I>
): Queue<A> => {
  checkDuration("Db.queue: lease", options.lease)
  checkDuration("Db.queue: poll", options.poll)
  checkWhole("Db.queue: atOnce", options.atOnce, 1)
  const queue: DbQueue.Queue<A, I> = {
    name,
    schema,
    key: DbTable.keyOf(options.key),
    lease: Duration.fromInputUnsafe(options.lease ?? "30 seconds"),
    poll: Duration.fromInputUnsafe(options.poll ?? "500 millis"),
    atOnce: options.atOnce ?? 100,
    follow: options.follow ?? false
  }
  return {
    ...Sinks.make<A, DbError, Db, "exactly-once">({
      name: `queue ${name}`,
      guarantee: "exactly-once",
      identity: Effect.succeed(`table ${name}`),
      form: Effect.succeed({ key: queue.key }),
      journal: Effect.map(Db, (db) => Option.some(db.journal)),
      open: ({ committed }) => Effect.flatMap(Db, (db) => DbQueue.open(db, queue, committed))
    }),
    resumable: true,
    size: Effect.succeedNone,
    fingerprint: () => Effect.succeed({ queue: name }),
    account: Effect.flatMap(Db, (db) => DbQueue.account(db, queue)),
    read: () => Stream.unwrap(Effect.map(Db, (db) => DbQueue.peek(db, queue))),
    add: (items) =>
      Effect.flatMap(Db, (db) =>
        Effect.asVoid(Effect.flatMap(DbQueue.open(db, queue), ({ write }) => write(items, Option.none())))
      )
  }
}

/** What may stand in a query as a value. */
type Parameter = string | number | bigint | boolean | Uint8Array | null

const isParameter = (value: unknown): boolean =>
  ["string", "number", "bigint", "boolean"].includes(typeof value) || value === null || value instanceof Uint8Array

/** The query with its parameters as `?`: values have no place in messages. */
const shown = (query: TemplateStringsArray): string => query.join("?").trim().replace(/\s+/g, " ")
