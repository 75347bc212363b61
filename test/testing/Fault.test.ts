import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as SqlErrors from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { Db, Fetch, Journal, Pipeline, Sink, Source } from "skein"
import { Drivers, Http, Sqlite } from "skein/node"
import { Fault, Origin, Sim } from "skein/testing"
import { newFile, rowsOf } from "../support/database.ts"
import * as Loopback from "../support/origin.ts"

const simulated = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flatMap(Sim.run(effect), ({ exit }) => exit)

// --- HTTP

const chunks = Stream.fromIterable(["ab", "cd", "ef"]).pipe(Stream.encodeText)
const routes = HttpRouter.addAll([
  HttpRouter.route("*", "/text", HttpServerResponse.text("abcdef")),
  HttpRouter.route("GET", "/stream", HttpServerResponse.stream(chunks)),
  HttpRouter.route("GET", "/waits", HttpServerResponse.stream(Stream.concat(chunks, Stream.never))),
  HttpRouter.route("GET", "/open", HttpServerResponse.stream(Stream.never))
])

const over = (plan: ReadonlyArray<Fault.HttpRule>, origin = Origin.layer(routes)) =>
  Layer.provideMerge(Fault.http(plan), origin)

const url = (path: string) => `http://origin${path}`
const get = (path: string) => HttpClient.get(url(path))
const served = Effect.map(Origin.Origin, ({ requests }) => requests.length)

/** What tells one broken connection from another. */
const kind = (error: HttpClientError) => {
  const { cause } = error.reason as { readonly cause?: any }
  return {
    tag: error._tag,
    reason: error.reason._tag,
    code: cause?.code,
    syscall: cause?.syscall,
    text: cause?.message
  }
}

describe("Fault.http", () => {
  it.effect("breaks connections as a real transport does", () =>
    Effect.gen(function* () {
      const loopback = yield* Loopback.start({ "/drop": { fault: "drop" }, "/cut": { body: "abcdef", fault: "cut" } })
      const real = yield* Effect.gen(function* () {
        const cut = yield* HttpClient.get(`${loopback.url}/cut`)
        return {
          refused: yield* Effect.flip(HttpClient.get("http://127.0.0.1:1/")),
          reset: yield* Effect.flip(HttpClient.get(`${loopback.url}/drop`)),
          broken: yield* Effect.flip(cut.text)
        }
      }).pipe(Effect.provide(Http.layer()))

      const planned = yield* Effect.gen(function* () {
        const refused = yield* Effect.flip(get("/text"))
        const reset = yield* Effect.flip(get("/text"))
        const lost = yield* Effect.flip(get("/text"))
        const cut = yield* get("/text")
        return { refused, reset, lost, broken: yield* Effect.flip(cut.text) }
      }).pipe(
        Effect.provide(
          over([
            { fault: "refused", nth: 1 },
            { fault: "reset", nth: 2 },
            { fault: "lost", nth: 3 },
            { fault: { breaksAfter: 3 }, nth: 4 }
          ])
        )
      )
      assert.deepStrictEqual(kind(planned.refused), { ...kind(real.refused), text: "connect ECONNREFUSED" })
      assert.deepStrictEqual(kind(planned.reset), kind(real.reset))
      assert.deepStrictEqual(kind(planned.lost), kind(real.reset))
      assert.deepStrictEqual(kind(planned.broken), kind(real.broken))
      assert.match(planned.refused.message, /planned by Fault.http \(GET http:\/\/origin\/text\)/)
    })
  )

  it.effect("keeps a request from the origin, or the reply from the client", () =>
    Effect.gen(function* () {
      const reached = (fault: Fault.HttpFault) =>
        simulated(Effect.andThen(Effect.exit(get("/text")), served).pipe(Effect.provide(over([{ fault }]))))
      assert.strictEqual(yield* reached("refused"), 0)
      assert.strictEqual(yield* reached("reset"), 0)
      assert.strictEqual(yield* reached({ status: 503 }), 0)
      assert.strictEqual(yield* reached("lost"), 1)
    })
  )

  it.effect("closes the body of a lost reply", () =>
    Effect.gen(function* () {
      const open = yield* simulated(
        Effect.andThen(Effect.flip(get("/open")), Origin.Origin).pipe(
          Effect.map(({ inFlight, maxInFlight }) => [inFlight, maxInFlight]),
          Effect.provide(over([{ fault: "lost" }]))
        )
      )
      assert.deepStrictEqual(open, [0, 1])
    })
  )

  it.effect("answers in place of the origin", () =>
    Effect.gen(function* () {
      const fault = { status: 429, headers: { "retry-after": "7" }, body: "slow down" }
      const answer = yield* simulated(
        Effect.gen(function* () {
          const { headers, status, text } = yield* get("/text")
          return [status, headers["retry-after"], yield* text]
        }).pipe(Effect.provide(over([{ fault }])))
      )
      assert.deepStrictEqual(answer, [429, "7", "slow down"])
    })
  )

  it.effect("breaks a body off after so many bytes", () =>
    Effect.gen(function* () {
      const arrives = (breaksAfter: number, path = "/stream") =>
        simulated(
          Effect.gen(function* () {
            let arrived = ""
            const body = get(path).pipe(
              Effect.map(({ stream }) => stream),
              Stream.unwrap
            )
            const error = yield* Effect.flip(
              Stream.runForEach(Stream.decodeText(body), (text) => Effect.sync(() => void (arrived += text)))
            )
            return `${arrived} ${error.reason._tag}`
          }).pipe(Effect.provide(over([{ fault: { breaksAfter } }])))
        )
      assert.strictEqual(yield* arrives(0), " TransportError")
      assert.strictEqual(yield* arrives(3), "abc TransportError")
      assert.strictEqual(yield* arrives(3, "/waits"), "abc TransportError")
      assert.strictEqual(yield* arrives(4), "abcd TransportError")
      assert.strictEqual(yield* arrives(100), "abcdef TransportError")
    })
  )

  it.effect("breaks a body off for whoever reads it in whatever way", () =>
    Effect.gen(function* () {
      const errors = yield* simulated(
        Effect.gen(function* () {
          const response = yield* get("/text")
          const { arrayBuffer, formData, json, text, urlParamsBody } = response
          const ways = [arrayBuffer, formData, json, text, urlParamsBody, Stream.runDrain(response.stream)]
          return yield* Effect.forEach(ways, (way: Effect.Effect<unknown, HttpClientError>) => Effect.flip(way))
        }).pipe(Effect.provide(over([{ fault: { breaksAfter: 2 } }])))
      )
      assert.deepStrictEqual(
        errors.map(({ reason }) => reason._tag),
        Array.from({ length: 6 }, () => "TransportError" as const)
      )
    })
  )

  it.effect("lets a body have no end: silent, or more and more", () =>
    Effect.gen(function* () {
      const fetched = (fault: Fault.HttpFault, options?: Fetch.Options) =>
        Effect.flip(Fetch.text({ retries: 0, timeout: "1 second", ...options })(url("/text"))).pipe(
          Effect.map(({ reason }) => reason),
          Effect.provide(over([{ fault }])),
          Sim.run
        )
      const stalled = yield* fetched("stalled")
      assert.deepStrictEqual([stalled.exit, stalled.time], [Exit.succeed("Timeout"), 1000])
      const endless = yield* fetched("endless")
      assert.deepStrictEqual([endless.exit, endless.time < 300], [Exit.succeed("TooLarge"), true])
      const patient = yield* fetched("endless", { maxBody: Infinity })
      assert.deepStrictEqual([patient.exit, patient.time], [Exit.succeed("Timeout"), 1000])
    })
  )

  it.effect("delays requests, alone or before a fault, or for ever", () =>
    Effect.gen(function* () {
      const timed = (rule: Fault.HttpRule) =>
        Effect.map(Sim.run(Effect.provide(Effect.result(get("/text")), over([rule]))), ({ exit, time }) => [
          Exit.isSuccess(exit) && exit.value._tag,
          time
        ])
      assert.deepStrictEqual(yield* timed({ delay: "2 seconds" }), ["Success", 2000])
      assert.deepStrictEqual(yield* timed({ delay: "3 seconds", fault: "reset" }), ["Failure", 3000])
      const hanging = Fetch.text({ retries: 0, timeout: "1 minute" })(url("/text"))
      const error = yield* simulated(Effect.provide(Effect.flip(hanging), over([{ delay: "Infinity" }])))
      assert.strictEqual(error.reason, "Timeout")
    })
  )

  it.effect("goes by the first rule that strikes, and shows it the request", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const seen = yield* simulated(
        Effect.gen(function* () {
          const one = yield* HttpClient.post(url("/text?n=1"), { headers: { "x-n": "1" } })
          const two = yield* get("/text")
          return [one.status, two.status]
        }).pipe(
          Effect.provide(
            over([
              {
                on: ({ headers, method, url }) => calls.push(`${method} ${url.href} ${headers["x-n"]}`) > 99,
                fault: "reset"
              },
              { on: ({ method }) => method === "GET", fault: { status: 500 } },
              { fault: { status: 418 } }
            ])
          )
        )
      )
      assert.deepStrictEqual(seen, [418, 500])
      assert.deepStrictEqual(calls, ["POST http://origin/text?n=1 1", "GET http://origin/text undefined"])
    })
  )

  it.effect("counts anew wherever the layer is built", () =>
    Effect.gen(function* () {
      const layer = over([{ fault: { status: 500 }, nth: 2 }])
      const statuses = Effect.all([get("/text"), get("/text"), get("/text")]).pipe(
        Effect.map((replies) => replies.map(({ status }) => status)),
        Effect.provide(layer)
      )
      const twice = yield* simulated(Effect.all([statuses, statuses]))
      assert.deepStrictEqual(twice, [
        [200, 500, 200],
        [200, 500, 200]
      ])
    })
  )

  it.effect("leaves a request without an address to its client", () =>
    Effect.gen(function* () {
      const error = yield* simulated(
        Effect.provide(Effect.flip(HttpClient.get("/relative")), over([{ fault: "reset" }]))
      )
      assert.strictEqual(error.reason._tag, "InvalidUrlError")
    })
  )
})

describe("Fault.http and Fetch", () => {
  const Order = Schema.Struct({ id: Schema.Number })

  /** Orders, one for each key if a key is sent. */
  const shop = Layer.unwrap(
    Effect.sync(() => {
      const orders: Array<string | undefined> = []
      return Origin.layer(
        HttpRouter.add("POST", "/orders", (request) =>
          Effect.sync(() => {
            const key = request.headers["idempotency-key"]
            const known = key === undefined ? -1 : orders.indexOf(key)
            return HttpServerResponse.jsonUnsafe({ id: known >= 0 ? known + 1 : orders.push(key) })
          })
        )
      )
    })
  )

  it.effect("waits as long as a 503 asks for, and gets the answer then", () =>
    Effect.gen(function* () {
      const busy = { status: 503, headers: { "retry-after": "60" } }
      const run = yield* Sim.run(
        Effect.all([Fetch.text()(url("/text")), served]).pipe(Effect.provide(over([{ fault: busy, nth: [1, 2] }])))
      )
      assert.deepStrictEqual(run.exit, Exit.succeed(["abcdef", 1]))
      assert.isAtLeast(run.time, 120_000)
    })
  )

  it.effect("tries again after resets, and after a body that broke off", () =>
    Effect.gen(function* () {
      const seen = yield* simulated(
        Effect.all([Fetch.text()(url("/text")), served]).pipe(
          Effect.provide(
            over([
              { fault: "reset", nth: 1 },
              { fault: { breaksAfter: 3 }, nth: 2 }
            ])
          )
        )
      )
      assert.deepStrictEqual(seen, ["abcdef", 2])
      const error = yield* simulated(
        Effect.flip(Fetch.text()(url("/text"))).pipe(Effect.provide(over([{ fault: "refused" }])))
      )
      assert.strictEqual(error.detail, "nothing listens there (ECONNREFUSED)")
    })
  )

  it.effect("orders once when the reply to a POST is lost: by not asking again, or by a key", () =>
    Effect.gen(function* () {
      const plan = [{ fault: "lost", nth: 1 }] as const
      const order = (options: Fetch.Options) =>
        Effect.all([Effect.result(Fetch.json(Order, { method: "POST", ...options })(url("/orders"))), served]).pipe(
          Effect.provide(over(plan, shop)),
          simulated
        )
      const [failed, once] = yield* order({})
      assert.isTrue(failed._tag === "Failure" && failed.failure.reason === "Connect" && once === 1)
      const [ordered, twice] = yield* order({ idempotencyKey: true })
      assert.isTrue(ordered._tag === "Success" && ordered.success.id === 1 && twice === 2)
    })
  )

  it.effect("brings every element of a pipeline through, whatever happens on the way", () =>
    Effect.gen(function* () {
      const echo = HttpRouter.add(
        "GET",
        "/:n",
        Effect.map(HttpRouter.params, ({ n }) => HttpServerResponse.jsonUnsafe({ id: Number(n) }))
      )
      const plan: ReadonlyArray<Fault.HttpRule> = [
        { fault: "reset", rate: 0.2 },
        { fault: "lost", rate: 0.2 },
        { fault: { status: 503, headers: { "retry-after": "1" } }, rate: 0.2 },
        { fault: { breaksAfter: 4 }, rate: 0.2 },
        { fault: "stalled", rate: 0.05 },
        { delay: "10 seconds", rate: 0.2 }
      ]
      const ids = [1, 2, 3, 4, 5, 6]
      const program = Effect.gen(function* () {
        const received: Array<number> = []
        const job = Pipeline.from(ids).pipe(
          Pipeline.map((id) => Fetch.json(Order, { retries: 50 })(url(`/${id}`)), { concurrency: 3 }),
          Pipeline.to(Sink.forEach(({ id }) => Effect.sync(() => void received.push(id))))
        )
        yield* Pipeline.run(job, { name: "orders" })
        return yield* String(received) === String(ids) ? Effect.void : Effect.fail(received)
      }).pipe(Effect.provide(Layer.merge(over(plan, Origin.layer(echo)), Journal.memory)))
      yield* Sim.explore(program, { schedules: 50 })
    })
  )

  it.effect("draws what happens from the seed, and shrinks a failing run to the faults it needs", () =>
    Effect.gen(function* () {
      const impatient = Effect.forEach([1, 2, 3, 4], () => Fetch.text({ retries: 0 })(url("/text"))).pipe(
        Effect.provide(over([{ fault: "reset", rate: 0.3 }]))
      )
      assert.isTrue(Exit.isSuccess((yield* Sim.run(impatient)).exit))
      const seeded = (seed: number) =>
        Effect.map(Sim.run(impatient, { seed, strategy: "random" }), ({ token, exit }) => [token, exit._tag])
      assert.deepStrictEqual(yield* seeded(7), yield* seeded(7))
      const bug = yield* Effect.flip(Sim.explore(impatient))
      assert.isTrue(bug._tag === "BugFound" && bug.shrunk === 1)
    })
  )
})

// --- SQL

/** The database in memory with what the plan makes of it. */
const open = Layer.effect(
  SqlClient.SqlClient,
  Effect.map(Sqlite.open(":memory:"), ({ sql }) => sql)
)
const faulty = (plan: ReadonlyArray<Fault.SqlRule>, database: Layer.Layer<SqlClient.SqlClient, unknown> = open) =>
  Layer.provide(Fault.sql(plan), database)

const withSql = <A, E>(
  plan: ReadonlyArray<Fault.SqlRule>,
  body: (sql: SqlClient.SqlClient) => Effect.Effect<A, E, SqlClient.SqlClient | Scope.Scope>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER NOT NULL)`
      return yield* body(sql)
    })
  ).pipe(Effect.provide(faulty(plan)))

const numbers = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ n: number }>`SELECT n FROM t ORDER BY n`, (rows) => rows.map(({ n }) => n))

const inserts = ({ sql }: Fault.SqlCall) => sql.startsWith("INSERT")
const commits = ({ sql }: Fault.SqlCall) => sql === "COMMIT"

const tagOf = <A, R>(effect: Effect.Effect<A, SqlError, R>) =>
  Effect.map(Effect.orDie(Effect.flip(effect)), ({ reason }) => reason._tag)

describe("Fault.sql", () => {
  it.live("fails as SQLite does", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const [a, b] = [yield* Sqlite.open(file), yield* Sqlite.open(file, { lockTimeout: 0 })]
      yield* a.sql`CREATE TABLE t (n INTEGER NOT NULL CHECK (n > 0))`
      const insert = b.sql`INSERT INTO t VALUES (0)`
      const real = {
        busy: yield* a.sql.withTransaction(Effect.andThen(a.sql`DELETE FROM t`, Effect.flip(insert))),
        constraint: yield* Effect.flip(insert)
      }
      const planned = (fault: Fault.SqlFault) =>
        withSql([{ fault, on: inserts }], (sql) => Effect.flip(sql`INSERT INTO t VALUES (1)`))
      const kind = ({ _tag, reason }: SqlError) => {
        const { code, errcode, errno, errstr } = reason.cause as any
        return { _tag, reason: reason._tag, operation: reason.operation, code, errcode, errno, errstr }
      }
      assert.deepStrictEqual(kind(yield* planned("busy")), kind(real.busy))
      assert.deepStrictEqual(kind(yield* planned("constraint")), {
        ...kind(real.constraint),
        errstr: "CHECK constraint failed"
      })
      assert.match((yield* planned("busy")).message, /^database is locked \(planned by Fault.sql\)$/)
      const given = new SqlErrors.SqlError({ reason: new SqlErrors.DeadlockError({ cause: "given" }) })
      assert.strictEqual(yield* planned(given), given)
    })
  )

  it.effect("strikes however a statement is run", () =>
    withSql([{ fault: "busy", on: inserts }], (sql) =>
      Effect.gen(function* () {
        const insert = sql`INSERT INTO t VALUES (${1})`
        const text = "INSERT INTO t VALUES (1)"
        const ways: Record<string, Effect.Effect<unknown, SqlError>> = {
          itself: insert,
          raw: insert.raw,
          values: insert.values,
          valuesUnprepared: insert.valuesUnprepared,
          unprepared: insert.unprepared,
          withoutTransform: insert.withoutTransform,
          stream: Stream.runDrain(insert.stream),
          unsafe: sql.unsafe(text),
          withoutTransforms: sql.withoutTransforms()`INSERT INTO t VALUES (1)`,
          helper: sql`INSERT INTO t ${sql.insert({ n: 1 })}`,
          safe: sql.safe.unsafe(text),
          reserved: Effect.scoped(Effect.flatMap(sql.reserve, (connection) => connection.execute(text, [], undefined))),
          reservedStream: Effect.scoped(
            Effect.flatMap(sql.reserve, (connection) => Stream.runDrain(connection.executeStream(text, [], undefined)))
          ),
          connection: Effect.contextWith((context: Context.Context<never>) =>
            Option.match(Context.getOption(context, sql.transactionService), {
              onNone: () => insert,
              onSome: ([connection]) => connection.executeRaw(text, [])
            })
          )
        }
        for (const [name, way] of Object.entries(ways)) {
          assert.strictEqual(yield* tagOf(way), "LockTimeoutError", name)
          // SQLite has only the connection that the transaction has.
          if (name.startsWith("reserved")) continue
          assert.strictEqual(yield* tagOf(sql.withTransaction(way)), "LockTimeoutError", `${name} in a transaction`)
          const nested = sql.withTransaction(sql.withTransaction(way))
          assert.strictEqual(yield* tagOf(nested), "LockTimeoutError", `${name} in a savepoint`)
        }
        assert.deepStrictEqual(yield* numbers(sql), [])
      })
    )
  )

  it.effect("changes nothing while nothing strikes", () =>
    withSql([{ fault: "busy", on: () => false }], (sql) =>
      Effect.gen(function* () {
        const told: Array<string> = []
        const tell = (text: string) => sql.afterCommit(Effect.sync(() => void told.push(text)))
        const failing = Effect.andThen(sql`INSERT INTO t VALUES (3)`, Effect.andThen(tell("inner"), Effect.fail("no")))
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* tell("outer")
            yield* sql`INSERT INTO t ${sql.insert([{ n: 1 }, { n: 2 }])}`
            yield* Effect.flip(sql.withTransaction(failing))
            yield* sql.withTransaction(sql`UPDATE t SET ${sql.update({ n: 5 })} WHERE ${sql.in("n", [2])}`)
            assert.deepStrictEqual(told, [])
          })
        )
        yield* Effect.flip(sql.withTransaction(failing))
        assert.deepStrictEqual(told, ["outer"])
        assert.deepStrictEqual(yield* numbers(sql), [1, 5])
        assert.deepStrictEqual(yield* sql`SELECT n FROM t WHERE n = ${5}`.values, [[5]])
        assert.deepStrictEqual(yield* Stream.runCollect(sql`SELECT 1 AS n`.stream), [{ n: 1 }])
        const exact = Effect.provideService(sql`SELECT 1 AS n`, SqlClient.SafeIntegers, true)
        assert.deepStrictEqual(yield* exact, [{ n: 1n }])
        const [reserved] = yield* Effect.scoped(
          Effect.flatMap(sql.reserve, (connection) => connection.execute("SELECT 2 AS n", [], undefined))
        )
        assert.deepStrictEqual({ ...reserved }, { n: 2 })
        assert.strictEqual(sql.driver, "sqlite-node")
        assert.strictEqual(sql.onDialectOrElse({ sqlite: () => "sqlite", orElse: () => "other" }), "sqlite")
      })
    )
  )

  it.effect("keeps the names that the client turns", () =>
    Effect.gen(function* () {
      const turned = Layer.effect(
        SqlClient.SqlClient,
        Effect.gen(function* () {
          const { sql } = yield* Sqlite.open(":memory:")
          return yield* SqlClient.make({
            acquirer: sql.reserve,
            compiler: Statement.makeCompilerSqlite((name) => name.toLowerCase()),
            transformRows: Statement.defaultTransforms((name) => name.toUpperCase()).array,
            driver: "turned",
            spanAttributes: []
          })
        }).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))
      )
      const seen = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const one = sql`SELECT 1 AS ${sql("ONE")}`
        const plain = sql.withoutTransforms()
        return [yield* one, yield* one.withoutTransform, yield* plain`SELECT 1 AS ${plain("One")}`]
      })
      const expected = [[{ ONE: 1 }], [{ ONE: 1 }], [{ One: 1 }]]
      assert.deepStrictEqual(yield* Effect.provide(seen, turned), expected)
      assert.deepStrictEqual(yield* Effect.provide(seen, faulty([], turned)), expected)
    })
  )

  it.effect("fails a COMMIT with nothing kept, or loses its reply with all of it kept", () =>
    Effect.gen(function* () {
      const kept = (fault: Fault.SqlFault) =>
        withSql([{ fault, on: commits }], (sql) =>
          Effect.gen(function* () {
            const told: Array<string> = []
            const write = Effect.andThen(
              sql`INSERT INTO t VALUES (1)`,
              sql.withTransaction(sql`INSERT INTO t VALUES (2)`)
            )
            const said = sql.afterCommit(Effect.sync(() => void told.push("committed")))
            const tag = yield* tagOf(sql.withTransaction(Effect.andThen(said, write)))
            return [tag, yield* numbers(sql), told]
          })
        )
      assert.deepStrictEqual(yield* kept("busy"), ["LockTimeoutError", [], []])
      assert.deepStrictEqual(yield* kept("disconnected"), ["ConnectionError", [], []])
      assert.deepStrictEqual(yield* kept("lost"), ["ConnectionError", [1, 2], ["committed"]])
    })
  )

  it.effect("fails a BEGIN before the transaction does anything", () =>
    Effect.forEach(["busy", "disconnected", "lost"] as const, (fault) =>
      withSql([{ fault, on: ({ sql }) => sql === "BEGIN" }], (sql) =>
        Effect.gen(function* () {
          let begun = false
          yield* Effect.flip(sql.withTransaction(Effect.sync(() => void (begun = true))))
          assert.isFalse(begun)
          assert.deepStrictEqual(yield* numbers(sql), [])
        })
      )
    )
  )

  it.effect("does a statement whose reply is lost", () =>
    withSql([{ fault: "lost", on: inserts }], (sql) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(sql`INSERT INTO t VALUES (1)`), "ConnectionError")
        assert.strictEqual(yield* tagOf(Stream.runDrain(sql`INSERT INTO t VALUES (2)`.stream)), "ConnectionError")
        assert.deepStrictEqual(yield* numbers(sql), [1, 2])
      })
    )
  )

  it.effect("takes the transaction along with its connection, however it goes on", () =>
    Effect.forEach(["disconnected", "lost"] as const, (fault) =>
      withSql([{ fault, on: inserts, nth: 2 }], (sql) =>
        Effect.gen(function* () {
          const deaf = Effect.gen(function* () {
            yield* sql`INSERT INTO t VALUES (1)`
            const first = yield* tagOf(sql.withTransaction(sql`INSERT INTO t VALUES (2)`))
            const second = yield* tagOf(sql`SELECT 1`)
            assert.deepStrictEqual([first, second], ["ConnectionError", "ConnectionError"])
          })
          assert.strictEqual(yield* tagOf(sql.withTransaction(deaf)), "ConnectionError")
          assert.deepStrictEqual(yield* numbers(sql), [])
          // The next transaction has another connection.
          yield* sql.withTransaction(sql`INSERT INTO t VALUES (3)`)
          assert.deepStrictEqual(yield* numbers(sql), [3])
        })
      )
    )
  )

  it.effect("lets a reserved connection roll back and nothing else once it is broken", () =>
    withSql([{ fault: "disconnected", on: inserts, nth: 2 }], (sql) =>
      Effect.gen(function* () {
        const run = Effect.flatMap(sql.reserve, ({ executeUnprepared }) =>
          Effect.gen(function* () {
            yield* executeUnprepared("BEGIN", [], undefined)
            yield* executeUnprepared("INSERT INTO t VALUES (1)", [], undefined)
            yield* tagOf(executeUnprepared("INSERT INTO t VALUES (2)", [], undefined))
            yield* tagOf(executeUnprepared("COMMIT", [], undefined))
            yield* executeUnprepared("ROLLBACK", [], undefined)
          })
        )
        yield* Effect.scoped(run)
        assert.deepStrictEqual(yield* numbers(sql), [])
      })
    )
  )

  it.effect("lets a transaction go on after a statement that the database refused", () =>
    withSql([{ fault: "constraint", on: inserts, nth: 1 }], (sql) =>
      Effect.gen(function* () {
        yield* sql.withTransaction(
          Effect.andThen(Effect.flip(sql`INSERT INTO t VALUES (1)`), sql`INSERT INTO t VALUES (2)`)
        )
        assert.deepStrictEqual(yield* numbers(sql), [2])
      })
    )
  )

  it.effect("delays statements and commits", () =>
    Effect.gen(function* () {
      const timed = (rule: Fault.SqlRule) =>
        Effect.map(
          Sim.run(withSql([rule], (sql) => Effect.exit(sql.withTransaction(sql`INSERT INTO t VALUES (1)`)))),
          ({ exit, time }) => [Exit.isSuccess(exit) && exit.value._tag, time]
        )
      assert.deepStrictEqual(yield* timed({ delay: "3 seconds", on: inserts }), ["Success", 3000])
      assert.deepStrictEqual(yield* timed({ delay: "2 seconds", on: commits }), ["Success", 2000])
      assert.deepStrictEqual(yield* timed({ delay: "1 second", on: commits, fault: "busy" }), ["Failure", 1000])
    })
  )

  it.effect("shows its rules the statement, and counts anew wherever the layer is built", () =>
    Effect.gen(function* () {
      const calls: Array<Fault.SqlCall> = []
      const layer = faulty([{ fault: "busy", nth: 2 }, { on: (call) => calls.push(call) > 99 }])
      const twice = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const select = sql`SELECT ${1} AS n`
        return [(yield* Effect.exit(select))._tag, (yield* Effect.exit(select))._tag, (yield* Effect.exit(select))._tag]
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(yield* twice, ["Success", "Failure", "Success"])
      assert.deepStrictEqual(yield* twice, ["Success", "Failure", "Success"])
      assert.deepStrictEqual(calls[0], { sql: "SELECT ? AS n", params: [1] })
      assert.strictEqual(calls.length, 6)
    })
  )
})

describe("Fault.db and the pipeline", () => {
  const Row = Schema.Struct({ n: Schema.Int })
  const rows = Array.from({ length: 10 }, (_, n) => ({ n }))
  const job = Pipeline.from(Source.list(rows, { name: "rows" })).pipe(
    Pipeline.map((row) => Effect.as(Effect.yieldNow, row), { concurrency: 2 }),
    Pipeline.to(Db.table("rows", Row))
  )
  const run = Pipeline.run(job, { name: "rows", require: "exactly-once", maxRows: 3, window: { items: 3 } })

  const database = (file: string, plan: ReadonlyArray<Fault.SqlRule>) =>
    Db.sqlite(file).pipe(Layer.provide(Fault.db(plan)), Layer.provide(Drivers.layer))

  it.effect("writes each row once though the reply to a commit is lost, whichever it is, and the run repeated", () =>
    Effect.gen(function* () {
      const outcomes: Array<string> = []
      for (let nth = 1, last = false; !last; nth++) {
        const file = yield* newFile
        let seen = 0
        const on = (call: Fault.SqlCall) => commits(call) && ++seen > 0
        const first = Effect.provide(run, database(file, [{ fault: "lost", on, nth }]))
        outcomes.push((yield* Effect.exit(first))._tag)
        last = seen < nth
        const after = yield* Effect.provide(Effect.andThen(run, rowsOf("rows")), database(file, []))
        assert.deepStrictEqual(after, rows, `commit ${nth}`)
      }
      // The journal's tables, its lease, the table; then to begin, some for the rows, to end; and one without a fault. What became
      // of a lease or a commit is read from the journal, so that the run goes on.
      assert.deepStrictEqual(outcomes.slice(0, 3), ["Failure", "Success", "Failure"])
      assert.isAtLeast(outcomes.length, 9)
      assert.notInclude(outcomes.slice(3), "Failure")
    })
  )

  it.effect(
    "writes each row once whatever fails, however often, in every order",
    () =>
      Effect.gen(function* () {
        const plan: ReadonlyArray<Fault.SqlRule> = [
          { fault: "lost", on: commits, rate: 0.3 },
          { fault: "lost", rate: 0.02 },
          { fault: "busy", rate: 0.02 },
          { fault: "disconnected", rate: 0.02 },
          { delay: "1 second", rate: 0.1 }
        ]
        let repeated = 0
        const program = Effect.gen(function* () {
          yield* Effect.retry(
            Effect.tapError(run, () => Effect.sync(() => void repeated++)),
            // What could not be given back is free again when its lease ends.
            { times: 100, schedule: Schedule.spaced("5 seconds") }
          )
          const { sql } = yield* Db.Db
          const query = Effect.retry(sql`SELECT n FROM rows ORDER BY rowid`, { times: 100 })
          const written = (yield* query).map((row) => ({ ...row }))
          return yield* JSON.stringify(written) === JSON.stringify(rows) ? Effect.void : Effect.fail(written)
        }).pipe(Effect.provide(database(":memory:", plan)))
        yield* Sim.explore(program, { schedules: 100 })
        assert.isAbove(repeated, 20)
      }),
    // For machines that do much else.
    60_000
  )
})
