/** Pipelines with sources of their own that flow into one: what is read, written and kept of each. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Interrupt, Kill, Leaks, Sim } from "skein/testing"
import { after, counted, errorOf, sorted, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

const list = (name: string, from: number, to: number) =>
  Source.list(
    upTo(to).filter((n) => n >= from),
    { name }
  )
const odd = Pipeline.from(list("low", 1, 5))
const even = Pipeline.from(list("high", 101, 103))

const inMemory = Effect.provide(Journal.memory)

describe("merge", () => {
  it("brings all elements together, those of each in their order", () => {
    const all = valueOf(
      odd.pipe(
        Pipeline.map((n) => after(n % 2, n)),
        Pipeline.merge(even, Pipeline.from(["a", "b"])),
        Pipeline.collect
      )
    )
    expect(all.filter((x) => typeof x === "number" && x < 100)).toEqual(upTo(5))
    expect(all.filter((x) => typeof x === "number" && x > 100)).toEqual([101, 102, 103])
    expect(all.filter((x) => typeof x === "string")).toEqual(["a", "b"])
    expect(all.length).toBe(10)
  })

  it("gives what is there while another source has nothing, and ends with the last of them", () => {
    const slow = Pipeline.from(Stream.fromEffect(after(1000, 0)))
    const seen: Array<number> = []
    const took = valueOf(
      Effect.timed(
        slow.pipe(
          Pipeline.merge(
            odd.pipe(
              Pipeline.batch(2),
              Pipeline.flatMap((some) => some)
            )
          ),
          Pipeline.map((n) => void seen.push(n)),
          Pipeline.collect
        )
      )
    )
    expect(seen).toEqual([1, 2, 3, 4, 5, 0])
    expect(`${took[0]}`).toContain("1000")
  })

  it("keeps the place of each source by its name, numbered where two have one", () => {
    const store = Store.make<number>()
    const job = odd.pipe(Pipeline.merge(even, Pipeline.from(list("low", 50, 51))), Pipeline.to(store.table))
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "m" })))
    expect(summary).toMatchObject({ outcome: "done", settled: 10, guarantee: "exactly-once" })
    expect(summary.position).toEqual(Option.some({ low: 5, high: 3, "low #2": 2 }))
    expect(store.checkpoint).toMatchObject({
      finished: true,
      position: Option.none(),
      inputs: { low: { position: 5, ahead: [] }, high: { position: 3 }, "low #2": { position: 2 } }
    })
  })

  it("P10 reads what was added to any of them, and what came before only once", () => {
    const store = Store.make<number>()
    const job = (low: number, high: number) =>
      Pipeline.from(list("low", 1, low)).pipe(
        Pipeline.merge(Pipeline.from(list("high", 101, high))),
        Pipeline.to(store.table)
      )
    const run = (low: number, high: number) => valueOf(Store.given(store)(Pipeline.run(job(low, high), { name: "m" })))
    run(2, 102)
    expect(run(3, 102)).toMatchObject({ settled: 1, resumed: true })
    expect(run(3, 103)).toMatchObject({ settled: 1, total: { settled: 6 } })
    expect(sorted(store.rows)).toEqual([1, 2, 3, 101, 102, 103])
  })

  it("P10 refuses a source that changed, came or went, by its name, unless told to start over", () => {
    const store = Store.make<number>()
    const given = Store.given(store)
    const three = odd.pipe(Pipeline.merge(even), Pipeline.to(store.table))
    const run = (job: Pipeline.Job<never, Journal.Journal, Pipeline.Delivery>, more = {}) =>
      given(Pipeline.run(job, { name: "m", ...more }))
    valueOf(run(three))
    const other = Pipeline.from(list("high", 102, 103))
    const cases = [
      [odd.pipe(Pipeline.merge(other)), "high", "checksum was"],
      [odd.pipe(Pipeline.merge(even, Pipeline.from(list("new", 1, 1)))), "new", "it was not read before"],
      [odd.pipe(Pipeline.merge(Pipeline.from(list("new", 1, 1)))), "new", "it was not read before"],
      [
        Pipeline.from(list("low", 1, 5)).pipe(Pipeline.merge(Pipeline.from(list("low", 1, 5)))),
        "low #2",
        "it was not read before"
      ],
      [odd, "low", "it was one of several before: low, high"]
    ] as const
    for (const [pipeline, source, change] of cases) {
      const error = errorOf(run(pipeline.pipe(Pipeline.to(store.table))))
      expect(error).toMatchObject({ _tag: "SourceChanged", source })
      expect(error.message).toContain(change)
    }
    const before = store.rows.length
    expect(valueOf(run(cases[1][0].pipe(Pipeline.to(store.table)), { onChanged: "restart" }))).toMatchObject({
      settled: 9
    })
    expect(store.rows.length).toBe(before + 9)
    // And from one source to several.
    const single = Store.make<number>()
    valueOf(Store.given(single)(Pipeline.run(odd.pipe(Pipeline.to(single.table)), { name: "m" })))
    const error = errorOf(
      Store.given(single)(Pipeline.run(odd.pipe(Pipeline.merge(even), Pipeline.to(single.table)), { name: "m" }))
    )
    expect(error.message).toContain("there was one source before")
  })

  it("P3 is at-most-once where one of the sources has no positions, and keeps no place then", () => {
    const store = Store.make<number>()
    const job = odd.pipe(Pipeline.merge(Pipeline.from([7])), Pipeline.to(store.table))
    expect(job.guarantee satisfies "at-most-once").toBe("at-most-once")
    const run = Store.given(store)(Pipeline.run(job, { name: "m" }))
    expect(valueOf(run)).toMatchObject({ settled: 6, resumable: false })
    expect(valueOf(run)).toMatchObject({ settled: 6, resumed: false })
  })

  it("P2 shares the window out, so that a source that waits keeps none from being read", () => {
    const low = counted(40)
    const high = counted(40)
    const store = Store.make<number>()
    let most = 0
    const job = Pipeline.from(low.source).pipe(
      Pipeline.map((n) => (n === 1 ? Effect.never : n), { concurrency: 2, order: "completion" }),
      Pipeline.merge(Pipeline.from({ ...high.source, name: "high" }).pipe(Pipeline.map((n) => n + 100))),
      Pipeline.map((n) => {
        most = Math.max(most, low.seen.read)
        return n
      }),
      Pipeline.to(store.table)
    )
    const run = Pipeline.run(job, { name: "m", window: { items: 10 } }).pipe(Effect.timeoutOption("1 second"))
    expect(valueOf(Store.given(store)(run))).toEqual(Option.none())
    expect(store.rows.filter((n) => n > 100)).toEqual(upTo(40).map((n) => n + 100))
    // Its share of five, and the one that its reader has in its hand.
    expect(most).toBeLessThanOrEqual(6)
    expect(store.checkpoint?.inputs).toMatchObject({
      numbers: { ahead: [2, 3, 4, 5] },
      high: { position: 40, ahead: [] }
    })
  })

  it("P8 bounds the bytes of all sources together, and one element of each may always be in", () => {
    const big = (name: string, size: number): Source.Source<number, never, never, number> => ({
      ...list(name, 1, 20),
      read: (from) => Stream.map(list(name, 1, 20).read(from), (element) => ({ ...element, bytes: size }))
    })
    let held = 0
    let most = 0
    const job = Pipeline.from(big("a", 60)).pipe(
      Pipeline.merge(Pipeline.from(big("b", 60))),
      Pipeline.map(
        (n) => {
          most = Math.max(most, (held += 60))
          return Effect.as(Effect.sleep(1), n)
        },
        { concurrency: 10 }
      ),
      Pipeline.to(Sink.forEach(() => Effect.sync(() => void (held -= 60))))
    )
    expect(valueOf(inMemory(Pipeline.run(job, { name: "m", window: { bytes: 300 } })))).toMatchObject({ settled: 40 })
    expect(most).toBeLessThanOrEqual(240)
  })

  it("P14 finds a source that is a file of the sink in any branch, and reads one file twice where asked to", () => {
    const at = (name: string, place: string): Source.Source<number, never, never, number> => ({
      ...list(name, 1, 3),
      places: Effect.succeed([place])
    })
    const store = Store.make<number>()
    const sink = { ...store.table, places: Effect.succeed(["/there"]) }
    const bad = Pipeline.from(at("a", "/here")).pipe(
      Pipeline.merge(Pipeline.from(at("b", "/there"))),
      Pipeline.to(sink)
    )
    expect(errorOf(Store.given(store)(Pipeline.run(bad, { name: "m" })))).toMatchObject({
      _tag: "SamePlace",
      one: "source b",
      other: "sink table"
    })
    const good = Pipeline.from(at("a", "/here")).pipe(
      Pipeline.merge(Pipeline.from(at("b", "/here"))),
      Pipeline.to(sink)
    )
    expect(valueOf(Store.given(store)(Pipeline.run(good, { name: "m" })))).toMatchObject({ settled: 6 })
  })

  it("P16 tells each source up to where it is settled, and settles in the account of each", () => {
    const told: Array<string> = []
    const telling = (name: string): Source.Source<number, never, never, number> => ({
      ...list(name, 1, 3),
      settled: (upTo) => Effect.sync(() => void told.push(`${name} ${upTo}`))
    })
    const taken: Array<number> = []
    const queue: Source.Source<number, never, never, number> = {
      ...list("queue", 1, 4),
      account: Effect.succeed({
        elements: Stream.rechunk(list("queue", 1, 4).read(Option.none()), 1),
        settle: () => Effect.void,
        settled: (positions) => void taken.push(...positions)
      })
    }
    const job = Pipeline.from(telling("a")).pipe(
      Pipeline.merge(Pipeline.from(telling("b")), Pipeline.from(queue)),
      // Members of several sources settle together.
      Pipeline.batch(4),
      Pipeline.to(Sink.discard)
    )
    expect(valueOf(inMemory(Pipeline.run(job, { name: "m" })))).toMatchObject({ settled: 10 })
    expect(told.filter((line) => line.startsWith("a")).at(-1)).toBe("a 3")
    expect(told.filter((line) => line.startsWith("b")).at(-1)).toBe("b 3")
    expect(sorted(taken)).toEqual([1, 2, 3, 4])
  })

  it("P15 gives elements of two sources with the same positions different keys, the same in every run and replay", () => {
    const store = Store.make<string>()
    let broken = true
    const pay = (owner: string) =>
      Pipeline.map(
        (n: number) =>
          Effect.flatMap(Pipeline.idempotencyKey, (key) =>
            broken ? Effect.fail("broken") : Effect.succeed(`${owner} ${n} ${key}`)
          ),
        { name: `pay ${owner}`, onError: { deadLetter: Schema.Number } }
      )
    const keys: Array<string> = []
    const job = odd.pipe(
      pay("low"),
      Pipeline.merge(even.pipe(pay("high"))),
      Pipeline.map((paid) =>
        Effect.map(Pipeline.idempotencyKey, (key) => {
          keys.push(key)
          return paid
        })
      ),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    expect(valueOf(given(Pipeline.run(job, { name: "m" })))).toMatchObject({ dead: 8 })
    broken = false
    expect(valueOf(given(Pipeline.replay(job, { name: "m" })))).toMatchObject({ written: 8 })
    const replayed = store.rows.toSorted()
    const again = Store.make<string>()
    const anew = odd.pipe(pay("low"), Pipeline.merge(even.pipe(pay("high"))), Pipeline.to(again.table))
    valueOf(Store.given(again)(Pipeline.run(anew, { name: "m" })))
    expect(again.rows.toSorted()).toEqual(replayed)
    expect(new Set(keys).size).toBe(8)
    expect(new Set(replayed.map((row) => row.split(" ").at(-1))).size).toBe(8)
  })

  it("P5 replays dead letters at their step, in whichever branch it is", () => {
    const store = Store.make<number>()
    let broken = true
    const fragile = (name: string) =>
      Pipeline.map((n: number) => (broken ? Effect.fail("broken") : after(5, n)), {
        name,
        onError: { deadLetter: Schema.Number }
      })
    const job = odd.pipe(
      fragile("first"),
      Pipeline.merge(
        even.pipe(
          Pipeline.filter(() => true),
          fragile("second"),
          Pipeline.map((n) => after(5, n))
        )
      ),
      Pipeline.map((n) => after(1, n)),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    expect(valueOf(given(Pipeline.run(job, { name: "m" })))).toMatchObject({ dead: 8, written: 0 })
    expect(store.letters.map(({ position }) => position)).toContainEqual({ high: 3 })
    broken = false
    expect(valueOf(given(Pipeline.replay(job, { name: "m" })))).toMatchObject({ written: 8, total: { dead: 0 } })
    expect(sorted(store.rows)).toEqual([1, 2, 3, 4, 5, 101, 102, 103])
    expect(store.checkpoint?.inputs).toMatchObject({ low: { position: 5 }, high: { position: 3 } })
  })

  it("P14 has one name for each step in the whole, numbered where it has none of its own", () => {
    const stepped = odd.pipe(
      Pipeline.map((n) => n),
      Pipeline.batch(1)
    )
    const merged = stepped.pipe(
      Pipeline.merge(stepped, even.pipe(Pipeline.filter(() => true, { name: "own" }))),
      Pipeline.map((n) => n),
      Pipeline.to(Sink.discard)
    )
    const steps = valueOf(
      TaskGroup.open(Effect.flatMap(inMemory(Pipeline.start(merged, { name: "m" })), (run) => run.steps))
    )
    expect(steps.map(({ name }) => name)).toEqual(["map-1", "batch-2", "map-3", "batch-4", "own", "map-6", "discard"])
    const named = odd.pipe(Pipeline.map((n) => n, { name: "same" }))
    expect(() => named.pipe(Pipeline.merge(named))).toThrow('two steps with the name "same"')
    expect(() =>
      odd.pipe(
        Pipeline.merge(named),
        Pipeline.map((n) => n, { name: "same" })
      )
    ).toThrow('two steps with the name "same"')
  })

  it("P11 adds up size and progress of the sources", () => {
    const job = odd.pipe(
      Pipeline.merge(even),
      Pipeline.map((n) => after(100, n)),
      Pipeline.to(Sink.discard)
    )
    const seen: Array<Pipeline.Progress> = []
    const progress = { interval: 450, on: (now: Pipeline.Progress) => Effect.sync(() => void seen.push(now)) }
    valueOf(inMemory(Pipeline.run(job, { name: "m", progress })))
    expect(seen[0]).toMatchObject({ settled: 4, lag: 4 })
    expect(Option.map(seen[0]!.eta, (eta) => `${eta}`)).toEqual(Option.some("450 millis"))
  })

  it("P9 pauses, resumes and drains all of them", () => {
    const store = Store.make<number>()
    const slow = (name: string, to: number) =>
      Pipeline.from({ ...counted(to, 10).source, name }).pipe(Pipeline.map((n) => after(1, n)))
    const job = slow("a", 20).pipe(Pipeline.merge(slow("b", 20)), Pipeline.to(store.table))
    const given = Store.given(store)
    const [paused, later, drained] = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "m" })
        yield* Effect.sleep(55)
        yield* run.pause
        yield* Effect.sleep(50)
        const paused = store.rows.length
        yield* Effect.sleep(200)
        const later = store.rows.length
        yield* run.resume
        yield* Effect.sleep(50)
        yield* run.drain
        return [paused, later, yield* run.await] as const
      }).pipe(TaskGroup.open, given)
    )
    expect(later).toBe(paused)
    expect(drained).toMatchObject({ outcome: "drained", resumable: true })
    expect(drained.settled).toBeGreaterThan(paused)
    expect(valueOf(given(Pipeline.run(job, { name: "m" })))).toMatchObject({ total: { settled: 40 } })
    expect(sorted(store.rows)).toEqual(sorted([...upTo(20), ...upTo(20)]))
  })

  it("ends whole where a branch fails, after what is settled was committed", () => {
    const store = Store.make<number>()
    const failing = even.pipe(
      Pipeline.map((n) => (n === 103 ? Effect.andThen(Effect.sleep(10), Effect.fail("bad")) : Effect.succeed(n)))
    )
    const job = odd.pipe(Pipeline.merge(failing), Pipeline.to(store.table))
    expect(errorOf(Store.given(store)(Pipeline.run(job, { name: "m" })))).toBe("bad")
    expect(sorted(store.rows)).toEqual([1, 2, 3, 4, 5, 101, 102])
  })
})

describe("zip", () => {
  const letters = Source.list(["a", "b", "c", "d"], { name: "letters" })

  it("pairs the first with the first and so on of what comes out, and settles both", () => {
    const store = Store.make<readonly [number, string]>()
    const job = odd.pipe(
      Pipeline.filter((n) => n !== 2),
      Pipeline.map((n) => after(n === 1 ? 50 : 1, n), { concurrency: 3 }),
      Pipeline.zip(Pipeline.from(letters)),
      Pipeline.map((pair) => after(pair[1] === "a" ? 20 : 1, pair), { concurrency: 4, order: "completion" }),
      Pipeline.to(store.table)
    )
    expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "z" })))).toMatchObject({
      settled: 9,
      written: 4,
      filtered: 1
    })
    expect(store.rows.toSorted()).toEqual([
      [1, "a"],
      [3, "b"],
      [4, "c"],
      [5, "d"]
    ])
  })

  it("pairs what elements became, and those of a fan-out with many", () => {
    const pairs = Pipeline.from([1, 2, 3]).pipe(
      Pipeline.flatMap((n) => [n, n * 10]),
      Pipeline.zip(Pipeline.from(["a", "b"]).pipe(Pipeline.flatMap((s) => [s, s, s]))),
      Pipeline.collect
    )
    expect(valueOf(pairs)).toEqual([
      [1, "a"],
      [10, "a"],
      [2, "a"],
      [20, "b"],
      [3, "b"],
      [30, "b"]
    ])
  })

  it.each([
    [4, 2, { ended: "b", longer: "a", pairs: 2 }],
    [0, 3, { ended: "a", longer: "b", pairs: 0 }]
  ] as const)("fails where one of %d and %d elements has more, and keeps the pairs", (a, b, error) => {
    const store = Store.make<unknown>()
    const job = Pipeline.from(list("a", 1, a)).pipe(
      Pipeline.zip(Pipeline.from(list("b", 1, b))),
      Pipeline.to(store.table)
    )
    const failed = errorOf(Store.given(store)(Pipeline.run(job, { name: "z" })))
    expect(failed).toMatchObject({ _tag: "ZipUneven", ...error })
    expect((failed as Pipeline.ZipUneven).left).toBeGreaterThan(0)
    expect(store.rows.length).toBe(error.pairs)
    // The rest is paired once there is what it lacked.
    const grown = Pipeline.from(list("a", 1, 4)).pipe(
      Pipeline.zip(Pipeline.from(list("b", 1, 4))),
      Pipeline.to(store.table)
    )
    valueOf(Store.given(store)(Pipeline.run(grown, { name: "z" })))
    expect(store.rows).toEqual(upTo(4).map((n) => [n, n]))
  })

  it("fails at once though the longer one never ends", () => {
    const endless = Pipeline.from(
      Stream.range(1, Infinity).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sleep(1))
      )
    )
    const pairs = endless.pipe(Pipeline.zip(Pipeline.from([1, 2])), Pipeline.collect)
    expect(errorOf(pairs)).toMatchObject({ _tag: "ZipUneven", left: 1 })
  })

  it("leaves to the next run what a drain left without a partner", () => {
    const store = Store.make<unknown>()
    const slow = (name: string, millis: number) => Pipeline.from({ ...counted(12, millis).source, name })
    const job = slow("a", 10).pipe(Pipeline.zip(slow("b", 25)), Pipeline.to(store.table))
    const given = Store.given(store)
    const drained = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "z" })
        yield* Effect.sleep(90)
        yield* run.drain
        return yield* run.await
      }).pipe(TaskGroup.open, given)
    )
    expect(drained).toMatchObject({ outcome: "drained", settled: 6 })
    valueOf(given(Pipeline.run(job, { name: "z" })))
    expect(store.rows).toEqual(upTo(12).map((n) => [n, n]))
  })

  it("does not wait for ever where what was paired across is more than the window holds", () => {
    const many = (name: string, each: number) =>
      Pipeline.from(list(name, 1, 50)).pipe(
        Pipeline.flatMap((n) => Array.from({ length: n === 1 ? each : 2 }, () => n))
      )
    const job = many("a", 1).pipe(Pipeline.zip(many("b", 2)), Pipeline.to(Sink.discard))
    const run = inMemory(Pipeline.run(job, { name: "z", window: { items: 10 } }))
    const { exit } = Effect.runSync(Effect.tap(Sim.run(run), Leaks.check))
    expect(String(exit)).toContain("raise window.items")
  })

  it("refuses steps whose results come in no order or could come again", () => {
    const other = Pipeline.from([1])
    const refused = [
      [odd.pipe(Pipeline.map((n) => n, { order: "completion", name: "s" })), 'step "s"'],
      [odd.pipe(Pipeline.map((n) => n, { key: (n) => n, name: "s" })), 'step "s"'],
      [odd.pipe(Pipeline.map((n) => n, { onError: { deadLetter: Schema.Number }, name: "s" })), "dead letters"],
      [odd.pipe(Pipeline.merge(even)), "a merge"]
    ] as const
    for (const [pipeline, words] of refused) {
      expect(() => pipeline.pipe(Pipeline.zip(other))).toThrow(words)
      expect(() => other.pipe(Pipeline.zip(pipeline))).toThrow(RangeError)
    }
  })
})

/** Two sources, each with steps, that meet; and what is true of them whatever happened to the first run. */
const lives = (kind: "table" | "file", meet: "merge" | "zip") => {
  const store = Store.make<number>()
  const low = Pipeline.from(list("low", 1, 6)).pipe(
    Pipeline.map((n) => after(n % 3, n), { concurrency: 3 }),
    Pipeline.filter((n) => n !== 4)
  )
  const high = Pipeline.from(list("high", 101, 105)).pipe(
    Pipeline.map((n) => after((n + 1) % 2, n), { concurrency: 2 })
  )
  const steps =
    meet === "merge"
      ? low.pipe(
          Pipeline.merge(high),
          Pipeline.batch(2, { within: 2 }),
          Pipeline.flatMap((some) => some)
        )
      : low.pipe(
          Pipeline.zip(high),
          Pipeline.map(([a, b]) => a * 1000 + b)
        )
  const job = steps.pipe(
    Pipeline.map((n) => after(n % 4, n), { concurrency: 3, order: "completion" }),
    Pipeline.to(store[kind] as Sink.Sink<number, never, never, "effectively-once">)
  )
  const options = { name: "lives", maxRows: 3, window: { items: 6 } }
  return { store, kind, run: Store.given(store)(Pipeline.run(job, options)) }
}

describe.each([
  ["merge", "table"],
  ["merge", "file"],
  ["zip", "table"]
] as const)("P3 %s into a %s, killed or cancelled anywhere,", (meet, kind) => {
  const expected = meet === "merge" ? [1, 2, 3, 5, 6, 101, 102, 103, 104, 105] : [1101, 2102, 3103, 5104, 6105]

  it("loses nothing and writes nothing twice", { timeout: 120_000 }, () => {
    let now = lives(kind, meet)
    const start = Effect.suspend(() => (now = lives(kind, meet)).run)
    const check = (run: Sim.Run<unknown, unknown>) => {
      if (!run.stopped) Effect.runSync(Effect.andThen(run.exit, Leaks.check(run)))
      now.store.free()
      expect(valueOf(now.run)).toMatchObject({ outcome: "done", total: { settled: 11, filtered: 1 } })
      expect(sorted(kind === "table" ? now.store.rows : now.store.file.lines)).toEqual(expected)
      expect(now.store.checkpoint).toMatchObject({
        finished: true,
        inputs: { low: { position: 6, ahead: [] }, high: { position: 5, ahead: [] } }
      })
      let [low, high] = [0, 0]
      for (const { checkpoint } of now.store.commits) {
        const { inputs } = checkpoint
        const at = (name: string) => (inputs?.[name]?.position ?? 0) as number
        expect([at("low") >= low, at("high") >= high]).toEqual([true, true])
        ;[low, high] = [at("low"), at("high")]
        const ahead = Object.values(inputs ?? {}).reduce((sum, place) => sum + place.ahead.length, 0)
        expect(checkpoint.counts.settled).toBe(low + high + ahead)
      }
    }
    Effect.runSync(Kill.everywhere(start, { check, at: "suspension" }))
    Effect.runSync(Interrupt.everywhere(start, { check, at: "suspension" }))
    Effect.runSync(Sim.explore(start, { check, schedules: 30, stop: "kill" }))
  })
})
