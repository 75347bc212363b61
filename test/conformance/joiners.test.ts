/** What joiners, supervised tasks, daemons, restarts, handles and bounded groups come to. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { Joiner, TaskGroup } from "skein"
import { Sim } from "skein/testing"
import { conforms, defectOf, failsAfter, failsRegardless } from "./support.ts"

describe("Joiners, supervision, results", () => {
  conforms(
    "C115 all gives the values in the order of spawning, and nothing of nothing",
    ({ works }) =>
      Effect.all({
        some: Joiner.all([works("slow", 20), works("fast", 10)]),
        none: Joiner.all([])
      }),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed({ some: ["slow", "fast"], none: [] }))
      expect(time).toBe(20)
    }
  )

  conforms(
    "C116 first puts up with a failure before the first success",
    ({ works }) => Joiner.first([failsAfter(1, "no"), works("yes", 10), works("late", 20)]),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("yes"))
      expect(log).toEqual(["yes done", "late cancelled"])
    }
  )

  conforms(
    "C116 first fails with every failure when all fail",
    () => Joiner.first([failsAfter(2, "two"), failsAfter(1, "one")]),
    ({ failures }) => expect(failures).toEqual(["1: one", "0: two"])
  )

  conforms(
    "C116 first of nothing is an error and does not hang",
    () => Joiner.first([]),
    ({ exit }) => expect(defectOf(exit)).toBeInstanceOf(Joiner.TooFewEffects)
  )

  conforms(
    "C118 settle lets no failure stop a sibling, and returns when every cleanup is done",
    ({ say, works }) =>
      Effect.tap(
        Joiner.settle({
          bad: Effect.ensuring(failsAfter(5, "no"), Effect.delay(say("bad cleaned up"), 40)),
          good: works("good", 20)
        }),
        say("returned")
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed({ bad: Exit.fail("no"), good: Exit.succeed("good") }))
      expect(log).toEqual(["good done", "bad cleaned up", "returned"])
      expect(time).toBe(45)
    }
  )

  conforms(
    "C120 two supervised tasks fail: the group succeeds and both are reported",
    ({ say, works }) => {
      const log = Logger.make(({ message }) => void Effect.runSync(say(String(message))))
      return TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.supervise(failsAfter(5, "no"), { name: "one" })
          yield* TaskGroup.supervise(failsAfter(5, "no"), { name: "two" })
          return yield* works("body", 20)
        })
      ).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([log])))
    },
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("body"))
      expect(log[0]).toBe("body done")
      expect(log.slice(1).toSorted()).toEqual([
        'Unhandled failure of supervised task "one"',
        'Unhandled failure of supervised task "two"'
      ])
    }
  )

  conforms(
    "C121 a supervised task that fails leaves its sibling alone",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const sibling = yield* TaskGroup.supervise(works("sibling", 20))
          const bad = yield* TaskGroup.supervise(failsAfter(5, "no"))
          return [yield* bad.exit, yield* sibling.join]
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed([Exit.fail("no"), "sibling"]))
      expect(log).toEqual(["sibling done"])
    }
  )

  conforms(
    "C123 a daemon is cancelled and awaited once the ordinary tasks are done",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("daemon", undefined, { cleanup: 5 }), { kind: "daemon" })
          yield* TaskGroup.spawn(works("task", 20))
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.void)
      expect(log).toEqual(["task done", "daemon cancelled"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C124 a daemon that fails fails the group",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(failsAfter(10, "no"), { kind: "daemon", name: "daemon" })
          yield* TaskGroup.spawn(works("task"))
          return yield* works("body")
        })
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["daemon: no"])
      expect(log.toSorted()).toEqual(["body cancelled", "task cancelled"])
      expect(time).toBe(10)
    }
  )

  conforms(
    "C125 a task that restarts on its error once gives the value of its second run, after exactly two",
    ({ log, say, works }) => {
      const run = Effect.andThen(
        say("run"),
        Effect.suspend(() =>
          log.filter((line) => line === "run").length === 1 ? failsAfter(5, "no") : works("work", 5)
        )
      )
      return TaskGroup.open(Effect.flatMap(TaskGroup.spawn(run, { restart: Schedule.spaced(10) }), (task) => task.join))
    },
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("work"))
      expect(log).toEqual(["run", "run", "work done"])
      expect(time).toBe(20)
    }
  )

  conforms(
    "C128 a cancellation that races with a restart stops it for good",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const run = Effect.andThen(say("run"), failsAfter(5, "no"))
          const task = yield* TaskGroup.spawn(run, { restart: Schedule.spaced(5) })
          yield* Effect.sleep(20)
          yield* task.cancel("enough")
          yield* say("cancelled")
          yield* Effect.sleep(100)
          return yield* task.state
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("cancelled"))
      // The third run starts at the moment of the cancellation, or does not.
      expect(log.filter((line) => line === "run").length).toBeLessThanOrEqual(3)
      expect(log.at(-1)).toBe("cancelled")
    }
  )

  conforms(
    "C129 a handle tells running, cancelling, and then how the task ended",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const done = yield* TaskGroup.spawn(works("done", 10))
          const bad = yield* TaskGroup.supervise(failsAfter(10, "no"))
          const unwanted = yield* TaskGroup.spawn(works("unwanted", undefined, { cleanup: 20 }))
          const tasks = [done, bad, unwanted]
          const states = Effect.forEach(tasks, (task) => task.state)
          const before = yield* states
          yield* bad.exit
          yield* done.exit
          const cancelling = yield* TaskGroup.spawn(unwanted.cancel())
          yield* Effect.sleep(1)
          const during = yield* states
          yield* cancelling.join
          return [before, during, yield* states]
        })
      ),
    ({ exit }) =>
      expect(exit).toEqual(
        Exit.succeed([
          ["running", "running", "running"],
          ["succeeded", "failed", "cancelling"],
          ["succeeded", "failed", "cancelled"]
        ])
      )
  )

  // The peers raise on a value that is asked for too early; here `join` is the only way to ask, and it waits.
  conforms(
    "C129 the value of a task that has not ended is waited for",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(works("task", 10))
          return yield* task.join
        })
      ),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed("task"))
      expect(time).toBe(10)
    }
  )

  it.each([1, 10, 100])(
    "C130 of 100 tasks in a group with a limit of %i no more than that run, and in order",
    (limit) => {
      const { exit } = Effect.runSync(Sim.run(bounded(100, limit)))
      expect(exit).toEqual(Exit.succeed({ order: Array.from({ length: 100 }, (_, index) => index), most: limit }))
    }
  )

  conforms(
    "C130 no more tasks run than the limit says, whatever the order and wherever the group is cancelled",
    () => bounded(5, 2),
    ({ exit }) => {
      const { most, order } = Exit.isSuccess(exit) ? exit.value : { most: 0, order: [] }
      expect(order.toSorted()).toEqual([0, 1, 2, 3, 4])
      expect(most).toBe(2)
    }
  )

  conforms(
    "C130 a bounded group that fails reports the first failure alone, and starts none that waited",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("running"))
          yield* TaskGroup.spawn(failsAfter(10, "first"), { name: "bad" })
          yield* TaskGroup.spawn(say("started"), { name: "waiting" })
          yield* TaskGroup.spawn(failsRegardless(10, "second"), { name: "waiting, too" })
        }),
        { limit: 2 }
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["bad: first"])
      expect(log).toEqual(["running cancelled"])
    }
  )
})

/** A group of so many tasks; gives the order in which they started, and how many ran at once. */
const bounded = (count: number, limit: number) =>
  Effect.suspend(() => {
    const order: Array<number> = []
    let running = 0
    let most = 0
    const work = (index: number) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          order.push(index)
          most = Math.max(most, ++running)
        }),
        () => Effect.sleep(1),
        () => Effect.sync(() => void running--)
      )
    const tasks = Array.from({ length: count }, (_, index) => TaskGroup.spawn(work(index)))
    return Effect.map(TaskGroup.open(Effect.all(tasks), { limit }), () => ({ order, most }))
  })
