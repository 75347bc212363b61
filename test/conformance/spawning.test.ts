/** Who may spawn, into what, when, and what a task inherits. */
import { describe, expect } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Cancel, Task, TaskGroup } from "skein"
import { conforms, defectOf, failsAfter, failuresOf, leak } from "./support.ts"

const group = { name: "group" }

describe("Spawning", () => {
  conforms(
    "C41 a task spawns two more while its group is closing, and the group waits for them",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.andThen(
          TaskGroup.spawn(
            Effect.gen(function* () {
              yield* Effect.sleep(5)
              yield* TaskGroup.spawn(works("a", 10))
              yield* TaskGroup.spawn(works("b", 20))
            })
          ),
          say("body done")
        )
      ),
    ({ exit, log, time }) => {
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(log).toEqual(["body done", "a done", "b done"])
      expect(time).toBe(25)
    }
  )

  conforms(
    "C42 tasks that spawn tasks without end all stop when one fails",
    ({ works }) => {
      const hydra: Effect.Effect<void, never, TaskGroup.TaskGroup<never>> = Effect.suspend(() =>
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("head", 100))
          yield* Effect.sleep(2)
          yield* TaskGroup.spawn(hydra)
        })
      )
      return TaskGroup.open(
        Effect.andThen(TaskGroup.spawn(hydra), TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" }))
      )
    },
    ({ failures, log, time }) => {
      expect(failures).toEqual(["bad: boom"])
      expect(log).toEqual(Array.from({ length: 3 }, () => "head cancelled"))
      expect(time).toBe(5)
    }
  )

  conforms(
    "C43 spawning into a closed group is a loud error, and the effect does not run",
    ({ say }) =>
      Effect.gen(function* () {
        const { handle, leaked } = yield* TaskGroup.open(
          Effect.all({
            handle: TaskGroup.current(),
            leaked: leak(TaskGroup.trySpawn(say("tried")))
          }),
          group
        )
        const spawned = yield* Effect.exit(handle.spawn(say("spawned"), { name: "late" }))
        return { defect: defectOf(spawned), tried: yield* leaked }
      }),
    ({ exit, log }) => {
      const { defect, tried } = Exit.isSuccess(exit) ? exit.value : {}
      expect(defect).toBeInstanceOf(TaskGroup.GroupClosed)
      expect(defect).toMatchObject({ group: "group", state: "closed", task: "late" })
      expect(tried).toEqual(Option.none())
      expect(log).toEqual([])
    },
    { also: ["unknown: GroupClosed"] }
  )

  conforms(
    "C44 cleanup that spawns into a group that is cancelling gets a loud error, and the original error is intact",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const messy = Effect.onInterrupt(Effect.never, () => TaskGroup.spawn(say("spawned")))
          yield* TaskGroup.spawn(messy, { name: "messy" })
          yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
        })
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["bad: boom", "messy: GroupClosed"])
      expect(log).toEqual([])
    },
    { also: ["messy: GroupClosed"] }
  )

  conforms(
    "C45 spawning after the body has failed is a loud error",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const late = Cancel.shield(Effect.andThen(Effect.sleep(10), TaskGroup.spawn(say("spawned"))))
          yield* TaskGroup.spawn(late, { name: "late" })
          return yield* failsAfter(5, "boom")
        }),
        group
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["group: boom", "late: GroupClosed"])
      expect(log).toEqual([])
    },
    { also: ["late: GroupClosed"] }
  )

  conforms(
    "C46 spawning outside of any group is a loud error, for those who get past the compiler",
    ({ say }) => {
      // That it does not compile without this is in TaskGroup.types.ts.
      const unowned = TaskGroup.spawn(say("spawned")) as unknown as Effect.Effect<unknown>
      return Effect.exit(unowned)
    },
    ({ exit, log }) => {
      const defect = defectOf(Exit.isSuccess(exit) ? exit.value : exit)
      expect(String(defect)).toMatch(/TaskGroup/)
      expect(log).toEqual([])
    }
  )

  // There is no group object to enter twice: what `open` gives is a description, and each run of it is a group.
  conforms(
    "C47 an opened group that is run twice at once is two groups, each with its own tasks and its own failures",
    ({ works }) => {
      let runs = 0
      const opened = TaskGroup.open(
        Effect.suspend(() => {
          const failing = ++runs === 1
          return Effect.andThen(TaskGroup.spawn(works("task", 20)), failing ? failsAfter(5, "boom") : works("body", 10))
        }),
        group
      )
      return Effect.map(Effect.all([Effect.exit(opened), Effect.exit(opened)], { concurrency: "unbounded" }), (exits) =>
        exits.map((exit) => (Exit.isSuccess(exit) ? [exit.value] : failuresOf(exit))).toSorted()
      )
    },
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed([["body"], ["group: boom"]]))
      expect(log).toEqual(["task cancelled", "body done", "task done"])
      expect(time).toBe(20)
    },
    { also: ["group: boom"] }
  )

  // Trio starts such a task and cancels it where it first waits; here it is refused (S11).
  conforms(
    "C48 spawning into a group that has been cancelled is refused",
    ({ say }) =>
      TaskGroup.open(
        Cancel.shield(
          Effect.gen(function* () {
            yield* TaskGroup.cancel("enough")
            const tried = yield* TaskGroup.trySpawn(say("tried"))
            yield* say(`tried: ${tried._tag}`)
            yield* TaskGroup.spawn(say("spawned"))
          })
        ),
        group
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["group: GroupClosed"])
      expect(log).toEqual(["tried: None"])
    }
  )

  conforms(
    "C50 a task sees its own name and its spawner, and the tree shows both under the group",
    () => {
      const self = Effect.map(Task.current, (task) => Option.getOrThrow(task))
      const seen = Effect.map(self, ({ name, parent }) => [name, Option.getOrUndefined(parent)?.name])
      return TaskGroup.open(
        Effect.gen(function* () {
          const child = yield* TaskGroup.spawn(
            Effect.gen(function* () {
              const grandchild = yield* TaskGroup.spawn(seen, { name: "grandchild" })
              yield* TaskGroup.spawn(Effect.sleep(5), { name: "other" })
              return [yield* seen, yield* grandchild.join]
            }),
            { name: "child" }
          )
          const names = yield* child.join
          const { groups } = yield* TaskGroup.tree
          const other = groups.flatMap(({ tasks }) => tasks).find(({ name }) => name === "other")
          return { names, other, parent: child.id }
        }),
        group
      )
    },
    ({ exit }) => {
      const { names, other, parent } = Exit.isSuccess(exit) ? exit.value : {}
      expect(names).toEqual([
        ["child", "group"],
        ["grandchild", "child"]
      ])
      expect(other).toMatchObject({ group: "group", kind: "task", name: "other", parent })
    }
  )

  const Colour = Context.Reference("test/Colour", { defaultValue: () => "white" })

  conforms(
    "C51 a task sees the values its spawner sees, and what it changes does not leak back",
    () =>
      TaskGroup.open(
        Effect.gen(function* () {
          const changed = Effect.provideService(Colour, Colour, "blue")
          const task = yield* TaskGroup.spawn(Effect.all([Colour, changed, Colour])).pipe(
            Effect.provideService(Colour, "red")
          )
          return [...(yield* task.join), yield* Colour]
        })
      ),
    ({ exit }) => expect(exit).toEqual(Exit.succeed(["red", "blue", "red", "white"]))
  )

  // Java confines forking to the owner. Here any fiber with the group may spawn; but it does not own the failure, and only
  // `open` can wait for the group.
  conforms(
    "C52 a fiber outside of the group may spawn into it, but to join its task does not get it the failure",
    ({ works }) =>
      Effect.scoped(
        Effect.gen(function* () {
          const handed = yield* Deferred.make<TaskGroup.Handle<string>>()
          const stranger = yield* Deferred.await(handed).pipe(
            Effect.flatMap((group) => group.spawn(failsAfter(5, "boom"), { name: "bad" })),
            Effect.flatMap((task) => task.join),
            Effect.forkScoped({ startImmediately: true })
          )
          const exit = yield* TaskGroup.open(
            Effect.gen(function* () {
              yield* Deferred.succeed(handed, yield* TaskGroup.current<string>())
              return yield* works("body")
            })
          ).pipe(Effect.exit)
          return { failures: failuresOf(exit), defect: defectOf(yield* Fiber.await(stranger)) }
        })
      ),
    ({ exit, log }) => {
      const { defect, failures } = Exit.isSuccess(exit) ? exit.value : {}
      expect(failures).toEqual(["bad: boom"])
      expect(defect).toBeInstanceOf(Task.TaskFailed)
      expect(defect).toMatchObject({ task: "bad" })
      expect(log).toEqual(["body cancelled"])
    },
    { also: ["bad: boom"] }
  )
})
