/** A run while things happen to its PostgreSQL: sessions ended, the server killed, replies lost, its disk full, others in its way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Client } from "pg"
import { Db, Pipeline, Source } from "skein"
import { Drivers } from "skein/node"
import { ask, fresh } from "../support/postgres/database.ts"
import * as Proxy from "../support/postgres/Proxy.ts"
import * as Server from "../support/postgres/Server.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const count = deep ? 100_000 : 20_000
/** For machines that do much else. */
const slow = deep ? 1_800_000 : 240_000

const Row = Schema.Struct({ id: Schema.Int, text: Schema.String })
const source = Source.list(
  Array.from({ length: count }, (_, id) => id),
  { name: "numbers" }
)

interface Options {
  /** Of the text of a row. */
  readonly length?: number
  readonly table?: Db.TableOptions<typeof Row.Type>
  readonly onNumber?: (id: number) => void
}

/** A run in small commits, so that there are many to be disturbed. */
const run = (url: string, { length = 0, onNumber, table = {} }: Options = {}) =>
  Pipeline.from(source).pipe(
    Pipeline.map((id) => {
      onNumber?.(id)
      return { id, text: `row ${id}`.padEnd(length, ".") }
    }),
    Pipeline.to(Db.table("rows", Row, table)),
    (job) => Pipeline.run(job, { name: "job", require: "exactly-once", maxRows: 250, window: { items: 1000 } }),
    Effect.provide(Db.postgres(url, { commitTimeout: "1 second" }).pipe(Layer.provide(Drivers.layer)))
  )

/** Each row is there once. */
const isWhole = (url: string) =>
  Effect.promise(async () => {
    const [found] = await ask(
      url,
      "SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids, sum(id)::float8 AS sum FROM rows"
    )
    assert.deepEqual(found, { n: count, ids: count, sum: (count * (count - 1)) / 2 })
  })

/** Each time the run has come as far again, `act` is done once, up to `times`. */
const whileRunning = (times: number, act: () => Promise<unknown>) => {
  let done = 0
  const acting: Array<Promise<unknown>> = []
  return {
    /** How often it was done. */
    get done() {
      return done
    },
    ended: Effect.promise(() => Promise.all(acting)),
    onNumber: (id: number) => {
      if (done >= times || id < ((done + 1) * count) / (times + 2)) return
      done += 1
      acting.push(act())
    }
  }
}

/** A run to its end with `act` done so many times on its way. */
const disturbed = (
  times: number,
  act: () => Promise<unknown>,
  { url, ...options }: Options & { readonly url: string }
) =>
  Effect.gen(function* () {
    const acts = whileRunning(times, act)
    const summary = yield* run(url, { ...options, onNumber: acts.onNumber })
    yield* acts.ended
    assert.strictEqual(acts.done, times)
    assert.strictEqual(summary.outcome, "done")
    return summary
  })

const ownServer = (options?: Server.Options): Effect.Effect<Server.Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => Server.open(options)),
    (server) => Effect.promise(server.close)
  )

describe("P13 a run into PostgreSQL, exactly once, while", () => {
  it.live(
    "its sessions are terminated again and again",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const database = new URL(url).pathname.slice(1)
        const kill =
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'skein'"
        const summary = yield* disturbed(20, () => ask(url, kill, [database]), { url })
        assert.strictEqual(summary.written, count)
        yield* isWhole(url)
      }),
    slow
  )

  it.live(
    "its server is killed with all it has started, and comes back",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer()
        const restart = async () => {
          await server.kill()
          await server.start()
        }
        yield* disturbed(2, restart, { url: server.url() })
        yield* isWhole(server.url())
      }),
    slow
  )

  it.live(
    "COMMITs are lost on their way, or their replies are",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const proxy = yield* Proxy.open(url)
        let next = 0
        // One COMMIT at a time, each in another way; a swallowed one takes as long as `commitTimeout`.
        const lose = async () => {
          const before = proxy.done
          proxy.fault = Proxy.faults[next++ % Proxy.faults.length]
          while (proxy.done === before) await new Promise((resolve) => setTimeout(resolve, 1))
          proxy.fault = undefined
        }
        const summary = yield* disturbed(10, lose, { url: proxy.url })
        assert.strictEqual(summary.written, count)
        yield* isWhole(url)
      }),
    slow
  )

  it.live(
    "another writer locks the same rows in another order, and deadlocks with it",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        yield* Effect.promise(async () => {
          await ask(url, "CREATE TABLE rows (id int8 PRIMARY KEY, text text NOT NULL)")
          await ask(url, `INSERT INTO rows SELECT i, 'before' FROM generate_series(0, ${count - 1}) i`)
          await ask(url, `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET deadlock_timeout = '20ms'`)
        })
        let deadlocks = 0
        const other = new Client({ connectionString: url })
        yield* Effect.acquireRelease(
          Effect.promise(() => other.connect()),
          () => Effect.promise(() => other.end())
        )
        let at = 0
        const other250 = Effect.promise(async () => {
          const from = Math.floor(at / 250) * 250
          await other.query("BEGIN")
          try {
            for (let id = from + 749; id >= from; id -= 50) {
              await other.query("UPDATE rows SET text = 'other' WHERE id = $1", [id])
            }
          } catch (error) {
            assert.propertyVal(error, "code", "40P01")
            deadlocks += 1
          }
          await other.query("ROLLBACK")
        })
        const fiber = yield* Effect.forkScoped(Effect.forever(other250))
        const summary = yield* run(url, { table: { key: "id" }, onNumber: (id) => void (at = id) })
        yield* Fiber.interrupt(fiber)
        const [stats] = yield* Effect.promise(() =>
          ask<{ deadlocks: string }>(
            url,
            "SELECT pg_stat_force_next_flush(), deadlocks FROM pg_stat_database WHERE datname = current_database()"
          )
        )
        yield* Effect.log(`deadlocks: ${stats!.deadlocks} in the server, ${deadlocks} of them ended the other writer`)
        assert.strictEqual(summary.outcome, "done")
        yield* isWhole(url)
        const [left] = yield* Effect.promise(() =>
          ask(url, "SELECT count(*)::int AS n FROM rows WHERE text = 'before'")
        )
        assert.deepEqual(left, { n: 0 })
      }),
    slow
  )

  it.live(
    "another writer makes its transactions unserializable",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        yield* Effect.promise(async () => {
          await ask(url, "CREATE TABLE rows (id int8 PRIMARY KEY, text text NOT NULL)")
          await ask(url, `INSERT INTO rows SELECT i, 'before' FROM generate_series(0, ${count - 1}) i`)
        })
        // What every session of the run has: its upserts meet rows that changed since its snapshot.
        const strict = `${url}?options=-c%20default_transaction_isolation%3Dserializable`
        const touch = () =>
          ask(url, "UPDATE rows SET text = text || '!' WHERE id % 97 = $1", [Math.floor(Math.random() * 97)])
        yield* disturbed(40, touch, { url: strict, table: { key: "id" } })
        yield* isWhole(url)
      }),
    slow
  )
})

describe.skipIf(process.platform === "win32")("a server whose disk is full", () => {
  it.live(
    "ends the run with what to do, no row is given up for it, and the next run goes on",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer({ fileLimit: 4 })
        const error = yield* Effect.flip(run(server.url(), { length: 400 }))
        assert.instanceOf(error, Db.DbError)
        assert.match(error.message, /disk|space|too large/i)
        const [{ n } = { n: 0 }] = yield* Effect.promise(() =>
          ask<{ n: number }>(server.url(), "SELECT count(*)::int AS n FROM rows")
        )
        assert.isTrue(n > 0 && n < count)
        yield* Effect.promise(async () => {
          await server.stop()
          await server.start()
        })
        const summary = yield* run(server.url(), { length: 400 })
        assert.strictEqual(summary.dead, 0)
        assert.strictEqual(summary.total.written, count)
        yield* isWhole(server.url())
      }),
    slow
  )
})
