import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { BeginTransaction, type SqlClient } from "effect/sql/SqlClient"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { Deadline } from "skein"
import { Postgres } from "skein/node"
import { copyIn, endless, pidOf } from "../support/postgres/client.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import { isAlone, session, until } from "../support/postgres/watch.ts"

const openNew = Effect.flatMap(fresh, (url) => Effect.map(Postgres.open(url), (db) => ({ ...db, url })))

const timeoutOf = (sql: SqlClient) =>
  Effect.map(
    sql<{
      readonly ms: string
    }>`SELECT extract(epoch FROM current_setting('statement_timeout')::interval) * 1000 AS ms`,
    ([row]) => Number(row!.ms)
  )

describe("Postgres: statements", () => {
  it.live("read what JavaScript holds without loss as such, and all else as PostgreSQL writes it", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const [row] = yield* sql`SELECT
        true AS b, 1::int2 AS i2, (-2147483648)::int4 AS i4, 9223372036854775807 AS i8, 0.1::float8 AS f8,
        'NaN'::float8 AS nan, 1.5::float4 AS f4, 123456789012345678901234567890.5 AS num, 'é"\\' AS t,
        '\\x00ff'::bytea AS bytes, date '2024-02-29' AS d, timestamp '2024-02-29 12:00:00.123456' AS ts,
        jsonb '{"a": [1, null]}' AS j, ARRAY[1, 2]::int4[] AS a, uuid '00000000-0000-0000-0000-00000000000a' AS u,
        NULL::text AS none, 'p' AS "__proto__"`
      assert.deepEqual(
        { ...row },
        {
          b: true,
          i2: 1,
          i4: -2147483648,
          i8: "9223372036854775807",
          f8: 0.1,
          nan: Number.NaN,
          f4: 1.5,
          num: "123456789012345678901234567890.5",
          t: 'é"\\',
          bytes: Uint8Array.of(0, 255),
          d: "2024-02-29",
          ts: "2024-02-29T12:00:00.123456",
          j: '{"a": [1, null]}',
          a: "{1,2}",
          u: "00000000-0000-0000-0000-00000000000a",
          none: null,
          ["__proto__"]: "p"
        }
      )
    })
  )

  it.live("take parameters of each kind", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const hostile = `'; DROP TABLE t; --\\ "\u{1f600}`
      const values = [
        [sql`SELECT ${hostile}::text AS x`, hostile],
        [sql`SELECT ${2 ** 53 - 1}::int8 AS x`, "9007199254740991"],
        [sql`SELECT ${2n ** 63n - 1n}::int8 AS x`, "9223372036854775807"],
        [sql`SELECT ${true}::bool AS x`, true],
        [sql`SELECT ${null}::text AS x`, null],
        [sql`SELECT ${Uint8Array.of(0, 1, 255).subarray(1)}::bytea AS x`, Uint8Array.of(1, 255)],
        [sql`SELECT extract(epoch FROM ${new Date(1_234)}::timestamptz) AS x`, "1.234000"],
        [sql`SELECT extract(year FROM ${new Date(-62_200_000_000_000)}::timestamptz) AS x`, "-3"],
        [sql`SELECT ${["a", 'b",\\', null, ""] as never}::text[] AS x`, `{a,"b\\",\\\\",NULL,""}`],
        [
          sql`SELECT ${
            [
              [1, 2],
              [3, 4]
            ] as never
          }::int4[] AS x`,
          "{{1,2},{3,4}}"
        ],
        [sql`SELECT ${{ a: ["é", 1.5, null] } as never}::jsonb AS x`, `{"a": ["é", 1.5, null]}`]
      ] as const
      for (const [statement, x] of values) assert.deepEqual(yield* statement, [{ x }])
    })
  )

  it.live("with a NUL in their SQL, or a parameter that has no form, are failures of theirs alone", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const circle: { self?: unknown } = {}
      circle.self = circle
      const failures = yield* Effect.forEach(
        [
          sql`SELECT 1 AS ${sql("a\0b")}`,
          sql`SELECT 1 AS ${sql("a\0b")}`.unprepared,
          sql`SELECT ${"a\0b"}::text`,
          sql`SELECT ${circle as never}::jsonb`
        ],
        (statement) => Effect.flip(statement)
      )
      assert.deepEqual(
        failures.map((error) => error.reason._tag),
        ["SqlSyntaxError", "SqlSyntaxError", "UnknownError", "UnknownError"]
      )
      assert.deepEqual(yield* sql`SELECT 1 AS ${sql('a"b')}`, [{ 'a"b': 1 }])
    })
  )

  it.live("fail as what they are, without the values of rows", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* openNew
      yield* sql`CREATE TABLE t (id int4 PRIMARY KEY, n int4 CHECK (n > 0), s text NOT NULL)`
      yield* sql`INSERT INTO t VALUES (1, 1, 'a')`
      const failing = (statement: Effect.Effect<unknown, SqlError>) =>
        Effect.map(Effect.flip(statement), ({ message, reason }) => {
          assert.notInclude(JSON.stringify([message, reason]), "secret")
          return [reason._tag, message]
        })
      assert.deepEqual(yield* failing(sql`INSERT INTO t VALUES (1, 2, 'secret')`), [
        "UniqueViolation",
        `duplicate key value violates unique constraint "t_pkey": Key (id)=(1) already exists.`
      ])
      assert.deepEqual(yield* failing(sql`INSERT INTO t VALUES (2, -5, 'secret')`), [
        "ConstraintError",
        `new row for relation "t" violates check constraint "t_n_check"`
      ])
      assert.deepEqual(yield* failing(sql`SELECT ${"secret"}::int4`), [
        "UnknownError",
        "invalid input syntax for type integer"
      ])
      assert.deepEqual((yield* failing(sql`SELEC 1`))[0], "SqlSyntaxError")
      assert.deepEqual((yield* failing(sql`SELECT * FROM nothing`))[0], "SqlSyntaxError")
      const copied = sql.withTransaction(copyIn({ sql }, "COPY t FROM STDIN", [Buffer.from("5\tsecret\tx\n")]))
      assert.deepEqual(yield* failing(copied), ["UnknownError", "invalid input syntax for type integer"])
      yield* Effect.promise(() =>
        ask(
          url,
          `DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'skein_nobody') THEN
                    CREATE ROLE skein_nobody; END IF; END $$`
        )
      )
      assert.deepEqual(
        yield* failing(sql.withTransaction(Effect.andThen(sql`SET LOCAL ROLE skein_nobody`, sql`SELECT * FROM t`))),
        ["AuthorizationError", "permission denied for table t. Ask the owner for a GRANT, or connect as another role"]
      )
      const locked = sql.withTransaction(
        Effect.andThen(sql`SET LOCAL lock_timeout = 50`, sql`SELECT * FROM t FOR UPDATE`)
      )
      const blocked = yield* sql.withTransaction(
        Effect.andThen(
          sql`SELECT * FROM t FOR UPDATE`,
          Effect.scoped(
            Effect.flatMap(Postgres.open(url), (other) =>
              failing(
                other.sql.withTransaction(
                  Effect.andThen(other.sql`SET LOCAL lock_timeout = 50`, other.sql`SELECT * FROM t FOR UPDATE`)
                )
              )
            )
          )
        )
      )
      assert.strictEqual(blocked[0], "LockTimeoutError")
      assert.lengthOf(yield* locked, 1)
    })
  )

  it.live("are prepared once, and again when their table has changed; old ones are forgotten", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { sql } = yield* Postgres.open(url, { maxConnections: 1 })
      const known = Effect.map(
        sql<{ readonly n: number }>`SELECT count(*)::int4 AS n FROM pg_prepared_statements`.unprepared,
        ([row]) => row!.n
      )
      yield* sql`CREATE TABLE t (a int4)`
      yield* sql`INSERT INTO t VALUES (1)`
      const before = yield* known
      assert.deepEqual(yield* sql`SELECT * FROM t`, [{ a: 1 }])
      assert.deepEqual(yield* sql`SELECT * FROM t`, [{ a: 1 }])
      assert.strictEqual(yield* known, before + 1)
      yield* sql`ALTER TABLE t ADD COLUMN b text`
      assert.deepEqual(yield* sql`SELECT * FROM t`, [{ a: 1, b: null }])
      yield* sql`DISCARD ALL`
      assert.deepEqual(yield* sql`SELECT * FROM t`, [{ a: 1, b: null }])
      // One that fails at first is prepared or not, depending on where it failed.
      yield* Effect.ignore(sql`SELECT * FROM u`)
      yield* Effect.ignore(sql`SELECT 1 / a FROM t WHERE a = ${"x" as never}`)
      yield* sql`CREATE TABLE u (a int4)`
      assert.deepEqual(yield* sql`SELECT * FROM u`, [])
      for (let i = 0; i < 600; i++) yield* sql`SELECT ${sql.literal(String(i))} AS i`
      assert.isAtMost(yield* known, 257)
    })
  )

  it.live("of several fibers on one connection wait for one another", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      const rows = yield* sql.withTransaction(
        Effect.all(
          Array.from({ length: 50 }, (_, i) => sql<{ readonly i: number }>`SELECT ${i}::int4 AS i`),
          { concurrency: "unbounded" }
        )
      )
      assert.deepEqual(
        rows.map(([row]) => row?.i),
        Array.from({ length: 50 }, (_, i) => i)
      )
    })
  )
})

describe("Postgres: streams", () => {
  it.live("read a thousand rows at a time, and end in the server when the reader does", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { sql } = yield* Postgres.open(url, { maxConnections: 1 })
      yield* sql`CREATE SEQUENCE s`
      const pid = yield* pidOf(sql)
      const numbers = sql<{ readonly n: string }>`SELECT nextval('s') AS n FROM generate_series(1, 100000)`.stream
      assert.strictEqual(yield* Stream.runCount(Stream.take(numbers, 1_500)), 1_500)
      assert.deepEqual(yield* sql`SELECT last_value::int4 AS n FROM s`, [{ n: 2_000 }])
      assert.strictEqual(yield* Stream.runCount(sql`SELECT 1 FROM generate_series(1, 2500)`.stream), 2_500)
      assert.strictEqual(yield* Stream.runCount(sql`SELECT 1 FROM generate_series(1, 2000)`.stream), 2_000)
      assert.strictEqual(yield* Stream.runCount(sql`SELECT 1 WHERE false`.stream), 0)
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(sql`SELECT 1 / 0`.stream))).reason._tag, "UnknownError")
      assert.strictEqual(yield* pidOf(sql), pid)
      yield* until(url, `NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = ${pid} AND state <> 'idle')`)
    })
  )

  it.live("leave the transaction they are read in to other statements", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (n int4)`
      const copied = sql<{ readonly n: number }>`SELECT n FROM generate_series(1, 2500) n`.stream.pipe(
        Stream.filter(({ n }) => n % 100 === 0),
        Stream.mapEffect(({ n }) => sql`INSERT INTO t VALUES (${n})`),
        Stream.take(22),
        Stream.runDrain
      )
      yield* sql.withTransaction(Effect.andThen(copied, sql`INSERT INTO t VALUES (0)`))
      assert.deepEqual(yield* sql`SELECT count(*)::int4 AS n FROM t`, [{ n: 23 }])
    })
  )

  it.live("that write are committed where they are read alone", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (n int4 PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)`
      assert.strictEqual(yield* Stream.runCount(sql`INSERT INTO t VALUES (1), (2) RETURNING n`.stream), 2)
      assert.deepEqual(yield* sql`SELECT count(*)::int4 AS n FROM t`, [{ n: 2 }])
      const late = yield* Effect.flip(Stream.runDrain(sql`INSERT INTO t VALUES (1) RETURNING n`.stream))
      assert.strictEqual(late.reason._tag, "UniqueViolation")
    })
  )
})

describe("Postgres: COPY", () => {
  it.live("gives the number of rows, in the transaction that is open", () =>
    Effect.gen(function* () {
      const db = yield* openNew
      const { sql } = db
      yield* sql`CREATE TABLE t (n int4, x text)`
      const rows = () => [Buffer.from("1\ta\n2\t"), Buffer.from("b\n"), Buffer.alloc(0)]
      assert.strictEqual(yield* sql.withTransaction(copyIn(db, "COPY t FROM STDIN", rows())), 2)
      yield* Effect.ignore(
        sql.withTransaction(Effect.andThen(copyIn(db, "COPY t FROM STDIN", rows()), Effect.fail("no")))
      )
      assert.deepEqual(yield* sql`SELECT * FROM t`, [
        { n: 1, x: "a" },
        { n: 2, x: "b" }
      ])
    })
  )

  it.live("pulls no more than the socket takes, and lets a generator clean up when the server refuses its rows", () =>
    Effect.gen(function* () {
      const db = yield* openNew
      const { sql } = db
      yield* sql`CREATE TABLE t (n int4 CHECK (n < 5000), x text)`
      let pulled = 0
      let closed = false
      const chunks = function* () {
        try {
          for (const chunk of endless(0)) {
            pulled++
            yield chunk
          }
        } finally {
          closed = true
        }
      }
      const error = yield* Effect.flip(sql.withTransaction(copyIn(db, "COPY t FROM STDIN", chunks())))
      assert.strictEqual(error.reason._tag, "ConstraintError")
      assert.isTrue(closed)
      assert.isBelow(pulled, 100_000)
      assert.deepEqual(yield* sql`SELECT count(*)::int4 AS n FROM t`, [{ n: 0 }])
    })
  )

  it.live("of chunks that throw is undone, and dies of what they threw", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const db = yield* Postgres.open(url, { maxConnections: 1 })
      const { sql } = db
      yield* sql`CREATE TABLE t (n int4)`
      const pid = yield* pidOf(sql)
      const bug = new Error("a bug")
      const chunks = function* () {
        yield Buffer.from("1\n")
        throw bug
      }
      const exit = yield* Effect.exit(sql.withTransaction(copyIn(db, "COPY t FROM STDIN", chunks())))
      const defects = Exit.isFailure(exit) ? exit.cause.reasons.filter((reason) => reason._tag === "Die") : []
      assert.deepEqual(
        defects.map((reason) => reason.defect),
        [bug]
      )
      assert.deepEqual(yield* sql`SELECT * FROM t`, [])
      assert.strictEqual(yield* pidOf(sql), pid)
    })
  )

  it.live("FROM STDIN and TO STDOUT as a plain statement are failures", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql`CREATE TABLE t (n int4)`
      assert.include((yield* Effect.flip(sql`COPY t FROM STDIN`)).message, "COPY needs copyIn")
      assert.include((yield* Effect.flip(sql`COPY (SELECT 1) TO STDOUT`)).message, "not supported")
      assert.deepEqual(yield* sql`SELECT 1 AS n`, [{ n: 1 }])
    })
  )
})

describe("Postgres: interruption", () => {
  const interrupted = (name: string, waits: string, body: (sql: SqlClient) => Effect.Effect<unknown, unknown>) =>
    it.live(`of ${name} ends it in the server and keeps the connection`, () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const { sql } = yield* Postgres.open(url, { maxConnections: 1 })
        yield* sql`CREATE TABLE t (n int4, x text)`
        const pid = yield* pidOf(sql)
        const running = yield* Effect.forkChild(body(sql))
        yield* until(url, session(pid, waits))
        yield* Fiber.interrupt(running)
        const [left] = yield* Effect.promise(() =>
          ask(url, `SELECT ${session(pid, "state = 'idle'")} AS idle, (SELECT count(*)::int FROM t) AS rows`)
        )
        assert.deepEqual(left, { idle: true, rows: 0 })
        assert.strictEqual(yield* pidOf(sql), pid)
        assert.deepEqual(yield* sql.withTransaction(sql`SELECT 1 AS n`), [{ n: 1 }])
      })
    )

  const sleeps = "wait_event = 'PgSleep'"
  interrupted("a statement", sleeps, (sql) => sql`SELECT pg_sleep(600)`)
  interrupted("a script", sleeps, (sql) => sql`SELECT pg_sleep(600)`.unprepared)
  interrupted("a stream", sleeps, (sql) => Stream.runDrain(sql`SELECT pg_sleep(600)`.stream))
  interrupted("a statement in a transaction", sleeps, (sql) =>
    sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (1)`, sql`SELECT pg_sleep(600)`))
  )
  interrupted("a COPY", "query LIKE '%COPY t FROM STDIN' AND state = 'active'", (sql) =>
    sql.withTransaction(copyIn({ sql }, "COPY t FROM STDIN", endless(0)))
  )
  interrupted("a COPY that is not asked for rows yet", sleeps, (sql) =>
    sql.withTransaction(
      Effect.andThen(
        sql`INSERT INTO t VALUES (1)`,
        copyIn({ sql }, "SELECT pg_sleep(600); COPY t FROM STDIN", endless(0))
      )
    )
  )

  it.live("of one that waits for its turn on a connection leaves the one before it alone", () =>
    Effect.gen(function* () {
      const { sql } = yield* openNew
      yield* sql.withTransaction(
        Effect.gen(function* () {
          const first = yield* Effect.forkChild(sql`SELECT pg_sleep(0.5), 1 AS n`, { startImmediately: true })
          const second = yield* Effect.forkChild(sql`SELECT 2 AS n`, { startImmediately: true })
          yield* Fiber.interrupt(second)
          assert.deepEqual(yield* Fiber.join(first), [{ pg_sleep: "", n: 1 }])
        })
      )
    })
  )

  it.live("of who waits for a connection gives up the wait, and none is lost", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { sql } = yield* Postgres.open(url, { maxConnections: 2 })
      const go = yield* Deferred.make<void>()
      const holders = yield* Effect.forEach([1, 2], () =>
        Effect.forkChild(sql.withTransaction(Effect.andThen(sql`SELECT 1`, Deferred.await(go))), {
          startImmediately: true
        })
      )
      yield* until(
        url,
        "2 = (SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database())"
      )
      const waiting = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(sql`SELECT 1`, { startImmediately: true })
      )
      yield* Fiber.interruptAll(waiting)
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.joinAll(holders)
      yield* Effect.forEach(Array.from({ length: 20 }), () => sql`SELECT pg_sleep(0.001)`, { concurrency: 20 })
      const [row] = yield* Effect.promise(() =>
        ask(
          url,
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'skein' AND datname = current_database()"
        )
      )
      assert.deepEqual(row, { n: 2 })
    })
  )
})

describe("Postgres: a transaction", () => {
  const opened = Effect.tap(openNew, ({ sql }) => sql`CREATE TABLE t (n int4, x text)`)
  const there = (url: string) =>
    Effect.promise(async () => (await ask(url, "SELECT n FROM t ORDER BY n")).map(({ n }) => n))
  const insert = (sql: SqlClient, n: number) => sql`INSERT INTO t (n) VALUES (${n})`
  const wrong = (sql: SqlClient) => Effect.ignore(sql`SELECT 1 / ${0}::int4`)

  it.live("is begun with its first statement, also where that fails or is a script or a COPY", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* opened
      for (const fails of [
        wrong(sql),
        Effect.ignore(sql`SELECT 1 / 0`.unprepared),
        Effect.ignore(copyIn({ sql }, "COPY t FROM STDIN", [Buffer.from("x\n")]))
      ]) {
        const tried = Effect.flip(sql.withTransaction(Effect.andThen(fails, insert(sql, 1))))
        assert.include((yield* tried).message, "current transaction is aborted")
        assert.include((yield* Effect.flip(sql.withTransaction(fails))).message, "rolled all of it back")
      }
      const given: ReadonlyArray<Effect.Effect<unknown, SqlError>> = [
        insert(sql, 1),
        sql`INSERT INTO t VALUES (1)`.unprepared,
        copyIn({ sql }, "COPY t FROM STDIN", [Buffer.from("2\tx\n")])
      ]
      for (const written of given) {
        yield* Effect.flip(sql.withTransaction(Effect.andThen(written, Effect.fail("no"))))
      }
      assert.deepEqual(yield* there(url), [])
    })
  )

  it.live("in another is undone alone, whatever of it was sent", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* opened
      const undone = (work: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
        Effect.flip(sql.withTransaction(Effect.andThen(work, Effect.fail("no"))))
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* undone(Effect.void)
          yield* sql.withTransaction(insert(sql, 1))
          yield* undone(insert(sql, 2))
          yield* undone(wrong(sql))
          yield* undone(sql.withTransaction(insert(sql, 3)))
          yield* sql.withTransaction(Effect.void)
          yield* undone(undone(insert(sql, 4)))
          yield* sql.withTransaction(insert(sql, 5))
        })
      )
      yield* sql.withTransaction(Effect.void)
      yield* undone(Effect.void)
      assert.deepEqual(yield* there(url), [1, 5])
      assert.deepEqual(yield* isolationsOf(sql), ["read committed", "serializable"])
    })
  )

  const isolationsOf = (sql: SqlClient) => {
    const isolation = sql.withTransaction(
      Effect.map(
        sql<{ readonly is: string }>`SELECT current_setting('transaction_isolation') AS is`,
        ([row]) => row!.is
      )
    )
    return Effect.all([
      isolation,
      Effect.provideService(isolation, BeginTransaction, "BEGIN ISOLATION LEVEL SERIALIZABLE")
    ])
  }

  it.live("whose rows a check refuses goes on without them", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* opened
      const first = (n: number) => ({
        sql: "SELECT 1 AS n; SELECT 2 AS n",
        check: (rows: ReadonlyArray<unknown>) => {
          assert.deepEqual(rows, [{ n: 1 }, { n: 2 }])
          return n === 2
            ? undefined
            : new SqlError({ reason: new UnknownError({ cause: undefined, message: "not so" }) })
        }
      })
      const copied = (n: number) => copyIn({ sql }, "COPY t (n) FROM STDIN", [Buffer.from(`${n}\n`)], first(n))
      yield* sql.withTransaction(
        Effect.gen(function* () {
          const refused = yield* Effect.flip(sql.withTransaction(copied(1)))
          assert.include(refused.message, "not so")
          assert.strictEqual(yield* copied(2), 1)
        })
      )
      assert.deepEqual(yield* there(url), [2])
    })
  )
})

describe("Postgres: a session", () => {
  it.live("has a name, and ends with the scope, also when it is in use", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { sql } = yield* Postgres.open(url)
          assert.deepEqual(yield* sql`SHOW application_name`, [{ application_name: "skein" }])
          assert.deepEqual(yield* sql`SHOW idle_in_transaction_session_timeout`, [
            { idle_in_transaction_session_timeout: "1min" }
          ])
          yield* Effect.forkDetach(Effect.ignore(sql`SELECT pg_sleep(600)`))
          yield* until(
            url,
            "EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"
          )
        })
      )
      yield* until(url, isAlone)
    })
  )

  it.live("has the settings of the options and of the URL", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const given = `${url}?options=-c%20search_path%3Da%2Cb%20-c%20DateStyle%3DGerman%20-c%20TimeZone%3DEurope/Berlin%20-c%20statement_timeout%3D5min&application_name=mine`
      const { sql } = yield* Postgres.open(given, { lockTimeout: "2 seconds", synchronous: "normal" })
      const shown = yield* sql`SELECT name, setting FROM pg_settings WHERE name IN
        ('search_path', 'lock_timeout', 'synchronous_commit', 'application_name', 'DateStyle', 'TimeZone') ORDER BY name`
      assert.deepEqual(
        shown.map((row) => Object.values(row)),
        [
          ["DateStyle", "ISO, DMY"],
          ["TimeZone", "UTC"],
          ["application_name", "mine"],
          ["lock_timeout", "2000"],
          ["search_path", "a,b"],
          ["synchronous_commit", "off"]
        ]
      )
    })
  )

  it.live("is told by `statement_timeout` of the deadline around a statement, and of nothing else", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { sql } = yield* Postgres.open(url, { maxConnections: 1 })
      const within = (time: `${number} seconds`) => Deadline.within(timeoutOf(sql), time)
      const isAbout = (ms: number, limit: number) => {
        assert.isAbove(ms, limit - 60_000)
        assert.isAtMost(ms, limit)
      }
      isAbout(yield* within("800 seconds"), 800_000)
      assert.strictEqual(yield* timeoutOf(sql), 0)
      yield* sql.withTransaction(
        Effect.gen(function* () {
          isAbout(yield* within("800 seconds"), 800_000)
          assert.strictEqual(yield* timeoutOf(sql), 0)
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(within("700 seconds"), Effect.fail("undone"))))
          assert.strictEqual(yield* timeoutOf(sql), 0)
          isAbout(yield* within("600 seconds"), 600_000)
        })
      )
      assert.strictEqual(yield* timeoutOf(sql), 0)
      yield* Deadline.within(sql`VACUUM`, "800 seconds")
      // One of the session's own is kept where it is shorter.
      const own = yield* Postgres.open(`${url}?options=-c%20statement_timeout%3D100s`)
      assert.strictEqual(yield* Deadline.within(timeoutOf(own.sql), "800 seconds"), 100_000)
      isAbout(yield* Deadline.within(timeoutOf(own.sql), "90 seconds"), 90_000)
    })
  )
})

describe("Postgres: channels", () => {
  it.live("give what is sent to them, in order, by any name", () =>
    Effect.gen(function* () {
      const { listen, sql, url } = yield* openNew
      const channel = `Ä "quoted"; DROP`
      const heard = yield* Effect.forkChild(Stream.runCollect(Stream.take(listen!(channel), 3)))
      yield* until(
        url,
        "EXISTS (SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle' AND datname = current_database())"
      )
      yield* sql`SELECT pg_notify('other', 'x')`
      for (const payload of ["a", "", "é"]) yield* sql`SELECT pg_notify(${channel}, ${payload})`
      assert.deepEqual(yield* Fiber.join(heard), ["a", "", "é"])
      yield* until(
        url,
        "NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database())"
      )
    })
  )

  it.live("fail when their connection is lost", () =>
    Effect.gen(function* () {
      const { listen, url } = yield* openNew
      const heard = yield* Effect.forkChild(Effect.flip(Stream.runDrain(listen!("c"))))
      const listeners =
        "FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle' AND datname = current_database()"
      yield* until(url, `EXISTS (SELECT 1 ${listeners})`)
      yield* Effect.promise(() => ask(url, `SELECT pg_terminate_backend(pid) ${listeners}`))
      const error = yield* Fiber.join(heard)
      assert.strictEqual(error.reason._tag, "ConnectionError")
    })
  )
})
