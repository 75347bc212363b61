/** Work that makes work, in memory (P17): what holds in databases too, and what only a simulation can show. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { Files, Journal, Pipeline, Policy, Sink, Source } from "skein"
import { Main } from "skein/node"
import { Interrupt, Sim } from "skein/testing"
import * as Child from "../support/child.ts"
import { within } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const Num = Schema.Int
/** Where a number leads: on in a tree, so that all are found, back, and around. */
const linksOf = (n: number, count: number) =>
  [2 * n + 1, 2 * n + 2, n >> 1, (n * 7) % count, n].filter((to) => to < count)
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

const inMemory = <A, E>(effect: Effect.Effect<A, E, Journal.Journal>) => Effect.provide(effect, Journal.memory)
const waiting = (frontier: Source.Frontier<number>) => Pipeline.collect(Pipeline.from(frontier))
const countsOf = (name: string, partition?: string) =>
  Effect.map(
    Effect.flatMap(Journal.Journal, (journal) => journal.load(Journal.keyOf(name, partition))),
    Option.match({ onNone: () => 0, onSome: ({ counts }) => counts.settled })
  )

describe.each([
  { where: "in memory", run: inMemory },
  ...databases.map(({ database, url }) => ({
    where: `in ${database}`,
    run: <A, E>(effect: Effect.Effect<A, E, Journal.Journal>) => within(url)(effect)
  }))
])("P17 a frontier $where", ({ run }) => {
  it.effect(
    "gives each item once, however often and from wherever it is added, at the depth at which it was found",
    () =>
      run(
        Effect.gen(function* () {
          const numbers = Source.frontier("numbers", Num)
          const seen: Array<readonly [number, number]> = []
          const job = Pipeline.from(numbers).pipe(
            Pipeline.map((n) =>
              Effect.gen(function* () {
                seen.push([n, yield* numbers.depth])
                yield* numbers.add(linksOf(n, 50))
                yield* numbers.add(linksOf(n, 50))
              })
            ),
            Pipeline.to(Sink.discard)
          )
          yield* numbers.add([0, 0])
          yield* numbers.add([0])
          assert.deepEqual(yield* waiting(numbers), [0])
          const { outcome, settled } = yield* Pipeline.run(job, { name: "work" })
          assert.deepEqual({ outcome, settled }, { outcome: "done", settled: 50 })
          assert.deepEqual(
            seen.map(([n]) => n).toSorted((a, b) => a - b),
            upTo(50)
          )
          // The shortest way, as items are taken in the order in which they are added.
          const depths = new Map([[0, 0]])
          for (const [n, depth] of depths) {
            for (const to of linksOf(n, 50)) if (!depths.has(to)) depths.set(to, depth + 1)
          }
          assert.deepEqual(new Map(seen), depths)
          yield* numbers.add(upTo(51))
          assert.deepEqual(yield* waiting(numbers), [50])
        })
      )
  )

  it.effect("leaves out what is deeper than it goes, and counts it as filtered", () =>
    run(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Num, { maxDepth: 2 })
        const job = Pipeline.from(numbers).pipe(
          Pipeline.map((n) => numbers.add([2 * n + 1, 2 * n + 2])),
          Pipeline.to(Sink.discard)
        )
        yield* numbers.add([0])
        const { filtered, settled } = yield* Pipeline.run(job, { name: "work" })
        assert.deepEqual({ filtered, settled }, { filtered: 8, settled: 7 })
        assert.deepEqual(yield* waiting(numbers), [])
      })
    )
  )

  it.effect("takes what has a higher priority first, and of one priority what was added first", () =>
    run(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Num, { priority: (n) => n % 3, atOnce: 2 })
        const seen: Array<number> = []
        const job = Pipeline.from(numbers).pipe(
          Pipeline.map((n) =>
            Effect.suspend(() => {
              seen.push(n)
              return n === 8 ? numbers.add([100], { priority: -1.5 }) : Effect.void
            })
          ),
          Pipeline.to(Sink.discard)
        )
        yield* numbers.add(upTo(9))
        yield* numbers.add([50], { priority: 10 })
        yield* Pipeline.run(job, { name: "work", maxRows: 1 })
        assert.deepEqual(seen, [50, 2, 5, 8, 1, 4, 7, 0, 3, 6, 100])
      })
    )
  )

  it.effect(
    "drops what a failed attempt has added, and writes what comes of elements that settle in any other way",
    () =>
      run(
        Effect.gen(function* () {
          const numbers = Source.frontier("numbers", Num)
          const added = (n: number) => numbers.add([n * 10, n * 10 + 1])
          const job = Pipeline.from(numbers).pipe(
            // 1 is dropped, 2 fails behind it, 3 becomes a dead letter with all that it added, 4 is not kept, 5 is refused by the sink.
            Pipeline.map((n) => Effect.as(n === 3 || n > 9 ? Effect.void : added(n), n), { name: "add" }),
            Pipeline.filter((n) => n !== 1 && n < 10),
            Pipeline.map(
              (n) => Effect.as(Effect.andThen(numbers.add([n + 100]), n === 2 ? Effect.fail("two") : Effect.void), n),
              {
                name: "skips",
                onError: "skip"
              }
            ),
            Pipeline.map((n) => (n === 3 ? Effect.andThen(added(n), Effect.fail("three")) : Effect.succeed(n)), {
              name: "buries",
              onError: { deadLetter: Num }
            }),
            Pipeline.flatMap((n) => (n === 4 ? [] : [n])),
            Pipeline.to(
              Sink.forEach((n) => (n === 5 ? Effect.fail("five") : Effect.void)),
              { onError: "skip" }
            )
          )
          yield* numbers.add([1, 2, 3, 4, 5])
          const { dead, skipped } = yield* Pipeline.run(job, { name: "work" })
          assert.deepEqual({ dead, skipped }, { dead: 1, skipped: 2 })
          // All that was ever added is known, so that only the rest is new.
          yield* numbers.add(upTo(200))
          const left = new Set(yield* waiting(numbers))
          const known = upTo(200).filter((n) => !left.has(n))
          assert.deepEqual(known, [1, 2, 3, 4, 5, 10, 11, 20, 21, 40, 41, 50, 51, 103, 104, 105])
        })
      )
  )

  it.live("drops what an attempt has added that its step makes again, and has a depth beside another source", () =>
    run(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Num)
        const list = Pipeline.from(Source.list([100], { name: "list" }))
        const tries = new Map<number, number>()
        const seen: Array<readonly [number, number]> = []
        const job = Pipeline.from(numbers).pipe(
          Pipeline.merge(list),
          Pipeline.map(
            (n) =>
              Effect.gen(function* () {
                const tried = (tries.get(n) ?? 0) + 1
                tries.set(n, tried)
                yield* numbers.add(n === 1 || n === 12 || n === 100 ? [n * 10 + tried] : [])
                if (tried < 2) return yield* Effect.fail("busy")
                seen.push([n, yield* numbers.depth])
              }),
            { retry: { backoff: { base: "1 millis" } } }
          ),
          Pipeline.to(Sink.discard)
        )
        yield* numbers.add([1])
        yield* Pipeline.run(job, { name: "work" })
        assert.sameDeepMembers(seen, [
          [1, 0],
          [100, 0],
          [12, 1],
          [122, 2],
          [1002, 0]
        ])
      })
    )
  )

  it.effect("has what a step adds when its dead letter is run again, as deep as it was", () =>
    run(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Num)
        const depths: Array<readonly [number, number]> = []
        let broken = true
        const job = Pipeline.from(numbers).pipe(
          Pipeline.map(
            (n) =>
              Effect.gen(function* () {
                depths.push([n, yield* numbers.depth])
                yield* numbers.add(n < 3 ? [n + 1] : [])
                if (broken && n === 2) return yield* Effect.fail("broken")
              }),
            { name: "visit", onError: { deadLetter: Num } }
          ),
          Pipeline.to(Sink.discard)
        )
        yield* numbers.add([0])
        assert.strictEqual((yield* Pipeline.run(job, { name: "work" })).dead, 1)
        assert.deepEqual(yield* waiting(numbers), [])
        broken = false
        assert.strictEqual((yield* Pipeline.replay(job, { name: "work" })).written, 1)
        assert.deepEqual(yield* waiting(numbers), [3])
        const { settled, total } = yield* Pipeline.run(job, { name: "work" })
        assert.deepEqual({ settled, all: total.settled, dead: total.dead }, { settled: 1, all: 4, dead: 0 })
        assert.deepEqual(depths, [
          [0, 0],
          [1, 1],
          [2, 2],
          [2, 2],
          [3, 3]
        ])
      })
    )
  )

  it.effect("is added to by steps of any run, and what they add to another one begins there", () =>
    run(
      Effect.gen(function* () {
        const sites = Source.frontier("sites", Num)
        const pages = Source.frontier("pages", Num)
        const fill = Pipeline.from(Source.list([1, 2], { name: "sites" })).pipe(
          Pipeline.map((n) => sites.add([n])),
          Pipeline.to(Sink.discard)
        )
        const depths: Array<number> = []
        const spread = Pipeline.from(sites).pipe(
          Pipeline.map((n) => Effect.andThen(sites.add(n < 4 ? [n + 2] : []), pages.add([n, n + 100]))),
          Pipeline.to(Sink.discard)
        )
        const visit = Pipeline.from(pages).pipe(
          Pipeline.map(() => Effect.map(pages.depth, (depth) => depths.push(depth))),
          Pipeline.to(Sink.discard)
        )
        yield* Pipeline.run(fill, { name: "fill" })
        assert.strictEqual((yield* Pipeline.run(spread, { name: "spread" })).settled, 5)
        assert.strictEqual((yield* Pipeline.run(visit, { name: "visit" })).settled, 10)
        assert.deepEqual(
          depths,
          Array.from({ length: 10 }, () => 0)
        )
        yield* Pipeline.collect(Pipeline.from([7]).pipe(Pipeline.map((n) => pages.add([n + 500]))))
        assert.deepEqual(yield* waiting(pages), [507])
      })
    )
  )

  it.live("takes items of all lanes in turn, so that those of a slow one do not fill what is held", () =>
    run(
      Effect.gen(function* () {
        const slow = 200
        const urls = [
          ...Array.from({ length: slow }, (_, i) => ({ host: "slow", i })),
          ...["a", "b", "c", "d", "e"].flatMap((host) => Array.from({ length: 6 }, (_, i) => ({ host, i })))
        ]
        const Page = Schema.Struct({ host: Schema.String, i: Schema.Int })
        const frontier = Source.frontier("pages", Page, {
          key: ["host", "i"],
          lane: ({ host }) => host,
          perLane: 2,
          atOnce: 8,
          poll: "5 millis"
        })
        const answers = yield* Deferred.make<void>()
        const quick: Array<string> = []
        let slowOnes = 0
        const job = Pipeline.from(frontier).pipe(
          Pipeline.map(
            ({ host, i }) =>
              Effect.suspend(() => {
                if (host === "slow") {
                  slowOnes += 1
                  assert.isAtMost(slowOnes, 2)
                  return Effect.andThen(
                    Deferred.await(answers),
                    Effect.sync(() => void (slowOnes -= 1))
                  )
                }
                quick.push(`${host}${i}`)
                return quick.length === 30 ? Deferred.succeed(answers, undefined) : Effect.void
              }),
            { concurrency: 8, order: "completion" }
          ),
          Pipeline.to(Sink.discard)
        )
        yield* frontier.add(urls)
        const { settled } = yield* Pipeline.run(job, { name: "work" })
        assert.strictEqual(settled, slow + 30)
        for (const host of ["a", "b", "c", "d", "e"]) {
          assert.deepEqual(
            quick.filter(([of]) => of === host),
            upTo(6).map((i) => `${host}${i}`)
          )
        }
      })
    )
  )
})

describe("P17 a frontier", () => {
  it.effect("refuses a journal that keeps none, with what to do", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Num)
        const job = Pipeline.from(numbers).pipe(Pipeline.to(Sink.discard))
        const journal = Files.journal(join(yield* Child.folder, "work.journal")).pipe(Layer.provide(Main.layer))
        assert.strictEqual(
          (yield* Effect.provide(Effect.flip(Pipeline.run(job, { name: "work" })), journal)).message,
          'Frontier "numbers": could not open it: the journal of this run keeps no frontiers, as that of a file. Let the ' +
            "program provide one of a database, with Db.open or Db.sqlite, or Journal.memory in tests"
        )
      })
    )
  )

  it.effect("refuses items that it cannot keep in the step that adds them, as any failure of the step", () =>
    inMemory(
      Effect.gen(function* () {
        const Item = Schema.Struct({ url: Schema.String, n: Schema.Finite })
        const items = Source.frontier("items", Item, { key: "url", priority: ({ n }) => 1 / n })
        const job = Pipeline.from(items).pipe(
          Pipeline.map(
            ({ n }) =>
              items.add([
                { url: "b", n: 1 },
                { url: "c", n: n - 1 }
              ]),
            { onError: "skip" }
          ),
          Pipeline.to(Sink.discard)
        )
        yield* items.add([{ url: "a", n: 1 }])
        assert.strictEqual((yield* Pipeline.run(job, { name: "work" })).skipped, 1)
        const { item, message } = yield* Effect.flip(items.add([{ url: "c", n: 0 }]))
        assert.deepEqual(
          [item, message],
          [0, 'Frontier "items": could not add items: item 1 has a priority that is no finite number: Infinity']
        )
        const bare = Source.frontier("bare", Item)
        assert.match(
          String(yield* Effect.flip(bare.add([{ url: "a", n: 1 }]))),
          /is no text, number or boolean, so that it needs fields/
        )
      })
    )
  )

  it.effect("knows keys of any length", () =>
    inMemory(
      Effect.gen(function* () {
        const urls = Source.frontier("urls", Schema.String)
        const long = "/x".repeat(5000)
        yield* urls.add([`${long}1`, `${long}2`, `${long}1`])
        assert.deepEqual(yield* Pipeline.collect(Pipeline.from(urls)), [`${long}1`, `${long}2`])
      })
    )
  )

  it.effect("keeps what an attempt of a policy inside of a step has added, which is done once all the same", () =>
    inMemory(
      Effect.gen(function* () {
        const numbers = Source.frontier("numbers", Num)
        const flaky = (n: number) =>
          Effect.flatMap(Pipeline.Attempt, ({ count }) =>
            Effect.andThen(numbers.add(n < 2 ? [n + 1] : []), count < 3 ? Effect.fail("busy") : Effect.void)
          )
        const job = Pipeline.from(numbers).pipe(
          Pipeline.map((n) => Policy.apply(flaky(n), { backoff: { base: 0 } })),
          Pipeline.to(Sink.discard)
        )
        yield* numbers.add([0])
        assert.strictEqual((yield* Pipeline.run(job, { name: "work" })).settled, 3)
      })
    )
  )

  const count = 24
  /** Runs of several partitions at once, from one number on to all. */
  const crew = (workers: number, job: Pipeline.Job<unknown, Journal.Journal, "at-least-once">) =>
    Effect.all(
      upTo(workers).map((worker) => Pipeline.run(job, { name: "work", partition: `${worker}`, maxRows: 2 })),
      { concurrency: workers, discard: true }
    )
  const adding = (frontier: Source.Frontier<number>) =>
    Pipeline.from(frontier).pipe(
      Pipeline.map((n) => Effect.andThen(Effect.yieldNow, frontier.add(linksOf(n, count))), { concurrency: 2 }),
      Pipeline.to(Sink.discard)
    ) as Pipeline.Job<unknown, Journal.Journal, "at-least-once">
  const settledBy = (workers: number) =>
    Effect.map(Effect.all(upTo(workers).map((worker) => countsOf("work", `${worker}`))), (all) =>
      all.reduce((sum, one) => sum + one, 0)
    )

  it("gives each item to one of many runs, in any order of events", () => {
    const program = Effect.gen(function* () {
      const numbers = Source.frontier("numbers", Num, { atOnce: 3, poll: "10 millis" })
      yield* numbers.add([0])
      yield* crew(3, adding(numbers))
      assert.strictEqual(yield* settledBy(3), count)
    })
    Effect.runSync(Sim.explore(Effect.provide(program, Journal.memory), { schedules: 40 }))
  })

  it("loses nothing and does nothing twice where a run is interrupted anywhere", { timeout: 120_000 }, () => {
    const program = Effect.gen(function* () {
      const numbers = Source.frontier("numbers", Num, { atOnce: 3, poll: "10 millis" })
      yield* numbers.add([0])
      const job = adding(numbers)
      const run = Pipeline.run(job, { name: "work", partition: "0", maxRows: 2 })
      yield* Fiber.await(yield* Effect.forkChild(Interrupt.victim(run)))
      yield* crew(2, job)
      assert.strictEqual(yield* settledBy(2), count)
    })
    Effect.runSync(
      Interrupt.everywhere(Effect.provide(program, Journal.memory), {
        at: "suspension",
        check: ({ exit }) => exit._tag === "Success"
      })
    )
  })
})
