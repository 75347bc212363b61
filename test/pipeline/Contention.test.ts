/** Others who write to the same rows of a PostgreSQL, and sessions that end: what fails passes, and each row is there once. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Client } from "pg"
import { Db, type Journal, Pipeline, Sink, Source } from "skein"
import { Drivers } from "skein/node"
import { upTo } from "../support/jobs.ts"
import { ask, fresh } from "../support/postgres/database.ts"

const Row = Schema.Struct({ id: Schema.Int, by: Schema.String })

const job = (count: number, by: string, ids = upTo(count)) =>
  Pipeline.from(Source.list(ids, { name: "ids" })).pipe(
    Pipeline.map((id) => ({ id, by })),
    Pipeline.to(Db.table("t", Row, { key: "id" }))
  )

const on = <A, E>(url: string, effect: Effect.Effect<A, E, Db.Db | Journal.Journal>) =>
  Effect.provide(effect, Db.open(url).pipe(Layer.provide(Drivers.layer)))

const sql = (url: string, statement: string) => Effect.promise(() => ask<Record<string, any>>(url, statement))

/** A session of somebody else. */
const session = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ connectionString: url })
        client.on("error", () => {})
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end())
    ),
    (client) => (statement: string) => Effect.promise(() => client.query(statement))
  )

const idsOf = (url: string, query: string) => Effect.map(sql(url, query), (rows) => rows.map(({ id }) => Number(id)))

const table = `CREATE TABLE t (id bigint PRIMARY KEY, by text NOT NULL)`

/** Begins a run, and goes on once it waits for a lock. */
const blocked = <A, E>(url: string, run: Effect.Effect<A, E>) => {
  const waits = Effect.map(
    sql(
      url,
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND backend_type = 'client backend'"
    ),
    (rows) => rows.length > 0
  )
  return Effect.tap(Effect.forkChild(run), (fiber) =>
    Effect.raceFirst(Effect.repeat(waits, { until: (is) => is }), Fiber.join(fiber))
  )
}

/** Does something once so many rows were written, whatever became of them. */
const trigger = (when: string, body: string) => `
  CREATE SEQUENCE turns;
  CREATE FUNCTION disturb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} RETURN NEW; END $$;
  CREATE ${when} ON t FOR EACH ROW EXECUTE FUNCTION disturb();`

describe("a table of PostgreSQL that others write to", () => {
  const kept = (url: string) =>
    Effect.map(sql(url, "SELECT id, by FROM t ORDER BY id"), (rows) => rows.map(({ by, id }) => `${id} ${by}`))
  const allBy = (count: number, by: string) => upTo(count).map((id) => `${id} ${by}`)
  /** A run that waits for somebody, who does this then. */
  const overtaken = (url: string, others: Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      const run = yield* blocked(url, on(url, Pipeline.run(job(5, "run"), { name: "r" })))
      yield* others
      const summary = yield* Fiber.join(run)
      assert.deepInclude(summary, { outcome: "done", settled: 5, written: 5 })
      assert.isAtLeast(summary.retries, 1)
      assert.deepEqual(yield* kept(url), allBy(5, "run"))
    })

  it.live("has what a run wrote once, though PostgreSQL ended it for a deadlock", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* fresh
        yield* sql(url, table)
        yield* sql(url, "INSERT INTO t VALUES (1, 'before'), (2, 'before')")
        const other = yield* session(url)
        // It waits so long that it is never the one that is ended.
        yield* other("SET deadlock_timeout = '10min'")
        yield* other("BEGIN")
        yield* other("UPDATE t SET by = 'other' WHERE id = 2")
        // The run has the first row by then.
        yield* overtaken(url, Effect.andThen(other("UPDATE t SET by = 'other' WHERE id = 1"), other("COMMIT")))
      })
    )
  )

  it.live("has it once though it could not be serialized, at the write", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* fresh
        yield* sql(
          url,
          `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_isolation = serializable`
        )
        yield* sql(url, table)
        yield* sql(url, "INSERT INTO t VALUES (1, 'before')")
        const other = yield* session(url)
        yield* other("BEGIN")
        yield* other("UPDATE t SET by = 'other' WHERE id = 1")
        yield* overtaken(url, other("COMMIT"))
      })
    )
  )

  it.live("has it once though it could not be serialized, at the COMMIT", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* fresh
        yield* sql(url, table)
        yield* sql(
          url,
          trigger(
            "CONSTRAINT TRIGGER late AFTER INSERT",
            "IF nextval('turns') IN (1, 2, 30) THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;"
          ).replace("ON t FOR", "ON t DEFERRABLE INITIALLY DEFERRED FOR")
        )
        const summary = yield* on(url, Pipeline.run(job(50, "run"), { name: "r", maxRows: 10 }))
        assert.deepInclude(summary, { outcome: "done", settled: 50, written: 50, retries: 3 })
        assert.deepEqual(yield* kept(url), allBy(50, "run"))
        const [row] = yield* sql(url, "SELECT checkpoint FROM skein_run")
        assert.deepInclude(JSON.parse(row!["checkpoint"]), { position: 50, finished: true })
      })
    )
  )

  it.live("has it once though sessions are ended in the middle of what they write", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* fresh
        yield* sql(url, table)
        yield* sql(
          url,
          trigger(
            "TRIGGER early BEFORE INSERT",
            "IF nextval('turns') IN (5, 20, 41) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
          )
        )
        const summary = yield* on(url, Pipeline.run(job(50, "run"), { name: "r", maxRows: 10 }))
        assert.deepInclude(summary, { outcome: "done", settled: 50, written: 50, retries: 3 })
        assert.deepEqual(yield* kept(url), allBy(50, "run"))
      })
    )
  )

  it.live("has what two runs wrote, each in an order of its own, in either", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* fresh
        yield* sql(url, table)
        const ids = upTo(2000)
        const [up, down] = [job(0, "up", ids), job(0, "down", ids.toReversed())]
        const options = { maxRows: 100 }
        const both = yield* Effect.all(
          [
            on(url, Pipeline.run(up, { name: "up", ...options })),
            on(url, Pipeline.run(down, { name: "down", ...options }))
          ],
          { concurrency: 2 }
        )
        for (const summary of both) assert.deepInclude(summary, { outcome: "done", settled: 2000, written: 2000 })
        const found = yield* sql(url, "SELECT id, by FROM t ORDER BY id")
        assert.deepEqual(
          found.map(({ id }) => Number(id)),
          ids
        )
        assert.isTrue(found.every(({ by }) => by === "up" || by === "down"))
      })
    )
  )
})

describe("Sink.route into tables of PostgreSQL", () => {
  it.live("has the rows of an element in both or in none, whatever ends its sessions", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* fresh
        yield* sql(url, table)
        yield* sql(
          url,
          "CREATE TABLE parts (t bigint NOT NULL REFERENCES t, no bigint NOT NULL CHECK (no <> 13), PRIMARY KEY (t, no))"
        )
        yield* sql(
          url,
          trigger(
            "TRIGGER early BEFORE INSERT",
            "IF nextval('turns') IN (7, 90) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
          )
        )
        const Part = Schema.Struct({ t: Schema.Int, no: Schema.Int })
        const sink = Sink.route(
          { t: Db.table("t", Row, { key: "id" }), parts: Db.table("parts", Part, { key: ["t", "no"] }) },
          (id: number) => ({
            t: [{ id, by: "run" }],
            parts: [0, 1].map((no) => ({ t: id, no: id % 20 === 6 ? 12 + no : no }))
          })
        )
        const job = Pipeline.from(Source.list(upTo(200), { name: "ids" })).pipe(
          Pipeline.to(sink, { name: "out", onError: { deadLetter: Schema.Number } })
        )
        const summary = yield* on(url, Pipeline.run(job, { name: "r", maxRows: 50, require: "exactly-once" }))
        const good = upTo(200).filter((id) => id % 20 !== 6)
        assert.deepInclude(summary, { outcome: "done", settled: 200, written: good.length, dead: 10 })
        assert.deepEqual(yield* idsOf(url, "SELECT id FROM t ORDER BY id"), good)
        assert.deepEqual(
          yield* idsOf(url, "SELECT t AS id FROM parts ORDER BY t"),
          good.flatMap((id) => [id, id])
        )
        const letters = yield* sql(url, "SELECT input, cause FROM skein_dead ORDER BY position::int")
        assert.deepEqual(
          letters.map(({ input }) => Number(input)),
          upTo(200).filter((id) => id % 20 === 6)
        )
        assert.include(letters[0]!["cause"], '{"t":6,"no":13}')
      })
    )
  )
})
