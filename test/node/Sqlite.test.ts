import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Db } from "skein"
import { Sqlite } from "skein/node"
import * as Child from "../support/child.ts"
import { newFile } from "../support/database.ts"

const openNew = Effect.flatMap(newFile, (file) => Sqlite.open(file))
const plain = (rows: ReadonlyArray<object>) => rows.map((row) => ({ ...row }))

/** Another process' connection, as far as SQLite can tell. */
const other = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (database) => Effect.sync(() => database.close())
  )

/** Runs as a user who owns nothing: for root every permission is granted. */
const asNobody = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  process.getuid?.() === 0
    ? Effect.acquireUseRelease(
        Effect.sync(() => process.seteuid?.(65_534)),
        () => effect,
        () => Effect.sync(() => process.seteuid?.(0))
      )
    : effect

describe("Sqlite: opening", () => {
  it.effect("creates the file, in WAL mode with full synchronization, and closes it with the scope", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { sql, name } = yield* Sqlite.open(file)
          assert.strictEqual(name, file)
          assert.deepEqual(plain(yield* sql`PRAGMA journal_mode`), [{ journal_mode: "wal" }])
          assert.deepEqual(plain(yield* sql`PRAGMA synchronous`), [{ synchronous: 2 }])
          assert.deepEqual(plain(yield* sql`PRAGMA foreign_keys`), [{ foreign_keys: 1 }])
          yield* sql`CREATE TABLE t (x)`
          assert.isTrue(existsSync(`${file}-wal`))
        })
      )
      assert.isFalse(existsSync(`${file}-wal`))
      const { sql } = yield* Sqlite.open(file, { synchronous: "normal" })
      assert.deepEqual(plain(yield* sql`PRAGMA synchronous`), [{ synchronous: 1 }])
      assert.deepEqual(yield* sql`SELECT * FROM t`, [])
    })
  )

  it.effect.each<readonly [string, (file: string) => string, string]>([
    ["a folder that is not there", (file) => join(file, "deep", "x.db"), "does not exist. Create it first"],
    [
      "a file in place of the folder",
      (file) => {
        writeFileSync(file, "")
        return join(file, "x.db")
      },
      "is no folder. Check the path"
    ],
    ["a folder in place of the file", (file) => dirname(file), "it is a folder. Name a file in it"],
    [
      "a file of another kind",
      (file) => {
        writeFileSync(file, "id,name\n1,a\n".repeat(1000))
        return file
      },
      "the file is no SQLite database (SQLITE_NOTADB). Check the path"
    ],
    [
      "a folder that may not be written",
      (file) => {
        chmodSync(dirname(file), 0o555)
        return file
      },
      "this user may not write to the folder"
    ],
    [
      "a file that may not be read",
      (file) => {
        writeFileSync(file, "")
        chmodSync(file, 0o000)
        chmodSync(dirname(file), 0o777)
        return file
      },
      "or not to the file in it. Change the permissions"
    ]
  ])("says why it cannot: %s", ([, prepare, reason]) =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      mkdirSync(join(folder, "in"))
      chmodSync(folder, 0o755)
      const path = prepare(join(folder, "in", "test.db"))
      const error = yield* Effect.flip(asNobody(Sqlite.open(path)))
      assert.instanceOf(error, Db.DbError)
      assert.include(error.message, `Database ${path}: could not open it: `)
      assert.include(error.message, reason)
    })
  )

  it.effect("says that a file is damaged", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { sql } = yield* Sqlite.open(file)
          yield* sql`CREATE TABLE t (x)`
          yield* sql`INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT hex(randomblob(50)) FROM n`
        })
      )
      // A page in the middle of the table.
      const descriptor = openSync(file, "r+")
      writeSync(descriptor, Buffer.alloc(4096, 0xff), 0, 4096, 5 * 4096)
      closeSync(descriptor)
      const { sql } = yield* Sqlite.open(file)
      assert.include((yield* Effect.flip(sql`SELECT * FROM t`)).message, "the file is damaged (SQLITE_CORRUPT)")
    })
  )

  it.effect("prints nothing, and lets other warnings through", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const program = join(folder, "program.ts")
      writeFileSync(
        program,
        `import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
         import * as Sqlite from ${JSON.stringify(new URL("../../src/node/Sqlite.ts", import.meta.url).href)}
         // As Node 22 does when it loads the module.
         const load = process.getBuiltinModule
         process.getBuiltinModule = (name) => {
           process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning")
           process.emitWarning("another warning")
           return load(name)
         }
         await Effect.runPromise(Effect.scoped(Sqlite.open(":memory:")))
         process.emitWarning("SQLite is an experimental feature, said later")`
      )
      const child = yield* Child.start([program])
      const { code, stderr, stdout } = yield* child.end
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, "")
      assert.notInclude(stderr, "might change at any time")
      assert.include(stderr, "another warning")
      assert.include(stderr, "said later")
    })
  )
})

describe("Sqlite: statements", () => {
  it.effect("bind what has an obvious form, and read it back", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const date = new Date(0)
      const values = [true, undefined, null, date, 1.5, "s", 2n, new Uint8Array([1])]
      const [row] = yield* sql.unsafe("SELECT ?, ?, ?, ?, ?, ?, ?, ?", values).values
      assert.deepEqual(row, [1, null, null, date.toISOString(), 1.5, "s", 2, new Uint8Array([1])])
    })
  )

  it.effect("give rows, arrays, raw results and streams", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      assert.deepEqual(yield* sql`CREATE TABLE t (x)`, [])
      assert.deepEqual(
        { ...((yield* sql`INSERT INTO t VALUES (1), (2)`.raw) as object) },
        { changes: 2, lastInsertRowid: 2 }
      )
      const select = sql`SELECT x FROM t`
      assert.deepEqual(plain(yield* select), [{ x: 1 }, { x: 2 }])
      assert.deepEqual(yield* select.values, [[1], [2]])
      assert.deepEqual(plain(yield* select), [{ x: 1 }, { x: 2 }])
      assert.deepEqual(plain(yield* Stream.runCollect(select.stream)), [{ x: 1 }, { x: 2 }])
      assert.deepEqual(plain((yield* select.raw) as ReadonlyArray<object>), [{ x: 1 }, { x: 2 }])
      assert.deepEqual(plain(yield* sql`INSERT INTO t VALUES (3) RETURNING x`), [{ x: 3 }])
    })
  )

  it.effect("read integers exactly where that is asked for, and only there", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const exact = Effect.provideService(SqlClient.SafeIntegers, true)
      const select = sql`SELECT 9007199254740993 AS n`
      assert.deepEqual(plain(yield* exact(select)), [{ n: 9007199254740993n }])
      assert.include((yield* Effect.flip(select)).message, "Read it as a bigint")
      assert.deepEqual(plain(yield* sql`SELECT 1 AS n`), [{ n: 1 }])
    })
  )

  it.effect("go on when more of them were used than are kept prepared", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 300; n++) assert.deepEqual(plain(yield* sql.unsafe(`SELECT ${n} AS n`)), [{ n }])
      }
    })
  )

  it.effect("fail with the kind of error that it is", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c TEXT NOT NULL)`
      yield* sql`INSERT INTO t VALUES (1, 'b', 'c')`
      const tagOf = (statement: string) => Effect.map(Effect.flip(sql.unsafe(statement)), (error) => error.reason._tag)
      assert.strictEqual(yield* tagOf("INSERT INTO t VALUES (2, 'b', 'c')"), "UniqueViolation")
      assert.strictEqual(yield* tagOf("INSERT INTO t VALUES (2, 'x', NULL)"), "ConstraintError")
      assert.strictEqual(yield* tagOf("nonsense"), "UnknownError")
      assert.include((yield* Effect.flip(sql`nonsense`)).message, `near "nonsense": syntax error`)
    })
  )
})

describe("Sqlite: transactions", () => {
  it.effect("one at a time: what other fibers do waits for its end", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x)`
      const slow = sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t VALUES (1)`
          yield* Effect.sleep("1 second")
          return yield* Effect.fail("undone")
        })
      )
      const transaction = yield* Effect.forkChild(Effect.flip(slow))
      const insert = yield* Effect.forkChild(sql`INSERT INTO t VALUES (2)`)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(transaction), "undone")
      yield* Fiber.join(insert)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 2 }])
    })
  )

  it.effect("hold the lock from their beginning: what they have read is still so when they write", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const { sql } = yield* Sqlite.open(file)
      yield* sql`CREATE TABLE t (x)`
      const second = yield* other(file)
      yield* sql.withTransaction(
        Effect.gen(function* () {
          const before = yield* sql`SELECT x FROM t`
          assert.throws(() => second.exec("INSERT INTO t VALUES (1)"), "database is locked")
          yield* sql`INSERT INTO t VALUES (${before.length})`
        })
      )
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 0 }])
    })
  )

  it.effect("nested ones roll back by themselves", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x)`
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t VALUES (1)`
          yield* Effect.flip(sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (2)`, Effect.fail("no"))))
          yield* sql.withTransaction(sql`INSERT INTO t VALUES (3)`)
        })
      )
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }, { x: 3 }])
    })
  )

  it.effect("that SQLite has rolled back by itself take nothing more: it would be kept alone", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x UNIQUE)`
      const exit = yield* Effect.exit(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`INSERT INTO t VALUES (1)`
            yield* Effect.flip(sql`INSERT OR ROLLBACK INTO t VALUES (1)`)
            const error = yield* Effect.flip(sql`INSERT INTO t VALUES (2)`)
            assert.include(error.message, "has rolled back this transaction")
          })
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepEqual(yield* sql`SELECT x FROM t`, [])
      yield* sql.withTransaction(sql`INSERT INTO t VALUES (3)`)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 3 }])
    })
  )

  it.effect("interrupted ones leave nothing, and the connection free", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x)`
      const fiber = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (1)`, Effect.never)),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(fiber)
      assert.deepEqual(yield* sql`SELECT x FROM t`, [])
    })
  )
})

describe("Sqlite: a lock of another process", () => {
  const locked = Effect.gen(function* () {
    const file = yield* newFile
    const { sql } = yield* Sqlite.open(file, { lockTimeout: "2 seconds" })
    yield* sql`CREATE TABLE t (x)`
    const holder = yield* other(file)
    holder.exec("BEGIN IMMEDIATE")
    const rows = Effect.sync(() => plain(holder.prepare("SELECT x FROM t").all()))
    return { sql, holder, rows }
  })
  const forms = [["a statement"], ["a transaction"]] as const
  const insert = (sql: SqlClient.SqlClient, form: string) =>
    form === "a statement"
      ? Effect.asVoid(sql`INSERT INTO t VALUES (1)`)
      : sql.withTransaction(Effect.asVoid(sql`INSERT INTO t VALUES (1)`))

  it.effect.each(forms)("is waited for by %s, while other fibers run", ([form]) =>
    Effect.gen(function* () {
      const { sql, holder, rows } = yield* locked
      const fiber = yield* Effect.forkChild(insert(sql, form))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(fiber.pollUnsafe())
      holder.exec("COMMIT")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepEqual(yield* rows, [{ x: 1 }])
    })
  )

  it.effect.each(forms)("is waited for by %s as long as `lockTimeout` says, and then named", ([form]) =>
    Effect.gen(function* () {
      const { sql } = yield* locked
      const fiber = yield* Effect.forkChild(Effect.flip(insert(sql, form)))
      yield* TestClock.adjust("1900 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("200 millis")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "LockTimeoutError")
      assert.include(error.message, "another process or connection holds its lock (SQLITE_BUSY)")
    })
  )

  it.effect.each(forms)("is no longer waited for by %s that is interrupted", ([form]) =>
    Effect.gen(function* () {
      const { sql, holder, rows } = yield* locked
      const fiber = yield* Effect.forkChild(insert(sql, form))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      holder.exec("COMMIT")
      yield* TestClock.adjust("5 seconds")
      assert.deepEqual(yield* rows, [])
      yield* insert(sql, form)
      assert.deepEqual(yield* rows, [{ x: 1 }])
    })
  )

  it.effect("does not run the body of a transaction twice, whatever it fails with", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const second = yield* locked
      let runs = 0
      const body = Effect.suspend(() => {
        runs++
        return Effect.flip(Effect.asVoid(second.sql`INSERT INTO t VALUES (1)`)).pipe(Effect.flatMap(Effect.fail))
      })
      const fiber = yield* Effect.forkChild(Effect.flip(sql.withTransaction(body)))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(runs, 1)
    })
  )

  it.effect("does not keep readers waiting", () =>
    Effect.gen(function* () {
      const { sql } = yield* locked
      assert.deepEqual(yield* sql`SELECT x FROM t`, [])
    })
  )
})
