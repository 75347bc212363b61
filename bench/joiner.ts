/** What does it cost to go through many effects, few of them at a time? */
import * as Effect from "effect/Effect"
import { Joiner } from "skein"
import { type Group, nanos, scaled, sumBelow, WrongChecksum } from "./support/group.ts"
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

  constructor(most: number) {
    this.most = most
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

const measured = (most: number, run: (work: Work) => Promise<ReadonlyArray<number>>) =>
  nanos({ ops: n, checksum: sumBelow(n), work: async () => summed(await run(new Work(most))) })

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

const group: Group = {
  title: `${n.toLocaleString("en")} effects, ${limit} at a time, results in order`,
  unit: "ns an effect",
  better: "less",
  baseline: "p-map",
  rows: [
    {
      name: "p-map",
      kind: "peer",
      measure: pMap && measured(limit, (work) => pMap.default(numbers, work.promise, { concurrency: limit }))
    },
    { name: "promises by hand", kind: "floor", measure: measured(limit, byHand) },
    { name: "Effect.forEach", kind: "raw", measure: measured(limit, forEach) },
    { name: "Joiner.all", kind: "ours", goal: { limit: 1.5, of: "p-map" }, measure: measured(limit, joiner(limit)) },
    { name: "Joiner.all, no limit", kind: "ours", measure: measured(n, joiner()) }
  ]
}
export default group
