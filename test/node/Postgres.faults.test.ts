import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { Postgres } from "skein/node"
import { copyIn, endless, pidOf } from "../support/postgres/client.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import * as Proxy from "../support/postgres/Proxy.ts"
import * as Server from "../support/postgres/Server.ts"
import { isAlone, session, terminate, until } from "../support/postgres/watch.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined

const prepared = Effect.tap(fresh, (url) =>
  Effect.promise(() => ask(url, "CREATE TABLE t (id int8 PRIMARY KEY, x text)"))
)

/** The one failure of an exit; none of it may be a defect. */
const failureOf = (exit: Exit.Exit<unknown, unknown>): SqlError => {
  assert.isTrue(Exit.isFailure(exit))
  const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
  assert.deepEqual(
    reasons.map((reason) => reason._tag),
    ["Fail"]
  )
  const [first] = reasons
  const error = first !== undefined && Cause.isFailReason(first) ? first.error : undefined
  assert.isTrue(isSqlError(error))
  return error as SqlError
}

const works = (sql: SqlClient) =>
  Effect.gen(function* () {
    assert.deepEqual(yield* sql.withTransaction(sql`SELECT 1 AS one`), [{ one: 1 }])
  })

describe("Postgres: a session that is ended by the server", () => {
  const faulty = (
    name: string,
    operation: string,
    body: (tools: {
      readonly url: string
      readonly db: Effect.Success<ReturnType<typeof Postgres.open>>
      readonly pid: number
    }) => Effect.Effect<unknown, unknown>
  ) =>
    it.live(`${name} is a failure, and the pool goes on`, () =>
      Effect.gen(function* () {
        const url = yield* prepared
        yield* Effect.scoped(
          Effect.gen(function* () {
            const db = yield* Postgres.open(url, { maxConnections: 2 })
            const { sql } = db
            const error = failureOf(
              yield* Effect.exit(
                sql.withTransaction(
                  Effect.gen(function* () {
                    const pid = yield* pidOf(sql)
                    yield* sql`INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i`
                    yield* body({ url, db, pid })
                  })
                )
              )
            )
            assert.strictEqual(error.reason._tag, "ConnectionError")
            assert.strictEqual(error.reason.operation, operation)
            yield* works(sql)
            assert.deepEqual(yield* sql`SELECT count(*)::int4 AS n FROM t`, [{ n: 0 }])
          })
        )
        yield* until(url, isAlone)
      })
    )

  faulty("during a statement", "execute", ({ db: { sql }, pid, url }) =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(sql`SELECT pg_sleep(600)`)
      yield* until(url, session(pid, "wait_event = 'PgSleep'"))
      yield* terminate(url, pid)
      yield* Fiber.join(running)
    })
  )

  faulty("between two statements of a transaction", "execute", ({ db: { sql }, pid, url }) =>
    Effect.andThen(terminate(url, pid), sql`SELECT 1`)
  )

  faulty("before COMMIT", "commit", ({ pid, url }) => terminate(url, pid))

  faulty("during COPY", "copy", ({ db, pid, url }) =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(copyIn(db, "COPY t FROM STDIN", endless(10_000)))
      yield* until(url, session(pid, "query LIKE 'COPY%' AND state = 'active'"))
      yield* terminate(url, pid)
      yield* Fiber.join(running)
    })
  )

  it.live("before a failure of the program is rolled back: the program's failure stays", () =>
    Effect.gen(function* () {
      const url = yield* prepared
      const { sql } = yield* Postgres.open(url, { maxConnections: 1 })
      const exit = yield* Effect.exit(
        sql.withTransaction(
          Effect.gen(function* () {
            const pid = yield* pidOf(sql)
            yield* Effect.exit(sql.withTransaction(Effect.andThen(terminate(url, pid), Effect.fail("inner"))))
            return yield* Effect.fail("mine")
          })
        )
      )
      assert.deepEqual(exit, Exit.fail("mine"))
      yield* works(sql)
    })
  )

  it.live("or does not answer when a failure of the program is rolled back: the same", () =>
    Effect.gen(function* () {
      const url = yield* prepared
      const proxy = yield* Proxy.open(url)
      const { sql } = yield* Postgres.open(proxy.url, { maxConnections: 1, commitTimeout: "200 millis" })
      for (const fault of Proxy.faults) {
        const broken = Effect.sync(() => {
          proxy.fault = fault
        })
        const failing = Effect.andThen(sql`INSERT INTO t VALUES (1)`, Effect.andThen(broken, Effect.fail("mine")))
        assert.deepEqual(yield* Effect.exit(sql.withTransaction(failing)), Exit.fail("mine"))
        const nested = sql.withTransaction(sql.withTransaction(failing))
        proxy.fault = undefined
        assert.deepEqual(yield* Effect.exit(nested), Exit.fail("mine"))
        proxy.fault = undefined
        yield* works(sql)
      }
      assert.deepEqual(yield* Effect.promise(() => ask(url, "SELECT * FROM t")), [])
    })
  )

  it.live("while it is idle is replaced", () =>
    Effect.gen(function* () {
      const url = yield* prepared
      const { sql } = yield* Postgres.open(url)
      const pid = yield* pidOf(sql)
      yield* terminate(url, pid)
      // Its end is on its way to this process.
      yield* Effect.retry(works(sql), { times: 1 })
      assert.notStrictEqual(yield* pidOf(sql), pid)
    })
  )
})

describe("Postgres: a COMMIT whose answer is lost", () => {
  it.live(
    "is decided rightly, wherever the connection breaks",
    () =>
      Effect.gen(function* () {
        const url = yield* prepared
        const proxy = yield* Proxy.open(url)
        const { sql } = yield* Postgres.open(proxy.url, { maxConnections: 2, commitTimeout: "300 millis" })
        for (let round = 0; round < (deep ? 250 : 25); round++) {
          const fault = Proxy.faults[round % Proxy.faults.length]!
          const exit = yield* Effect.exit(
            sql.withTransaction(
              Effect.andThen(
                sql`INSERT INTO t VALUES (${round}, ${"y".repeat(round * 7)})`,
                Effect.sync(() => {
                  proxy.fault = fault
                })
              )
            )
          )
          proxy.fault = undefined
          const rows = yield* Effect.promise(() => ask(url, "SELECT 1 FROM t WHERE id = $1", [round]))
          assert.strictEqual(rows.length, Exit.isSuccess(exit) ? 1 : 0, `${round}: ${fault}`)
          if (fault.startsWith("request")) assert.isTrue(Exit.isFailure(exit), fault)
          if (fault.startsWith("reply")) assert.isTrue(Exit.isSuccess(exit), fault)
          if (Exit.isFailure(exit)) {
            const { reason } = failureOf(exit)
            assert.strictEqual(reason._tag, "ConnectionError")
            assert.strictEqual(reason.operation, "commit")
            assert.include(reason.message, "and the transaction is rolled back")
          }
        }
        assert.strictEqual(proxy.done, deep ? 250 : 25)
        yield* works(sql)
      }),
    600_000
  )

  it.live("by a server that is gone for longer than one waits cannot be told", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => Server.open()),
        (server) => Effect.promise(() => server.close())
      )
      const { sql } = yield* Postgres.open(server.url(), { connectTimeout: "2 seconds", commitTimeout: "200 millis" })
      yield* sql`CREATE TABLE t (n int4)`
      const exit = yield* Effect.exit(
        sql.withTransaction(
          Effect.gen(function* () {
            const pid = yield* pidOf(sql)
            yield* sql`INSERT INTO t VALUES (1)`
            // It asks for the transaction's number yet, and is not there any more at COMMIT.
            yield* Effect.promise(() =>
              ask(server.url(), `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`).then(() =>
                ask(server.url(), "SELECT pg_reload_conf(), pg_sleep(0.2)")
              )
            )
            yield* Effect.forkDetach(
              Effect.andThen(
                until(server.url(), session(pid, "wait_event = 'SyncRep'")),
                Effect.promise(() => server.kill())
              )
            )
          })
        )
      )
      const { cause, message } = failureOf(exit).reason
      assert.include(message, "whether it is committed cannot be told")
      assert.strictEqual((cause as { readonly code?: string }).code, "08007")
    })
  )

  it.live("of a statement that had failed before is no commit", () =>
    Effect.gen(function* () {
      const url = yield* prepared
      const { sql } = yield* Postgres.open(url)
      const failed = Effect.ignore(sql`SELECT 1 / 0`)
      const error = failureOf(
        yield* Effect.exit(sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (1)`, failed)))
      )
      assert.include(error.message, "an earlier statement of the transaction had failed")
      assert.deepEqual(yield* sql`SELECT * FROM t`, [])
    })
  )
})

describe("Postgres: a server that dies", () => {
  const own = Effect.acquireRelease(
    Effect.promise(() => Server.open()),
    (server) => Effect.promise(() => server.close())
  )

  it.live(
    "by SIGKILL to one session, then all of it, is a failure, and waited for by whoever comes next",
    () =>
      Effect.gen(function* () {
        const server = yield* own
        const { sql } = yield* Postgres.open(server.url(), { maxConnections: 1 })
        yield* sql`CREATE TABLE t (n int4)`
        const dying = (kill: (pid: number) => Promise<void>) =>
          sql.withTransaction(
            Effect.gen(function* () {
              const pid = yield* pidOf(sql)
              yield* sql`INSERT INTO t VALUES (1)`
              const running = yield* Effect.forkChild(sql`SELECT pg_sleep(600)`)
              yield* until(server.url(), session(pid, "wait_event = 'PgSleep'"))
              yield* Effect.promise(() => kill(pid))
              yield* Fiber.join(running)
            })
          )

        const one = failureOf(yield* Effect.exit(dying(async (pid) => void process.kill(pid, "SIGKILL"))))
        assert.strictEqual(one.reason._tag, "ConnectionError")
        yield* works(sql)

        const all = failureOf(yield* Effect.exit(dying(server.kill)))
        assert.strictEqual(all.reason._tag, "ConnectionError")
        const next = yield* Effect.forkChild(works(sql))
        yield* Effect.promise(() => server.start())
        yield* Fiber.join(next)
        assert.deepEqual(yield* sql`SELECT * FROM t`, [])
      }),
    120_000
  )

  it.live("and stays away is a failure when the time to wait for it is over", () =>
    Effect.gen(function* () {
      const server = yield* own
      const { sql } = yield* Postgres.open(server.url(), { connectTimeout: "2 seconds" })
      yield* Effect.promise(() => server.kill())
      const error = failureOf(yield* Effect.exit(Effect.retry(sql`SELECT 1`, { times: 1 })))
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.include(error.message, `no server listens at 127.0.0.1:${server.port}`)
    })
  )
})
