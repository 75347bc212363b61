/** An `SqlClient` that fails by plan. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, ConnectionError, SqlError } from "effect/sql/SqlError"
import type { Compiler, Dialect } from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { Driver } from "../../io/Db.ts"
import * as Choices from "../Choices.ts"
import { follow, type When } from "./Rule.ts"

/** A statement, as `on` of a rule sees it; `sql` of a transaction's ends is "BEGIN" and "COMMIT". */
export interface SqlCall {
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
}

export interface SqlRule extends When<SqlCall> {
  /** Holds the statement back for so long first. */
  readonly delay?: Choices.Latency | undefined
  /** What goes wrong then; without it, the statement is only late. */
  readonly fault?: SqlFault | undefined
}

/**
 * - `"busy"`: another connection holds the lock; the statement did nothing
 * - `"constraint"`: the database refuses the statement
 * - `"disconnected"`: the connection breaks before the statement arrives
 * - `"lost"`: the statement is done, and the connection breaks before the reply arrives
 * - any `SqlError`: the statement fails with it before it does anything
 *
 * A broken connection takes its transaction along, unless what was done is its COMMIT. A COMMIT that fails otherwise
 * rolls back.
 */
export type SqlFault = "busy" | "constraint" | "disconnected" | "lost" | SqlError

/**
 * Makes the statements of any `SqlClient` fail by plan, in transactions and on reserved connections too: at each, the
 * first rule that strikes decides. They fail with an `SqlError` whose reason is that of a real driver. Statements are
 * counted anew wherever the layer is built; savepoints and ROLLBACK are none.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as SqlClient from "effect/sql/SqlClient"
 * import { Sqlite } from "skein/node"
 * import { Fault } from "skein/testing"
 *
 * const database = Layer.effect(SqlClient.SqlClient, Effect.map(Sqlite.open(":memory:"), ({ sql }) => sql))
 * const faults = Fault.sql([{ fault: "lost", on: ({ sql }) => sql === "COMMIT" }])
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   const write = Effect.andThen(sql`CREATE TABLE t (n)`, sql`INSERT INTO t VALUES (1)`)
 *   const error = yield* Effect.flip(sql.withTransaction(write))
 *   return { error: error.reason._tag, rows: yield* sql`SELECT n FROM t` }
 * }).pipe(Effect.provide(Layer.provide(faults, database)))
 *
 * await Effect.runPromise(program) // => { error: "ConnectionError", rows: [{ n: 1 }] }
 * ```
 */
export const sql = (plan: ReadonlyArray<SqlRule>): Layer.Layer<SqlClient.SqlClient, never, SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.flatMap(SqlClient.SqlClient, (client) =>
      faulty(
        client,
        follow<SqlCall, SqlRule>(plan, ({ sql }) => sql)
      )
    )
  )

/**
 * As `Fault.sql`, for the databases that `Db.sqlite` and `Db.open` open: around the `Driver` that they need. What is done
 * to open one does not count.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 * import { Fault } from "skein/testing"
 *
 * const driver = Fault.db([{ fault: "busy", nth: 1 }]).pipe(Layer.provide(Drivers.layer))
 *
 * const program = Db.query(Schema.Struct({ n: Schema.Int }))`SELECT 1 AS n`.pipe(
 *   Effect.retry({ times: 1 }),
 *   Effect.provide(Db.sqlite(":memory:").pipe(Layer.provide(driver)))
 * )
 *
 * await Effect.runPromise(program) // => [{ n: 1 }]
 * ```
 */
export const db = (plan: ReadonlyArray<SqlRule>): Layer.Layer<Driver, never, Driver> =>
  Layer.effect(
    Driver,
    Effect.map(Driver, (driver) => {
      const strikes = follow<SqlCall, SqlRule>(plan, ({ sql }) => sql)
      return {
        open: (url, options) =>
          Effect.flatMap(driver.open(url, options), (opened) =>
            Effect.map(faulty(opened.sql, strikes), (sql) => ({ ...opened, sql }))
          )
      }
    })
  )

type Strikes = (call: SqlCall) => Effect.Effect<SqlRule | undefined>

/**
 * The client's own statements and transactions, behind connections on which the plan strikes. They are told apart from
 * the client's by a transaction service of their own: what runs in a transaction finds both.
 */
const faulty = (client: SqlClient.SqlClient, strikes: Strikes): Effect.Effect<SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const connect = Effect.sync(() => new Line(strikes))
    const made = yield* SqlClient.make({
      acquirer: Effect.map(connect, (line) => line.to(connectionOf(client))),
      compiler: compilerOf(client, false),
      transformRows: (rows) => rows,
      driver: client.driver,
      spanAttributes: []
    }).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))
    const { transactionService } = made

    const outermost = <A, E, R>(effect: Effect.Effect<A, E, R>, line: Line): Effect.Effect<A, E | SqlError, R> => {
      let lost: SqlError | undefined
      const committing = Effect.map(line.before({ sql: "COMMIT", params: [] }), (error) => void (lost = error))
      const body = Effect.provideService(effect, transactionService, [line.to(connectionOf(client)), 0])
      return line.before({ sql: "BEGIN", params: [] }).pipe(
        Effect.flatMap((error) => (error === undefined ? Effect.void : Effect.fail(error))),
        Effect.andThen(client.withTransaction(Effect.tap(body, committing))),
        Effect.tap(() => (lost === undefined ? Effect.void : Effect.fail(lost)))
      )
    }
    const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
      Effect.contextWith((context: Context.Context<never>) =>
        Option.isSome(Context.getOption(context, transactionService))
          ? client.withTransaction(effect)
          : Effect.flatMap(connect, (line) => outermost(effect, line))
      )

    return Object.assign(made, {
      withTransaction,
      reserve: Effect.flatMap(connect, (line) => Effect.map(client.reserve, (connection) => line.to(connection))),
      afterCommit: client.afterCommit,
      reactive: client.reactive,
      reactiveMailbox: client.reactiveMailbox
    })
  })

/** The way to a database; once it is broken, nothing gets through any more. */
class Line {
  private readonly strikes: Strikes
  private broken: SqlError | undefined

  constructor(strikes: Strikes) {
    this.strikes = strikes
  }

  /** What comes before a statement is done: fails if it is not, and gives the error that is told in place of its reply. */
  before(call: SqlCall): Effect.Effect<SqlError | undefined, SqlError> {
    return Effect.suspend(() => {
      // What a server does by itself when its client is gone.
      if (/^\s*rollback/i.test(call.sql)) return Effect.undefined
      if (this.broken !== undefined) return Effect.fail(this.broken)
      return Effect.flatMap(this.strikes(call), (rule) => {
        if (rule === undefined) return Effect.undefined
        const struck = Effect.suspend(() => this.struck(rule.fault))
        return rule.delay === undefined ? struck : Effect.andThen(Choices.latency(rule.delay), struck)
      })
    })
  }

  private struck(fault: SqlFault | undefined): Effect.Effect<SqlError | undefined, SqlError> {
    switch (fault) {
      case undefined:
        return Effect.undefined
      case "busy":
        return Effect.fail(sqlite(5, "database is locked"))
      case "constraint":
        return Effect.fail(sqlite(275, "CHECK constraint failed"))
      case "disconnected":
        return Effect.fail((this.broken = disconnected("before the statement arrived")))
      case "lost":
        return Effect.succeed((this.broken = disconnected("before the reply arrived: it may be done or not")))
      default:
        return Effect.fail(fault)
    }
  }

  to(connection: Connection): Connection {
    const run = <A>(sql: string, params: ReadonlyArray<unknown>, done: Effect.Effect<A, SqlError>) =>
      Effect.flatMap(this.before({ sql, params }), (lost) =>
        lost === undefined ? done : Effect.andThen(done, Effect.fail(lost))
      )
    return {
      execute: (sql, params, transform) => run(sql, params, connection.execute(sql, params, transform)),
      executeRaw: (sql, params) => run(sql, params, connection.executeRaw(sql, params)),
      executeValues: (sql, params) => run(sql, params, connection.executeValues(sql, params)),
      executeValuesUnprepared: (sql, params) => run(sql, params, connection.executeValuesUnprepared(sql, params)),
      executeUnprepared: (sql, params, transform) =>
        run(sql, params, connection.executeUnprepared(sql, params, transform)),
      executeStream: (sql, params, transform) =>
        Stream.unwrap(
          Effect.map(this.before({ sql, params }), (lost) => {
            const rows = connection.executeStream(sql, params, transform)
            return lost === undefined ? rows : Stream.concat(Stream.drain(rows), Stream.fail(lost))
          })
        )
    }
  }
}

/** Whichever connection the client takes: that of the transaction, or one of its pool. */
const connectionOf = (client: SqlClient.SqlClient): Connection => {
  const plain = client.withoutTransforms()
  // Whoever wants rows transformed gets what this client makes of them.
  const statement = (sql: string, params: ReadonlyArray<unknown>, transform: unknown) =>
    (transform === undefined ? plain : client).unsafe(sql, params)
  return {
    execute: statement,
    executeRaw: (sql, params) => plain.unsafe(sql, params).raw,
    executeValues: (sql, params) => plain.unsafe(sql, params).values,
    executeValuesUnprepared: (sql, params) => plain.unsafe(sql, params).valuesUnprepared,
    executeUnprepared: (sql, params, transform) => statement(sql, params, transform).unprepared,
    executeStream: (sql, params, transform) => statement(sql, params, transform).stream
  }
}

/** A client compiles whatever fragment is put into one of its statements. */
const compilerOf = (client: SqlClient.SqlClient, plain: boolean): Compiler => ({
  dialect: client.onDialect<Dialect, Dialect, Dialect, Dialect, Dialect>({
    sqlite: () => "sqlite",
    pg: () => "pg",
    mysql: () => "mysql",
    mssql: () => "mssql",
    clickhouse: () => "clickhouse"
  }),
  compile: (fragment, withoutTransform) => client`${fragment}`.compile(plain || withoutTransform),
  get withoutTransform() {
    return compilerOf(client, true)
  }
})

const planned = "planned by Fault.sql"

const sqlite = (errcode: number, errstr: string): SqlError => {
  const cause = Object.assign(new Error(errstr), { code: "ERR_SQLITE_ERROR", errcode, errstr, errno: errcode })
  return new SqlError({
    reason: classifySqliteError(cause, { message: `${errstr} (${planned})`, operation: "execute" })
  })
}

const disconnected = (when: string): SqlError => {
  const cause = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", syscall: "read" })
  const message = `the connection broke ${when} (${planned})`
  return new SqlError({ reason: new ConnectionError({ cause, message, operation: "execute" }) })
}
