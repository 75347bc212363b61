/** What does it cost to go through many effects, few of them at a time? */
import * as Effect from "effect/Effect"
import { Joiner } from "skein"
import { check, type Group, nanos, scaled, sumBelow, WrongChecksum } from "./support/group.ts"
import { peer } from "./support/peers.ts"

const n = scaled(100_000)
const limit = 16
const pMap = await peer("p-map")

// The same for all: the least that is asynchronous.
const later = async (): Promise<void> => {}

/** The work of all, and the proof that no more was done at once than the limit. */
class Work {
  private running = 0
  private readonly most: number
  private readonly onHalf: () => void

  constructor(most: number, onHalf = () => {}) {
    this.most = most
    this.onHalf = onHalf
  }

  readonly promise = async (i: number): Promise<number> => {
    this.begin()
    await later()
    return this.end(i)
  }

  readonly effect = (i: number): Effect.Effect<number> =>
    Effect.suspend(() => {
      this.begin()
      return Effect.map(Effect.promise(later), () => this.end(i))
    })

  private begin() {
    this.running += 1
    if (this.running > this.most) throw new WrongChecksum(`${this.running} at once, with a limit of ${this.most}`)
  }

  private end(i: number): number {
    this.running -= 1
    if (i === n / 2) this.onHalf()
    return i
  }
}

const numbers = Array.from({ length: n }, (_, i) => i)

/** In the order of the input, which a sum does not tell. */
const summed = (results: ReadonlyArray<number>): number =>
  results.reduce((sum, result, i) => {
    if (result !== i) throw new WrongChecksum(`${result} in place ${i}`)
    return sum + result
  }, 0)

type Run = (work: Work) => Promise<ReadonlyArray<number>>

const measured = (most: number, run: Run) =>
  nanos({ ops: n, checksum: sumBelow(n), work: async () => summed(await run(new Work(most))) })

/** All that is held when half of them are done. */
const megabytes = (run: Run) => async (): Promise<number> => {
  let held = 0
  const look = () => {
    globalThis.gc!()
    held = process.memoryUsage().heapUsed / 1e6
  }
  check(summed(await run(new Work(limit, look))), sumBelow(n))
  return held
}

const byHand = async (work: Work): Promise<ReadonlyArray<number>> => {
  const results: Array<number> = []
  let next = 0
  const worker = async () => {
    for (let i = next++; i < n; i = next++) results[i] = await work.promise(i)
  }
  await Promise.all(Array.from({ length: limit }, worker))
  return results
}

const forEach = (work: Work) => Effect.runPromise(Effect.forEach(numbers, work.effect, { concurrency: limit }))

/** Made when their turn comes, as p-map calls its function then. */
const effects = function* (work: Work) {
  for (const i of numbers) yield work.effect(i)
}
const joiner = (limit?: number) => (work: Work) => Effect.runPromise(Joiner.all(effects(work), { limit }))

const withPMap: Run | undefined = pMap && ((work) => pMap.default(numbers, work.promise, { concurrency: limit }))

const time: Group = {
  title: `${n.toLocaleString("en")} effects, ${limit} at a time, results in order`,
  unit: "ns an effect",
  better: "less",
  baseline: "p-map",
  rows: [
    { name: "p-map", kind: "peer", measure: withPMap && measured(limit, withPMap) },
    { name: "promises by hand", kind: "floor", measure: measured(limit, byHand) },
    { name: "Effect.forEach", kind: "raw", measure: measured(limit, forEach) },
    { name: "Joiner.all", kind: "ours", goal: { limit: 1.5, of: "p-map" }, measure: measured(limit, joiner(limit)) },
    { name: "Joiner.all, no limit", kind: "ours", measure: measured(n, joiner()) }
  ]
}

const memory: Group = {
  title: "The same: the heap when half of them are done",
  unit: "MB",
  better: "less",
  baseline: "p-map",
  rows: [
    { name: "p-map", kind: "peer", measure: withPMap && megabytes(withPMap) },
    { name: "Effect.forEach", kind: "raw", measure: megabytes(forEach) },
    { name: "Joiner.all", kind: "ours", goal: { limit: 1.5, of: "p-map" }, measure: megabytes(joiner(limit)) }
  ]
}

const groups: ReadonlyArray<Group> = [time, memory]
export default groups
