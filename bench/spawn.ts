/** What does it cost to start a task that yields once, and to wait for its end? */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import { TaskGroup } from "skein"
import * as asyncio from "./support/asyncio.ts"
import { type Group, nanos, scaled, sumBelow } from "./support/group.ts"
import { all, times, yieldNow } from "./support/loops.ts"
import { peer } from "./support/peers.ts"

const n = scaled(100_000)
const few = n / 20
const pLimit = await peer("p-limit")
const effection = await peer("effection")

type Add = (i: number) => void

const measured = (ops: number, run: (add: Add) => PromiseLike<unknown>, repeat = 1) =>
  nanos({
    ops: ops * repeat,
    checksum: sumBelow(ops) * repeat,
    work: async () => {
      let sum = 0
      for (let i = 0; i < repeat; i++) await run((value) => (sum += value))
      return sum
    }
  })

const task = (add: Add, i: number) => Effect.map(Effect.yieldNow, () => add(i))

const raw = (add: Add) => {
  const fibers: Array<Fiber.Fiber<void>> = []
  const start = (i: number) => Effect.map(Effect.forkChild(task(add, i)), (fiber) => fibers.push(fiber))
  return Effect.runPromise(Effect.flatMap(times(n, start), () => Fiber.joinAll(fibers)))
}

const fiberSet = (add: Add) =>
  FiberSet.make<void>().pipe(
    Effect.flatMap((set) =>
      Effect.andThen(
        times(n, (i) => FiberSet.run(set, task(add, i))),
        FiberSet.awaitEmpty(set)
      )
    ),
    Effect.scoped,
    Effect.runPromise
  )

const taskGroup = (n: number) => (add: Add) =>
  Effect.runPromise(TaskGroup.open(times(n, (i) => TaskGroup.spawn(task(add, i)))))

const eachJoined = (add: Add) => {
  const joins: Array<Effect.Effect<number>> = []
  const start = (i: number) =>
    Effect.map(TaskGroup.spawn(Effect.as(Effect.yieldNow, i)), (task) => joins.push(task.join))
  const join = (i: number) => Effect.map(joins[i]!, add)
  return Effect.runPromise(TaskGroup.open(Effect.flatMap(times(n, start), () => times(n, join))))
}

const promises = (add: Add) => all(n, (i) => yieldNow().then(() => add(i)))

const group: Group = {
  title: `Spawn and join ${n.toLocaleString("en")} tasks that yield once`,
  unit: "ns a task",
  better: "less",
  baseline: "forkChild",
  rows: [
    { name: "async + setImmediate", kind: "floor", measure: measured(n, promises) },
    { name: "forkChild", kind: "raw", measure: measured(n, raw) },
    { name: "FiberSet", kind: "raw", measure: measured(n, fiberSet) },
    { name: "TaskGroup", kind: "ours", goal: { limit: 0.6, of: "forkChild" }, measure: measured(n, taskGroup(n)) },
    { name: "TaskGroup, each joined", kind: "ours", measure: measured(n, eachJoined) },
    ...[n / 10, n / 100].map((few) => ({
      name: `TaskGroup, ${few.toLocaleString("en")} at a time`,
      kind: "ours" as const,
      goal: { limit: 1.25, flat: "TaskGroup" },
      measure: measured(few, taskGroup(few), n / few)
    })),
    {
      name: "p-limit, no limit",
      kind: "peer",
      measure:
        pLimit &&
        measured(n, (add) => {
          const limit = pLimit.default(n)
          return all(n, (i) => limit(() => yieldNow().then(() => add(i))))
        })
    },
    { name: "asyncio TaskGroup", kind: "peer", measure: asyncio.nanos("spawn", n, sumBelow(n)) },
    {
      name: `effection, ${few.toLocaleString("en")}`,
      kind: "peer",
      measure:
        effection &&
        measured(few, (add) =>
          effection.run(function* () {
            const tasks = []
            for (let i = 0; i < few; i++) {
              tasks.push(
                yield* effection.spawn(function* () {
                  yield* effection.until(yieldNow())
                  add(i)
                })
              )
            }
            for (const task of tasks) yield* task
          })
        )
    }
  ]
}
export default group
