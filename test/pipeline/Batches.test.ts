/** How much one commit takes: what is there, or the batch that a sink prefers, and never so long that anything waits for nothing. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Pipeline, Sink, type Source, TaskGroup } from "skein"
import { after, counted, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

type AnySink = Sink.Sink<number, never, never, Sink.Guarantee>

interface Write {
  readonly at: number
  readonly rows: ReadonlyArray<number>
}

/** A sink that would like so many rows, and what it was given when; the first write, without rows, is left out. */
const preferring = (
  rows: number | undefined,
  sink: AnySink,
  takes = 0
): AnySink & { readonly writes: Array<Write> } => {
  const writes: Array<Write> = []
  return {
    ...sink,
    writes,
    open: (opening) =>
      Effect.map(sink.open(opening), (writer) => ({
        ...writer,
        prefers: rows === undefined ? undefined : { rows },
        write: (all, since) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) => {
            if (all.length > 0) writes.push({ at, rows: all })
            return Effect.delay(writer.write(all, since), takes)
          })
      }))
  }
}

const sizes = ({ writes }: { readonly writes: ReadonlyArray<Write> }) => writes.map(({ rows }) => rows.length)

describe("P2 a sink that prefers a batch", () => {
  const run = (
    source: Source.Source<number, never, never, number>,
    rows: number | undefined,
    options: Partial<Pipeline.RunOptions<never>> = {},
    step: (n: number) => number | Effect.Effect<number> = (n) => n,
    concurrency = 1
  ) => {
    const store = Store.make<number>()
    const sink = preferring(rows, store.table)
    const job = Pipeline.from(source).pipe(Pipeline.map(step, { concurrency }), Pipeline.to(sink))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "r", ...options })))
    expect(store.rows).toEqual(upTo(store.rows.length))
    return { store, sink }
  }

  it("is given it, whatever the portions of the source, and what is left at the end", () => {
    for (const source of [numbers(5500), counted(5500).source]) {
      const { sink } = run(source, 2000)
      expect(sizes(sink)).toEqual([2000, 2000, 1500])
    }
  })

  it.each([undefined, 2000])("is given at once what comes slowly: %s", (rows) => {
    const { sink } = run(counted(5, 30).source, rows)
    expect(sizes(sink)).toEqual([1, 1, 1, 1, 1])
    expect(sink.writes.map(({ at }) => at)).toEqual([30, 60, 90, 120, 150])
  })

  it.each([undefined, 2000])("waits no longer than 20 milliseconds after the first element is ready: %s", (rows) => {
    const { sink } = run(counted(100, 1).source, rows)
    expect(sizes(sink)).toEqual([20, 20, 20, 20, 20])
    expect(sink.writes.map(({ at }) => at)).toEqual([20, 40, 60, 80, 100])
  })

  it("has a window of two of them, and not less than there was; a user's own window and rows are kept", () => {
    for (const [rows, options, most] of [
      [2000, {}, 4000],
      [100, {}, 1024],
      [2000, { window: { items: 50 } }, 50],
      [2000, { maxRows: 700 }, 1400],
      [700, { maxRows: 2000 }, 4000],
      [undefined, { maxRows: 2000 }, 1024]
    ] as const) {
      const { seen, source } = counted(10_000)
      const store = Store.make<number>()
      const sink = preferring(rows, store.table, 1000)
      let ahead = 0
      const job = Pipeline.from(source).pipe(
        Pipeline.map((n) => {
          ahead = Math.max(ahead, seen.read - (store.checkpoint?.counts.settled ?? 0))
          return n
        }),
        Pipeline.to(sink)
      )
      valueOf(Store.given(store)(Pipeline.run(job, { name: "r", ...options })))
      expect(ahead).toBe(most)
      expect(store.rows.length).toBe(10_000)
    }
  })

  it("gets half a window where that is less, so that the other half is read meanwhile", () => {
    const { sink } = run(counted(100, 1).source, 2000, { window: { items: 20 } })
    expect(sizes(sink)).toEqual(Array.from({ length: 10 }, () => 10))
  })

  it("gets more than single elements though the steps are slower than the source, and the window always full", () => {
    const { sink } = run(numbers(400), 2000, { window: { items: 100 } }, (n) => after(9, n), 10)
    expect(
      sizes(sink)
        .slice(0, -1)
        .every((size) => size >= 20)
    ).toBe(true)
  })

  it("is not waited for while the window is full and nothing is worked on", () => {
    const { sink } = run(numbers(12), 1000, { window: { bytes: 48 } })
    expect(sink.writes.every(({ at }) => at === 0)).toBe(true)
  })

  it("is committed as the user says where the user does", () => {
    const { sink } = run(counted(5, 30).source, 2000, { commitEvery: 0 })
    expect(sink.writes.map(({ at }) => at)).toEqual([30, 60, 90, 120, 150])
  })

  it("gets the larger one beside another", () => {
    const store = Store.make<number>()
    const table = preferring(30, store.table)
    const file = preferring(200, store.file)
    const job = Pipeline.from(numbers(600)).pipe(Pipeline.to(Sink.all(table, file)))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))
    expect([sizes(table), sizes(file)]).toEqual([
      [200, 200, 200],
      [200, 200, 200]
    ])
  })

  it("is written what waits for more when a drain has come to its end", () => {
    const store = Store.make<number>()
    const sink = preferring(2000, store.table)
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => (n === 1 ? after(5990, n) : Effect.never), { concurrency: 3 }),
      Pipeline.to(sink)
    )
    const summary = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "r", drainWithin: "5 seconds" })
        yield* Effect.sleep(1000)
        yield* run.drain
        return yield* run.await
      }).pipe(TaskGroup.open, Store.given(store))
    )
    expect(summary).toMatchObject({ outcome: "drained", settled: 1 })
    expect([store.rows, store.checkpoint?.position]).toEqual([[1], Option.some(1)])
  })

  it("is written what waits for more when the run is paused", () => {
    const store = Store.make<number>()
    const sink = preferring(2000, store.table)
    const { source } = counted(3, 5)
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(Pipeline.from(source).pipe(Pipeline.to(sink)), { name: "r" })
        yield* Effect.sleep(11)
        yield* run.pause
        yield* Effect.sleep(1000)
        expect(store.rows).toEqual([1, 2])
        yield* run.resume
        yield* run.await
      }).pipe(TaskGroup.open, Store.given(store))
    )
    expect(store.rows).toEqual([1, 2, 3])
  })
})
