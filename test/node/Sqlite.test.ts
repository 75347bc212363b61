import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { chmodSync, closeSync, copyFileSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs"
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
    (database) => Effect.sync(() => database.isOpen && database.close())
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

describe("Sqlite: streams of rows", () => {
  const numbers = (count: number) =>
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i AS x FROM n`

  it.effect.each([["a file"], ["memory"]] as const)("give all rows, in order, of a database in %s", ([where]) =>
    Effect.gen(function* () {
      const { sql } = yield* where === "memory" ? Sqlite.open(":memory:") : openNew
      const rows = yield* Stream.runCollect(sql.unsafe<{ x: number }>(numbers(3000)).stream)
      assert.deepEqual(
        rows.map(({ x }) => x),
        Array.from({ length: 3000 }, (_, i) => i + 1)
      )
      assert.deepEqual(yield* Stream.runCollect(sql.unsafe("SELECT 1 WHERE 0").stream), [])
      const exact = Effect.provideService(SqlClient.SafeIntegers, true)
      assert.deepEqual(plain(yield* exact(Stream.runCollect(sql`SELECT 9007199254740993 AS n`.stream))), [
        { n: 9007199254740993n }
      ])
      const bad =
        "SELECT CASE i WHEN 700 THEN json('{') ELSE i END AS x FROM (" + numbers(1000).replace("AS x", "") + ")"
      let before = 0
      const error = yield* Effect.flip(Stream.runForEach(sql.unsafe(bad).stream, () => Effect.sync(() => before++)))
      assert.include(error.message, "malformed JSON")
      assert.isAtLeast(before, 400)
      assert.include((yield* Effect.flip(Stream.runDrain(sql`nonsense`.stream))).message, "syntax error")
    })
  )

  it.effect("let statements go on meanwhile, and see what was there when they began", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x)`
      yield* sql.unsafe(`INSERT INTO t ${numbers(2000)}`)
      let seen = 0
      yield* Stream.runForEach(sql`SELECT x FROM t`.stream, () => {
        seen++
        return seen % 500 === 0 ? sql.withTransaction(sql`INSERT INTO t VALUES (0)`) : Effect.void
      })
      assert.strictEqual(seen, 2000)
      assert.deepEqual(plain(yield* sql`SELECT count(*) AS n FROM t WHERE x = 0`), [{ n: 4 }])
    })
  )

  it.effect("end with who reads them: nothing is held after that", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const { sql } = yield* Sqlite.open(file)
      yield* sql`CREATE TABLE t (x)`
      yield* sql.unsafe(`INSERT INTO t ${numbers(2000)}`)
      const emptied = "PRAGMA wal_checkpoint(TRUNCATE)"
      const during = yield* Stream.runCollect(
        Stream.mapEffect(Stream.take(sql`SELECT x FROM t`.stream, 3), () =>
          Effect.andThen(sql`INSERT INTO t VALUES (0)`, Effect.exit(sql.unsafe(emptied)))
        )
      )
      assert.strictEqual(during.length, 3)
      assert.deepEqual(plain(yield* sql.unsafe(emptied)), [{ busy: 0, log: 0, checkpointed: 0 }])
      yield* sql`DROP TABLE t`
    })
  )

  it.effect("see what their transaction has written, and hinder no COMMIT when they end early", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x)`
      const first = yield* sql.withTransaction(
        Effect.andThen(
          sql.unsafe(`INSERT INTO t ${numbers(2000)}`),
          Stream.runCollect(Stream.take(sql`SELECT x FROM t`.stream, 2))
        )
      )
      assert.deepEqual(plain(first), [{ x: 1 }, { x: 2 }])
      assert.deepEqual(plain(yield* sql`SELECT count(*) AS n FROM t`), [{ n: 2000 }])
    })
  )

  it.effect("may write, and see what only this connection has", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (x)`
      const written = yield* Stream.runCollect(sql`INSERT INTO t VALUES (1), (2) RETURNING x`.stream)
      assert.deepEqual(plain(written), [{ x: 1 }, { x: 2 }])
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }, { x: 2 }])
      yield* sql`CREATE TEMP TABLE mine AS SELECT 3 AS x`
      assert.deepEqual(plain(yield* Stream.runCollect(sql`SELECT x FROM mine`.stream)), [{ x: 3 }])
    })
  )

  it.effect("never have many rows in memory: 400,000 of them, 400 MB, in a process with 64", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const program = join(folder, "program.ts")
      writeFileSync(
        program,
        `import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
         import * as Stream from ${JSON.stringify(import.meta.resolve("effect/Stream"))}
         import * as Sqlite from ${JSON.stringify(new URL("../../src/node/Sqlite.ts", import.meta.url).href)}
         const rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT i, hex(zeroblob(500)) AS x FROM n"
         let count = 0
         await Effect.runPromise(Effect.scoped(Effect.flatMap(Sqlite.open(process.argv[2]), ({ sql }) =>
           Stream.runForEach(sql.unsafe(rows).stream, ({ x }) => Effect.sync(() => (count += x.length / 1000))))))
         console.log(count)`
      )
      const child = yield* Child.start(["--max-old-space-size=64", program, join(folder, "test.db")], Child.alone)
      const { code, stderr, stdout } = yield* child.end
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, "400000\n")
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

describe("Sqlite: a database that another process has for itself", () => {
  const exclusive = Effect.gen(function* () {
    const file = yield* newFile
    const holder = yield* other(file)
    holder.exec(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)"
    )
    return { file, holder }
  })

  it.effect("is waited for by who opens it, as long as `lockTimeout` says, and then that is said", () =>
    Effect.gen(function* () {
      const { file } = yield* exclusive
      const fiber = yield* Effect.forkChild(Effect.flip(Sqlite.open(file, { lockTimeout: "2 seconds" })))
      yield* TestClock.adjust("1900 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("200 millis")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(
        error.message,
        `Database ${file}: could not open it: another process or connection holds its lock (SQLITE_BUSY). ` +
          "End that one's transaction, or allow a longer `lockTimeout`"
      )
    })
  )

  it.effect("is opened once that one has let go", () =>
    Effect.gen(function* () {
      const { file, holder } = yield* exclusive
      const fiber = yield* Effect.forkChild(Effect.map(Sqlite.open(file), ({ sql }) => sql))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(fiber.pollUnsafe())
      holder.close()
      yield* TestClock.adjust("1 second")
      const sql = yield* Fiber.join(fiber)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }])
    })
  )

  it.effect("is waited for by streams too", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const { sql } = yield* Sqlite.open(file)
      yield* sql`CREATE TABLE t (x)`
      yield* sql`PRAGMA journal_mode = DELETE`
      const holder = yield* other(file)
      holder.exec("BEGIN EXCLUSIVE")
      const fiber = yield* Effect.forkChild(Stream.runCollect(sql`SELECT x FROM t`.stream))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(fiber.pollUnsafe())
      holder.exec("INSERT INTO t VALUES (1); COMMIT")
      yield* TestClock.adjust("1 second")
      assert.deepEqual(plain(yield* Fiber.join(fiber)), [{ x: 1 }])
    })
  )
})

describe("Sqlite: a database that can only be read", () => {
  /** In a folder that is not ours: left by a program that ended, or that was killed. */
  const kept = (state: "closed" | "killed" | "killed, with its index") =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      chmodSync(folder, 0o755)
      const from = join(folder, "from.db")
      const inside = join(folder, "in")
      mkdirSync(inside)
      const file = join(inside, "test.db")
      const database = new DatabaseSync(from)
      database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
      if (state === "closed") database.close()
      const files = state === "closed" ? [""] : state === "killed" ? ["", "-wal"] : ["", "-wal", "-shm"]
      for (const name of files) {
        copyFileSync(from + name, file + name)
        chmodSync(file + name, 0o444)
      }
      if (state !== "closed") database.close()
      chmodSync(inside, 0o555)
      return file
    })

  it.effect.each([["closed"], ["killed, with its index"]] as const)("is opened for that: %s", ([state]) =>
    Effect.gen(function* () {
      const file = yield* kept(state)
      yield* asNobody(
        Effect.scoped(
          Effect.gen(function* () {
            const { sql } = yield* Sqlite.open(file)
            assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }])
            assert.deepEqual(plain(yield* Stream.runCollect(sql`SELECT x FROM t`.stream)), [{ x: 1 }])
            assert.deepEqual(plain(yield* sql.withTransaction(sql`SELECT x FROM t`)), [{ x: 1 }])
            const refusal = "it can only be read (SQLITE_READONLY). Check the permissions of the file and its folder"
            assert.include((yield* Effect.flip(sql`INSERT INTO t VALUES (2)`)).message, refusal)
            assert.include((yield* Effect.flip(sql.withTransaction(sql`INSERT INTO t VALUES (2)`))).message, refusal)
            assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }])
          })
        )
      )
    })
  )

  it.effect("is not read as if it had no last commits: killed", () =>
    Effect.gen(function* () {
      const file = yield* kept("killed")
      const error = yield* Effect.flip(asNobody(Effect.scoped(Sqlite.open(file))))
      assert.include(error.message, `its last commits are in ${file}-wal still`)
    })
  )

  it.effect("has the commits of a program that was killed, where it may be written", () =>
    Effect.gen(function* () {
      const file = yield* kept("killed")
      chmodSync(dirname(file), 0o755)
      for (const name of ["", "-wal"]) chmodSync(file + name, 0o644)
      const { sql } = yield* Sqlite.open(file)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }])
      yield* sql`INSERT INTO t VALUES (2)`
    })
  )
})
