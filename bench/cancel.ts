/** What does it cost to cancel a task that has a finalizer? */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TaskGroup } from "skein"
import * as asyncio from "./support/asyncio.ts"
import { type Group, nanos, scaled, type Timer } from "./support/group.ts"
import { all, times } from "./support/loops.ts"
import { peer } from "./support/peers.ts"

const n = scaled(100_000)
const few = n / 20
const effection = await peer("effection")

const measured = (ops: number, run: (finalized: () => void, timer: Timer) => PromiseLike<unknown>, repeat = 1) =>
  nanos({
    ops: ops * repeat,
    checksum: ops * repeat,
    work: async (timer) => {
      let finalized = 0
      for (let i = 0; i < repeat; i++) await run(() => (finalized += 1), timer)
      return finalized
    }
  })

const task = (finalized: () => void) => Effect.ensuring(Effect.never, Effect.sync(finalized))

const timed = (timer: Timer, effect: Effect.Effect<void>) =>
  Effect.suspend(() => {
    timer.start()
    return Effect.map(effect, timer.stop)
  })

const raw = (finalized: () => void, timer: Timer) => {
  const fibers: Array<Fiber.Fiber<never>> = []
  const start = () => Effect.map(Effect.forkChild(task(finalized)), (fiber) => fibers.push(fiber))
  const all = Effect.andThen(times(n, start), Effect.yieldNow)
  return Effect.runPromise(
    Effect.flatMap(all, () =>
      timed(
        timer,
        Effect.suspend(() => Fiber.interruptAll(fibers))
      )
    )
  )
}

const taskGroup = (n: number) => (finalized: () => void, timer: Timer) => {
  const ready = Deferred.makeUnsafe<void>()
  const all = Effect.andThen(
    times(n, () => TaskGroup.spawn(task(finalized))),
    Deferred.succeed(ready, undefined)
  )
  return TaskGroup.spawn(TaskGroup.open(all)).pipe(
    Effect.tap(Deferred.await(ready)),
    Effect.flatMap((group) => timed(timer, group.cancel())),
    TaskGroup.open,
    Effect.runPromise
  )
}

/** `wait` gives a promise that is rejected when the task is cancelled. */
const promises =
  (wait: (cancels: Array<() => void>) => Promise<never>) => async (finalized: () => void, timer: Timer) => {
    const cancels: Array<() => void> = []
    const ended = all(n, () =>
      wait(cancels)
        .catch(() => {})
        .finally(finalized)
    )
    timer.start()
    for (const cancel of cancels) cancel()
    await ended
    timer.stop()
  }

// Made once: a stack for each would be most of the price.
const cancelled = new Error("cancelled")

const group: Group = {
  title: `Cancel ${n.toLocaleString("en")} tasks, each with a finalizer`,
  unit: "ns a task",
  better: "less",
  baseline: "Fiber.interruptAll",
  rows: [
    {
      name: "list of callbacks",
      kind: "floor",
      measure: measured(
        n,
        promises((cancels) => new Promise((_, reject) => cancels.push(() => reject(cancelled))))
      )
    },
    { name: "Fiber.interruptAll", kind: "raw", measure: measured(n, raw) },
    {
      name: "TaskGroup",
      kind: "ours",
      goal: { limit: 0.9, of: "Fiber.interruptAll" },
      measure: measured(n, taskGroup(n))
    },
    ...[n / 10, n / 100].map((few) => ({
      name: `TaskGroup, ${few.toLocaleString("en")} at a time`,
      kind: "ours" as const,
      goal: { limit: 1.25, flat: "TaskGroup" },
      measure: measured(few, taskGroup(few), n / few)
    })),
    {
      name: "AbortController each",
      kind: "peer",
      measure: measured(
        n,
        promises((cancels) => {
          const controller = new AbortController()
          cancels.push(() => controller.abort())
          return new Promise((_, reject) =>
            controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true })
          )
        })
      )
    },
    { name: "asyncio", kind: "peer", measure: asyncio.nanos("cancel", n, n) },
    {
      name: `effection, ${few.toLocaleString("en")}`,
      kind: "peer",
      measure:
        effection &&
        measured(few, async (finalized, timer) => {
          const task = effection.run(function* () {
            for (let i = 0; i < few; i++) {
              yield* effection.spawn(function* () {
                yield* effection.ensure(finalized)
                yield* effection.suspend()
              })
            }
            yield* effection.suspend()
          })
          await new Promise((resolve) => setTimeout(resolve, 20))
          timer.start()
          await task.halt()
          timer.stop()
        })
    }
  ]
}

export default group
