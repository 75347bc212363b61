import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Statement from "effect/sql/Statement"
import { Db, type Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Drivers } from "skein/node"
import { within } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const Job = Schema.Struct({ id: Schema.Int, note: Schema.String })
const Done = Schema.Struct({ id: Schema.Int, by: Schema.String })
const Count = Schema.Struct({ n: Schema.Int })

const jobs = Source.frontier("jobs", Job, { key: "id" })
const some = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ id: from + i, note: `note ${from + i}` }))
/** Says who did what in a table without a key, so that what is done twice is there twice. */
const work = (by: string, queue = jobs) =>
  Pipeline.from(queue).pipe(
    Pipeline.map(({ id }) => Effect.succeed({ id, by })),
    Pipeline.to(Db.table("done", Done))
  )
const done = Effect.map(Db.query(Done)`SELECT * FROM done ORDER BY id`, (rows) => rows.map(({ id }) => id))
const left = Effect.map(Db.query(Count)`SELECT count(*) AS n FROM skein_frontier WHERE done = 0`, ([row]) => row?.n)
const ids = (count: number) => some(count).map(({ id }) => id)

describe.each(databases)("Source.frontier in $database", ({ url }) => {
  const inDb = within(url)

  it.effect("takes each key once, however often it is added, and gives items in the order they were added", () =>
    inDb(
      Effect.gen(function* () {
        const job = Pipeline.from([...some(5), ...some(3), ...some(7)]).pipe(
          Pipeline.map((item) => jobs.add([item])),
          Pipeline.to(Sink.discard)
        )
        yield* Pipeline.run(job, { name: "fill" })
        yield* jobs.add([...some(8), ...some(8)])
        assert.deepEqual(yield* Pipeline.collect(Pipeline.from(jobs)), some(8))
        const { outcome, settled } = yield* Pipeline.run(work("me"), { name: "work" })
        assert.deepEqual({ outcome, settled }, { outcome: "done", settled: 8 })
        yield* jobs.add(some(9))
        assert.deepEqual(yield* Pipeline.collect(Pipeline.from(jobs)), some(1, 8))
        assert.strictEqual((yield* Pipeline.run(work("me"), { name: "work" })).settled, 1)
        assert.deepEqual(yield* done, ids(9))
      })
    )
  )

  it.effect("adds items in the transaction that is open, and none where that fails", () =>
    inDb(
      Effect.gen(function* () {
        const { sql } = yield* Db.Db
        yield* jobs.add(some(1))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(jobs.add(some(5)), Effect.fail("no"))))
        assert.strictEqual(yield* left, 1)
        yield* sql.withTransaction(jobs.add(some(5)))
        assert.strictEqual(yield* left, 5)
      })
    )
  )

  it.live("gives each item to one of many runs", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(500))
        const queue = Source.frontier("jobs", Job, { key: "id", atOnce: 7 })
        const runs = ["a", "b", "c", "d"].map((by) =>
          Pipeline.run(work(by, queue), { name: "work", partition: by, maxRows: 3 })
        )
        const summaries = yield* Effect.all(runs, { concurrency: 4 })
        assert.strictEqual(
          summaries.reduce((sum, { settled }) => sum + settled, 0),
          500
        )
        assert.deepEqual(yield* done, ids(500))
        assert.strictEqual(yield* left, 0)
      })
    )
  )

  it.effect("settles what is filtered, skipped, kept as dead letters or batched, and waits for none of it", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(40))
        const queue = Source.frontier("jobs", Job, { key: "id", atOnce: 4 })
        const job = Pipeline.from(queue).pipe(
          Pipeline.filter(({ id }) => id >= 10),
          Pipeline.map((item) => (item.id < 20 ? Effect.fail("bad" as const) : Effect.succeed(item)), {
            name: "check",
            onError: { deadLetter: Job }
          }),
          Pipeline.map(({ id }) => Effect.succeed({ id, by: "me" })),
          Pipeline.to(Db.table("done", Done))
        )
        const { dead, filtered, outcome, written } = yield* Pipeline.run(job, { name: "work" })
        assert.deepEqual({ dead, filtered, outcome, written }, { dead: 10, filtered: 10, outcome: "done", written: 20 })
        assert.strictEqual(yield* left, 0)
        assert.strictEqual((yield* Pipeline.run(job, { name: "work" })).settled, 0)
      })
    )
  )

  it.live("does not wait for ever for a batch that does not fill", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(10))
        const queue = Source.frontier("jobs", Job, { key: "id", atOnce: 4, poll: "10 millis" })
        const job = Pipeline.from(queue).pipe(
          Pipeline.batch(1000),
          Pipeline.flatMap((all) => Effect.succeed(all.map(({ id }) => ({ id, by: "me" })))),
          Pipeline.to(Db.table("done", Done))
        )
        yield* Pipeline.run(job, { name: "work" })
        assert.deepEqual(yield* done, ids(10))
      })
    )
  )

  it.effect("takes what its own items add, before it ends", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(1))
        const job = Pipeline.from(jobs).pipe(
          Pipeline.map(({ id, note }) =>
            jobs.add([2 * id + 1, 2 * id + 2, id].filter((id) => id < 100).map((id) => ({ id, note })))
          ),
          Pipeline.to(Sink.discard)
        )
        const { outcome, settled } = yield* Pipeline.run(job, { name: "crawl" })
        assert.deepEqual({ outcome, settled }, { outcome: "done", settled: 100 })
        assert.strictEqual(yield* left, 0)
      })
    )
  )

  it.live("ends once all are done, and not while another run has some that may add more, or be given back", () =>
    inDb(
      Effect.gen(function* () {
        const queue = Source.frontier("jobs", Job, { key: "id", poll: "5 millis" })
        yield* queue.add(some(1))
        const [taken, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const adding = Pipeline.from(queue).pipe(
          Pipeline.map((item) =>
            Effect.as(Effect.andThen(Deferred.succeed(taken, undefined), Deferred.await(goOn)), item)
          ),
          Pipeline.map(({ id }) => queue.add(id === 0 ? some(20, 1) : [])),
          Pipeline.to(Sink.discard)
        )
        const first = yield* Effect.forkChild(Pipeline.run(adding, { name: "first" }))
        yield* Deferred.await(taken)
        const second = yield* Pipeline.start(work("second", queue), { name: "second" })
        const none = yield* Effect.forkChild(Pipeline.run(work("none", queue), { name: "none" }))
        // It has looked a few times by then.
        yield* Effect.sleep("50 millis")
        assert.isUndefined(none.pollUnsafe())
        yield* Deferred.succeed(goOn, undefined)
        const ends = yield* Effect.all([Fiber.join(first), second.await, Fiber.join(none)])
        assert.strictEqual(
          ends.reduce((sum, { settled }) => sum + settled, 0),
          21
        )
        assert.strictEqual(yield* left, 0)

        // One that nobody lives for is free when its lease is over.
        const { sql } = yield* Db.Db
        yield* queue.add(some(22))
        yield* sql`UPDATE skein_frontier SET owner = 'dead', until = ${Date.now() + 300} WHERE done = 0`
        assert.strictEqual((yield* Pipeline.run(work("late", queue), { name: "late" })).settled, 1)
      }).pipe(TaskGroup.open)
    )
  )

  it.effect("gives items back when a run ends before they are done, and to the next run as they are", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(20))
        let bad = true
        const job = Pipeline.from(jobs).pipe(
          Pipeline.map(({ id }) => (bad && id === 11 ? Effect.fail("bad" as const) : Effect.succeed({ id, by: "me" }))),
          Pipeline.to(Db.table("done", Done))
        )
        assert.strictEqual(yield* Effect.flip(Pipeline.run(job, { name: "work", maxRows: 1 })), "bad")
        assert.deepEqual(yield* done, ids(11))
        bad = false
        assert.strictEqual((yield* Pipeline.run(work("other"), { name: "another" })).settled, 9)
        assert.deepEqual(yield* done, ids(20))
      })
    )
  )

  it.effect("refuses to finish what another run has taken since, and writes nothing of it", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(3))
        const [taken, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const slow = Pipeline.from(jobs).pipe(
          Pipeline.map(({ id }) =>
            Effect.andThen(
              Effect.andThen(Deferred.succeed(taken, undefined), Deferred.await(goOn)),
              Effect.succeed({ id, by: "slow" })
            )
          ),
          Pipeline.to(Db.table("done", Done))
        )
        const running = yield* Effect.forkChild(Effect.flip(Pipeline.run(slow, { name: "slow" })))
        yield* Deferred.await(taken)
        // As after a time without a sign of life.
        const { sql } = yield* Db.Db
        yield* sql`UPDATE skein_frontier SET until = -1`
        assert.strictEqual((yield* Pipeline.run(work("quick"), { name: "quick" })).settled, 3)
        yield* Deferred.succeed(goOn, undefined)
        assert.match(
          String(yield* Fiber.join(running)),
          /Frontier "jobs": could not settle 3 items: 3 of them were taken by another run meanwhile/
        )
        assert.deepEqual(yield* Db.query(Done)`SELECT DISTINCT "by", 0 AS id FROM done`, [{ by: "quick", id: 0 }])
        assert.deepEqual(yield* done, ids(3))
      })
    )
  )

  it.effect("does not take again what it holds itself, however late it is", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(6))
        const { sql } = yield* Db.Db
        const queue = Source.frontier("jobs", Job, { key: "id", atOnce: 3 })
        const seen: Array<number> = []
        const job = Pipeline.from(queue).pipe(
          Pipeline.map(({ id }) =>
            Effect.andThen(
              sql`UPDATE skein_frontier SET until = -1`,
              Effect.sync(() => {
                seen.push(id)
                return { id, by: "me" }
              })
            )
          ),
          Pipeline.to(Db.table("done", Done))
        )
        yield* Pipeline.run(job, { name: "work", maxRows: 1 })
        assert.deepEqual(seen, ids(6))
        assert.deepEqual(yield* done, ids(6))
      })
    )
  )

  it.effect("gives an item the same idempotency key in every run, and another one than any other item", () =>
    inDb(
      Effect.gen(function* () {
        yield* jobs.add(some(4))
        const keys: Array<string> = []
        const job = (fails: boolean) =>
          Pipeline.from(jobs).pipe(
            Pipeline.map(() =>
              Effect.flatMap(Pipeline.idempotencyKey, (key) =>
                fails ? (keys.push(key), Effect.fail("bad" as const)) : Effect.sync(() => void keys.push(key))
              )
            ),
            Pipeline.to(Sink.discard)
          )
        yield* Effect.exit(Pipeline.run(job(true), { name: "one" }))
        const first = keys.splice(0)
        yield* Pipeline.run(job(false), { name: "two", partition: "x" })
        assert.strictEqual(new Set(keys).size, 4)
        assert.includeMembers(keys, first)
      })
    )
  )

  it.effect(
    "P17 refuses items without a key or that do not encode, by name, and reads none that are of another schema",
    () =>
      inDb(
        Effect.gen(function* () {
          const Loose = Schema.Struct({ id: Schema.NullOr(Schema.String), n: Schema.Finite })
          const loose = Source.frontier("loose", Loose, { key: "id" })
          const refused = (effect: Effect.Effect<unknown, Source.FrontierError, Journal.Journal>) =>
            Effect.map(Effect.flip(effect), ({ message }) => message)
          assert.match(
            yield* refused(
              loose.add([
                { id: "a", n: 1 },
                { id: null, n: 1 }
              ])
            ),
            /Frontier "loose": could not add items: item 2 has no text, number or boolean as its key "id"/
          )
          assert.match(yield* refused(loose.add([{ id: "a", n: NaN }])), /item 1 does not encode: .*n/)
          assert.match(yield* refused(loose.add([{ id: "a\0b", n: 1 }])), /item 1 has a key that is no text/)
          yield* loose.add([{ id: "x", n: 1 }])
          const Other = Schema.Struct({ id: Schema.String, n: Schema.String })
          const read = Pipeline.run(
            Pipeline.from(Source.frontier("loose", Other, { key: "id" })).pipe(Pipeline.to(Sink.discard)),
            { name: "x" }
          )
          assert.match(
            String(yield* Effect.flip(read)),
            /"loose": could not read items: item "x" is not as the schema says/
          )
        })
      )
  )

  it.effect("takes any name and any key that the database keeps", () =>
    inDb(
      Effect.gen(function* () {
        const Any = Schema.Struct({ a: Schema.String, b: Schema.Int, big: Schema.BigInt })
        const queue = Source.frontier(`order"; DROP TABLE "x`, Any, { key: ["a", "b", "big"] })
        const items = ["", "'", `"`, "ä𝄞", "a\nb"].flatMap((a) =>
          [0, 1].map((b) => ({ a, b, big: 2n ** 70n + BigInt(b) }))
        )
        yield* queue.add(items)
        yield* queue.add(items)
        const seen: Array<typeof Any.Type> = []
        yield* Pipeline.run(
          Pipeline.from(queue).pipe(Pipeline.to(Sink.forEach((item) => Effect.sync(() => seen.push(item))))),
          { name: "any" }
        )
        assert.sameDeepMembers(seen, items)
      })
    )
  )

  it.live("follows: takes what is added while it runs, until it is drained", () =>
    inDb(
      Effect.gen(function* () {
        const queue = Source.frontier("jobs", Job, { key: "id", follow: true, poll: "5 millis" })
        yield* jobs.add(some(2))
        const { sql } = yield* Db.Db
        const wait = (count: number) =>
          Effect.repeat(
            Effect.orElseSucceed(sql<{ n: number }>`SELECT count(*) AS n FROM done`, () => []),
            { while: (rows) => Number(rows[0]?.n ?? 0) < count }
          )
        const run = yield* Pipeline.start(work("me", queue), { name: "work" })
        yield* wait(2)
        yield* jobs.add(some(5))
        yield* wait(5)
        yield* run.drain
        const { outcome, settled } = yield* run.await
        assert.deepEqual({ outcome, settled }, { outcome: "drained", settled: 5 })
      }).pipe(TaskGroup.open)
    )
  )
})

describe.each(databases)("P17 a frontier of many items in $database", ({ database, url }) => {
  const isDeep = process.env["SKEIN_DEEP"] !== undefined

  /** The statements that the effect makes to a frontier, each with its parameters. */
  const statementsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const made: Array<readonly [text: string, parameters: ReadonlyArray<unknown>]> = []
      const watch: Statement.Transformer = (statement) => {
        const [text, parameters] = statement.compile()
        if (text.includes("skein_frontier") && !text.startsWith("CREATE")) made.push([text, parameters])
        return Effect.succeed(statement)
      }
      return Effect.map(Effect.provideService(effect, Statement.CurrentTransformer, watch), () => made)
    })

  const counted = (count: number) =>
    within(url)(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Schema.Int, { lane: (n) => `${n % 50}`, perLane: 10, atOnce: 200 })
        const job = Pipeline.from(numbers).pipe(
          Pipeline.map((n) => numbers.add([2 * n + 1, 2 * n + 2, n >> 1].filter((to) => to < count))),
          Pipeline.to(Sink.discard)
        )
        const { sql } = yield* Db.Db
        // Half of them wait from the beginning.
        const add = numbers.add(Array.from({ length: count / 2 }, (_, i) => count / 2 + i))
        const made = yield* statementsOf(
          Effect.andThen(Effect.andThen(add, numbers.add([0])), Pipeline.run(job, { name: "work" }))
        )
        assert.strictEqual(yield* left, 0)
        return { made, sql }
      })
    )

  it.live(
    "makes as many more statements as there are more items, and each looks only at rows that it is about",
    () =>
      Effect.gen(function* () {
        const size = isDeep ? 250_000 : 1000
        const { made: few } = yield* counted(size)
        const { made: many } = yield* counted(4 * size)
        assert.isAtMost(many.length, 5 * few.length)
        // Of full batches, a few for each.
        assert.isAtMost(many.length, (4 * size) / 10)

        yield* within(url)(
          Effect.gen(function* () {
            const { sql } = yield* Db.Db
            const numbers = Source.frontier("numbers", Schema.Int, { lane: (n) => `${n % 50}` })
            yield* numbers.add(Array.from({ length: 20_000 }, (_, n) => n))
            const plans = new Map(
              many.map(([text, parameters]) => [text.replaceAll(/\$\d+/g, "?"), [text, parameters] as const])
            )
            for (const [text, parameters] of plans.values()) {
              const lines = yield* sql.unsafe<Record<string, unknown>>(
                `EXPLAIN ${database === "SQLite" ? "QUERY PLAN " : ""}${text}`,
                parameters
              )
              const plan = lines.map((line) => String(line["detail"] ?? line["QUERY PLAN"])).join("\n")
              assert.notMatch(plan, /SCAN skein_frontier(?!.*INDEX)|Seq Scan/, `${text}\n${plan}`)
            }
            assert.isAtLeast(plans.size, 6)
          })
        )
      }),
    isDeep ? 3_600_000 : 300_000
  )
})

describe("Source.frontier in SQLite", () => {
  it.live("is shared by connections of several programs", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* databases[0]!.url
        const layer = () => Db.open(url).pipe(Layer.provide(Drivers.layer))
        yield* Effect.provide(jobs.add(some(300)), layer())
        const queue = Source.frontier("jobs", Job, { key: "id", atOnce: 5 })
        yield* Effect.all(
          ["a", "b"].map((by) => Effect.provide(Pipeline.run(work(by, queue), { name: by, maxRows: 5 }), layer())),
          { concurrency: 2 }
        )
        yield* Effect.provide(
          Effect.map(done, (found) => assert.deepEqual(found, ids(300))),
          layer()
        )
      })
    )
  )
})
