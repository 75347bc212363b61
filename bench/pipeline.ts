/** What does an element cost on its way through map, an async map × 16, and batches of 100, in order? */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Pipeline } from "skein"
import { pipeline } from "node:stream/promises"
import { Readable, Transform, Writable } from "node:stream"
import { type Group, nanos, scaled, WrongChecksum } from "./support/group.ts"
import { into, run } from "./support/jobs.ts"
import { peer } from "./support/peers.ts"

const n = scaled(1_000_000)
const pMap = await peer("p-map")
const rxjs = await peer("rxjs")
const streaming = await peer("streaming-iterables")

const numbers = function* (n: number) {
  for (let i = 0; i < n; i++) yield i
}
const plain = (i: number): number => i + 1
// The same for all: the least that is asynchronous.
const later = async (i: number): Promise<number> => i * 2
const concurrency = 16
const size = 100

/** Adds up what arrives, and how much of it, and sees whether it comes in order. */
class Sum {
  sum = 0
  count = 0
  batches = 0
  private last = -1
  readonly take = (batch: ReadonlyArray<number>): void => {
    this.batches += 1
    for (const value of batch) {
      if (value <= this.last) throw new WrongChecksum(`${value} came after ${this.last}`)
      this.last = value
      this.sum += value
      this.count += 1
    }
  }
}

const measured = (n: number, work: (n: number, take: Sum["take"]) => unknown) =>
  nanos({
    ops: n,
    checksum: { sum: n * (n + 1), count: n, batches: n / size },
    work: async () => {
      const all = new Sum()
      await work(n, all.take)
      return { sum: all.sum, count: all.count, batches: all.batches }
    }
  })

const ofEffects = (n: number, take: Sum["take"]) =>
  Pipeline.from(numbers(n)).pipe(
    Pipeline.map(plain),
    Pipeline.map((i) => Effect.promise(() => later(i)), { concurrency }),
    Pipeline.batch(size),
    Pipeline.to(into(take)),
    run
  )

const ofPromises = (n: number, take: Sum["take"]) =>
  Pipeline.from(numbers(n)).pipe(
    Pipeline.map(plain),
    Pipeline.map(later, { concurrency }),
    Pipeline.batch(size),
    Pipeline.to(into(take)),
    run
  )

const ofValues = (n: number, take: Sum["take"]) =>
  Pipeline.from(numbers(n)).pipe(
    Pipeline.map(plain),
    Pipeline.map((i) => i * 2, { concurrency }),
    Pipeline.batch(size),
    Pipeline.to(into(take)),
    run
  )

const stream = (n: number, take: Sum["take"]) =>
  Stream.fromIterable(numbers(n)).pipe(
    Stream.map(plain),
    Stream.mapEffect((i) => Effect.promise(() => later(i)), { concurrency }),
    Stream.grouped(size),
    Stream.runForEach((batch) => Effect.sync(() => take(batch))),
    Effect.runPromise
  )

/** In order by their slots in an array as long as the input: no window, no backpressure. */
const workers = async (n: number, take: Sum["take"]) => {
  const results = new Array<number>(n)
  let next = 0
  const worker = async () => {
    while (next < n) {
      const i = next++
      results[i] = await later(plain(i))
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  for (let i = 0; i < n; i += size) take(results.slice(i, i + size))
}

const generators = async (n: number, take: Sum["take"]) => {
  const map = async function* (source: Iterable<number>) {
    for (const i of source) yield plain(i)
  }
  const mapLater = async function* (source: AsyncIterable<number>) {
    const waiting: Array<Promise<number>> = []
    for await (const i of source) {
      waiting.push(later(i))
      if (waiting.length === concurrency) yield await waiting.shift()!
    }
    for (const one of waiting) yield await one
  }
  await batches(mapLater(map(numbers(n))), take)
}

const batches = async (source: AsyncIterable<number>, take: Sum["take"]) => {
  let batch: Array<number> = []
  for await (const value of source) {
    batch.push(value)
    if (batch.length === size) {
      take(batch)
      batch = []
    }
  }
}

/** A Transform works on one element at a time. */
const nodeTransform = (n: number, take: Sum["take"]) => {
  let batch: Array<number> = []
  const writable = new Writable({
    objectMode: true,
    write(value: number, _, done) {
      batch.push(value)
      if (batch.length === size) {
        take(batch)
        batch = []
      }
      done()
    }
  })
  const mapped = new Transform({
    objectMode: true,
    transform(value: number, _, done) {
      later(plain(value)).then((given) => done(null, given), done)
    }
  })
  return pipeline(Readable.from(numbers(n)), mapped, writable)
}

const readableMap = (n: number, take: Sum["take"]) =>
  batches(Readable.from(numbers(n)).map(plain).map(later, { concurrency }), take)

const group: Group = {
  title: `Pipeline of ${n.toLocaleString("en")} integers: map, async map × 16, batches of 100, in order`,
  unit: "ns an element",
  better: "less",
  baseline: "Stream",
  rows: [
    { name: "16 promise workers, no window", kind: "floor", measure: measured(n, workers) },
    { name: "Stream", kind: "raw", measure: measured(n / 5, stream) },
    {
      name: "Pipeline.run, Effect.promise",
      kind: "ours",
      goal: { limit: 1.2, of: "p-map iterable" },
      measure: measured(n, ofEffects)
    },
    {
      name: "Pipeline.run, a promise",
      kind: "ours",
      goal: { limit: 0.5, of: "p-map iterable" },
      measure: measured(n, ofPromises)
    },
    {
      name: "Pipeline.run, a value",
      kind: "ours",
      goal: { limit: 0.5, of: "p-map iterable" },
      measure: measured(n, ofValues)
    },
    { name: "async generators", kind: "peer", measure: measured(n, generators) },
    { name: "Transform, one at a time", kind: "peer", measure: measured(n, nodeTransform) },
    { name: "Readable.map", kind: "peer", measure: measured(n / 10, readableMap) },
    {
      name: "p-map iterable",
      kind: "peer",
      measure:
        pMap &&
        measured(n, (n, take) =>
          batches(
            pMap.pMapIterable(numbers(n), (i) => later(plain(i)), { concurrency }),
            take
          )
        )
    },
    {
      name: "streaming-iterables",
      kind: "peer",
      measure:
        streaming &&
        measured(n / 5, async (n, take) => {
          const { batch, map, parallelMap } = streaming
          for await (const one of batch(size, parallelMap(concurrency, later, map(plain, numbers(n))))) take(one)
        })
    },
    {
      name: "rxjs mergeMap",
      kind: "peer",
      measure:
        rxjs &&
        measured(n / 20, (n, take) => {
          const { bufferCount, from, lastValueFrom, map, mergeMap, tap } = rxjs
          return lastValueFrom(
            from(numbers(n)).pipe(map(plain), mergeMap(later, concurrency), bufferCount(size), tap(take))
          )
        })
    }
  ],
  notes: [
    "Slow peers get fewer elements: Stream and streaming-iterables a fifth, Readable.map a tenth, rxjs a twentieth."
  ]
}
export default group
