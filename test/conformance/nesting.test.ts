/** Cancellation that comes from outside of a group, or from the group around it; and ending a group from the inside. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Cancel, Deadline, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import {
  cancelledAfter,
  conforms,
  failsAfter,
  failsRegardless,
  failuresOf,
  interruptionsOf,
  leak,
  tester,
  withstands
} from "./support.ts"

const group = { name: "group" }

/** What `cancelledAfter` saw: how many cancellations, whose, and which failures. */
const outcomeOf = <A, E>(exit: Exit.Exit<Exit.Exit<A, E>>) => {
  const inner: Exit.Exit<unknown, unknown> = Exit.isSuccess(exit) ? exit.value : exit
  const reason = Exit.isFailure(inner) ? Cancel.reasonOf(inner.cause) : Option.none()
  return {
    cancellations: interruptionsOf(inner),
    by: Option.getOrUndefined(reason)?.by,
    failures: failuresOf(inner)
  }
}

/** Ended by the one cancellation, and nothing else. */
const cancelledOnce = { cancellations: 1, by: tester.by, failures: [] }

describe("Outer cancellation (S8), nesting (S9)", () => {
  conforms(
    "C21 a cancelled group cancels its five tasks; each cleans up once, knows the reason, and the reason travels on",
    ({ say, works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.forEach([1, 2, 3, 4, 5], (n) =>
            TaskGroup.spawn(
              Effect.onInterrupt(works(`${n}`), () =>
                Effect.flatMap(Cancel.reason, (reason) => say(`by ${Option.getOrThrow(reason).by}`))
              )
            )
          )
        ),
        5
      ),
    ({ exit, log, time }) => {
      expect(outcomeOf(exit)).toEqual(cancelledOnce)
      expect(log.toSorted()).toEqual([
        ...["1", "2", "3", "4", "5"].map((name) => `${name} cancelled`),
        ...Array.from({ length: 5 }, () => "by tester")
      ])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C22 a cancelled group cleans up its sleeping body and its tasks before the cancellation goes on",
    ({ say, works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(works("a", 100, { cleanup: 10 }))
            yield* TaskGroup.spawn(works("b", 100, { cleanup: 20 }))
            return yield* works("body", 100, { cleanup: 15 })
          })
        ).pipe(Effect.onInterrupt(() => say("goes on"))),
        5
      ),
    ({ exit, log, time }) => {
      expect(outcomeOf(exit)).toEqual(cancelledOnce)
      expect(log).toEqual(["a cancelled", "body cancelled", "b cancelled", "goes on"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C23 a group that is cancelled while it waits for its tasks cancels them and goes on waiting",
    ({ say, works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.andThen(
            Effect.all([
              TaskGroup.spawn(works("a", 100, { cleanup: 10 })),
              TaskGroup.spawn(works("b", 100, { cleanup: 20 }))
            ]),
            say("body done")
          )
        ).pipe(Effect.onInterrupt(() => say("goes on"))),
        5,
        // A second cancellation breaks neither the cleanup nor the wait.
        10
      ),
    ({ exit, log, time }) => {
      expect(outcomeOf(exit)).toMatchObject({ by: tester.by, failures: [] })
      expect(log).toEqual(["body done", "a cancelled", "b cancelled", "goes on"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C25 cancellation reaches the tasks of a group through a task that waits for another",
    ({ works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.gen(function* () {
            const inner = TaskGroup.open(Effect.andThen(TaskGroup.spawn(works("a")), works("inner body")))
            const task = yield* TaskGroup.spawn(inner)
            const waiter = yield* TaskGroup.spawn(task.join)
            return yield* waiter.join
          })
        ),
        5
      ),
    ({ exit, log, time }) => {
      expect(outcomeOf(exit)).toEqual(cancelledOnce)
      expect(log.toSorted()).toEqual(["a cancelled", "inner body cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C26 a body that turns its cancellation into an error: the error surfaces beside it, and the group is closed",
    ({ works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(works("task", 100, { cleanup: 10 }))
            return yield* Effect.onInterrupt(Effect.never, () => Effect.fail("torn"))
          }),
          group
        ),
        5
      ),
    ({ exit, log, time }) => {
      expect(outcomeOf(exit)).toEqual({ ...cancelledOnce, failures: ["group: torn"] })
      expect(log).toEqual(["task cancelled"])
      expect(time).toBe(15)
    }
  )

  // S8: a cancelled fiber runs no handlers, so where the outer failure comes first the inner one travels along.
  conforms(
    "C28 inner and outer task fail together: handling the inner error does not hide the outer, and it is over then",
    ({ works }) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(
          TaskGroup.open(
            Effect.gen(function* () {
              yield* TaskGroup.spawn(failsRegardless(5, "boom"), { name: "outer" })
              yield* Effect.catch(
                TaskGroup.open(TaskGroup.spawn(failsRegardless(5, "boom"), { name: "inner" })),
                () => Effect.void
              )
              return yield* works("body")
            })
          )
        )
        return { failures: failuresOf(exit), cancellations: interruptionsOf(exit), after: yield* works("after", 5) }
      }),
    ({ exit, time }) => {
      const { after, cancellations, failures } = Exit.isSuccess(exit) ? exit.value : {}
      expect(failures?.[0]).toBe("outer: boom")
      expect(failures?.filter((failure) => failure !== "outer: boom" && failure !== "inner: boom")).toEqual([])
      expect({ cancellations, after, time }).toEqual({ cancellations: 0, after: "after", time: 10 })
    },
    { also: ["outer: boom", "inner: boom"] }
  )

  conforms(
    "C29 an inner group that fails cancels the tasks of the outer one, which fails with the inner error",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("outer sleeper"))
          return yield* TaskGroup.open(
            Effect.andThen(TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" }), works("inner body"))
          )
        })
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["bad: boom"])
      expect(log).toEqual(["inner body cancelled", "outer sleeper cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C30 an outer task that fails cancels the inner group, which has no error of its own and knows the outer reason",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
          return yield* TaskGroup.open(
            Effect.gen(function* () {
              yield* TaskGroup.spawn(
                Effect.onInterrupt(works("inner task"), () =>
                  Effect.flatMap(Cancel.reason, (reason) => {
                    const { by, kind } = Option.getOrThrow(reason)
                    return say(`${kind} ${by}`)
                  })
                )
              )
              return yield* works("inner body")
            })
          )
        })
      ),
    ({ exit, failures, log, time }) => {
      expect(failures).toEqual(["bad: boom"])
      expect(interruptionsOf(exit)).toBe(0)
      expect(log.toSorted()).toEqual(["inner body cancelled", "inner task cancelled", "sibling bad"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C32 where everything inside was only cancelled, exactly one cancellation leaves the group",
    ({ works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.gen(function* () {
            const first = yield* TaskGroup.spawn(works("a"))
            yield* TaskGroup.spawn(works("b"))
            yield* TaskGroup.spawn(TaskGroup.open(TaskGroup.spawn(works("c"))))
            yield* TaskGroup.spawn(Effect.interrupt)
            yield* Effect.sleep(1)
            yield* first.cancel()
            return yield* TaskGroup.open(works("body"))
          })
        ),
        5
      ),
    ({ exit, log }) => {
      expect(outcomeOf(exit)).toEqual(cancelledOnce)
      expect(log.toSorted()).toEqual(["a cancelled", "b cancelled", "body cancelled", "c cancelled"])
    }
  )

  conforms(
    "C34 cancellation reaches every grandchild, and code after the inner group is skipped",
    ({ say, works }) =>
      cancelledAfter(
        TaskGroup.open(
          Effect.forEach(["a", "b"], (child) =>
            TaskGroup.spawn(
              Effect.andThen(
                TaskGroup.open(Effect.forEach([1, 2], (n) => TaskGroup.spawn(works(`${child}${n}`)))),
                say("code after the inner group")
              )
            )
          )
        ),
        5
      ),
    ({ exit, log }) => {
      expect(outcomeOf(exit)).toEqual(cancelledOnce)
      expect(log.toSorted()).toEqual(["a1 cancelled", "a2 cancelled", "b1 cancelled", "b2 cancelled"])
    }
  )

  conforms(
    "C35 a cancellation from before the group is entered stops the body at the latest where it first waits",
    ({ say, works }) =>
      cancelledAfter(
        Effect.andThen(
          Cancel.shield(Effect.sleep(10)),
          TaskGroup.open(
            Effect.gen(function* () {
              yield* TaskGroup.spawn(works("task"))
              yield* Effect.sleep(1)
              yield* say("code after the first wait")
            })
          )
        ),
        5
      ),
    ({ exit, log, time }) => {
      expect(outcomeOf(exit)).toEqual(cancelledOnce)
      expect(log.filter((line) => line !== "task cancelled")).toEqual([])
      expect(time).toBe(10)
    }
  )

  // S24: the group fails with `GroupCancelled`, and the caller decides what that means; asyncio ends without an error.
  conforms(
    "C36 `TaskGroup.cancel` cancels body and tasks and is the group's end; twice is once; after the close it does nothing",
    ({ works }) =>
      Effect.gen(function* () {
        const reason = yield* TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(works("task"))
            yield* Effect.sleep(1)
            yield* Cancel.shield(Effect.andThen(TaskGroup.cancel("enough"), TaskGroup.cancel("again")))
            return yield* works("body")
          })
        ).pipe(Effect.catchTag("GroupCancelled", (error) => Effect.succeed(error.reason)))
        const { value, leaked } = yield* TaskGroup.open(
          Effect.map(leak(TaskGroup.cancel("late")), (leaked) => ({ value: "value", leaked }))
        )
        yield* leaked
        return [reason, value]
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed(["enough", "value"]))
      expect(log).toEqual(["task cancelled"])
    }
  )

  conforms(
    "C37 what a body fails with after `TaskGroup.cancel` surfaces",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("task"))
          // Cancellation takes effect at once: only what is shielded from it, as finalizers are, can still fail.
          return yield* Cancel.shield(Effect.andThen(TaskGroup.cancel("enough"), Effect.fail("boom")))
        }),
        group
      ),
    ({ exit, failures }) => {
      expect(failures).toEqual(["group: boom"])
      expect(interruptionsOf(exit)).toBe(0)
    }
  )

  it("C40 1,000 nested groups or deadlines are cancelled, and end, promptly and without leaving anything", () => {
    const group = (inner: Effect.Effect<unknown>) =>
      TaskGroup.open(Effect.flatMap(TaskGroup.spawn(inner), (task) => task.join))
    const deadline = (inner: Effect.Effect<unknown>) => Effect.orDie(Deadline.within(inner, "1 hour"))
    const nested = (depth: number, scopes: ReadonlyArray<typeof group>, core: Effect.Effect<unknown>) =>
      Array.from({ length: depth }).reduce<Effect.Effect<unknown>>(
        (inner, _, i) => scopes[i % scopes.length]!(inner),
        core
      )
    for (const scopes of [[group], [deadline], [group, deadline]]) {
      const cancelled = (depth: number) => {
        const effect = cancelledAfter(nested(depth, scopes, Effect.never), 5)
        const run = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
        expect(outcomeOf(run.exit)).toEqual(cancelledOnce)
        expect(run.time).toBe(5)
        return run.steps
      }
      expect(cancelled(1000)).toBeLessThan(20 * cancelled(100))
      const effect = nested(1000, scopes, Effect.delay(Effect.succeed("core"), 5))
      const ended = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
      expect(ended).toMatchObject({ exit: Exit.succeed("core"), time: 5 })
    }
    withstands({
      world: ({ works }) => cancelledAfter(nested(6, [group, deadline], works("core")), 5),
      check: ({ exit, log }) => {
        expect(outcomeOf(exit)).toEqual(cancelledOnce)
        expect(log).toEqual(["core cancelled"])
      }
    })
  })
})
