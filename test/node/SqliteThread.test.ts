import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Worker } from "node:worker_threads"
import { Db, Journal, Pipeline, type Sink, Source } from "skein"
import * as Child from "../support/child.ts"
import { connect, kept, leaseOf, newFile, openingBy, rowsOf, writeTo } from "../support/database.ts"

const Row = Schema.Struct({ id: Schema.Int, name: Schema.String })
const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ id: from + i, name: `n${from + i}` }))

/** Threads that begin from here on. */
const threads: Effect.Effect<ReadonlyArray<Worker>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const begun: Array<Worker> = []
    const add = (worker: Worker) => void begun.push(worker)
    process.on("worker", add)
    return Object.assign(begun, { end: () => process.off("worker", add) })
  }),
  ({ end }) => Effect.sync(end)
)

/** A database that has seen so many rows that its commits are made by a thread, and what commits. */
const moved = (options?: Db.OpenOptions) =>
  Effect.gen(function* () {
    const begun = yield* threads
    const file = yield* newFile
    const db = yield* connect(file, options)
    yield* Effect.provideService(writeTo(Db.table("seen", Row), many(6000)), Db.Db, db)
    const lease = yield* leaseOf(db.journal, { pipeline: "moved" })
    const commit = <A, E, R>(body: Effect.Effect<A, E, R>) => {
      let given: A
      return Effect.map(lease.commit(Effect.map(body, (value) => ((given = value), kept()))), () => given)
    }
    // What a connection has changed is its own count: a thread's has not written those rows.
    const changes = Effect.map(db.sql<{ n: number }>`SELECT total_changes() AS n`, ([row]) => row!.n)
    for (let tries = 0; (yield* commit(changes)) >= 6000; tries++) {
      assert.isBelow(tries, 6000, "no thread began")
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
    }
    assert.strictEqual(begun.length, 1)
    return { db, sql: db.sql, file, lease, commit, changes, thread: begun[0]! }
  })

const write = <A>(
  { db, lease }: { readonly db: Db.Db; readonly lease: Journal.Lease },
  sink: Sink.Sink<A, Db.DbError, Db.Db, "exactly-once">,
  rows: ReadonlyArray<A>
) =>
  Effect.gen(function* () {
    const writer = yield* sink.open(openingBy(lease))
    yield* lease.commit(Effect.map(writer.write(rows, Option.none()), () => kept()))
    return writer
  }).pipe(Effect.scoped, Effect.provideService(Db.Db, db))

const plain = (rows: ReadonlyArray<object>) => rows.map((row) => ({ ...row }))

/** Another process' connection, as far as SQLite can tell. */
const other = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (database) => Effect.sync(() => database.close())
  )

describe("Sqlite: commits in a thread", () => {
  it.effect("begin once many rows were written, and not before, nor for what is in memory only", () =>
    Effect.gen(function* () {
      const begun = yield* threads
      const small = yield* connect(yield* newFile)
      const memory = yield* connect(":memory:")
      yield* Effect.provideService(writeTo(Db.table("t", Row), many(1000)), Db.Db, small)
      yield* Effect.provideService(writeTo(Db.table("t", Row), many(50_000)), Db.Db, memory)
      assert.strictEqual(begun.length, 0)
      yield* moved()
    })
  )

  it.effect("write the same rows, of whatever kind and number", () =>
    Effect.gen(function* () {
      const at = yield* moved()
      const Kinds = Schema.Struct({
        n: Schema.Int,
        text: Schema.String,
        x: Schema.Number,
        big: Schema.BigInt,
        bytes: Schema.Uint8Array,
        maybe: Schema.NullOr(Schema.String),
        half: Schema.NullOr(Schema.Number),
        flag: Schema.Boolean,
        list: Schema.Array(Schema.Int)
      })
      const memory = new Uint8Array(100_000).fill(7)
      const rowOf = (n: number) => ({
        n,
        text: ["", "x", "ä€😀", "\0a", "long ".repeat(n % 50)][n % 5]!,
        x: [0, -0.5, 1e300, Infinity, n / 3][n % 5]!,
        big: BigInt(n) * 2n ** 40n,
        bytes: memory.subarray(n % 10, (n % 10) + (n % 4)),
        maybe: n % 3 === 0 ? null : n % 3 === 1 ? "" : `${n}`,
        half: n % 2 === 0 ? null : n,
        flag: n % 2 === 0,
        list: [n]
      })
      const sizes = [1, 2, 255, 256, 257, 1023, 1024, 1025, 5000]
      const all: Array<ReturnType<typeof rowOf>> = []
      for (const size of sizes) {
        const rows = Array.from({ length: size }, (_, i) => rowOf(all.length + i))
        yield* write(at, Db.table("kinds", Kinds), rows)
        all.push(...rows)
      }
      const read = yield* Effect.provideService(Db.query(Kinds)`SELECT * FROM kinds ORDER BY rowid`, Db.Db, at.db)
      assert.strictEqual(read.length, all.length)
      assert.deepEqual(
        read,
        all.map((row) => ({ ...row, bytes: new Uint8Array(row.bytes) }))
      )
    })
  )

  it.effect("give up a refused row alone, and name it", () =>
    Effect.gen(function* () {
      const { db, changes, commit } = yield* moved()
      const rows = many(20_000).map((row) => (row.id === 15_000 ? { id: 7, name: "again" } : row))
      const outcome = yield* Pipeline.from(Source.list(rows, { name: "rows" })).pipe(
        Pipeline.to(Db.table("t", Row, { key: "id", onConflict: "fail" }), { onError: { deadLetter: Row } }),
        (job) => Pipeline.run(job, { name: "refused", maxRows: 5000, window: { items: 10_000 } }),
        Effect.provideService(Db.Db, db),
        Effect.provideService(Journal.Journal, db.journal)
      )
      assert.strictEqual(outcome.written, 19_999)
      const [letter, ...rest] = yield* db.journal.dead(Journal.keyOf("refused"))
      assert.strictEqual(rest.length, 0)
      assert.deepEqual(letter?.input, { id: 7, name: "again" })
      assert.include(letter?.cause, `{"id":7}`)
      assert.isBelow(yield* commit(changes), 30_000)
    })
  )

  it.effect("name a refused row that had a statement of its own, by its place in the batch", () =>
    Effect.gen(function* () {
      const at = yield* moved()
      const table = Db.table("t", Row, { key: "id", onConflict: "fail" })
      const error = yield* Effect.flip(write(at, table, [...many(1024), { id: 5, name: "again" }]))
      assert.instanceOf(error, Db.DbError)
      assert.deepInclude({ ...error }, { row: 1024, key: `{"id":5}`, column: "id" })
      assert.deepEqual(yield* Effect.provideService(rowsOf("t"), Db.Db, at.db), [])
    })
  )

  it.effect("keep nothing of a batch with a row that does not encode", () =>
    Effect.gen(function* () {
      const at = yield* moved()
      yield* write(at, Db.table("t", Row), many(10))
      const error = yield* Effect.flip(
        write(at, Db.table("t", Row), [...many(3000, 10), { id: 0.5, name: "no integer" }, ...many(10)])
      )
      assert.include(String(error), "row 3001 does not encode")
      assert.strictEqual((yield* Effect.provideService(rowsOf("t"), Db.Db, at.db)).length, 10)
    })
  )

  it.effect("have savepoints, exact integers, values and streams, as on the own thread", () =>
    Effect.gen(function* () {
      const { sql, commit } = yield* moved()
      yield* sql`CREATE TABLE t (x)`
      const exact = Effect.provideService(SqlClient.SafeIntegers, true)
      const seen = yield* commit(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t VALUES (1)`
          yield* Effect.flip(sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (2)`, Effect.fail("no"))))
          yield* sql.withTransaction(sql`INSERT INTO t VALUES (${new Date(0)}), (${true}), (${undefined})`)
          const stream = Stream.runCollect(sql`SELECT x FROM t ORDER BY rowid`.stream)
          return {
            rows: plain(yield* sql`SELECT x FROM t ORDER BY rowid`),
            values: yield* sql`SELECT x FROM t ORDER BY rowid`.values,
            stream: plain(yield* stream),
            first: plain(yield* Stream.runCollect(Stream.take(sql`SELECT x FROM t`.stream, 1))),
            raw: { ...((yield* sql`UPDATE t SET x = x`.raw) as object) },
            big: plain(yield* exact(sql`SELECT 9007199254740993 AS n`)),
            inexact: (yield* Effect.flip(sql`SELECT 9007199254740993 AS n`)).message,
            wrong: (yield* Effect.flip(sql`nonsense`)).message,
            unsendable: (yield* Effect.flip(sql.unsafe("SELECT ?", [() => 1]))).reason._tag
          }
        })
      )
      const rows = [{ x: 1 }, { x: "1970-01-01T00:00:00.000Z" }, { x: 1 }, { x: null }]
      assert.deepEqual(seen.rows, rows)
      assert.deepEqual(seen.stream, rows)
      assert.deepEqual(seen.first, rows.slice(0, 1))
      assert.deepEqual(
        seen.values,
        rows.map(({ x }) => [x])
      )
      assert.deepEqual(seen.big, [{ n: 9007199254740993n }])
      assert.include(seen.inexact, "Read it as a bigint")
      assert.include(seen.wrong, "syntax error")
      assert.strictEqual(seen.unsendable, "UnknownError")
      assert.strictEqual((seen.raw as { changes: number }).changes, 4)
    })
  )

  it.effect("take nothing more once SQLite has rolled back by itself", () =>
    Effect.gen(function* () {
      const { sql, commit } = yield* moved()
      yield* sql`CREATE TABLE t (x UNIQUE)`
      const exit = yield* Effect.exit(
        commit(
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
      yield* commit(sql`INSERT INTO t VALUES (3)`)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 3 }])
    })
  )

  it.effect("leave nothing when they are interrupted, and the connection free", () =>
    Effect.gen(function* () {
      const { sql, commit } = yield* moved()
      yield* sql`CREATE TABLE t (x)`
      let reached = () => {}
      const there = new Promise<void>((resolve) => (reached = resolve))
      const body = Effect.andThen(
        sql`INSERT INTO t VALUES (1)`,
        Effect.suspend(() => {
          reached()
          return Effect.never
        })
      )
      const fiber = yield* Effect.forkChild(commit(body), { startImmediately: true })
      yield* Effect.promise(() => there)
      yield* Fiber.interrupt(fiber)
      assert.deepEqual(yield* sql`SELECT x FROM t`, [])
      yield* commit(sql`INSERT INTO t VALUES (2)`)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 2 }])
    })
  )

  it.effect("let statements wait for their end, one transaction at a time", () =>
    Effect.gen(function* () {
      const { sql, commit } = yield* moved()
      yield* sql`CREATE TABLE t (x)`
      const order: Array<string> = []
      const slow = commit(
        Effect.andThen(
          sql`INSERT INTO t VALUES (1)`,
          Effect.promise(() => new Promise<void>((resolve) => setTimeout(() => (order.push("commit"), resolve()), 20)))
        )
      )
      const first = yield* Effect.forkChild(slow, { startImmediately: true })
      const [row] = yield* sql<{ n: number }>`SELECT count(*) AS n FROM t`
      order.push("statement")
      yield* Fiber.join(first)
      assert.deepEqual(order, ["commit", "statement"])
      assert.strictEqual(row?.n, 1)
    })
  )

  it.effect("wait for the lock of another process as long as `lockTimeout` says, and then name it", () =>
    Effect.gen(function* () {
      const { sql, file, commit } = yield* moved({ lockTimeout: "2 seconds" })
      yield* sql`CREATE TABLE t (x)`
      const holder = yield* other(file)
      holder.exec("BEGIN IMMEDIATE")
      const fiber = yield* Effect.forkChild(Effect.flip(commit(sql`INSERT INTO t VALUES (1)`)))
      // Each try is a message there and back, so that the clock cannot be turned in one go.
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("100 millis")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
      }
      assert.include(String(yield* Fiber.join(fiber)), "another process or connection holds its lock (SQLITE_BUSY)")
      holder.exec("COMMIT")
      yield* commit(sql`INSERT INTO t VALUES (1)`)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 1 }])
    })
  )

  it.effect("fail when the thread dies, undone, and go on without it", () =>
    Effect.gen(function* () {
      const { sql, commit, thread, changes } = yield* moved()
      yield* sql`CREATE TABLE t (x)`
      const body = Effect.gen(function* () {
        yield* sql`INSERT INTO t VALUES (1)`
        yield* Effect.promise(() => thread.terminate())
        return yield* sql`INSERT INTO t VALUES (2)`
      })
      const error = yield* Effect.flip(commit(body))
      assert.include(String(error), "the thread that writes to the database has ended")
      assert.deepEqual(yield* sql`SELECT x FROM t`, [])
      assert.isAtLeast(yield* commit(Effect.andThen(sql`INSERT INTO t VALUES (3)`, changes)), 6000)
      assert.deepEqual(plain(yield* sql`SELECT x FROM t`), [{ x: 3 }])
    })
  )

  it.effect("that it died in before they ended are not there, in the middle of a batch too", () =>
    Effect.gen(function* () {
      const at = yield* moved()
      yield* write(at, Db.table("t", Row), many(1))
      const writing = yield* Effect.forkChild(Effect.exit(write(at, Db.table("t", Row), many(100_000))), {
        startImmediately: true
      })
      yield* Effect.promise(() => at.thread.terminate())
      const exit = yield* Fiber.join(writing)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual((yield* Effect.provideService(rowsOf("t"), Db.Db, at.db)).length, 1)
      yield* write(at, Db.table("t", Row), many(10))
    })
  )

  it.effect("are not made there once the program has told its connection something", () =>
    Effect.gen(function* () {
      const { sql, commit } = yield* moved()
      const setting = sql<{ foreign_keys: number }>`PRAGMA foreign_keys`
      yield* sql`PRAGMA foreign_keys = OFF`
      assert.deepEqual(plain(yield* commit(setting)), [{ foreign_keys: 0 }])
      yield* sql`CREATE TEMP TABLE mine (x)`
      assert.deepEqual(yield* commit(sql`SELECT * FROM mine`), [])
    })
  )

  it.effect("end with the scope, and the log of the database with them", () =>
    Effect.gen(function* () {
      const { file, thread } = yield* Effect.scoped(
        Effect.tap(moved(), ({ file }) => Effect.sync(() => assert.isTrue(existsSync(`${file}-wal`))))
      )
      assert.isFalse(existsSync(`${file}-wal`))
      assert.strictEqual(thread.threadId, -1)
    })
  )

  it.effect("keep no process running that has nothing else to do", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const program = join(folder, "program.ts")
      writeFileSync(
        program,
        `import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
         import * as Scope from ${JSON.stringify(import.meta.resolve("effect/Scope"))}
         import * as Sqlite from ${JSON.stringify(new URL("../../src/node/Sqlite.ts", import.meta.url).href)}
         let threads = 0
         process.on("worker", () => threads++)
         const { sql } = await Effect.runPromise(Scope.provide(Sqlite.open(process.argv[2]), Scope.makeUnsafe()))
         const values = Array.from({ length: 20_000 }, (_, i) => i)
         await Effect.runPromise(sql\`CREATE TABLE t (x)\`)
         await Effect.runPromise(sql.withTransaction(sql.unsafe("INSERT INTO t VALUES " + values.map(() => "(?)"), values)))
         process.on("exit", () => console.log("threads", threads))`
      )
      const child = yield* Child.start([program, join(folder, "test.db")])
      const { code, stderr, stdout } = yield* child.end
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, "threads 1\n")
    })
  )
})
