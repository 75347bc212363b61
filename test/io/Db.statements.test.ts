/** A program's own SQL: `Db.query`, `Db.execute`, `Db.json`, `Db.transaction`, on every database. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { SerializationError, SqlError } from "effect/sql/SqlError"
import { Db } from "skein"
import { connect, within } from "../support/database.ts"
import { databases } from "../support/databases.ts"
import { fresh } from "../support/postgres/database.ts"

const Id = Schema.Struct({ id: Schema.Int })
const idsOf = (rows: ReadonlyArray<typeof Id.Type>) => rows.map(({ id }) => id)

const odd = [
  "",
  "a'b",
  'a"b',
  "a\\b",
  "a,b",
  "{a}",
  "NULL",
  " ",
  "é\n😀",
  "$1",
  "?",
  "--",
  "'); DROP TABLE items; --",
  '{"a":1}'
]

describe.each(databases)("$database", ({ database, url }) => {
  const isPostgres = database === "PostgreSQL"
  const test = (title: string, body: () => Effect.Effect<unknown, unknown, Db.Db>) =>
    // By the clock of the system: a retry waits.
    it.live(title, () => within(url)(Effect.suspend(body)))

  /** The items of an array that is a parameter. */
  const among = (list: Db.Parameter) =>
    isPostgres
      ? Db.query(Id)`SELECT id FROM items WHERE name = ANY(${list}) ORDER BY id`
      : Db.query(Id)`SELECT id FROM items WHERE name IN (SELECT value FROM json_each(${list})) ORDER BY id`

  const items = Effect.gen(function* () {
    yield* Db.execute`CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)`
    for (const [id, name] of odd.entries()) yield* Db.execute`INSERT INTO items VALUES (${id}, ${name})`
  })

  describe("parameters", () => {
    test("of every kind come back as they were", () =>
      Effect.gen(function* () {
        const Kinds = Schema.Struct({
          s: Schema.String,
          n: Schema.Number,
          b: Schema.BigInt,
          t: Schema.Boolean,
          z: Schema.NullOr(Schema.String),
          u: Schema.Uint8Array,
          d: Schema.Date
        })
        yield* isPostgres
          ? Db.execute`CREATE TABLE kinds (s text, n float8, b int8, t boolean, z text, u bytea, d timestamptz)`
          : Db.execute`CREATE TABLE kinds (s TEXT, n REAL, b INTEGER, t INTEGER, z TEXT, u BLOB, d TEXT)`
        const row = {
          s: "it's",
          n: 0.1,
          b: 2n ** 62n + 1n,
          t: true,
          z: null,
          u: new Uint8Array([0, 255, 39]),
          d: new Date("2026-01-02T03:04:05.006Z")
        }
        const { b, d, n, s, t, u, z } = row
        yield* Db.execute`INSERT INTO kinds VALUES (${s}, ${n}, ${b}, ${t}, ${z}, ${u}, ${d})`
        assert.deepEqual(yield* Db.query(Kinds)`SELECT * FROM kinds`, [row])
        assert.deepEqual(
          yield* Db.query(
            Kinds
          )`SELECT * FROM kinds WHERE s = ${s} AND n = ${n} AND b = ${b} AND u = ${u} AND d = ${d}`,
          [row]
        )
      }))

    test("that are arrays find what they hold, whatever is in it", () =>
      Effect.gen(function* () {
        yield* items
        assert.deepEqual(
          idsOf(yield* among(odd)),
          odd.map((_, id) => id)
        )
        for (const [id, name] of odd.entries()) assert.deepEqual(idsOf(yield* among([name])), [id])
        assert.deepEqual(idsOf(yield* among([])), [])
        assert.deepEqual(idsOf(yield* among([null, "a,b", Redacted.make("a'b")])), [1, 4])
      }))

    test("that are JSON are one value, arrays too", () =>
      Effect.gen(function* () {
        const Row = Schema.Struct({ data: Schema.Json })
        yield* isPostgres
          ? Db.execute`CREATE TABLE documents (data jsonb)`
          : Db.execute`CREATE TABLE documents (data TEXT)`
        const values = [{ "a'b": ["\\", null, 1.5] }, [1, [2]], "text", null, 7]
        for (const value of values) yield* Db.execute`INSERT INTO documents VALUES (${Db.json(value)})`
        const rows = yield* Db.query(Row)`SELECT data FROM documents`
        assert.deepEqual(
          rows.map(({ data }) => data),
          values
        )
        const found = yield* Db.query(Row)`SELECT data FROM documents WHERE data ->> ${"a'b"} IS NOT NULL`
        assert.deepEqual(found, [{ data: values[0]! }])
      }))

    const cyclic: Record<string, unknown> = {}
    cyclic["self"] = cyclic
    const refused: ReadonlyArray<readonly [string, unknown, string]> = [
      ["undefined", undefined, "parameter 2 is undefined. Write null for no value"],
      ["an object", { a: 1 }, "parameter 2 is an object. Give it as Db.json(…)"],
      ["a function", () => 1, "parameter 2 is a function"],
      ["an invalid date", new Date(Number.NaN), "parameter 2 is an invalid date"],
      ["half a character", "\ud800", "parameter 2 has half of a character"],
      [
        "half a character in an array",
        ["a", ["\ud800"]],
        "parameter 2 has an element (2) that has an element (1) that has half"
      ],
      ["a hole in an array", Array(1), "parameter 2 has an element (1) that is undefined"],
      ["an object in an array", [{}], "parameter 2 has an element (1) that is an object"],
      ["a bigint in JSON", Db.json({ a: 1n }), "parameter 2 has no JSON form"],
      ["a function as JSON", Db.json(() => 1), "parameter 2 has no JSON form"],
      ["JSON with a cycle", Db.json(cyclic), "parameter 2 has no JSON form"],
      ["JSON too deep", Db.json(JSON.parse("[".repeat(100_000) + "]".repeat(100_000))), "nested too deep"],
      ["an array too deep", JSON.parse("[".repeat(100_000) + "]".repeat(100_000)), "parameter 2 is nested too deep"],
      ["what poses as redacted", { "~effect/Redacted": {} }, "parameter 2 is an object"],
      ["what poses as JSON", { ...Db.json(1) }, "parameter 2 is an object"],
      isPostgres
        ? ["NUL", "a\0b", "parameter 2 has a NUL character in it"]
        : ["NaN", Number.NaN, "parameter 2 is NaN, which SQLite does not have"],
      isPostgres
        ? ["NUL in an array", ["\0"], "parameter 2 has an element (1) that has a NUL character"]
        : ["bytes in an array", [new Uint8Array(1)], "parameter 2 has an element (1) that is bytes"]
    ]
    it.effect.each(refused)("cannot be %s", ([, value, reason]) =>
      within(url)(
        Effect.gen(function* () {
          const parameter = value as Db.Parameter
          const error = yield* Effect.flip(Db.query(Id)`SELECT ${1} AS id, ${parameter} AS x`)
          assert.include(error.message, `could not run the query "SELECT ? AS id, ? AS x": `)
          assert.include(error.reason, reason)
          assert.include((yield* Effect.flip(Db.execute`SELECT ${1}, ${parameter}`)).reason, reason)
        })
      )
    )

    test("that are redacted do not show in errors of the database, which quotes what it was given", () =>
      Effect.gen(function* () {
        const quoting = (value: Db.Parameter) =>
          Effect.flip(
            isPostgres
              ? Db.execute`SELECT set_config(${value}, 'on', false)`
              : Db.execute`SELECT json_extract('{}', ${value})`
          )
        assert.include((yield* quoting("hunter2")).message, "hunter2")
        const hidden = yield* quoting(Redacted.make("hunter2"))
        assert.include(hidden.message, "***")
        assert.notInclude(JSON.stringify(hidden) + hidden.message + String(hidden.stack), "hunter2")
      }))
  })

  describe("Db.execute", () => {
    test("gives the number of rows that a statement changed", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Db.execute`CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)`, 0)
        assert.strictEqual(yield* Db.execute`INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')`, 3)
        assert.strictEqual(yield* Db.execute`CREATE TABLE other (id INTEGER)`, 0)
        assert.strictEqual(yield* Db.execute`UPDATE t SET name = ${"d"} WHERE id > ${1}`, 2)
        assert.strictEqual(yield* Db.execute`UPDATE t SET name = ${"d"} WHERE id > ${9}`, 0)
        assert.strictEqual(
          yield* Db.execute`/* why; */ -- not
          DELETE FROM t WHERE id = ${1} RETURNING id`,
          1
        )
        assert.strictEqual(
          yield* Db.execute`WITH old AS (SELECT 2 AS id) DELETE FROM t WHERE id IN (SELECT id FROM old)`,
          1
        )
      }))

    test("says what the database says of a statement that is wrong", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Db.execute`DELETE FROM nowhere WHERE id = ${"secret"}`)
        assert.include(error.message, `could not execute "DELETE FROM nowhere WHERE id = ?": `)
        assert.include(error.reason, "nowhere")
        assert.notInclude(error.message, "secret")
      }))
  })

  describe("Db.transaction", () => {
    const counted = Effect.map(Db.query(Id)`SELECT id FROM t ORDER BY id`, idsOf)
    const create = Db.execute`CREATE TABLE t (id INTEGER PRIMARY KEY)`
    const add = (id: number) => Db.execute`INSERT INTO t VALUES (${id})`

    test("keeps all or nothing, and passes what its body gives and fails with", () =>
      Effect.gen(function* () {
        yield* create
        assert.strictEqual(yield* Db.transaction(Effect.as(Effect.andThen(add(1), add(2)), "given")), "given")
        const failing = Db.transaction(Effect.andThen(add(3), Effect.fail({ _tag: "Mine" } as const)))
        assert.deepEqual(yield* Effect.flip(failing), { _tag: "Mine" })
        const exit = yield* Effect.exit(Db.transaction(Effect.andThen(add(4), Effect.die("defect"))))
        assert.isTrue(Exit.isFailure(exit))
        const refused = yield* Effect.flip(Db.transaction(Effect.andThen(add(5), add(1))))
        assert.instanceOf(refused, Db.DbError)
        assert.deepEqual(yield* counted, [1, 2])
      }))

    test("inside of another is a savepoint", () =>
      Effect.gen(function* () {
        yield* create
        yield* Db.transaction(
          Effect.gen(function* () {
            yield* add(1)
            yield* Effect.ignore(Db.transaction(Effect.andThen(add(2), add(1))))
            yield* Db.transaction(add(3))
          })
        )
        assert.deepEqual(yield* counted, [1, 3])
        const undone = Db.transaction(Effect.andThen(Db.transaction(add(4)), Effect.fail("outer")))
        assert.strictEqual(yield* Effect.flip(undone), "outer")
        assert.deepEqual(yield* counted, [1, 3])
      }))

    test("is rolled back when it is interrupted", () =>
      Effect.gen(function* () {
        yield* create
        const written = yield* Deferred.make<void>()
        const body = Effect.gen(function* () {
          yield* add(1)
          yield* Deferred.succeed(written, undefined)
          return yield* Effect.never
        })
        const fiber = yield* Effect.forkChild(Db.transaction(body))
        yield* Deferred.await(written)
        yield* Fiber.interrupt(fiber)
        assert.deepEqual(yield* counted, [])
        yield* add(1)
      }))

    const spoiled = new SqlError({ reason: new SerializationError({ cause: new Error("40001") }) })

    test("runs its body again after a serialization failure, the outermost one, from nothing", () =>
      Effect.gen(function* () {
        yield* create
        let runs = 0
        const body = Effect.suspend(() =>
          Effect.andThen(add(++runs), runs < 4 ? Effect.fail(spoiled) : Effect.succeed("x"))
        )
        assert.strictEqual(yield* Db.transaction(Db.transaction(body)), "x")
        assert.deepEqual(yield* counted, [4])
      }))

    test("gives up after as many retries as it has, with the error of the last", () =>
      Effect.gen(function* () {
        let runs = 0
        const body = Effect.suspend(() =>
          Effect.andThen(
            Effect.sync(() => runs++),
            Effect.fail(spoiled)
          )
        )
        assert.strictEqual(yield* Effect.flip(Db.transaction(body, { retries: 2 })), spoiled)
        assert.strictEqual(yield* Effect.flip(Db.transaction(body, { retries: 0 })), spoiled)
        assert.strictEqual(runs, 4)
      }))

    test("does not run it again for any other error", () =>
      Effect.gen(function* () {
        yield* create
        let runs = 0
        const body = Effect.suspend(() =>
          Effect.andThen(
            Effect.sync(() => runs++),
            Effect.andThen(add(1), add(1))
          )
        )
        const error = yield* Effect.flip(Db.transaction(body))
        assert.include(error.message, 'could not execute "INSERT INTO t VALUES (?)"')
        assert.strictEqual(runs, 1)
      }))

    test("has its statements run by tasks that it waits for", () =>
      Effect.gen(function* () {
        yield* create
        const all = Effect.forEach([1, 2, 3], add, { concurrency: "unbounded" })
        yield* Effect.ignore(Db.transaction(Effect.andThen(all, Effect.fail("no"))))
        assert.deepEqual(yield* counted, [])
        yield* Db.transaction(all)
        assert.deepEqual(yield* counted, [1, 2, 3])
      }))

    test("is over for a task that outlives it: its statements are refused", () =>
      Effect.gen(function* () {
        yield* create
        const over = yield* Deferred.make<void>()
        const late = (statement: Effect.Effect<unknown, Db.DbError, Db.Db>) =>
          Effect.forkDetach(Effect.andThen(Deferred.await(over), statement))
        const tasks = yield* Db.transaction(
          Effect.gen(function* () {
            yield* add(1)
            return [
              yield* late(add(2)),
              yield* late(counted),
              yield* late(Db.transaction(add(3))),
              yield* Db.transaction(late(add(4)))
            ]
          })
        )
        const [error] = yield* Db.transaction(
          Effect.gen(function* () {
            yield* Deferred.succeed(over, undefined)
            return yield* Effect.forEach(tasks, (task) => Effect.flip(Fiber.join(task)))
          })
        )
        assert.include(error!.message, "the transaction that this task was started in has ended")
        assert.deepEqual(yield* counted, [1])
      }))

    test("of another database inside is its own", () =>
      Effect.gen(function* () {
        yield* create
        const other = yield* Effect.flatMap(url, connect)
        const there = <A, E>(effect: Effect.Effect<A, E, Db.Db>) => Effect.provideService(effect, Db.Db, other)
        yield* there(create)
        const both = Effect.gen(function* () {
          yield* add(1)
          yield* there(Db.transaction(add(2), { isolation: "serializable" }))
          return yield* Effect.fail("here")
        })
        yield* Effect.ignore(Db.transaction(both, { isolation: "repeatable read" }))
        assert.deepEqual(yield* counted, [])
        assert.deepEqual(yield* there(counted), [2])
      }).pipe(Effect.scoped))

    it.effect("refuses a number of retries that is none", () =>
      Effect.sync(() =>
        assert.throws(() => Db.transaction(Effect.void, { retries: -1 }), /Db.transaction: retries must be/)
      )
    )
  })
})

describe("Db.transaction on PostgreSQL", () => {
  const test = (title: string, body: (other: Db.Db) => Effect.Effect<unknown, unknown, Db.Db>) =>
    it.live(title, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const place = yield* fresh
          const [one, two] = [yield* connect(place), yield* connect(place)]
          yield* Effect.provideService(body(two), Db.Db, one)
        })
      )
    )
  const Level = Schema.Struct({ transaction_isolation: Schema.String })
  const level = Effect.map(Db.query(Level)`SHOW transaction_isolation`, ([row]) => row?.transaction_isolation)
  const Sum = Schema.Struct({ n: Schema.Int })
  const valueOf = (id: number) =>
    Effect.map(Db.query(Sum)`SELECT n FROM t WHERE id = ${id}`, ([row]) => row?.n ?? Number.NaN)
  const create = Effect.andThen(
    Db.execute`CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)`,
    Db.execute`INSERT INTO t VALUES (1, 1), (2, 1)`
  )

  test("has the isolation that the outermost asks for, and no other transaction has it", (other) =>
    Effect.gen(function* () {
      const inside = Effect.provideService(Db.transaction(level), Db.Db, other)
      assert.strictEqual(yield* Db.transaction(inside, { isolation: "serializable" }), "read committed")
      for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
        assert.strictEqual(yield* Db.transaction(level, { isolation }), isolation)
        assert.strictEqual(yield* Db.transaction(Db.transaction(level, { isolation }), { isolation }), isolation)
      }
      assert.strictEqual(yield* Db.transaction(level), "read committed")
      for (const outer of [{}, { isolation: "repeatable read" }] as const) {
        const inner = Db.transaction(level, { isolation: "serializable" })
        const error = yield* Effect.flip(Db.transaction(inner, outer))
        assert.include(error.message, 'Ask for "serializable" at the outermost')
      }
    }))

  test("that failed to serialize runs again, and both of two that cross are kept", (other) =>
    Effect.gen(function* () {
      yield* create
      const gate = yield* Deferred.make<void>()
      const met = yield* Deferred.make<void>()
      let runs = 0
      // Each reads what the other writes: in no order could both have seen what they saw.
      const move = (from: number, to: number, first: Deferred.Deferred<void>, then: Deferred.Deferred<void>) =>
        Db.transaction(
          Effect.gen(function* () {
            runs++
            const n = yield* valueOf(from)
            yield* Deferred.succeed(first, undefined)
            yield* Deferred.await(then)
            yield* Db.execute`UPDATE t SET n = ${n + 1} WHERE id = ${to}`
          }),
          { isolation: "serializable" }
        )
      yield* Effect.all([move(1, 2, gate, met), Effect.provideService(move(2, 1, met, gate), Db.Db, other)], {
        concurrency: "unbounded"
      })
      assert.strictEqual(runs, 3)
      assert.deepEqual([yield* valueOf(1), yield* valueOf(2)].toSorted(), [2, 3])
    }))

  test("that was in a deadlock runs again, and both are kept", (other) =>
    Effect.gen(function* () {
      yield* create
      const gate = yield* Deferred.make<void>()
      const met = yield* Deferred.make<void>()
      let runs = 0
      const both = (a: number, b: number, first: Deferred.Deferred<void>, then: Deferred.Deferred<void>) =>
        Db.transaction(
          Effect.gen(function* () {
            runs++
            yield* Db.execute`UPDATE t SET n = n + 1 WHERE id = ${a}`
            yield* Deferred.succeed(first, undefined)
            yield* Deferred.await(then)
            yield* Db.execute`UPDATE t SET n = n + 1 WHERE id = ${b}`
          })
        )
      yield* Effect.all([both(1, 2, gate, met), Effect.provideService(both(2, 1, met, gate), Db.Db, other)], {
        concurrency: "unbounded"
      })
      assert.strictEqual(runs, 3)
      assert.deepEqual([yield* valueOf(1), yield* valueOf(2)], [3, 3])
    }))

  test("fails where its body took an error for nothing: PostgreSQL has undone all of it", () =>
    Effect.gen(function* () {
      yield* create
      const body = Effect.andThen(
        Db.execute`INSERT INTO t VALUES (3, 3)`,
        Effect.ignore(Db.execute`INSERT INTO t VALUES (1, 1)`)
      )
      const error = yield* Effect.flip(Db.transaction(body))
      assert.include(
        error.message,
        "could not commit a transaction: an earlier statement of the transaction had failed"
      )
      assert.isNaN(yield* valueOf(3))
    }))

  test("leaves no session behind that is in it, when it is interrupted in a statement", (other) =>
    Effect.gen(function* () {
      yield* create
      const begun = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        Db.transaction(
          Effect.gen(function* () {
            yield* Db.execute`UPDATE t SET n = 7 WHERE id = 1`
            yield* Deferred.succeed(begun, undefined)
            yield* Db.execute`SELECT pg_sleep(600)`
          })
        )
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      yield* Effect.provideService(Db.execute`UPDATE t SET n = n + 1 WHERE id = 1`, Db.Db, other)
      assert.strictEqual(yield* valueOf(1), 2)
    }))
})
