/** SQLite through `node:sqlite`, as the `SqlClient` of Effect: one connection, one transaction at a time. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { realpathSync, statSync } from "node:fs"
import { dirname } from "node:path"
import type * as NodeSqlite from "node:sqlite"
import * as Alarm from "../concurrency/base/Alarm.ts"
import { checkDuration } from "../concurrency/base/Options.ts"
import type * as Db from "../io/Db.ts"
import { DbError, fromSqlError } from "../io/DbError.ts"

/**
 * Opens the SQLite database in `file`, in WAL mode; it is closed with the scope. Statements run on the calling thread. A
 * statement or transaction that finds the database locked by another process waits for it up to `lockTimeout`, by default
 * 5 seconds, without blocking the thread. Fails with a `DbError` that says why the file cannot be opened.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Sqlite } from "skein/node"
 *
 * const program = Effect.gen(function*() {
 *   const { sql } = yield* Sqlite.open("data.db")
 *   return yield* sql`SELECT ${"a"} || ${"b"} AS ab`
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => [{ ab: "ab" }]
 * ```
 */
export const open = (file: string, options: Db.OpenOptions = {}): Effect.Effect<Db.Opened, DbError, Scope.Scope> => {
  checkDuration("Sqlite.open: lockTimeout", options.lockTimeout)
  const retryLock = waitForLock(Duration.fromInputUnsafe(options.lockTimeout ?? "5 seconds"))
  const opened = Effect.try({
    try: () => openSync(file, options.synchronous ?? "full"),
    catch: (error) => sqlErrorOf(error, "open")
  })
  return retryLock(Effect.acquireRelease(opened, (database) => Effect.sync(() => database.close()))).pipe(
    Effect.mapError(
      (error) =>
        new DbError({
          ...fromSqlError(file, "open it")(error),
          reason: isNotOpened(error) ? whyNotOpened(file) : error.message
        })
    ),
    Effect.flatMap((database) => clientOf(database, retryLock)),
    Effect.map((sql) => {
      const places = placesOf(file)
      return { name: file, sql, places, durable: places.length > 0 }
    })
  )
}

/** Its real path and its inode, as `FileSystem` tells them; none of a database in memory. */
const placesOf = (file: string): ReadonlyArray<string> => {
  const info = statSync(file, { bigint: true, throwIfNoEntry: false })
  return info === undefined ? [] : [realpathSync(file), `inode ${info.dev}:${info.ino}`]
}

const openSync = (file: string, synchronous: "full" | "normal"): NodeSqlite.DatabaseSync => {
  const database = new (loadSqlite().DatabaseSync)(file)
  try {
    // Readers do not wait for the writer, and a commit is one write to one file.
    database.exec("PRAGMA journal_mode = WAL")
    database.exec(`PRAGMA synchronous = ${synchronous}`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * The module prints an ExperimentalWarning when Node 22 loads it, which is for the author of this file and not for the
 * one who uses it; other warnings pass.
 */
const loadSqlite = (): typeof NodeSqlite => {
  const emitWarning = process.emitWarning
  process.emitWarning = (warning: string | Error, ...rest: ReadonlyArray<unknown>) => {
    if (!String(warning).startsWith("SQLite is an experimental feature")) {
      Reflect.apply(emitWarning, process, [warning, ...rest])
    }
  }
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}

type RetryLock = <A, E, R>(effect: Effect.Effect<A, E, R>, mayRetry?: () => boolean) => Effect.Effect<A, E, R>

/** SQLite's own busy handler would block the thread, timers and cancellation with it. */
const waitForLock = (timeout: Duration.Duration): RetryLock => {
  const schedule = Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("50 millis")])
  return (effect, mayRetry = () => true) => {
    const waits = (error: unknown): boolean => isBusy(error) && mayRetry()
    // A schedule costs more than a statement, so it is set up only for the one that has to wait.
    return Effect.catchIf(effect, waits, () =>
      Effect.clockWith((clock) => {
        const until = Alarm.now(clock) + Duration.toMillis(timeout)
        return Effect.retry(effect, { while: (error) => waits(error) && Alarm.now(clock) < until, schedule })
      })
    )
  }
}

/** BUSY_SNAPSHOT is not for waiting: what the transaction has read is outdated. */
const isBusy = (error: unknown): boolean => (sqliteCode(error) & 0xff) === 5 && sqliteCode(error) !== 517

const isNotOpened = (error: unknown): boolean => (sqliteCode(error) & 0xff) === 14

const sqliteCode = (error: unknown): number => (error instanceof SqlError ? codeOf(error.reason.cause) : 0)

const clientOf = (database: NodeSqlite.DatabaseSync, retryLock: RetryLock): Effect.Effect<SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const transactions = { open: 0 }
    const connection = connectionOf(database, transactions, retryLock)
    const client = yield* SqlClient.make({
      ...SqlClient.makeSqliteAcquirers({
        connection: Effect.succeed(connection),
        semaphore: Semaphore.makeUnsafe(1),
        isTransaction: () => database.isTransaction
      }),
      compiler: Statement.makeCompilerSqlite(),
      driver: "sqlite-node",
      // The lock is taken when waiting for it is still possible: before anything was read.
      beginTransaction: "BEGIN IMMEDIATE",
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      spanAttributes: [["db.system.name", "sqlite"]]
    }).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))

    const begin = client.withTransaction
    const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
      Effect.suspend(() => {
        let begun = false
        const entered = Effect.sync(() => {
          begun = true
          transactions.open++
        })
        const left = Effect.sync(() => transactions.open--)
        const body = Effect.acquireUseRelease(
          entered,
          () => effect,
          () => left
        )
        return retryLock(begin(body), () => !begun)
      })
    return Object.assign(client, { withTransaction })
  })

type Execute<A> = (prepared: Prepared, params: ReadonlyArray<NodeSqlite.SQLInputValue>) => A

const connectionOf = (
  database: NodeSqlite.DatabaseSync,
  transactions: { readonly open: number },
  retryLock: RetryLock
): Connection => {
  const prepare = preparedBy(database)

  const once = <A>(sql: string, params: ReadonlyArray<unknown>, execute: Execute<A>): Effect.Effect<A, SqlError> =>
    Effect.withFiber((fiber) => {
      try {
        const prepared = prepare(sql)
        if (prepared.reads) prepared.statement.setReadBigInts(fiber.getRef(SqlClient.SafeIntegers))
        return Effect.succeed(bound(prepared, params, execute))
      } catch (error) {
        return Effect.fail(sqlErrorOf(error, "execute"))
      }
    })

  const run = <A>(sql: string, params: ReadonlyArray<unknown>, execute: Execute<A>): Effect.Effect<A, SqlError> =>
    retryLock(
      Effect.suspend(() =>
        // A full disk makes SQLite roll back by itself; what follows would be kept without what came before.
        transactions.open > 0 && !database.isTransaction ? Effect.fail(rolledBack()) : once(sql, params, execute)
      )
    )

  return {
    execute: (sql, params, transform) => Effect.map(run(sql, params, allRows), transform ?? identity),
    executeRaw: (sql, params) =>
      run(sql, params, (prepared, params) => (prepared.reads ? allRows : change)(prepared, params)),
    executeValues: (sql, params) => run(sql, params, allValues),
    executeValuesUnprepared: (sql, params) => run(sql, params, allValues),
    // BEGIN, COMMIT and their like, which come from `withTransaction`: it does the waiting.
    executeUnprepared: (sql, params, transform) => Effect.map(once(sql, params, allRows), transform ?? identity),
    executeStream: (sql, params, transform) =>
      Stream.fromEffect(run(sql, params, allRows)).pipe(
        Stream.flatMap((rows) => Stream.fromIterable(transform === undefined ? rows : transform(rows)))
      )
  }
}

interface Prepared {
  readonly statement: NodeSqlite.StatementSync
  /** Whether it gives rows. */
  readonly reads: boolean
}

/** As many statements as a program has that does not make up SQL as it goes; beyond that the oldest are forgotten. */
const maxPrepared = 256

const preparedBy = (database: NodeSqlite.DatabaseSync): ((sql: string) => Prepared) => {
  const cache = new Map<string, Prepared>()
  return (sql) => {
    const known = cache.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare(sql)
    const prepared = { statement, reads: statement.columns().length > 0 }
    const [oldest] = cache.size < maxPrepared ? [] : cache.keys()
    if (oldest !== undefined) cache.delete(oldest)
    cache.set(sql, prepared)
    return prepared
  }
}

const allRows: Execute<ReadonlyArray<Record<string, unknown>>> = ({ statement }, params) => statement.all(...params)
const change: Execute<unknown> = ({ statement }, params) => statement.run(...params)

const allValues: Execute<ReadonlyArray<ReadonlyArray<unknown>>> = ({ statement }, params) => {
  statement.setReturnArrays(true)
  try {
    // With arrays asked for, that is what each row is; the types know only objects.
    return statement.all(...params) as unknown as ReadonlyArray<ReadonlyArray<unknown>>
  } finally {
    statement.setReturnArrays(false)
  }
}

/**
 * Numbers, strings, bytes and null are bound as they are; what else has an obvious form in SQLite gets it. Values are not
 * looked at before the binding refuses one, as there may be thousands; it does so before the statement runs.
 */
const bound = <A>(prepared: Prepared, params: ReadonlyArray<unknown>, execute: Execute<A>): A => {
  try {
    return execute(prepared, params as ReadonlyArray<NodeSqlite.SQLInputValue>)
  } catch (error) {
    const refused = error instanceof TypeError && "code" in error && error.code === "ERR_INVALID_ARG_TYPE"
    if (!refused) throw error
    return execute(prepared, (params as ReadonlyArray<NodeSqlite.SQLInputValue>).map(otherForm))
  }
}

const otherForm = (value: NodeSqlite.SQLInputValue | boolean | undefined | Date): NodeSqlite.SQLInputValue => {
  if (typeof value === "boolean") return Number(value)
  if (value === undefined) return null
  return value instanceof Date ? value.toISOString() : value
}

const rolledBack = (): SqlError =>
  sqlErrorOf(new Error("the database has rolled back this transaction after an earlier error in it"), "execute")

const codeOf = (error: unknown): number =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0

const sqlErrorOf = (cause: unknown, operation: string): SqlError => {
  const message = explain(cause)
  // Effect knows SQLite's codes by the field `errno`.
  const known = cause instanceof Error ? Object.assign(cause, { errno: codeOf(cause) }) : cause
  return new SqlError({ reason: classifySqliteError(known, { message, operation }) })
}

/** What SQLite's code means for the person who reads it; its own message where that says it all. */
const explain = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  switch (codeOf(error) & 0xff) {
    case 5:
    case 6:
      return "another process or connection holds its lock (SQLITE_BUSY). End that one's transaction, or allow a longer `lockTimeout`"
    case 8:
      return "it can only be read (SQLITE_READONLY). Check the permissions of the file and its folder"
    case 10:
      return `the disk failed (SQLITE_IOERR: ${message}). Check the disk and what is free on it`
    case 11:
      return "the file is damaged (SQLITE_CORRUPT). Restore it from a backup"
    case 13:
      return "the disk is full, or the database at its size limit (SQLITE_FULL). Make room and run again"
    case 26:
      return "the file is no SQLite database (SQLITE_NOTADB). Check the path"
    default:
      return message.includes("too large to be represented as a JavaScript number")
        ? `${message}. Read it as a bigint`
        : message
  }
}

/** SQLite says only "unable to open database file"; the file system knows more. */
const whyNotOpened = (file: string): string => {
  const folder = dirname(file)
  const there = statSync(folder, { throwIfNoEntry: false })
  if (there === undefined) return `the folder ${folder} does not exist. Create it first`
  if (!there.isDirectory()) return `${folder} is no folder. Check the path`
  const target = statSync(file, { throwIfNoEntry: false })
  if (target?.isDirectory() === true) return "it is a folder. Name a file in it"
  // SQLite needs to write files beside it too. Opening any of them here to find out would drop the locks of this process.
  return `this user may not write to the folder ${folder}, or not to the file in it. Change the permissions, or choose another place`
}
