/** How many bytes does a task hold while it waits? */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TaskGroup } from "skein"
import { check, type Goal, type Group, type Row, scaled } from "./support/group.ts"
import { times, yieldNow } from "./support/loops.ts"
import { peer } from "./support/peers.ts"

const n = scaled(100_000)
const pLimit = await peer("p-limit")
const pQueue = await peer("p-queue")
const effection = await peer("effection")

/** Starts all tasks, each of which calls `waits`; gives what ends them. */
type Start = (waits: () => void) => () => unknown

const bytes = (count: number, start: Start) => async (): Promise<number> => {
  let waiting = 0
  const before = await heap()
  const end = start(() => (waiting += 1))
  await started(() => waiting === count)
  const after = await heap()
  check(waiting, count)
  await end()
  return (after - before) / count
}

/** Fibers start over several turns of the event loop. */
const started = async (all: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 10_000 && !all(); turn++) await yieldNow()
}

const heap = async (): Promise<number> => {
  for (let i = 0; i < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    globalThis.gc!()
  }
  return process.memoryUsage().heapUsed
}

const until = (fiber: Fiber.Fiber<unknown, unknown>) => () => Effect.runPromise(Fiber.interrupt(fiber))

const fibers =
  (task: Task): Start =>
  (waits) => {
    const waiting = task(waits)
    const fibers = Array.from({ length: n }, () => Effect.runFork(waiting))
    return () => Effect.runPromise(Fiber.interruptAll(fibers))
  }

const forkChild =
  (task: Task): Start =>
  (waits) => {
    const child = Effect.forkChild(task(waits))
    return until(
      Effect.runFork(
        Effect.andThen(
          times(n, () => child),
          Effect.never
        )
      )
    )
  }

const taskGroup =
  (task: Task): Start =>
  (waits) => {
    const member = TaskGroup.spawn(task(waits))
    return until(Effect.runFork(TaskGroup.open(times(n, () => member))))
  }

/** Promises that wait are held by whoever settles them. */
const promises =
  (run: (task: () => Promise<void>) => Promise<void>): Start =>
  (waits) => {
    const ends: Array<() => void> = []
    const task = () =>
      new Promise<void>((resolve) => {
        ends.push(resolve)
        waits()
      })
    const all = Promise.all(Array.from({ length: n }, () => run(task)))
    return () => {
      for (const end of ends) end()
      return all
    }
  }

type Task = (waits: () => void) => Effect.Effect<void>
const callback: Task = (waits) => Effect.callback(() => waits())
const generator: Task = (waits) =>
  Effect.gen(function* () {
    yield* callback(waits)
  })

const ofEffect = (task: Task): ReadonlyArray<Row> => {
  const goal: Goal = { limit: 450, above: "fiber alone" }
  return [
    { name: "fiber alone", kind: "floor", measure: bytes(n, fibers(task)) },
    { name: "forkChild", kind: "raw", measure: bytes(n, forkChild(task)) },
    { name: "TaskGroup", kind: "ours", goal, measure: bytes(n, taskGroup(task)) }
  ]
}

const about = { unit: "bytes a task", better: "less", baseline: "fiber alone" } as const

const groups: ReadonlyArray<Group> = [
  {
    ...about,
    title: `${n.toLocaleString("en")} tasks that wait in a callback`,
    rows: [
      ...ofEffect(callback),
      {
        name: "async function",
        kind: "floor",
        measure: bytes(
          n,
          promises((task) => task())
        )
      },
      { name: "p-limit, no limit", kind: "peer", measure: pLimit && bytes(n, promises(pLimit.default(n))) },
      {
        name: "p-queue, no limit",
        kind: "peer",
        measure:
          pQueue &&
          bytes(n, (waits) => {
            const queue = new pQueue.default({ concurrency: n })
            return promises((task) => queue.add(task))(waits)
          })
      },
      {
        name: "effection, a tenth as many",
        kind: "peer",
        measure:
          effection &&
          bytes(n / 10, (waits) => {
            const task = effection.run(function* () {
              for (let i = 0; i < n / 10; i++) {
                yield* effection.spawn(function* () {
                  waits()
                  yield* effection.suspend()
                })
              }
              yield* effection.suspend()
            })
            return () => task.halt()
          })
      }
    ]
  },
  { ...about, title: `${n.toLocaleString("en")} tasks that wait in a generator`, rows: ofEffect(generator) }
]
export default groups
