/** P6 of a step: attempts, their time and their rate, and who holds a worker meanwhile. */
import { describe, expect } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Deadline, Journal, Limiter, Pipeline, TaskGroup } from "skein"
import { Interrupt, Leaks } from "skein/testing"
import { it } from "skein/testing/vitest"
import { after, endsWell, errorOf, numbers, sorted, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** Fails so many times on each element, and tells when it was called. */
const flaky = (times: (n: number) => number, takes = 0) => {
  const calls: Array<readonly [n: number, at: number]> = []
  const failed = new Map<number, number>()
  const work = (n: number) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) => {
      calls.push([n, at])
      const before = failed.get(n) ?? 0
      failed.set(n, before + 1)
      return Effect.delay(before < times(n) ? Effect.fail("busy") : Effect.succeed(n), takes)
    })
  const times_ = (n: number) => calls.filter(([m]) => m === n).map(([, at]) => at)
  return { calls, work, timesOf: times_ }
}

const backoff = { base: 1000, factor: 1 } as const
const inMemory = Effect.provide(Journal.memory)

describe("P6 a step that is tried again", () => {
  it("gives its worker to others while it waits, and keeps the order all the same", () => {
    const { calls, work } = flaky((n) => (n === 1 ? 2 : 0), 10)
    const given = valueOf(Pipeline.from(numbers(20)).pipe(Pipeline.map(work, { retry: { backoff } }), Pipeline.collect))
    expect(given).toEqual(upTo(20))
    // One worker did the others before the first of them was tried again.
    expect(calls.slice(0, 2).map(([n]) => n)).toEqual([1, 2])
    expect(calls.filter(([n]) => n === 1).length).toBe(3)
    expect(calls.slice(0, 21).map(([, at]) => at - calls[0]![1])).toEqual(expect.arrayContaining([10, 20, 30]))
  })

  it("keeps its key, so that what follows of it waits, and nothing else does", () => {
    const { timesOf, work } = flaky((n) => (n === 1 ? 3 : 0))
    valueOf(
      Pipeline.from(numbers(10)).pipe(
        Pipeline.map(work, { retry: { backoff: { base: "1 hour", factor: 1, cap: "1 hour" } }, key: (n) => n % 2 }),
        Pipeline.collect
      )
    )
    const end = timesOf(1).at(-1)!
    expect([3, 5, 7, 9].every((n) => timesOf(n)[0]! >= end)).toBe(true)
    expect([2, 4, 6, 8].every((n) => timesOf(n)[0]! < timesOf(1)[1]!)).toBe(true)
  })

  it("counts attempts where steps, dead letters and the summary look", () => {
    const store = Store.make<number>()
    const counts: Array<number> = []
    const { work } = flaky((n) => (n === 2 ? 9 : n === 1 ? 1 : 0))
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map(
        (n) =>
          Effect.flatMap(Pipeline.Attempt, ({ count }) => {
            if (n === 2) counts.push(count)
            return work(n)
          }),
        { retry: { retries: 4, backoff }, onError: { deadLetter: Schema.Number } }
      ),
      Pipeline.to(store.table)
    )
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))
    expect(summary).toMatchObject({ written: 2, dead: 1, retries: 5 })
    expect(store.letters).toMatchObject([{ input: 2, attempts: 5, cause: "busy" }])
    expect(counts).toEqual([1, 2, 3, 4, 5])
  })

  it("works on values and promises as well, and ends at an error that is not worth another attempt", async () => {
    let calls = 0
    const job = Pipeline.from([1]).pipe(
      Pipeline.map(
        async (n) => {
          calls += 1
          if (calls < 3) throw new Error("busy")
          return n
        },
        { retry: { backoff: { base: 0 } }, catch: (reason) => (reason as Error).message }
      ),
      Pipeline.map(
        (n) => {
          calls += 1
          if (calls < 5) throw new Error("again")
          return n + 1
        },
        { retry: { backoff: { base: 0 } }, catch: (reason) => (reason as Error).message }
      ),
      Pipeline.collect
    )
    expect(await Effect.runPromise(job)).toEqual([2])
    expect(calls).toBe(5)
    const refused = Pipeline.from([1]).pipe(
      Pipeline.map(() => Effect.fail((calls += 1)), { retry: { retryWhile: (n) => n < 8, backoff } }),
      Pipeline.collect
    )
    expect(errorOf(refused)).toBe(8)
  })

  const explored = () => {
    const { work } = flaky((n) => n % 3)
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(5)).pipe(
      Pipeline.map(work, { concurrency: 2, retry: { backoff: { base: 3, factor: 1 } }, key: (n) => n % 2 }),
      Pipeline.to(store.table)
    )
    return Store.given(store)(Pipeline.run(job, { name: "r", window: { items: 3 } }))
  }

  it.sim("ends in any order of events", explored, { schedules: 100, check: endsWell })

  it("P9 leaves no timer, whenever it is cancelled", () => {
    Effect.runSync(Interrupt.everywhere(Effect.suspend(explored), { check: (run) => Leaks.check(run) }))
  })

  it("P8 comes back though memory is short, and nobody else may begin", () => {
    const store = Store.make<number>()
    const { work } = flaky((n) => n % 3)
    const job = Pipeline.from(numbers(9)).pipe(
      Pipeline.map((n) => after(1, { n, text: "x".repeat(600) }), { concurrency: 4 }),
      Pipeline.map(({ n }) => work(n), { concurrency: 2, retry: { backoff } }),
      Pipeline.to(store.table)
    )
    valueOf(Store.given(store)(Pipeline.run(job, { name: "short", window: { bytes: 1000 } })))
    expect(store.rows).toEqual(upTo(9))
  })

  it("P9 is finished by a drain", () => {
    const store = Store.make<number>()
    const { work } = flaky((n) => (n === 1 ? 2 : 0))
    const summary = valueOf(
      Effect.gen(function* () {
        const job = Pipeline.from(numbers(50)).pipe(
          Pipeline.map((n) => Effect.andThen(Effect.sleep(10), work(n)), { concurrency: 2, retry: { backoff } }),
          Pipeline.to(store.table)
        )
        const run = yield* Pipeline.start(job, { name: "r" })
        yield* Effect.sleep(25)
        yield* run.drain
        return yield* run.await
      }).pipe(TaskGroup.open, Store.given(store))
    )
    expect(summary.outcome).toBe("drained")
    expect(store.rows).toContain(1)
    expect(store.rows.length).toBeLessThan(10)
  })
})

describe("P6 a step with a timeout", () => {
  it("fails with DeadlineExceeded, of an attempt, which is tried again, and of all of them, which are not", () => {
    const slow = (ms: number) => () => Effect.sleep(ms)
    const late = (error: unknown) => error as Deadline.DeadlineExceeded
    const attempt = Pipeline.from([1]).pipe(
      Pipeline.map(slow(1000), { timeout: { attempt: 100 }, name: "slow" }),
      Pipeline.collect
    )
    expect(late(errorOf(attempt))).toMatchObject({ _tag: "DeadlineExceeded", deadline: "slow attempt", duration: 100 })
    let calls = 0
    const again = Pipeline.from([1]).pipe(
      Pipeline.map((n) => (++calls < 3 ? after(1000, n) : n), { timeout: { attempt: 100 }, retry: { backoff } }),
      Pipeline.collect
    )
    expect(valueOf(again)).toEqual([1])
    const all = Pipeline.from([1]).pipe(
      Pipeline.map(() => Effect.andThen(Effect.sleep(60), Effect.fail("busy")), {
        timeout: { total: 1000 },
        retry: { retries: Infinity, backoff: { base: 0 } },
        name: "slow"
      }),
      Pipeline.collect
    )
    expect(late(errorOf(all))).toMatchObject({ deadline: "slow total", duration: 1000 })
  })

  it("S15 begins no retry that could not end in time", () => {
    const { calls, work } = flaky(() => 9)
    const job = Pipeline.from([1]).pipe(
      Pipeline.map(work, { timeout: { total: "1 second" }, retry: { backoff: { base: "1 hour", cap: "1 hour" } } }),
      Pipeline.collect
    )
    expect(errorOf(job)).toBe("busy")
    expect(calls.length).toBe(1)
  })
})

describe("P6 a step with a rate", () => {
  const spacing = (ats: ReadonlyArray<number>) => ats.slice(1).map((at, i) => at - ats[i]!)

  it("begins no more attempts in a time than that", () => {
    for (const rate of [
      { limit: 10, per: "1 second" } as const,
      Effect.runSync(Limiter.rate({ limit: 10, per: 1000 }))
    ]) {
      const { calls, work } = flaky((n) => (n === 2 ? 1 : 0))
      valueOf(
        Pipeline.from(numbers(10)).pipe(
          Pipeline.map(work, { concurrency: 4, rate, retry: { backoff: { base: 10 } } }),
          Pipeline.collect
        )
      )
      expect(calls.length).toBe(11)
      expect(spacing(calls.map(([, at]) => at))).toEqual(Array(10).fill(100))
    }
  })

  it("of each key keeps no worker from the others", () => {
    const { calls, timesOf, work } = flaky(() => 0, 1)
    // Five of one host, one a second, and then one of another one each ten milliseconds.
    const job = Pipeline.from([1, 1, 1, 1, 1, ...upTo(20).map((n) => 100 + n)]).pipe(
      Pipeline.map((n) => after(10, n)),
      Pipeline.map(work, { concurrency: 2, key: (n) => n, perKey: 2, ratePerKey: { limit: 1, per: "1 second" } }),
      Pipeline.collect
    )
    valueOf(job)
    expect(spacing(timesOf(1))).toEqual([1000, 1000, 1000, 1000])
    expect(calls.filter(([n]) => n > 1).map(([, at]) => at - calls[0]![1])).toEqual(upTo(20).map((n) => 40 + 10 * n))
  })
})

describe("a run that is told how many work at once", () => {
  const watched = () => {
    const seen = { working: 0, most: 0 }
    const work = (n: number) =>
      Effect.suspend(() => {
        seen.most = Math.max(seen.most, ++seen.working)
        return Effect.as(
          Effect.ensuring(
            Effect.sleep(10),
            Effect.sync(() => void seen.working--)
          ),
          n
        )
      })
    return { seen, work }
  }

  it("hires more and lets fewer go on, in order, and shows how many there are", () => {
    const store = Store.make<number>()
    const { seen, work } = watched()
    const program = Effect.gen(function* () {
      const job = Pipeline.from(numbers(300)).pipe(Pipeline.map(work, { name: "work" }), Pipeline.to(store.table))
      const run = yield* Pipeline.start(job, { name: "live" })
      const at = Effect.gen(function* () {
        yield* Effect.sleep(50)
        seen.most = 0
        yield* Effect.sleep(95)
        return [seen.most, (yield* run.steps)[0]!.concurrency, (yield* run.steps)[0]!.working]
      })
      const all = [yield* at]
      for (const concurrency of [8, 3]) {
        yield* run.set("work", { concurrency })
        all.push(yield* at)
      }
      const unknown = yield* Effect.exit(run.set("wrok", { concurrency: 1 }))
      const senseless = yield* Effect.exit(run.set("work", { concurrency: 0 }))
      yield* run.await
      return { all, unknown: String(unknown), senseless: String(senseless) }
    })
    const { all, senseless, unknown } = valueOf(program.pipe(TaskGroup.open, Store.given(store)))
    expect(all).toEqual([
      [1, 1, 1],
      [8, 8, 8],
      [3, 3, 3]
    ])
    expect(store.rows).toEqual(upTo(300))
    expect(unknown).toContain('has no step "wrok" with workers; the steps that have are "work"')
    expect(senseless).toContain("must be a whole number, 1 or more; got 0")
  })

  it.sim(
    "keeps order and count at any moment of a run",
    () => {
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(6)).pipe(
        Pipeline.map((n) => after(n % 3, n), { name: "work" }),
        Pipeline.filter((n) => n !== 2, { name: "keep" }),
        Pipeline.to(store.table)
      )
      return Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "live" })
        for (const concurrency of [3, { min: 1, max: 4 }, 1, 2]) {
          yield* Effect.sleep(1)
          yield* run.set("work", { concurrency })
        }
        yield* run.await
        expect(store.rows).toEqual([1, 3, 4, 5, 6])
      }).pipe(TaskGroup.open, inMemory)
    },
    { schedules: 100, check: endsWell }
  )
})

describe("P2 a batch", () => {
  const batches = <A>(list: Iterable<A>, size: number, options: Parameters<typeof Pipeline.batch<A>>[1]) =>
    valueOf(Pipeline.from(list).pipe(Pipeline.batch(size, options), Pipeline.collect))

  it("is sent once it holds so many bytes, whatever their number", () => {
    const text = (n: number) => "x".repeat(n)
    const sizes = batches([300, 300, 300, 3000, 100, 100].map(text), 4, { bytes: 600 })
    expect(sizes.map((batch) => batch.map(({ length }) => length))).toEqual([
      [300, 300],
      [300, 3000],
      [100, 100]
    ])
  })

  it("holds elements of one key, each filled by itself, and the rest at the end", () => {
    expect(batches(upTo(11), 2, { key: (n) => n % 3 })).toEqual([[1, 4], [2, 5], [3, 6], [7, 10], [8, 11], [9]])
  })

  it("of a key waits no longer than it may, and the others as long as they may", () => {
    const at: Array<readonly [number, ReadonlyArray<number>]> = []
    valueOf(
      Pipeline.from(numbers(6)).pipe(
        Pipeline.map((n) => after(10, n)),
        Pipeline.batch(9, { within: 25, key: (n) => n % 2 }),
        Pipeline.tap((batch) => Effect.map(Clock.currentTimeMillis, (now) => at.push([now, batch]))),
        Pipeline.collect
      )
    )
    expect(at.map(([, batch]) => batch)).toEqual([[1, 3], [2, 4], [5], [6]])
    const begin = at[0]![0]
    expect(at.map(([now]) => now - begin)).toEqual([0, 10, 25, 25])
  })

  it("of each key goes on when the window is full of partial ones", () => {
    const store = Store.make<ReadonlyArray<number>>()
    const keys: Array<string> = []
    const job = Pipeline.from(numbers(40)).pipe(
      Pipeline.batch(10, { key: (n) => n }),
      Pipeline.tap(() => Effect.map(Pipeline.idempotencyKey, (key) => keys.push(key))),
      Pipeline.to(store.table)
    )
    valueOf(Store.given(store)(Pipeline.run(job, { name: "full", window: { items: 8 } })))
    expect(sorted(store.rows.flat())).toEqual(upTo(40))
    expect(new Set(keys).size).toBe(store.rows.length)
  })

  it("fails by its name where its key throws", () => {
    const job = Pipeline.from([1]).pipe(
      Pipeline.batch(2, {
        name: "by key",
        key: (): number => {
          throw new Error("no key")
        }
      }),
      Pipeline.collect
    )
    expect(() => valueOf(job)).toThrow(/step "by key".*no key/)
  })
})
