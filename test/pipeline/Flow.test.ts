/** The moments at which a flow could hang, lose, double or reorder: full windows, re-entry, early drains, replays. */
import { assert, describe, expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import { Journal, Pipeline, Source, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import * as Child from "../support/child.ts"
import * as Store from "../support/store.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined

const valueOf = <A, E>(effect: Effect.Effect<A, E, Journal.Journal>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(Effect.provide(effect, Journal.memory)), Leaks.check))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

/** Succeeds, and leaves nothing behind. */
const endsWell = <A, E>(run: Sim.Run<A, E>) => Effect.andThen(run.exit, Leaks.check(run))

const numbers = (n: number): Source.Source<number, never, never, number> => ({
  ...Source.list(
    Array.from({ length: n }, (_, i) => i + 1),
    { name: "numbers" }
  )
})

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
const after = <A>(millis: number, value: A) => Effect.as(Effect.sleep(millis), value)

describe("a full window", () => {
  it("is left by each element once, though room lets the next one in while it leaves", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(30)).pipe(
      Pipeline.filter((n) => (n % 2 === 1 ? after(n % 3, n % 3 === 0) : n % 3 === 0), { concurrency: 3 }),
      Pipeline.to(store.table)
    )
    const summary = valueOf(Pipeline.run(job, { name: "full", window: { items: 2 } }))
    expect(store.rows).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27, 30])
    expect(summary).toMatchObject({ settled: 30, filtered: 20 })
  })

  it("lets no element overtake the children of the one before it", () => {
    const store = Store.make<string>()
    const job = Pipeline.from(numbers(6)).pipe(
      Pipeline.flatMap((n) => (n === 2 ? after(5, ["2a", "2b", "2c"]) : [`${n}a`])),
      Pipeline.filter((s) => s !== "2a"),
      Pipeline.batch(10),
      Pipeline.filter((batch) => batch[0] !== "1a"),
      Pipeline.map((batch) => batch.join("+")),
      Pipeline.to(store.table)
    )
    valueOf(Pipeline.run(job, { name: "order", window: { items: 2 } }))
    expect(store.rows.join("+").split("+").slice(-4)).toEqual(["3a", "4a", "5a", "6a"])
    // The window was full with 1 and 2; what there is of 2 still goes in one batch.
    expect(store.rows).not.toContain("2b")
  })

  it("of bytes is worked down through several steps, one after the other", () => {
    const store = Store.make<string>()
    const job = Pipeline.from(numbers(40)).pipe(
      Pipeline.map((n) => after(n % 7, "x".repeat(200)), { concurrency: 4 }),
      Pipeline.map((s) => after(1, s), { concurrency: 2 }),
      Pipeline.map((s) => s),
      Pipeline.to(store.table)
    )
    valueOf(Pipeline.run(job, { name: "bytes", window: { bytes: 100 }, commitEvery: 5 }))
    expect(store.rows.length).toBe(40)
  })

  it.sim(
    "of bytes is never waited for by the only worker of a step that was handed an element",
    () => {
      const store = Store.make<ReadonlyArray<number>>()
      const job = Pipeline.from(numbers(20)).pipe(
        Pipeline.filter((n) => (n % 3 === 0 ? true : after(n % 2, n % 5 === 0))),
        Pipeline.batch(2),
        Pipeline.to(store.table)
      )
      return Effect.provide(Pipeline.run(job, { name: "handed", window: { bytes: 1 } }), Journal.memory)
    },
    { schedules: deep ? 1000 : 300, check: endsWell }
  )

  it.sim(
    "is not waited for while a batch holds what fills it",
    () => {
      const element = (n: number) => ({ value: n, position: n, bytes: 8 })
      // The second element comes at some moment of the commit of the first.
      const later = Effect.flatMap(Random.nextIntBetween(0, 20), (times) => Effect.repeat(Effect.yieldNow, { times }))
      const source: Source.Source<number, never, never, number> = {
        ...numbers(3),
        read: () =>
          Stream.concat(Stream.make(element(1)), Stream.unwrap(Effect.as(later, Stream.make(element(2), element(3)))))
      }
      const job = Pipeline.from(source).pipe(
        Pipeline.filter((n) => n > 1),
        Pipeline.batch(50),
        Pipeline.to(Store.make<ReadonlyArray<number>>().table)
      )
      return Effect.provide(Pipeline.run(job, { name: "holds", window: { items: 1 } }), Journal.memory)
    },
    { schedules: deep ? 2000 : 500, check: endsWell }
  )

  it("counts what steps make without an effect", () => {
    const store = Store.make<string>()
    let held = 0
    let most = 0
    const job = Pipeline.from(numbers(60)).pipe(
      Pipeline.map((n) => {
        most = Math.max(most, ++held)
        return "x".repeat(1000) + n
      }),
      Pipeline.to({
        ...store.table,
        open: (committed) =>
          Effect.map(store.table.open(committed), (writer) => ({
            write: (rows: ReadonlyArray<string>, since) =>
              Effect.tap(Effect.delay(writer.write(rows, since), 20), () =>
                Effect.sync(() => void (held -= rows.length))
              )
          }))
      })
    )
    valueOf(Pipeline.run(job, { name: "sync", window: { bytes: 10_000 } }))
    expect(store.rows.length).toBe(60)
    expect(most).toBeLessThanOrEqual(10)
  })

  it.sim(
    "does not wait for the time between commits",
    () => {
      const job = Pipeline.from(numbers(50)).pipe(Pipeline.to(Store.make<number>().table))
      const options = { name: "every", commitEvery: "1 hour", window: { items: 8 }, maxRows: 7 } as const
      return Effect.provide(Pipeline.run(job, options), Journal.memory)
    },
    {
      schedules: 300,
      check: (run) => {
        expect(run.time).toBe(0)
        return endsWell(run)
      }
    }
  )

  it.sim(
    "cuts no batch short while it has room",
    Effect.gen(function* () {
      const store = Store.make<ReadonlyArray<number>>()
      const job = Pipeline.from(numbers(30)).pipe(Pipeline.batch(3), Pipeline.to(store.table))
      yield* Effect.provide(Pipeline.run(job, { name: "cut", window: { items: 10 } }), Journal.memory)
      expect(store.rows.map((batch) => batch.length)).toEqual(upTo(10).map(() => 3))
    }),
    { schedules: 300, check: endsWell }
  )

  it("of bytes gets all of its room back from elements that settle together", () => {
    const job = Pipeline.from(numbers(400)).pipe(
      Pipeline.map((n) => after(1, n), { concurrency: 8 }),
      Pipeline.batch(2),
      Pipeline.to(Store.make<ReadonlyArray<number>>().table)
    )
    const run = Effect.runSync(
      Sim.run(Effect.provide(Pipeline.run(job, { name: "back", window: { bytes: 1000 } }), Journal.memory))
    )
    expect(Exit.isSuccess(run.exit)).toBe(true)
    // One at a time they would take 400.
    expect(run.time).toBeLessThan(100)
  })

  it("is committed though nothing of it is written, so that a crash repeats no more than that", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(1000)).pipe(
      Pipeline.filter(() => false),
      Pipeline.to(store.table)
    )
    valueOf(Pipeline.run(job, { name: "filtered", window: { items: 50 } }))
    const settled = store.commits.map(({ checkpoint }) => checkpoint.counts.settled)
    for (const [i, count] of settled.entries()) expect(count - (settled[i - 1] ?? 0)).toBeLessThanOrEqual(50)
  })

  it("shows in the progress what is settled though it is not committed yet", () => {
    const store = Store.make<number>()
    const seen: Array<Pipeline.Progress> = []
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.filter(() => after(100, false)),
      Pipeline.to(store.table)
    )
    const on = (progress: Pipeline.Progress) => Effect.sync(() => void seen.push(progress))
    valueOf(Pipeline.run(job, { name: "progress", progress: { interval: 450, on } }))
    expect(seen[0]).toMatchObject({ settled: 4, filtered: 4, inFlight: 6, lag: 10 })
  })

  it("of less than one element is refused, and so is a write of less than one", () => {
    const job = Pipeline.from([1]).pipe(Pipeline.to(Store.make<number>().table))
    expect(() => Pipeline.run(job, { name: "w", window: { items: 0 } })).not.toThrow()
    expect(() => valueOf(Pipeline.run(job, { name: "w", window: { items: 0 } }))).toThrow("1 or more; got 0")
    expect(() => valueOf(Pipeline.run(job, { name: "w", maxRows: 0 }))).toThrow("1 or more; got 0")
  })
})

describe("elements that settle together", () => {
  it("keep what some of them have given already", () => {
    const store = Store.make<ReadonlyArray<string>>()
    const delays: Record<string, number> = { "1a": 0, "2a": 1, "3a": 10, "1b": 11 }
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.flatMap((n) => (n === 1 ? ["1a", "1b"] : [`${n}a`])),
      Pipeline.map((name) => after(delays[name]!, name), { concurrency: 4, order: "completion" }),
      Pipeline.batch(2),
      Pipeline.to(store.table)
    )
    valueOf(Pipeline.run(job, { name: "together" }))
    expect(store.rows.toSorted()).toEqual([
      ["1a", "2a"],
      ["3a", "1b"]
    ])
  })
})

describe("a write", () => {
  it("has no more rows than allowed, when no element became more than one", () => {
    const store = Store.make<number>()
    valueOf(Pipeline.run(Pipeline.from(numbers(100)).pipe(Pipeline.to(store.table)), { name: "rows", maxRows: 7 }))
    const rows = store.commits.map((commit) => commit.rows)
    for (const [i, count] of rows.entries()) expect(count - (rows[i - 1] ?? 0)).toBeLessThanOrEqual(7)
    expect(store.rows).toEqual(upTo(100))
  })
})

describe("a drain", () => {
  it.sim(
    "that was asked for before the start, or at any moment of it, reads nothing more",
    () => {
      const job = Pipeline.from(numbers(1000)).pipe(
        Pipeline.map((n) => after(100, n)),
        Pipeline.to(Store.make<number>().table)
      )
      return TaskGroup.open(Effect.andThen(TaskGroup.stop(), Pipeline.run(job, { name: "early" }))).pipe(
        Effect.provide(Journal.memory)
      )
    },
    {
      schedules: 300,
      check: (run) => {
        expect(Exit.isSuccess(run.exit) && run.exit.value.outcome).toBe("drained")
        expect(run.time).toBeLessThanOrEqual(100)
        return Leaks.check(run)
      }
    }
  )

  it("is not what a source does that cancels itself", () => {
    const job = Pipeline.from(Stream.concat(Stream.make(1), Stream.fromEffect(Effect.interrupt))).pipe(
      Pipeline.to(Store.make<number>().table)
    )
    const { exit } = Effect.runSync(Sim.run(Effect.provide(Pipeline.run(job, { name: "self" }), Journal.memory)))
    expect(Exit.isFailure(exit)).toBe(true)
  })
})

describe("a replay", () => {
  it("before the run is done takes every letter, also those that are counted as settled ahead of the watermark", () => {
    const store = Store.make<number>()
    let broken = true
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.map((n) => (n === 1 && broken ? Effect.delay(Effect.fail("stop"), 100) : Effect.succeed(n)), {
        concurrency: 3,
        order: "completion"
      }),
      Pipeline.map((n) => (n % 2 === 0 && broken ? Effect.fail("bad") : Effect.succeed(n)), {
        concurrency: 3,
        order: "completion",
        onError: { deadLetter: Schema.Number }
      }),
      Pipeline.to(store.table)
    )
    expect(valueOf(Effect.flip(Pipeline.run(job, { name: "r" })))).toBe("stop")
    expect(store.checkpoint!.ahead.length).toBe(9)
    broken = false
    const { ahead, position } = store.checkpoint!
    const replayed = valueOf(Pipeline.replay(job, { name: "r" }))
    expect(replayed).toMatchObject({ settled: 5, written: 5, position: Option.none() })
    expect(store.letters.every((letter) => letter.replayed)).toBe(true)
    expect(store.checkpoint).toMatchObject({ ahead, position, finished: false })
    expect(valueOf(Pipeline.run(job, { name: "r" }))).toMatchObject({ settled: 1, total: { settled: 10, dead: 0 } })
    expect(store.rows.toSorted((a, b) => a - b)).toEqual(upTo(10))
  })

  it("before the first run does not stand in its way", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(store.table))
    valueOf(Pipeline.replay(job, { name: "r" }))
    expect(valueOf(Pipeline.run(job, { name: "r" })).settled).toBe(3)
  })
})

describe("a pipeline", () => {
  it("has no two steps of one name, as dead letters go back to their step by its name", () => {
    const one = Pipeline.from([1]).pipe(Pipeline.map((n) => n, { name: "call" }))
    expect(() => one.pipe(Pipeline.filter(() => true, { name: "call" }))).toThrow('two steps with the name "call"')
  })

  it("that is collected keeps no checkpoint in the journal there is", () => {
    const store = Store.make<number>()
    const all = Pipeline.collect(Pipeline.from([1, 2]))
    expect(valueOf(Effect.provideService(all, Journal.Journal, store.journal))).toEqual([1, 2])
    expect(store.commits).toEqual([])
  })

  it.effect("P8 moves any number of elements in 32 MB", () =>
    Effect.gen(function* () {
      const program = join(import.meta.dirname, "many-program.ts")
      const { code, stderr, stdout } = yield* (yield* Child.start(
        ["--max-old-space-size=32", "--max-semi-space-size=1", program],
        Child.alone
      )).end
      assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "500000 settled, 375000 filtered\n", stderr: "" })
    })
  )

  it.effect("P16 reads one element of any number of parts in 32 MB", () =>
    Effect.gen(function* () {
      const program = join(import.meta.dirname, "parts-program.ts")
      const { code, stderr, stdout } = yield* (yield* Child.start(
        ["--max-old-space-size=32", "--max-semi-space-size=1", program],
        Child.alone
      )).end
      assert.deepEqual(
        { code, stdout, stderr },
        { code: 0, stdout: "1 settled, 250000 written, 750000 filtered\n", stderr: "" }
      )
    })
  )
})
