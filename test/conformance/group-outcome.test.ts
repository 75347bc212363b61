/** How a group ends: with the value of its body, or with everything that failed in it. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { TaskGroup } from "skein"
import { cancelledAfter, conforms, failsAfter, failsRegardless, failuresOf, interruptionsOf } from "./support.ts"

const group = { name: "group" }

describe("Group outcome (S2, S3, S4, S5)", () => {
  conforms(
    "C1 a group waits for its tasks, and their values are readable afterwards",
    ({ works }) =>
      Effect.gen(function* () {
        const tasks = yield* TaskGroup.open(
          Effect.all([TaskGroup.spawn(works("a", 10)), TaskGroup.spawn(works("b", 20))])
        )
        return yield* Effect.forEach(tasks, (task) => task.join)
      }),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(["a", "b"]))
      expect(time).toBe(20)
    }
  )

  conforms(
    "C2 a task spawned later, while another runs, is awaited as well",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("early", 10))
          yield* Effect.sleep(5)
          yield* TaskGroup.spawn(works("late", 20))
        })
      ),
    ({ log, time }) => {
      expect(log).toEqual(["early done", "late done"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C3 a task cancelled through its handle is no failure: its sibling runs on and the group succeeds",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const unwanted = yield* TaskGroup.spawn(works("unwanted"))
          const sibling = yield* TaskGroup.spawn(works("sibling", 20))
          yield* Effect.sleep(5)
          yield* unwanted.cancel("not needed")
          const states = [yield* unwanted.state, yield* sibling.state]
          return [...states, yield* sibling.join]
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["cancelled", "running", "sibling"]))
      expect(log).toEqual(["unwanted cancelled", "sibling done"])
      expect(time).toBe(20)
    }
  )

  conforms(
    "C4 a failing task cancels its siblings, and the group fails with its error alone",
    ({ say, works }) =>
      Effect.andThen(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(works("sibling"))
            yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
          })
        ),
        say("code after the group")
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["bad: boom"])
      expect(log).toEqual(["sibling cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C5 three tasks that fail in the same tick are all in the result, and the sleeping body is cancelled",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          for (const name of ["a", "b", "c"]) {
            yield* TaskGroup.spawn(failsRegardless(5, "boom"), { name })
          }
          return yield* works("body")
        })
      ),
    ({ exit, failures, log, time }) => {
      expect(failures.toSorted()).toEqual(["a: boom", "b: boom", "c: boom"])
      expect(interruptionsOf(exit)).toBe(0)
      expect(log).toEqual(["body cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C6 a body that fails after waiting cancels the tasks, and its error is the group's",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("a"))
          yield* TaskGroup.spawn(works("b"))
          return yield* failsAfter(5, "boom")
        }),
        group
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["group: boom"])
      expect(log.toSorted()).toEqual(["a cancelled", "b cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C7 a body that fails right after spawning cancels the tasks",
    ({ works }) =>
      TaskGroup.open(
        Effect.andThen(
          Effect.all([TaskGroup.spawn(works("a", 10)), TaskGroup.spawn(works("b", 10))]),
          Effect.fail("boom")
        ),
        group
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["group: boom"])
      // A task that did not get to run its first step has nothing to clean up.
      expect(log.filter((line) => !line.endsWith("cancelled"))).toEqual([])
      expect(time).toBe(0)
    }
  )

  conforms(
    "C8 what the finalizer of a cancelled body fails with is kept beside the failure of the task",
    () =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
          return yield* Effect.onInterrupt(Effect.never, () => Effect.fail("torn"))
        }),
        group
      ),
    ({ failures }) => expect(failures).toEqual(["bad: boom", "group: torn"]),
    { also: ["group: torn"] }
  )

  conforms(
    "C9 a task that fails while the body has failed already is in the result",
    () =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(failsRegardless(10, "second"), { name: "task" })
          return yield* failsAfter(5, "first")
        }),
        group
      ),
    ({ failures }) => expect(failures).toEqual(["group: first", "task: second"])
  )

  conforms(
    "C10 two tasks that fail are both in the result, the first one first",
    () =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(failsRegardless(10, "second"), { name: "b" })
          yield* TaskGroup.spawn(failsAfter(5, "first"), { name: "a" })
        })
      ),
    ({ exit, failures }) => {
      expect(failures).toEqual(["a: first", "b: second"])
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBe("first")
    }
  )

  conforms(
    "C11 a body that is blocked for ever wakes at once when a task fails",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const stuck = yield* TaskGroup.spawn(Effect.never)
          // Whoever waits for a task in vain is cancelled as well, and does not get to look at that.
          yield* TaskGroup.spawn(Effect.andThen(Effect.exit(stuck.join), say("code after a join")))
          yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
          return yield* works("body")
        })
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["bad: boom"])
      expect(log).toEqual(["body cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C12 the result has the same shape for one failure as for three",
    () => {
      const failing = (names: ReadonlyArray<string>) =>
        Effect.exit(
          TaskGroup.open(Effect.forEach(names, (name) => TaskGroup.spawn(failsRegardless(5, "boom"), { name })))
        )
      return Effect.all([failing(["a"]), failing(["a", "b", "c"])])
    },
    ({ exit }) => {
      const [one, three] = Exit.isSuccess(exit) ? exit.value : []
      expect(failuresOf(one!)).toEqual(["a: boom"])
      expect(failuresOf(three!).toSorted()).toEqual(["a: boom", "b: boom", "c: boom"])
      for (const exit of [one!, three!]) {
        expect(Exit.isFailure(exit) && exit.cause.reasons.every(Cause.isFailReason)).toBe(true)
        // What `Effect.catch` and its relatives get to see.
        expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBe("boom")
      }
    },
    { also: ["a: boom", "b: boom", "c: boom"] }
  )

  conforms(
    "C13 what the cleanup of a sibling fails with is kept beside the first failure, which stays the primary",
    () =>
      TaskGroup.open(
        Effect.gen(function* () {
          const messy = Effect.onInterrupt(Effect.never, () => failsAfter(5, "torn"))
          yield* TaskGroup.spawn(messy, { name: "messy" })
          yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
        })
      ),
    ({ exit, failures, time }) => {
      expect(failures).toEqual(["bad: boom", "messy: torn"])
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBe("boom")
      expect(time).toBe(10)
    },
    { also: ["messy: torn"] }
  )

  conforms(
    "C14 code after a failed group whose error is handled is not cancelled",
    ({ works }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          TaskGroup.open(
            Effect.gen(function* () {
              yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
              return yield* works("body")
            })
          )
        )
        return [error, yield* works("after", 10)]
      }),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["boom", "after"]))
      expect(log).toEqual(["body cancelled", "after done"])
      expect(time).toBe(15)
    },
    { also: ["bad: boom"] }
  )

  conforms(
    "C16 a finished task leaves the registry: it stays small however many are spawned, and ends empty",
    () => {
      const tasks = Effect.map(
        TaskGroup.tree,
        ({ groups }) => groups.find(({ name }) => name === "group")?.tasks.map(({ name }) => name) ?? []
      )
      return Effect.gen(function* () {
        const during = yield* TaskGroup.open(
          Effect.gen(function* () {
            const seen: Array<ReadonlyArray<string>> = []
            for (let i = 0; i < 10; i++) {
              const task = yield* TaskGroup.spawn(Effect.sleep(1), { name: `task ${i}` })
              yield* task.join
              seen.push(yield* tasks)
            }
            return seen
          }),
          group
        )
        return { during, after: yield* tasks }
      })
    },
    ({ exit }) => expect(exit).toEqual(Exit.succeed({ during: Array.from({ length: 10 }, () => ["group"]), after: [] }))
  )

  it("C17 a failed group keeps no reference to its errors or to whoever opened it", async () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const { held, refs } = await makeGarbage()
    // A reference that was looked at lives until the end of its turn.
    for (let turn = 0; turn < 10; turn++) {
      collect()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(refs.map((ref) => ref.deref())).toEqual([undefined, undefined])
    expect(held.length).toBe(2)
  })

  conforms(
    "C18 a group without tasks gives the value of its body, starves nobody, and in a cancelled scope adds no error",
    ({ say }) =>
      Effect.gen(function* () {
        const value = yield* TaskGroup.open(Effect.succeed("value"))
        // No yield is promised for each group: a scheduler's slice ends in any loop of them.
        let isOver = false
        const fiber = yield* Effect.forkChild(Effect.sync(() => (isOver = true)))
        yield* Effect.whileLoop({
          while: () => !isOver,
          body: () => TaskGroup.open(Effect.void),
          step: () => {}
        })
        const empty = Effect.flatMap(TaskGroup.open(Effect.succeed("empty")), say)
        const exit = yield* cancelledAfter(
          Effect.onInterrupt(Effect.never, () => empty),
          5
        )
        return { value, ended: fiber.pollUnsafe(), failures: failuresOf(exit), interruptions: interruptionsOf(exit) }
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed({ value: "value", ended: Exit.succeed(true), failures: [], interruptions: 1 }))
      expect(log).toEqual(["empty"])
    }
  )

  // Policy: a defect is not more fatal than an error. Whichever came first is the primary, and both keep their kind (S6).
  conforms(
    "C19 a defect beside a failure: the first one is first, nothing is lost, and a failure stays typed",
    () => {
      const group = (error: number, defect: number) =>
        Effect.exit(
          TaskGroup.open(
            Effect.gen(function* () {
              yield* TaskGroup.spawn(failsRegardless(error, "failure"), { name: "a" })
              yield* TaskGroup.spawn(Effect.uninterruptible(Effect.delay(Effect.die("defect"), defect)), { name: "b" })
            })
          )
        )
      return Effect.all([group(5, 10), group(10, 5)])
    },
    ({ exit }) => {
      const [failureFirst, defectFirst] = Exit.isSuccess(exit) ? exit.value : []
      expect(failuresOf(failureFirst!)).toEqual(["a: failure", "b: defect"])
      expect(failuresOf(defectFirst!)).toEqual(["b: defect", "a: failure"])
      for (const exit of [failureFirst!, defectFirst!]) {
        const kinds = Exit.isFailure(exit) ? exit.cause.reasons.map((reason) => reason._tag) : []
        expect(kinds.toSorted()).toEqual(["Die", "Fail"])
      }
    },
    { also: ["a: failure", "b: defect"] }
  )
})

/** Runs a failing group; gives what may be held on to afterwards, and what must not be held by that. */
const makeGarbage = async () => {
  const refs: Array<WeakRef<object>> = []
  const held: Array<unknown> = []
  const opener = Effect.runFork(
    TaskGroup.open(
      Effect.gen(function* () {
        held.push(yield* TaskGroup.current<object>())
        held.push(yield* TaskGroup.spawn(Effect.never))
        const error = { error: "boom" }
        refs.push(new WeakRef(error))
        yield* TaskGroup.spawn(Effect.fail(error))
      })
    )
  )
  refs.push(new WeakRef(opener))
  await new Promise((resolve) => opener.addObserver(resolve))
  return { held, refs }
}
