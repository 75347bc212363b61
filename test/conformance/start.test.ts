/** Starting a task and waiting until it says that it is ready. */
import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Deadline, TaskGroup } from "skein"
import { conforms, defectOf, failsAfter, failuresOf, leak } from "./support.ts"

const group = { name: "group" }
const server = { name: "server" }

describe("start handshake (S16)", () => {
  conforms(
    "C53 start gives the value of `ready` when it is called, and the group waits for the rest of the task",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const port = yield* TaskGroup.start((ready: TaskGroup.Ready<number>) =>
            Effect.gen(function* () {
              yield* works("opening", 5)
              yield* ready(8080)
              yield* works("serving", 10)
            })
          )
          yield* say("started")
          return port
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(8080))
      expect(log).toEqual(["opening done", "started", "serving done"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "C55 a task that ends before it called `ready`: start dies with NeverReady, or fails as the task did; the group goes on",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const sibling = yield* TaskGroup.spawn(works("sibling", 20))
          const silent = yield* Effect.exit(TaskGroup.start((_: TaskGroup.Ready<number>) => Effect.sleep(5), server))
          const failed = yield* Effect.flip(TaskGroup.start((_: TaskGroup.Ready<number>) => failsAfter(5, "boom")))
          return { defect: defectOf(silent), failed, sibling: yield* sibling.join }
        }),
        group
      ),
    ({ exit }) => {
      const { defect, failed, sibling } = Exit.isSuccess(exit) ? exit.value : {}
      expect(defect).toBeInstanceOf(TaskGroup.NeverReady)
      expect(defect).toMatchObject({ task: "server" })
      expect({ failed, sibling }).toEqual({ failed: "boom", sibling: "sibling" })
    },
    { also: ["group: NeverReady", "group: boom"] }
  )

  conforms(
    "C56 a task that fails after `ready`, in the same step or later: start gave the value, and the group fails",
    ({ say, works }) => {
      const failing = (after: Effect.Effect<never, string>) =>
        Effect.exit(
          TaskGroup.open(
            Effect.gen(function* () {
              const serve = (ready: TaskGroup.Ready<number>) => Effect.andThen(ready(8080), after)
              yield* say(`started on ${yield* TaskGroup.start(serve, server)}`)
              return yield* works("body", 20)
            })
          )
        )
      return Effect.map(Effect.all([failing(failsAfter(5, "boom")), failing(Effect.fail("boom"))]), (exits) =>
        exits.map(failuresOf)
      )
    },
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed([["server: boom"], ["server: boom"]]))
      expect(log.slice(0, 2)).toEqual(["started on 8080", "body cancelled"])
    },
    { also: ["server: boom"] }
  )

  conforms(
    "C57 calling `ready` twice is a defect in the task",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.start(
            (ready: TaskGroup.Ready<number>) =>
              Effect.gen(function* () {
                yield* ready(1)
                yield* Effect.sleep(5)
                yield* ready(2)
                yield* works("code after the second call")
              }),
            server
          )
          return yield* works("body")
        })
      ),
    ({ exit, failures, log }) => {
      expect(failures).toEqual(["server: Error"])
      expect(String(defectOf(exit))).toMatch(/twice/)
      expect(log).toEqual(["body cancelled"])
    }
  )

  conforms(
    "C58 a start that is cancelled cancels its task, for which `ready` then does nothing",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const serve = (ready: TaskGroup.Ready<number>) =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.andThen(Effect.andThen(Effect.sleep(10), ready(8080)), say("ready, too late"))
            )
          const starter = yield* TaskGroup.spawn(Effect.andThen(TaskGroup.start(serve), say("started")))
          yield* Effect.sleep(5)
          yield* starter.cancel()
          return yield* starter.state
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("cancelled"))
      expect(log).toEqual(["ready, too late"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "a start that is cancelled fails with what the cleanup of its task fails with",
    () =>
      TaskGroup.open(
        Effect.gen(function* () {
          const serve = (_: TaskGroup.Ready<number>) => Effect.onInterrupt(Effect.never, () => Effect.fail("torn"))
          const starter = yield* TaskGroup.spawn(TaskGroup.start(serve, server), { name: "starter" })
          yield* Effect.sleep(5)
          yield* starter.cancel()
        })
      ),
    ({ failures }) => expect(failures).toEqual(["starter: torn"])
  )

  conforms(
    "C61 a start in a scope that is cancelled cancels its task, and the group around goes on",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const sibling = yield* TaskGroup.spawn(works("sibling", 20))
          const error = yield* TaskGroup.start((_: TaskGroup.Ready<number>) => works("server", 100)).pipe(
            Deadline.within("5 millis"),
            Effect.flip
          )
          return [error._tag, yield* sibling.join]
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["DeadlineExceeded", "sibling"]))
      expect(log).toEqual(["server cancelled", "sibling done"])
      expect(time).toBe(20)
    }
  )

  conforms(
    "C62 a sibling of the starter that fails cancels the pending start and its task",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const start = Effect.andThen(
            TaskGroup.start((_: TaskGroup.Ready<number>) => works("server"), server),
            say("started")
          )
          yield* TaskGroup.spawn(start)
          yield* TaskGroup.spawn(failsAfter(5, "boom"), { name: "bad" })
          yield* start
        })
      ),
    ({ exit, failures, log, time }) => {
      expect(failures).toEqual(["bad: boom"])
      expect(Exit.isFailure(exit) && exit.cause.reasons.length).toBe(1)
      expect(log).toEqual(["server cancelled", "server cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "C64 a start in a closed group is at once a loud error, and the task does not run",
    ({ say }) =>
      Effect.gen(function* () {
        const late = yield* TaskGroup.open(
          leak(TaskGroup.start((ready: TaskGroup.Ready<number>) => Effect.andThen(say("ran"), ready(1)), server)),
          group
        )
        return defectOf(yield* Effect.exit(late))
      }),
    ({ exit, log, time }) => {
      const defect = Exit.isSuccess(exit) ? exit.value : undefined
      expect(defect).toBeInstanceOf(TaskGroup.GroupClosed)
      expect(defect).toMatchObject({ group: "group", state: "closed", task: "server" })
      expect(log).toEqual([])
      expect(time).toBe(0)
    },
    { also: ["unknown: GroupClosed"] }
  )

  conforms(
    "C65 a function that takes `ready` can be called directly, without any group",
    ({ works }) => {
      const serve = (ready: TaskGroup.Ready<number>) => Effect.andThen(ready(8080), works("serving", 5))
      return serve(TaskGroup.notStarted)
    },
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("serving"))
      expect(log).toEqual(["serving done"])
    }
  )
})
