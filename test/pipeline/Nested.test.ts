/** Elements that are read a part at a time, and gone on with inside of them (P16). */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Interrupt, Kill, Leaks, Sim } from "skein/testing"
import { after, errorOf, numbers, sorted, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** What an element is read to, as a stream or as a source with positions, and how many were pulled of all. */
const reads = (how: "stream" | "source", size: (n: number) => number) => {
  const seen = { pulled: 0, most: 0, open: 0 }
  const pull = <A>(stream: Stream.Stream<A, never, never>) =>
    Stream.tap(Stream.rechunk(stream, 1), () => Effect.sync(() => void (seen.pulled += 1)))
  const of = (n: number): Stream.Stream<number> | Source.Source<number, never, never, number> => {
    const parts = upTo(size(n)).map((i) => n * 1000 + i)
    if (how === "stream") return pull(Stream.fromIterable(parts))
    const list = Source.list(parts, { name: `parts of ${n}` })
    return { ...list, read: (from) => pull(list.read(from)) }
  }
  return { of, seen }
}

const expectedOf = (elements: number, size: (n: number) => number) =>
  upTo(elements).flatMap((n) => upTo(size(n)).map((i) => n * 1000 + i))

const inMemory = Effect.provide(Journal.memory)

describe.each(["stream", "source"] as const)("P16 an element read as a %s", (how) => {
  const size = (n: number) => [5, 0, 3][n - 1]!

  it("gives its parts in order, those of an element before those of later ones", () => {
    const { of } = reads(how, size)
    for (const concurrency of [1, 4]) {
      const all = Pipeline.from(numbers(3)).pipe(
        Pipeline.flatMap((n) => after(10 - n, of(n)), { concurrency }),
        Pipeline.map((part) => after(part % 3, part), { concurrency: 3 }),
        Pipeline.collect
      )
      expect(valueOf(all)).toEqual(expectedOf(3, size))
    }
  })

  it("gives them as they come with order completion, at most so many elements at once", () => {
    let [open, most] = [0, 0]
    const slow = (n: number) =>
      Stream.unwrap(
        Effect.acquireRelease(
          Effect.sync(() => void (most = Math.max(most, ++open))),
          () => Effect.sync(() => void (open -= 1))
        ).pipe(
          Effect.as(
            Stream.fromIterable([1, 2]).pipe(
              Stream.rechunk(1),
              Stream.mapEffect((i) => after(10, n * 10 + i))
            )
          )
        )
      )
    const all = Pipeline.from(numbers(4)).pipe(
      Pipeline.flatMap(slow, { concurrency: 2, order: "completion" }),
      Pipeline.collect
    )
    expect(valueOf(all)).toEqual([11, 21, 12, 22, 31, 41, 32, 42])
    expect([most, open]).toEqual([2, 0])
  })

  it("settles once all its parts have, and counts as one", () => {
    const { of } = reads(how, size)
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.flatMap(of),
      Pipeline.filter((part) => part % 2 === 1),
      Pipeline.to(store.table)
    )
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "n", window: { items: 2 }, maxRows: 2 })))
    expect(summary).toMatchObject({ settled: 3, written: 5, filtered: 3, position: Option.some(3) })
    expect(store.rows).toEqual(expectedOf(3, size).filter((part) => part % 2 === 1))
    for (const { checkpoint } of store.commits) {
      const settled = Option.getOrElse(checkpoint.position, () => 0) as number
      expect(checkpoint.counts.settled).toBe(settled + checkpoint.ahead.length)
    }
  })

  it("is written in parts, and a run that stopped in its middle reads no settled part again", () => {
    const first = reads(how, () => 100)
    const store = Store.make<number>()
    const job = (of: typeof first.of) =>
      Pipeline.from(numbers(2)).pipe(
        Pipeline.flatMap(of),
        Pipeline.map((part) => after(10, part)),
        Pipeline.to(store.table)
      )
    const given = Store.given(store)
    const options = { name: "n", window: { items: 8 } }
    valueOf(given(Effect.timeoutOption(Pipeline.run(job(first.of), options), 505)))
    expect(store.rows).toEqual(upTo(50).map((i) => 1000 + i))
    expect(first.seen.pulled).toBeLessThanOrEqual(50 + 8 + 1)
    expect(store.checkpoint).toMatchObject({
      position: Option.none(),
      inside: [{ index: 1, step: "flatMap-1", path: "", count: 50, place: { position: 50, ahead: [] } }]
    })
    const second = reads(how, () => 100)
    expect(valueOf(given(Pipeline.run(job(second.of), options)))).toMatchObject({ settled: 2, written: 150 })
    expect(store.rows).toEqual(expectedOf(2, () => 100))
    expect(second.seen.pulled).toBe(how === "source" ? 150 : 200)
    expect(store.checkpoint?.inside).toBeUndefined()
  })

  it("holds no more of its parts than a window does, however many elements it is", () => {
    const { of, seen } = reads(how, () => 200)
    let done = 0
    let most = 0
    const job = Pipeline.from(numbers(5)).pipe(
      Pipeline.flatMap(of, { concurrency: 3, order: "completion" }),
      Pipeline.map((part) => {
        most = Math.max(most, seen.pulled - done)
        return Effect.as(Effect.sleep(1), part)
      }),
      Pipeline.to(Sink.forEach(() => Effect.sync(() => void (done += 1))))
    )
    expect(valueOf(inMemory(Pipeline.run(job, { name: "n", window: { items: 10 } })))).toMatchObject({ written: 1000 })
    // Ten, one for each element that is read, one in the hand of each reader, and a commit that is on its way.
    expect(most).toBeLessThanOrEqual(10 + 3 + 3 + 10)
  })

  it("gets on where its parts fill a batch only partly, as nothing else can move", () => {
    const { of } = reads(how, () => 7)
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.flatMap(of, { concurrency: 2, order: "completion" }),
      Pipeline.batch(50),
      Pipeline.flatMap((parts) => parts),
      Pipeline.to(Sink.discard)
    )
    for (const window of [{ items: 1 }, { items: 2 }, { items: 5 }, { bytes: 1 }]) {
      expect(valueOf(inMemory(Pipeline.run(job, { name: "n", window })))).toMatchObject({ written: 21, settled: 3 })
    }
  })

  it("P15 gives its parts the same keys in every run, and no other elements those", () => {
    const keys = new Map<string, number>()
    const job = (of: (n: number) => any) =>
      Pipeline.from(numbers(2)).pipe(
        Pipeline.flatMap(of as (n: number) => Stream.Stream<number>),
        Pipeline.map(
          (part) =>
            Effect.map(Pipeline.idempotencyKey, (key) => {
              expect(keys.get(key) ?? part).toBe(part)
              keys.set(key, part)
              return part
            }),
          { name: "part" }
        ),
        Pipeline.map((part) => after(10, part)),
        Pipeline.to(Sink.discard)
      )
    const once = valueOf(
      Effect.gen(function* () {
        yield* Effect.timeoutOption(Pipeline.run(job(reads(how, () => 9).of), { name: "n", window: { items: 2 } }), 55)
        return yield* Pipeline.run(job(reads(how, () => 9).of), { name: "n" })
      }).pipe(inMemory)
    )
    expect(once.written).toBeLessThan(18)
    expect(keys.size).toBe(18)
    expect(keys.get("n:part:1/0")).toBe(1001)
  })

  it("P9 is left in its middle by a drain, and waits while the run is paused", () => {
    const { of } = reads(how, () => 50)
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.flatMap(of, { concurrency: 2 }),
      Pipeline.map((part) => after(10, part)),
      Pipeline.to(store.table)
    )
    const options = { name: "n", window: { items: 4 } }
    const given = Store.given(store)
    const [paused, later, drained] = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, options)
        yield* Effect.sleep(100)
        yield* run.pause
        yield* Effect.sleep(100)
        const paused = store.rows.length
        yield* Effect.sleep(1000)
        const later = store.rows.length
        yield* run.resume
        yield* Effect.sleep(100)
        yield* run.drain
        return [paused, later, yield* run.await] as const
      }).pipe(TaskGroup.open, given)
    )
    expect(later).toBe(paused)
    expect(drained).toMatchObject({ outcome: "drained", resumable: true, settled: 0 })
    expect(store.rows.length).toBeGreaterThan(paused)
    expect(valueOf(given(Pipeline.run(job, options)))).toMatchObject({ outcome: "done", settled: 3 })
    expect(store.rows).toEqual(expectedOf(3, () => 50))
  })
})

describe("P16 inside of an element", () => {
  it("goes on in all that was open, at any depth, and behind a fan-out", () => {
    const store = Store.make<string>()
    const deep = (name: string) => Stream.fromIterable(upTo(3).map((i) => `${name}.${i}`)).pipe(Stream.rechunk(1))
    const job = Pipeline.from(numbers(2)).pipe(
      Pipeline.flatMap((n) => [`${n}a`, `${n}b`]),
      Pipeline.flatMap(deep, { concurrency: 2 }),
      Pipeline.flatMap(deep),
      Pipeline.map((name) => after(1, name)),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    const expected = upTo(2).flatMap((n) =>
      ["a", "b"].flatMap((s) => upTo(3).flatMap((i) => upTo(3).map((j) => `${n}${s}.${i}.${j}`)))
    )
    let runs = 0
    while (store.checkpoint?.finished !== true) {
      runs += 1
      valueOf(given(Effect.timeoutOption(Pipeline.run(job, { name: "n", window: { items: 3 } }), 2 + runs)))
      expect(runs).toBeLessThan(40)
    }
    expect(runs).toBeGreaterThan(3)
    expect(store.rows).toEqual(expected)
  })

  it("fails as the stream does, after what came before that was committed", () => {
    const store = Store.make<number>()
    let broken = true
    const torn = (n: number) =>
      Stream.concat(
        Stream.fromIterable([n * 10, n * 10 + 1]),
        Stream.unwrap(Effect.sync(() => (broken && n === 2 ? Stream.fail("torn") : Stream.make(n * 10 + 2))))
      )
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.flatMap(torn), Pipeline.to(store.table))
    const run = Store.given(store)(Pipeline.run(job, { name: "n" }))
    expect(errorOf(run)).toBe("torn")
    expect(store.rows).toEqual([10, 11, 12, 20, 21])
    broken = false
    valueOf(run)
    expect(store.rows).toEqual([10, 11, 12, 20, 21, 22, 30, 31, 32])
  })

  it("P5 skips an element whose stream fails, once, and keeps what came before", () => {
    const store = Store.make<number>()
    const torn = (n: number) =>
      n === 2 ? Stream.concat(Stream.make(20, 21), Stream.fail("torn")) : Stream.make(n * 10)
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.flatMap(torn, { onError: "skip" }), Pipeline.to(store.table))
    expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "n" })))).toMatchObject({
      settled: 3,
      written: 4,
      skipped: 1
    })
    expect(store.rows).toEqual([10, 20, 21, 30])
  })

  it("P5 replays a dead letter behind the parts that had come, killed in its middle as well", () => {
    const store = Store.make<number>()
    let broken = true
    const torn = (n: number) =>
      Stream.concat(
        Stream.fromIterable([n * 100, n * 100 + 1]),
        Stream.unwrap(
          Effect.sync(() => (broken ? Stream.fail("torn") : Stream.fromIterable(upTo(20).map((i) => n * 100 + 1 + i))))
        )
      ).pipe(Stream.rechunk(1))
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.flatMap(torn, { onError: { deadLetter: Schema.Number } }),
      Pipeline.map((part) => after(1, part)),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    const options = { name: "n", window: { items: 4 } }
    expect(valueOf(given(Pipeline.run(job, options)))).toMatchObject({ settled: 3, written: 6, dead: 3 })
    expect(store.letters.map(({ path }) => path)).toEqual(["@2", "@2", "@2"])
    broken = false
    valueOf(given(Effect.timeoutOption(Pipeline.replay(job, options), 30)))
    expect(store.rows.length).toBeGreaterThan(20)
    expect(store.letters.filter(({ replayed }) => replayed).length).toBe(1)
    // A run between two replays knows nothing of them, and loses nothing.
    valueOf(given(Pipeline.run(job, options)))
    expect(valueOf(given(Pipeline.replay(job, options)))).toMatchObject({ outcome: "done", total: { dead: 0 } })
    expect(sorted(store.rows)).toEqual(upTo(3).flatMap((n) => upTo(22).map((i) => n * 100 + i - 1)))
  })

  it("P10 refuses a source inside that changed, and a stream that gives less than was settled", () => {
    const sourced = (parts: ReadonlyArray<number>) => () => Source.list(parts, { name: "parts" })
    const streamed = (parts: ReadonlyArray<number>) => () => Stream.fromIterable(parts)
    for (const [of, name, words] of [
      [sourced, "parts", "checksum was"],
      [streamed, "stream", "an element gave 2 parts where 3 were settled"]
    ] as const) {
      const store = Store.make<number>()
      const given = Store.given(store)
      const job = (parts: ReadonlyArray<number>) =>
        Pipeline.from(numbers(1)).pipe(
          Pipeline.flatMap(of(parts) as () => Stream.Stream<number>, { onError: "skip" }),
          Pipeline.map((n) => after(10, n)),
          Pipeline.to(store.table)
        )
      valueOf(given(Effect.timeoutOption(Pipeline.run(job(upTo(9)), { name: "n", commitEvery: 0 }), 35)))
      expect(store.rows).toEqual([1, 2, 3])
      const error = errorOf(given(Pipeline.run(job(of === sourced ? [1, 5, 3, 4] : [1, 2]), { name: "n" })))
      expect(error).toMatchObject({ _tag: "SourceChanged", source: name })
      expect(error.message).toContain(words)
      expect(store.rows).toEqual([1, 2, 3])
    }
  })

  it("is held whole behind a batch and of an element of a queue, and written at once", () => {
    const store = Store.make<number>()
    const many = (n: number) => Stream.fromIterable(upTo(20).map((i) => n * 100 + i)).pipe(Stream.rechunk(1))
    const batched = Pipeline.from(numbers(4)).pipe(
      Pipeline.batch(2),
      Pipeline.flatMap((some) => Stream.fromIterable(some).pipe(Stream.flatMap(many))),
      Pipeline.to(store.table)
    )
    valueOf(Store.given(store)(Pipeline.run(batched, { name: "n", maxRows: 3, window: { items: 3 } })))
    expect([...new Set(store.commits.map(({ rows }) => rows))]).toEqual([0, 40, 80])
    const queue: Source.Source<number, never, never, number> = {
      ...numbers(3),
      account: Effect.succeed({
        elements: numbers(3).read(Option.none()),
        settle: () => Effect.void,
        settled: () => {}
      })
    }
    const other = Store.make<number>()
    const taken = Pipeline.from(queue).pipe(Pipeline.flatMap(many), Pipeline.to(other.table))
    valueOf(Store.given(other)(Pipeline.run(taken, { name: "n", maxRows: 3 })))
    expect(other.rows).toEqual(upTo(3).flatMap((n) => upTo(20).map((i) => n * 100 + i)))
    expect(other.commits.every(({ rows }) => rows % 20 === 0)).toBe(true)
  })

  it("refuses a source that keeps account of its elements, in words", () => {
    const queue: Source.Source<number, never, never, number> = { ...numbers(3), account: Effect.never }
    const job = Pipeline.from(numbers(1)).pipe(
      Pipeline.flatMap(() => queue),
      Pipeline.collect
    )
    const { exit } = Effect.runSync(Sim.run(job))
    expect(String(exit)).toContain("it keeps account of its own elements")
  })

  it("P4 mixes lists and streams of one step behind a fan-out, and a batch that has both", () => {
    const ways = upTo(63).map((way) => [...way.toString(2).padStart(6, "0")].map((bit) => bit === "1"))
    for (const [i, streams] of ways.entries()) {
      const [concurrency, size, items] = [(i % 3) + 1, (i % 4) + 1, (i % 3) + 2]
      const job = Pipeline.from(numbers(3)).pipe(
        Pipeline.flatMap((n) => [n * 2 - 2, n * 2 - 1]),
        Pipeline.flatMap(
          (n) => {
            const parts = upTo((n + i) % 4)
            return (streams[n] ? Stream.fromIterable(parts) : parts) as Iterable<number>
          },
          { concurrency }
        ),
        Pipeline.batch(size),
        Pipeline.flatMap((some) => some),
        Pipeline.to(Sink.discard)
      )
      const written = upTo(6).reduce((sum, n) => sum + ((n - 1 + i) % 4), 0)
      expect(valueOf(inMemory(Pipeline.run(job, { name: "n", window: { items } })))).toMatchObject({ written })
    }
  })

  it("goes on with the state of a scan, and knows the keys that had come, behind its parts", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(2)).pipe(
      Pipeline.flatMap((n) =>
        Stream.range(1, 20).pipe(
          Stream.rechunk(1),
          Stream.map((i) => n * 100 + i)
        )
      ),
      Pipeline.unique((part) => part % 7),
      Pipeline.scan(0, (sum, part) => [sum + part, sum + part] as const, { state: Schema.Number }),
      Pipeline.map((sum) => after(sum % 3, sum), { concurrency: 3, order: "completion" }),
      Pipeline.to(store.table)
    )
    const run = Store.given(store)(Pipeline.run(job, { name: "n", window: { items: 4 } }))
    let runs = 0
    while (store.checkpoint?.finished !== true) {
      runs += 1
      expect(runs).toBeLessThan(100)
      valueOf(Effect.timeoutOption(run, runs))
    }
    expect(runs).toBeGreaterThan(1)
    expect(sorted(store.rows)).toEqual([101, 203, 306, 410, 515, 621, 728])
    expect(store.checkpoint).toMatchObject({
      position: Option.some(2),
      counts: { settled: 2, written: 7, filtered: 33 }
    })
  })

  it("P11 counts parts where they are written, and elements where they are read", () => {
    const job = Pipeline.from(numbers(2)).pipe(
      Pipeline.flatMap((n) =>
        Stream.range(1, 10).pipe(
          Stream.rechunk(1),
          Stream.map((i) => n * 100 + i)
        )
      ),
      Pipeline.map((part) => after(10, part)),
      Pipeline.to(Sink.discard)
    )
    const seen: Array<Pipeline.Progress> = []
    const progress = { interval: 55, on: (now: Pipeline.Progress) => Effect.sync(() => void seen.push(now)) }
    valueOf(inMemory(Pipeline.run(job, { name: "n", commitEvery: 0, progress })))
    expect(seen[0]).toMatchObject({ settled: 0, written: 5, inFlight: 2, lag: 2 })
    expect(seen[2]).toMatchObject({ settled: 1, written: 16, inFlight: 1, lag: 1 })
  })
})

/** Elements of all kinds that are read inside; and what is true of them whatever happened to the first run. */
const lives = (kind: "table" | "file", how: "stream" | "source") => {
  const store = Store.make<number>()
  const { of } = reads(how, (n) => [3, 0, 1, 4][n - 1]!)
  const job = Pipeline.from(numbers(4)).pipe(
    Pipeline.flatMap((n) => (n === 1 ? [n, n] : [n])),
    Pipeline.flatMap((n) => after(n % 2, of(n)), { concurrency: 2, order: "completion" }),
    Pipeline.filter((part) => part !== 4002),
    Pipeline.batch(2, { within: 1 }),
    Pipeline.flatMap((some) => some),
    Pipeline.map((part) => after(part % 3, part), { concurrency: 2, order: "completion" }),
    Pipeline.to(store[kind] as Sink.Sink<number, never, never, "effectively-once">)
  )
  const options = { name: "lives", maxRows: 3, window: { items: 3 } }
  return { store, kind, run: Store.given(store)(Pipeline.run(job, options)) }
}

describe.each([
  ["stream", "table"],
  ["source", "table"],
  ["stream", "file"]
] as const)("P3 elements read as a %s into a %s, killed or cancelled anywhere,", (how, kind) => {
  it("lose nothing and write nothing twice", { timeout: 120_000 }, () => {
    let now = lives(kind, how)
    const start = Effect.suspend(() => (now = lives(kind, how)).run)
    const check = (run: Sim.Run<unknown, unknown>) => {
      if (!run.stopped) Effect.runSync(Effect.andThen(run.exit, Leaks.check(run)))
      now.store.free()
      expect(valueOf(now.run)).toMatchObject({ outcome: "done", total: { settled: 4, filtered: 1, written: 10 } })
      const rows = kind === "table" ? now.store.rows : now.store.file.lines
      expect(sorted(rows)).toEqual(sorted([1001, 1002, 1003, 1001, 1002, 1003, 3001, 4001, 4003, 4004]))
      expect(now.store.checkpoint).toMatchObject({ finished: true, position: Option.some(4), ahead: [] })
      expect(now.store.checkpoint?.inside).toBeUndefined()
      let watermark = 0
      for (const { checkpoint } of now.store.commits) {
        const at = Option.getOrElse(checkpoint.position, () => 0) as number
        expect(at).toBeGreaterThanOrEqual(watermark)
        watermark = at
        expect(checkpoint.counts.settled).toBe(at + checkpoint.ahead.length)
      }
    }
    Effect.runSync(Kill.everywhere(start, { check, at: "suspension" }))
    Effect.runSync(Interrupt.everywhere(start, { check, at: "suspension" }))
    Effect.runSync(Sim.explore(start, { check, schedules: 30, stop: "kill" }))
  })
})
