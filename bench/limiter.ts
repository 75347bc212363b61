/** What does it cost to wait for one of 16 permits, where few wait and where many do? */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { Limiter, TaskGroup } from "skein"
import * as asyncio from "./support/asyncio.ts"
import { type Group, nanos, type Row, scaled, sumBelow, WrongChecksum } from "./support/group.ts"
import { all, times } from "./support/loops.ts"
import { peer } from "./support/peers.ts"

const permits = 16
const pLimit = await peer("p-limit")
const asyncMutex = await peer("async-mutex")

// The same for all: the least that is asynchronous.
const later = async (): Promise<void> => {}

/** What is done under a permit, and the proof that no more did it at once than there are permits. */
class Work {
  sum = 0
  private held = 0
  readonly promise = async (i: number) => {
    this.begin()
    await later()
    this.end(i)
  }
  readonly effect = (i: number) =>
    Effect.suspend(() => {
      this.begin()
      return Effect.map(Effect.promise(later), () => this.end(i))
    })
  private begin() {
    this.held += 1
    if (this.held > permits) throw new WrongChecksum(`${this.held} at once, with ${permits} permits`)
  }
  private end(i: number) {
    this.held -= 1
    this.sum += i
  }
}

type Run = (n: number, work: Work) => Promise<unknown>

const measured = (n: number, run: Run, repeat = 1) =>
  nanos({
    ops: n * repeat,
    checksum: sumBelow(n) * repeat,
    work: async () => {
      const work = new Work()
      for (let i = 0; i < repeat; i++) await run(n, work)
      return work.sum
    }
  })

const skein: Run = (n, work) =>
  Limiter.concurrency(permits).pipe(
    Effect.flatMap((limiter) => times(n, (i) => TaskGroup.spawn(limiter.withPermit(work.effect(i))))),
    TaskGroup.open,
    Effect.runPromise
  )

const semaphore: Run = (n, work) => {
  const semaphore = Semaphore.makeUnsafe(permits)
  const numbers = Array.from({ length: n }, (_, i) => i)
  return Effect.runPromise(
    Effect.forEach(numbers, (i) => semaphore.withPermits(1)(work.effect(i)), {
      concurrency: "unbounded",
      discard: true
    })
  )
}

const byHand: Run = (n, work) => {
  let free = permits
  const waiting: Array<() => void> = []
  let next = 0
  return all(n, async (i) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    await work.promise(i)
    if (next < waiting.length) waiting[next++]!()
    else free += 1
  })
}

const withPLimit: Run | undefined =
  pLimit &&
  ((n, work) => {
    const limit = pLimit.default(permits)
    return all(n, (i) => limit(() => work.promise(i)))
  })

const withAsyncMutex: Run | undefined =
  asyncMutex &&
  ((n, work) => {
    const semaphore = new asyncMutex.Semaphore(permits)
    return all(n, (i) => semaphore.runExclusive(() => work.promise(i)))
  })

/** Few tasks that ask for a permit again and again: what a limiter costs that has been there for a while. */
const looping = (withPermit: Effect.Effect<(effect: Effect.Effect<void>) => Effect.Effect<void>>) =>
  nanos({
    ops: few * repeat,
    checksum: sumBelow(few) * repeat,
    work: async () => {
      const work = new Work()
      await withPermit.pipe(
        Effect.flatMap((limited) =>
          TaskGroup.open(times(few, (i) => TaskGroup.spawn(times(repeat, () => limited(work.effect(i))))))
        ),
        Effect.runPromise
      )
      return work.sum
    }
  })

const n = scaled(100_000)
const some = n / 10
const few = 64
const repeat = scaled(1000)
const many = (count: number): string => `${count.toLocaleString("en")} waiters`

const about = { unit: "ns a task", better: "less", baseline: "promises by hand" } as const
const inTheSameLoop = "Semaphore in the same loop"

const groups: ReadonlyArray<Group> = [
  {
    ...about,
    title: `16 permits, a burst of ${many(n)}`,
    rows: [
      { name: "promises by hand", kind: "floor", measure: measured(n, byHand) },
      { name: `Semaphore, ${many(some)}`, kind: "raw", measure: measured(some, semaphore) },
      { name: "Limiter", kind: "ours", goal: { limit: 2.8, of: "promises by hand" }, measure: measured(n, skein) },
      ...[some, n / 100].map((count): Row => ({
        name: `Limiter, ${many(count)}`,
        kind: "ours",
        goal: { limit: 1.25, flat: "Limiter" },
        measure: measured(count, skein, n / count)
      })),
      { name: "p-limit", kind: "peer", measure: withPLimit && measured(n, withPLimit) },
      {
        name: `async-mutex, ${many(some)}`,
        kind: "peer",
        measure: withAsyncMutex && measured(some, withAsyncMutex)
      },
      { name: "asyncio Semaphore", kind: "peer", measure: asyncio.nanos("limiter", n, sumBelow(n)) }
    ]
  },
  {
    ...about,
    title: `16 permits, ${few} tasks`,
    rows: [
      { name: "promises by hand", kind: "floor", measure: measured(few, byHand, repeat) },
      { name: "Semaphore", kind: "raw", measure: measured(few, semaphore, repeat) },
      { name: "Limiter", kind: "ours", measure: measured(few, skein, repeat) },
      { name: "p-limit", kind: "peer", measure: withPLimit && measured(few, withPLimit, repeat) },
      { name: "async-mutex", kind: "peer", measure: withAsyncMutex && measured(few, withAsyncMutex, repeat) }
    ]
  },
  {
    title: `16 permits, ${few} tasks that loop ${repeat.toLocaleString("en")} times`,
    unit: "ns a round",
    better: "less",
    baseline: inTheSameLoop,
    rows: [
      {
        name: inTheSameLoop,
        kind: "raw",
        measure: looping(Effect.map(Semaphore.make(permits), (semaphore) => semaphore.withPermits(1)))
      },
      {
        name: `Limiter, ${few} tasks that loop`,
        kind: "ours",
        goal: { limit: 0.65, of: inTheSameLoop },
        measure: looping(Effect.map(Limiter.concurrency(permits), (limiter) => limiter.withPermit))
      }
    ]
  }
]
export default groups
