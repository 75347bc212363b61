/** How a cancellation arrives, what it cannot touch, and what it says. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Cancel, Deadline, Joiner, Task, TaskGroup } from "skein"
import { Sim } from "skein/testing"
import { cancelledAfter, conforms, defectOf, failuresOf, interruptionsOf, tester } from "./support.ts"

const group = { name: "group" }

/** Why the effect is being cancelled, as "kind by". */
const why = Effect.map(Cancel.reason, (reason) =>
  Option.match(reason, { onNone: () => "not cancelled", onSome: ({ by, kind }) => `${kind} by ${by}` })
)

/** What came of an effect that `cancelledAfter` cancelled. */
const innerOf = <A, E>(exit: Exit.Exit<Exit.Exit<A, E>>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) ? exit.value : exit

const endOf = <A, E>(exit: Exit.Exit<Exit.Exit<A, E>>) => {
  const inner = innerOf(exit)
  return {
    cancelledBy: Exit.isFailure(inner) ? Option.getOrUndefined(Cancel.reasonOf(inner.cause))?.by : undefined,
    failures: failuresOf(inner)
  }
}

const cancelled = { cancelledBy: tester.by, failures: [] }

describe("Cancellation mechanics and shield", () => {
  // A cancelled fiber runs no handlers, so "caught" can only be said of its cleanup.
  conforms(
    "C66 cancellation holds on: handlers do not get to run, and in cleanup each wait that lets it in fails at once",
    ({ say, works }) =>
      cancelledAfter(
        Effect.gen(function* () {
          const retry = Effect.exit(Effect.interruptible(Effect.sleep(1000)))
          const caught = Effect.catchCause(works("first"), () => say("handler"))
          yield* Effect.onInterrupt(caught, () =>
            Effect.flatMap(Effect.all([retry, retry]), (exits) => say(`${exits.map(({ _tag }) => _tag)}`))
          )
          yield* works("second")
        }),
        5
      ),
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log).toEqual(["first cancelled", "Failure,Failure"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C67 cancelling a task twice is cancelling it once, and both wait for its cleanup",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(
            Effect.onInterrupt(works("task", 100, { cleanup: 10 }), () => Effect.flatMap(why, say)),
            { name: "task" }
          )
          yield* Effect.sleep(5)
          const again = yield* TaskGroup.spawn(Effect.delay(task.cancel("again"), 5))
          yield* task.cancel("enough")
          yield* again.join
          yield* task.cancel("after the end")
          return yield* task.state
        }),
        group
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("cancelled"))
      expect(log).toEqual(["task cancelled", "explicit by group"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "C68 what is shielded runs on when the outside is cancelled, and a group inside can still be cancelled",
    ({ say, works }) =>
      cancelledAfter(
        Effect.andThen(
          Cancel.shield(
            Effect.gen(function* () {
              yield* works("shielded", 10)
              const inner = TaskGroup.open(
                Effect.andThen(TaskGroup.spawn(works("inner")), Effect.delay(TaskGroup.cancel(), 5))
              )
              yield* Effect.catchTag(inner, "GroupCancelled", () => say("inner group cancelled"))
              yield* works("to the end", 5)
            })
          ),
          say("code after the shield")
        ),
        5
      ),
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log).toEqual(["shielded done", "inner cancelled", "inner group cancelled", "to the end done"])
      expect(time).toBe(20)
    }
  )

  conforms(
    "C69 a shielded group that cancels itself is cancelled",
    ({ say, works }) =>
      Cancel.shield(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(works("task"))
            yield* TaskGroup.cancel("enough")
            yield* Effect.sleep(1)
            yield* say("code after the cancellation")
          }),
          group
        )
      ).pipe(Effect.catchTag("GroupCancelled", ({ reason }) => Effect.succeed(reason))),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("enough"))
      expect(log.filter((line) => line !== "task cancelled")).toEqual([])
      expect(time).toBe(0)
    }
  )

  // A shield covers the effect it is given: to leave it is the one way to drop it.
  conforms(
    "C70 a cancellation that is pending takes effect as soon as the shield is left",
    ({ say, works }) =>
      cancelledAfter(Effect.andThen(Cancel.shield(works("shielded", 20)), say("code after the shield")), 5),
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log).toEqual(["shielded done"])
      expect(time).toBe(20)
    }
  )

  conforms(
    "C72 a shield with a deadline of its own ends there, also when the outside is cancelled before",
    ({ say, works }) =>
      cancelledAfter(
        Effect.catchTag(
          Cancel.shield(
            Effect.onInterrupt(works("shielded"), () => Effect.flatMap(why, say)),
            { within: 20 }
          ),
          "DeadlineExceeded",
          () => say("handler")
        ),
        5
      ),
    ({ exit, log, time }) => {
      // The timeout is an error inside of the shield; out of it leaves the cancellation that was pending.
      expect(endOf(exit).cancelledBy).toBe(tester.by)
      expect(log).toEqual(["shielded cancelled", "deadline by shield"])
      expect(time).toBe(20)
    }
  )

  // Kotlin lets a cancelled coroutine enter one shield after the other anywhere. Here (S14) a pending cancellation takes
  // effect between them, and only cleanup, which no cancellation enters, goes on to the second.
  conforms(
    "C73 two shielded blocks in a row both complete in the cleanup of a cancelled task; elsewhere only the first",
    ({ works }) => {
      const two = (name: string) =>
        Effect.andThen(Cancel.shield(works(`${name} 1`, 10)), Cancel.shield(works(`${name} 2`, 10)))
      return cancelledAfter(
        Effect.onInterrupt(two("code"), () => two("cleanup")),
        5
      )
    },
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log).toEqual(["code 1 done", "cleanup 1 done", "cleanup 2 done"])
      expect(time).toBe(30)
    }
  )

  conforms(
    "C75 a group waits for a task that ignores its cancellation until it is woken, and then ends",
    ({ works }) =>
      cancelledAfter(
        TaskGroup.open(
          TaskGroup.spawn(Effect.onInterrupt(Effect.uninterruptible(works("deaf", 30)), () => works("its cleanup", 0)))
        ),
        5
      ),
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log).toEqual(["deaf done", "its cleanup done"])
      expect(time).toBe(30)
    }
  )

  conforms(
    "C76 what a wait does to be aborted is done once, also when it is slow and a second cancellation arrives",
    ({ say, works }) =>
      cancelledAfter(
        Effect.callback<never>(() => Effect.andThen(say("abort"), works("aborting", 20))),
        5,
        10
      ),
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log).toEqual(["abort", "aborting done"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C77 cleanup may wait: it is done before `cancel` returns",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const cleanup = Effect.andThen(works("flush", 10), works("close", 10))
          const task = yield* TaskGroup.spawn(Effect.onInterrupt(works("task"), () => cleanup))
          yield* Effect.sleep(5)
          yield* task.cancel()
          yield* say(`cancel has returned: ${yield* task.state}`)
        })
      ),
    ({ log, time }) => {
      expect(log).toEqual(["task cancelled", "flush done", "close done", "cancel has returned: cancelled"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C78 after the point where a task was cancelled none of its code runs, whatever its cleanup waits for",
    ({ say, works }) => {
      const inner = Effect.andThen(
        Effect.onInterrupt(works("inner"), () => works("inner cleanup", 10)),
        say("code in the inner effect")
      )
      const middle = Effect.andThen(
        TaskGroup.open(Effect.andThen(TaskGroup.spawn(inner), works("middle"))),
        say("code in the middle")
      )
      const outer = Effect.onExit(middle, () => works("outer cleanup", 10))
      return TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(Effect.andThen(outer, say("code in the task")))
          yield* Effect.sleep(5)
          yield* task.cancel()
        })
      )
    },
    ({ log, time }) => {
      expect(log.toSorted()).toEqual([
        "inner cancelled",
        "inner cleanup done",
        "middle cancelled",
        "outer cleanup done"
      ])
      expect(log.at(-1)).toBe("outer cleanup done")
      expect(time).toBe(25)
    }
  )

  // `cancel` itself cannot fail, so that cleanup may call it; the failure is the group's, as any other of the task.
  conforms(
    "C79 what cleanup fails with when a task is cancelled comes out of the group, and cancels the rest of it",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(
            Effect.onInterrupt(Effect.never, () => Effect.fail("cannot flush")),
            { name: "task" }
          )
          yield* TaskGroup.spawn(works("sibling"))
          yield* Effect.sleep(5)
          yield* task.cancel()
          return yield* works("body")
        })
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["task: cannot flush"])
      expect(log.filter((line) => line !== "body cancelled")).toEqual(["sibling cancelled"])
      expect(time).toBe(5)
    },
    { also: ["task: cannot flush"] }
  )

  conforms(
    "C81 tasks clean up side by side, and services after them, one by one, the last spawned first",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          for (const cleanup of [30, 20, 10]) {
            yield* TaskGroup.spawn(works(`service ${cleanup}`, 1000, { cleanup }), { kind: "service" })
            yield* TaskGroup.spawn(works(`task ${cleanup}`, 1000, { cleanup }))
          }
          yield* Effect.sleep(5)
          return yield* TaskGroup.cancel("enough")
        })
      ).pipe(Effect.catchTag("GroupCancelled", () => Effect.void)),
    ({ log, time }) => {
      expect(log).toEqual([
        ...["task 10", "task 20", "task 30"].map((name) => `${name} cancelled`),
        ...["service 10", "service 20", "service 30"].map((name) => `${name} cancelled`)
      ])
      expect(time).toBe(5 + 30 + 10 + 20 + 30)
    }
  )

  conforms(
    "C82 a task that cancels itself ends cancelled, and to wait for it says so",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const suicidal = Effect.flatMap(Task.current, (task) => Option.getOrThrow(task).cancel("enough of it"))
          const task = yield* TaskGroup.spawn(
            Effect.onInterrupt(Effect.andThen(suicidal, say("code after it")), () => works("cleanup", 10)),
            { name: "task" }
          )
          return [defectOf(yield* Effect.exit(task.join)), yield* task.state]
        })
      ),
    ({ exit, log, time }) => {
      const [defect, state] = Exit.isSuccess(exit) ? exit.value : []
      expect(defect).toBeInstanceOf(Task.TaskCancelled)
      expect(defect).toMatchObject({ task: "task", reason: "enough of it" })
      expect(state).toBe("cancelled")
      expect(log).toEqual(["cleanup done"])
      expect(time).toBe(10)
    }
  )

  conforms(
    "C83 a reason that is given is seen in the interruption, with the task it comes from",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const victim = yield* TaskGroup.spawn(Effect.onInterrupt(Effect.never, () => Effect.flatMap(why, say)))
          yield* TaskGroup.spawn(Effect.delay(victim.cancel("too slow"), 5), { name: "watchdog" })
          const exit = yield* victim.exit
          return Exit.isFailure(exit) ? Option.getOrUndefined(Cancel.reasonOf(exit.cause)) : undefined
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed({ kind: "explicit", by: "watchdog", message: "too slow" }))
      expect(log).toEqual(["explicit by watchdog"])
    }
  )

  conforms(
    "C84 the victims of a failed task see that it was the sibling, and which",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Effect.onInterrupt(Effect.never, () => Effect.flatMap(why, say)))
          yield* TaskGroup.spawn(Effect.delay(Effect.fail("boom"), 5), { name: "bad" })
          return yield* Cancel.cleanup(Effect.never, (reason) => say(Option.getOrThrow(reason).message))
        })
      ),
    ({ log, failures }) => {
      expect(log.toSorted()).toEqual(["sibling by bad", `task "bad" failed`])
      expect(failures).toEqual(["bad: boom"])
    }
  )

  conforms(
    "C85 of a deadline and a cancellation the first is the reason, in either order",
    ({ say, works }) => {
      const cancelledWhile = (deadline: number, cancel: number) =>
        TaskGroup.open(
          Effect.gen(function* () {
            const cleanup = Effect.andThen(works("cleanup", 20), Effect.flatMap(why, say))
            const task = yield* TaskGroup.supervise(
              Deadline.within(
                Effect.onInterrupt(Effect.never, () => cleanup),
                deadline,
                { name: "deadline" }
              )
            )
            yield* Effect.sleep(cancel)
            yield* task.cancel()
            const exit = yield* task.exit
            return Exit.isFailure(exit) ? Option.getOrUndefined(Cancel.reasonOf(exit.cause))?.kind : undefined
          }),
          group
        )
      return Effect.all([cancelledWhile(10, 5), cancelledWhile(5, 10)])
    },
    ({ log, time }) => {
      expect(log).toEqual(["cleanup done", "explicit by group", "cleanup done", "deadline by deadline"])
      expect(time).toBe(25 + 25)
    }
  )

  it("C86 (S26) waiting for a task that is stuck in a shield takes no steps, however long it takes", () => {
    const stepsOf = (millis: number) =>
      Effect.runSync(Sim.run(cancelledAfter(TaskGroup.open(TaskGroup.spawn(Cancel.shield(Effect.sleep(millis)))), 5)))
    expect(stepsOf(9000)).toMatchObject({ time: 9000, steps: stepsOf(10).steps })
  })

  conforms(
    "C88 when the one who waits for all of them is cancelled, all of them are",
    ({ works }) => cancelledAfter(Joiner.all([works("a"), works("b", 100, { cleanup: 10 }), works("c")]), 5),
    ({ exit, log, time }) => {
      expect(endOf(exit)).toEqual(cancelled)
      expect(log.toSorted()).toEqual(["a cancelled", "b cancelled", "c cancelled"])
      expect(interruptionsOf(innerOf(exit))).toBe(1)
      expect(time).toBe(15)
    }
  )
})
