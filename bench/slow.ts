/** How much of the ideal throughput is left when every twentieth element is slow and results keep their order? */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Pipeline } from "skein"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { into, run } from "./support/jobs.ts"
import { peer } from "./support/peers.ts"

const n = scaled(5000)
const pMap = await peer("p-map")
const concurrency = 16
const numbers = Array.from({ length: n }, (_, i) => i)

/** 1 ms, and 20 ms for one in twenty: the same ones in each run, without a pattern. */
const millis = (i: number): number => (Math.imul(i + 1, 2_654_435_761) >>> 0 < 2 ** 32 / 20 ? 20 : 1)
const work = (i: number): Promise<number> => new Promise((resolve) => void setTimeout(resolve, millis(i), i))

const measured = (run: (take: (i: number) => void) => unknown) =>
  perSecond({
    ops: n,
    checksum: sumBelow(n),
    work: async () => {
      let sum = 0
      await run((i) => (sum += i))
      return sum
    }
  })

/** Nobody waits for an order. */
const workers = async (take: (i: number) => void) => {
  let next = 0
  const worker = async () => {
    while (next < n) take(await work(next++))
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

const barriers = async (take: (i: number) => void) => {
  for (let i = 0; i < n; i += concurrency) {
    for (const done of await Promise.all(numbers.slice(i, i + concurrency).map(work))) take(done)
  }
}

const skein = (take: (i: number) => void) =>
  Pipeline.from(numbers).pipe(
    Pipeline.map((i) => Effect.promise(() => work(i)), { concurrency }),
    Pipeline.to(into(take)),
    run
  )

const stream = (take: (i: number) => void) =>
  Stream.fromArray(numbers).pipe(
    Stream.mapEffect((i) => Effect.promise(() => work(i)), { concurrency }),
    Stream.runForEach((i) => Effect.sync(() => take(i))),
    Effect.runPromise
  )

const pMapIterable = (options: { readonly backpressure?: number }) =>
  pMap &&
  measured(async (take) => {
    for await (const i of pMap.pMapIterable(numbers, work, { concurrency, ...options })) take(i)
  })

const group: Group = {
  title: `Async map × 16 of ${n.toLocaleString("en")} elements of 1 ms, 5 % of them 20 ms, in order`,
  unit: "elements a second",
  better: "more",
  baseline: "16 workers, no order",
  rows: [
    { name: "16 workers, no order", kind: "floor", measure: measured(workers) },
    { name: "Stream.mapEffect", kind: "raw", measure: measured(stream) },
    {
      name: "Pipeline.map",
      kind: "ours",
      goal: { limit: 0.97, of: "16 workers, no order", by: "clock" },
      measure: measured(skein)
    },
    { name: "Promise.all of 16 at a time", kind: "peer", measure: measured(barriers) },
    { name: "p-map iterable", kind: "peer", measure: pMapIterable({}) },
    { name: "p-map iterable, backpressure 1,024", kind: "peer", measure: pMapIterable({ backpressure: 1024 }) }
  ]
}
export default group
