/** What do three async steps × 16 cost, one after the other? */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Pipeline } from "skein"
import { type Group, nanos, scaled, sumBelow } from "./support/group.ts"
import { into, run } from "./support/jobs.ts"

const n = scaled(500_000)
const concurrency = 16
const numbers = Array.from({ length: n }, (_, i) => i)
const later = async (i: number): Promise<number> => i + 1
const step = (i: number) => Effect.promise(() => later(i))

const measured = (n: number, run: (n: number, take: (i: number) => void) => unknown) =>
  nanos({
    ops: n,
    checksum: sumBelow(n) + 3 * n,
    work: async () => {
      let sum = 0
      await run(n, (i) => (sum += i))
      return sum
    }
  })

const workers = async (n: number, take: (i: number) => void) => {
  let next = 0
  const worker = async () => {
    while (next < n) take(await later(await later(await later(next++))))
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

const skein = (order: "input" | "completion") => (n: number, take: (i: number) => void) =>
  Pipeline.from(numbers.slice(0, n)).pipe(
    Pipeline.map(step, { concurrency, order }),
    Pipeline.map(step, { concurrency, order }),
    Pipeline.map(step, { concurrency, order }),
    Pipeline.to(into(take)),
    run
  )

const stream = (n: number, take: (i: number) => void) =>
  Stream.fromArray(numbers.slice(0, n)).pipe(
    Stream.mapEffect(step, { concurrency }),
    Stream.mapEffect(step, { concurrency }),
    Stream.mapEffect(step, { concurrency }),
    Stream.runForEach((i) => Effect.sync(() => take(i))),
    Effect.runPromise
  )

const group: Group = {
  title: `Three async steps × 16 over ${n.toLocaleString("en")} integers`,
  unit: "ns an element",
  better: "less",
  baseline: "Stream",
  rows: [
    { name: "16 promise workers, no order", kind: "floor", measure: measured(n, workers) },
    { name: "Stream", kind: "raw", measure: measured(n / 5, stream) },
    { name: "Pipeline.run", kind: "ours", goal: { limit: 0.11, of: "Stream" }, measure: measured(n, skein("input")) },
    { name: "Pipeline.run, order completion", kind: "ours", measure: measured(n, skein("completion")) }
  ],
  notes: ["Stream gets a fifth of the elements."]
}
export default group
