/** A database as pipelines see it: rows go in through a sink, exactly once, and come out decoded. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FileSystem } from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import * as Sinks from "../pipeline/Sink.ts"
import type { Sink } from "../pipeline/Sink.ts"
import type { NoPosition, Source } from "../pipeline/Source.ts"
import type { BulkConnection } from "./db/BulkConnection.ts"
import { Db, type Opened, type TableOptions } from "./db/Contract.ts"
import type { CopyConnection } from "./db/CopyConnection.ts"
import * as DbTable from "./db/DbTable.ts"
import { Driver, open, type OpenOptions, postgres, type PostgresOptions, sqlite } from "./db/Opening.ts"
import * as DbListen from "./db/rows/DbListen.ts"
import type { ListenOptions } from "./db/rows/DbListen.ts"
import * as DbRows from "./db/rows/DbRows.ts"
import type { RowsOptions } from "./db/rows/DbRows.ts"
import type { RowPosition } from "./db/rows/Reading.ts"
import * as RowQuery from "./db/rows/RowQuery.ts"
import type { From } from "./db/rows/RowQuery.ts"
import * as DbMigration from "./db/statement/DbMigration.ts"
import * as DbParameter from "./db/statement/DbParameter.ts"
import type { Json, Parameter } from "./db/statement/DbParameter.ts"
import * as DbStatement from "./db/statement/DbStatement.ts"
import type { Statement } from "./db/statement/DbStatement.ts"
import * as DbTransaction from "./db/statement/DbTransaction.ts"
import type { TransactionOptions } from "./db/statement/DbTransaction.ts"
import { DbError } from "./DbError.ts"

export {
  type BulkConnection,
  type CopyConnection,
  Db,
  DbError,
  Driver,
  type Json,
  type ListenOptions,
  open,
  type Opened,
  type OpenOptions,
  type Parameter,
  postgres,
  type PostgresOptions,
  type RowPosition,
  type RowsOptions,
  sqlite,
  type Statement,
  type TableOptions,
  type TransactionOptions
}

/**
 * The sink that writes elements as rows of a table, in one transaction with the checkpoint of the pipeline: exactly once.
 * The table is created from the encoded side of `schema` where there is none: each field has a column of the type that the
 * database has for it, with objects and arrays as JSON. Fails with a `DbError` that names the columns when a table there does
 * not fit, and the field when an element does not encode.
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
): Sink<A, DbError, Db, "exactly-once", never> =>
  Sinks.make({
    name: `table ${name}`,
    guarantee: "exactly-once",
    identity: DbTable.identity(name),
    form: Effect.succeed({ key: DbTable.keyOf(options.key) }),
    journal: Effect.map(Db, (db) => Option.some(db.journal)),
    open: ({ committed }) => Effect.flatMap(Db, (db) => DbTable.open(db, { name, schema, options, committed }))
  })

/**
 * The rows of a query, each decoded by `schema` from what `table` writes of it: dates, JSON and what else the database has in a
 * form of its own. What is interpolated becomes a parameter and never SQL. Fails with a `DbError` when the query fails, or a row is not as the
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
export const query: <A, I extends object>(schema: Schema.Codec<A, I>) => Statement<ReadonlyArray<A>> = DbStatement.query

/**
 * Runs a statement and gives the number of rows that it changed, or gave. What is interpolated becomes a parameter and never
 * SQL. Fails with a `DbError` when the database refuses it.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Name = Schema.Struct({ name: Schema.String })
 * const program = Effect.gen(function*() {
 *   yield* Db.execute`CREATE TABLE people (id INTEGER, name TEXT)`
 *   const added = yield* Db.execute`INSERT INTO people VALUES (${1}, ${"Ada"}), (${2}, ${"Robert'); DROP TABLE people"})`
 *   const found = yield* Db.query(Name)`SELECT name FROM people WHERE id IN (SELECT value FROM json_each(${[1, 3]}))`
 *   return { added, found }
 * }).pipe(Effect.provide(Db.sqlite(":memory:")), Effect.provide(Drivers.layer))
 *
 * await Effect.runPromise(program) // => { added: 2, found: [{ name: "Ada" }] }
 * ```
 */
export const execute: Statement<number> = DbStatement.execute

/**
 * A value as a parameter that is JSON: an object, or an array that is not to be an array of PostgreSQL.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Row = Schema.Struct({ city: Schema.String })
 * const program = Db.query(Row)`SELECT ${Db.json({ city: "Oslo" })} ->> 'city' AS city`.pipe(
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(program) // => [{ city: "Oslo" }]
 * ```
 */
export const json: (value: unknown) => Json = DbParameter.json

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

/**
 * What others send to a channel of PostgreSQL by NOTIFY, from when reading begins: texts, or, with a schema, its JSON. A source
 * without positions, as the server keeps nothing of it: at-most-once. When the connection is lost it is made again, and what was sent
 * meanwhile is missed; `onListening` runs then, for who has to look for it. Fails with a `DbError` in SQLite, which has no channels,
 * for a notification that is not as the schema says, and when more than `capacity` wait to be taken.
 *
 * @example
 * ```ts no-run needs a PostgreSQL
 * import { Effect, Layer, Schema } from "effect"
 * import { Db, Pipeline, Sink } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Order = Schema.Struct({ id: Schema.Int })
 * const job = Pipeline.from(Db.listen("orders", Order)).pipe(
 *   Pipeline.to(Sink.forEach(({ id }) => Effect.log(`order ${id}`)))
 * )
 *
 * // Until it is drained. Elsewhere: NOTIFY orders, '{"id": 1}'
 * const program = Pipeline.run(job, { name: "orders" }).pipe(
 *   Effect.provide(Db.open("postgres://localhost/shop").pipe(Layer.provide(Drivers.layer)))
 * )
 * void program
 * ```
 */
export const listen: {
  (channel: string, options?: ListenOptions): Source<string, DbError, Db, NoPosition>
  <A, I>(channel: string, schema: Schema.Codec<A, I>, options?: ListenOptions): Source<A, DbError, Db, NoPosition>
} = (
  channel: string,
  first: Schema.Codec<unknown, unknown> | ListenOptions = {},
  second: ListenOptions = {}
): Source<never, DbError, Db, NoPosition> => {
  const [schema, options] = Schema.isSchema(first) ? [first, second] : [undefined, first]
  checkWhole("Db.listen: capacity", options.capacity, 1)
  checkDuration("Db.listen: reconnectFor", options.reconnectFor)
  return {
    name: `channel ${JSON.stringify(channel)}`,
    resumable: false,
    size: Effect.succeedNone,
    fingerprint: () => Effect.succeed({}),
    // Texts or what the schema gives: the two overloads above say which.
    read: () => Stream.unwrap(Effect.map(Db, (db) => DbListen.stream<never>(db, channel, schema as never, options)))
  }
}

/**
 * Runs an effect in one transaction: its statements all happen, or, when it fails or is interrupted, none. Inside of another
 * it is a savepoint. What a serialization failure or a deadlock undid runs again, the whole effect, after a pause of 10 ms at
 * first, up to `retries` times, by default 10: let it do nothing but work in the database. Wait inside for the tasks that you
 * start in it; in one that outlives it, statements of `Db` fail. The effect's errors pass; the database's are a `DbError`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const move = (amount: number) =>
 *   Db.transaction(Effect.gen(function*() {
 *     yield* Db.execute`UPDATE accounts SET balance = balance + ${amount} WHERE name = 'b'`
 *     const taken = yield* Db.execute`
 *       UPDATE accounts SET balance = balance - ${amount} WHERE name = 'a' AND balance >= ${amount}`
 *     if (taken === 0) return yield* Effect.fail("too little")
 *   }))
 * const program = Effect.gen(function*() {
 *   yield* Db.execute`CREATE TABLE accounts (name TEXT, balance INTEGER)`
 *   yield* Db.execute`INSERT INTO accounts VALUES ('a', 10), ('b', 0)`
 *   yield* move(4)
 *   const refused = yield* Effect.flip(move(7))
 *   const Balance = Schema.Struct({ balance: Schema.Int })
 *   return { refused, rows: yield* Db.query(Balance)`SELECT balance FROM accounts ORDER BY name` }
 * }).pipe(Effect.provide(Db.sqlite(":memory:")), Effect.provide(Drivers.layer))
 *
 * await Effect.runPromise(program) // => { refused: "too little", rows: [{ balance: 6 }, { balance: 4 }] }
 * ```
 */
export const transaction: <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: TransactionOptions
) => Effect.Effect<A, E | DbError, R | Db> = DbTransaction.transaction

/**
 * Applies the migrations that the database has not had yet, in the order of their numbers and in one transaction, and gives
 * their names: a record of SQL and effects, or the path of a folder of files like `0001_create.sql`. Several programs may do
 * so at once. Fails with a `DbError` that names the migration that failed, after which none of them is applied, or one that
 * was changed, renamed or is missing since it was applied. What was applied is kept in the table `skein_migration`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const migrations = {
 *   "0001_people": "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
 *   "0002_ada": Db.execute`INSERT INTO people VALUES (1, ${"Ada"})`
 * }
 * const program = Effect.all([Db.migrate(migrations), Db.migrate(migrations)]).pipe(
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(program) // => [["0001_people", "0002_ada"], []]
 * ```
 */
export const migrate: {
  (folder: string): Effect.Effect<ReadonlyArray<string>, DbError, Db | FileSystem>
  <M extends DbMigration.Migrations<unknown>>(
    migrations: M
  ): Effect.Effect<ReadonlyArray<string>, DbError, Db | ServicesOf<M[keyof M]>>
} = <R>(migrations: string | DbMigration.Migrations<R>) =>
  typeof migrations === "string"
    ? Effect.flatMap(DbMigration.folder(migrations), DbMigration.migrate)
    : DbMigration.migrate(migrations)

type ServicesOf<Migration> = Migration extends Effect.Effect<unknown, unknown, infer R> ? R : never
