/** What does it cost to keep the order within each of 100,000 keys, with 4 workers? */
import { Pipeline } from "skein"
import { type Group, nanos, scaled, sumBelow, WrongChecksum } from "./support/group.ts"
import { into, run } from "./support/jobs.ts"
import { peer } from "./support/peers.ts"

const n = scaled(200_000)
const pQueue = await peer("p-queue")
const concurrency = 4
/** What is read ahead. */
const window = 1024

const numbers = function* () {
  for (let i = 0; i < n; i++) yield i
}
/** Of each key there are two elements in a window. */
const keyOf = (i: number): number => (i % 512) + 512 * Math.floor(i / window)
const keys = n / 2

/** Begins with the elements of a key in order, and is never in more of them than the workers at once. */
class Work {
  sum = 0
  count = 0
  private readonly last = new Int32Array(keys + window).fill(-1)
  private readonly busy = new Uint8Array(keys + window)
  private working = 0

  readonly one = async (i: number): Promise<number> => {
    const key = keyOf(i)
    if (this.busy[key] === 1) throw new WrongChecksum(`two of key ${key} at once`)
    if (i <= this.last[key]!) throw new WrongChecksum(`${i} came after ${this.last[key]}`)
    if (++this.working > concurrency) throw new WrongChecksum(`${this.working} at once`)
    this.busy[key] = 1
    this.last[key] = i
    await undefined
    this.busy[key] = 0
    this.working -= 1
    return i
  }

  readonly take = (i: number): void => {
    this.sum += i
    this.count += 1
  }
}

const measured = (work: (of: Work) => unknown) =>
  nanos({
    ops: n,
    checksum: { sum: sumBelow(n), count: n },
    work: async () => {
      const of = new Work()
      await work(of)
      return { sum: of.sum, count: of.count }
    }
  })

const skein = ({ one, take }: Work) =>
  Pipeline.from(numbers()).pipe(Pipeline.map(one, { concurrency, key: keyOf }), Pipeline.to(into(take)), run)

/** As Akka's `groupBy(4, hash)`: each key belongs to one worker, which others cannot help. */
const partitions = async ({ one, take }: Work) => {
  const ends: Array<Promise<void>> = Array.from({ length: concurrency }, () => Promise.resolve())
  let open = 0
  let roomy = () => {}
  for (const i of numbers()) {
    const part = keyOf(i) % concurrency
    open += 1
    ends[part] = ends[part]!.then(async () => {
      take(await one(i))
      open -= 1
      roomy()
    })
    if (open === window) await new Promise<void>((resolve) => void (roomy = resolve))
  }
  await Promise.all(ends)
}

const queues = async ({ one, take }: Work) => {
  const Queue = pQueue!.default
  const workers = new Queue({ concurrency })
  const perKey = new Map<number, InstanceType<typeof Queue>>()
  let open = 0
  let roomy = () => {}
  const all: Array<Promise<void>> = []
  for (const i of numbers()) {
    const key = keyOf(i)
    let queue = perKey.get(key)
    if (queue === undefined) perKey.set(key, (queue = new Queue({ concurrency: 1 })))
    const own = queue
    open += 1
    all.push(
      own
        .add(() => workers.add(() => one(i)))
        .then((done) => {
          take(done)
          if (own.size === 0 && own.pending === 0) perKey.delete(key)
          open -= 1
          roomy()
        })
    )
    if (open === window) await new Promise<void>((resolve) => void (roomy = resolve))
  }
  await Promise.all(all)
}

const group: Group = {
  title: `Async map × 4 of ${n.toLocaleString("en")} elements with ${keys.toLocaleString("en")} keys, in order within a key`,
  unit: "ns an element",
  better: "less",
  baseline: "p-queue per key, one for all",
  rows: [
    { name: "a chain of promises a partition", kind: "floor", measure: measured(partitions) },
    {
      name: "Pipeline.map with a key",
      kind: "ours",
      goal: { limit: 0.5, of: "p-queue per key, one for all" },
      measure: measured(skein)
    },
    { name: "p-queue per key, one for all", kind: "peer", measure: pQueue && measured(queues) }
  ],
  notes: [
    "A partition has one worker, as with groupBy by a hash: where one key is slow, all keys of its partition wait. Not so here."
  ]
}
export default group
