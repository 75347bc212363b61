import { describe, expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { Cancel, Deadline, Task, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import { isHeard, ProgramStop, StopSignal } from "../../src/concurrency/base/Stop.ts"

const tester: Cancel.Reason = { kind: "signal", by: "tester", message: "stop" }

/** Runs the effect in a fiber of its own, cancels that at these moments, and gives how it ended. */
const cancelledAt = <A, E>(effect: Effect.Effect<A, E>, ...moments: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    let passed = 0
    for (const moment of moments) {
      yield* Effect.sleep(moment - passed)
      passed = moment
      fiber.interruptUnsafe(undefined, Cancel.annotate(tester))
    }
    return yield* Fiber.await(fiber)
  })

/** Its value, its errors, its defects, and "cancelled" once for each time that it was. */
const told = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<unknown> =>
  Exit.isSuccess(exit)
    ? [exit.value]
    : exit.cause.reasons.map((reason) =>
        reason._tag === "Interrupt" ? "cancelled" : reason._tag === "Fail" ? reason.error : reason.defect
      )

/** What a run gives when it leaves nothing behind; the exit that is its value, or its own. */
const ended = <E>(effect: Effect.Effect<Exit.Exit<unknown, unknown>, E>) => {
  const { exit, time } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  return { told: told(Exit.isSuccess(exit) ? exit.value : exit), time }
}

const taking = (log: Array<string>, name: string, millis: number) =>
  Effect.delay(
    Effect.sync(() => void log.push(name)),
    millis
  )

describe("Cancel.shield", () => {
  it("lets a cancellation wait until its effect has ended, and then in", () => {
    const log: Array<string> = []
    const program = Effect.andThen(Cancel.shield(taking(log, "shielded", 20)), taking(log, "after", 0))
    expect(ended(cancelledAt(program, 5, 10))).toEqual({ told: ["cancelled", "cancelled"], time: 20 })
    expect(log).toEqual(["shielded"])
  })

  it("is nothing to an effect that nobody cancels: its value and its error are its own", () => {
    expect(ended(Effect.exit(Cancel.shield(Effect.succeed(1))))).toEqual({ told: [1], time: 0 })
    expect(ended(Effect.exit(Cancel.shield(Effect.fail("own"))))).toEqual({ told: ["own"], time: 0 })
    expect(ended(Effect.exit(Cancel.shield(Effect.fail("own"), { within: 10 })))).toEqual({ told: ["own"], time: 0 })
    expect(ended(Effect.exit(Effect.succeed(1).pipe(Cancel.shield({ within: 10 }))))).toEqual({ told: [1], time: 0 })
  })

  it("keeps what its effect fails with while a cancellation is pending", () => {
    const program = Cancel.shield(Effect.delay(Effect.fail("boom"), 20))
    expect(ended(cancelledAt(program, 5)).told).toContain("boom")
    const group = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(program)
        yield* Effect.sleep(5)
        yield* task.cancel()
      })
    )
    expect(ended(Effect.exit(group))).toEqual({ told: ["boom"], time: 20 })
  })

  it("holds until the outermost is left", () => {
    const log: Array<string> = []
    const program = Cancel.shield(
      Effect.andThen(Cancel.shield(taking(log, "inner", 10)), taking(log, "between the ends", 10))
    )
    expect(ended(cancelledAt(Effect.andThen(program, taking(log, "after", 0)), 5))).toEqual({
      told: ["cancelled"],
      time: 20
    })
    expect(log).toEqual(["inner", "between the ends"])
  })

  it("with a deadline of its own ends there, with an error or, when it was cancelled meanwhile, as that", () => {
    const shielded = Cancel.shield(Effect.never, { within: "20 millis" })
    const alone = ended(Effect.exit(shielded))
    expect(alone).toMatchObject({ told: [{ _tag: "DeadlineExceeded", deadline: "shield", duration: 20 }], time: 20 })
    expect(ended(cancelledAt(Effect.ignore(shielded), 5))).toEqual({ told: ["cancelled"], time: 20 })
    const inTime = Cancel.shield(Effect.delay(Effect.succeed(1), 15), { within: "20 millis" })
    expect(ended(cancelledAt(inTime, 5))).toEqual({ told: ["cancelled"], time: 15 })
  })

  it("S14 keeps enclosing deadlines out, which pass when it is left; those inside count from its own", () => {
    const log: Array<string> = []
    const left = Effect.map(Deadline.remaining, Option.isSome)
    const inner = Deadline.within(taking(log, "inner", 100), "30 millis", { name: "inner" })
    const program = Effect.andThen(
      Cancel.shield(
        Effect.gen(function* () {
          log.push(`has a deadline: ${yield* left}`)
          yield* taking(log, "shielded", 20)
          yield* Effect.catchTag(inner, "DeadlineExceeded", ({ deadline }) =>
            Effect.sync(() => log.push(`${deadline} late`))
          )
        })
      ),
      taking(log, "after", 0)
    )
    expect(ended(Effect.exit(Deadline.within(program, "10 millis", { name: "outer" })))).toMatchObject({
      told: [{ deadline: "outer" }],
      time: 50
    })
    expect(log).toEqual(["has a deadline: false", "shielded", "inner late"])
  })

  it("protects a group inside and its tasks, which still fail and are cancelled among themselves", () => {
    const log: Array<string> = []
    const group = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(taking(log, "task", 10))
        yield* TaskGroup.spawn(Effect.delay(Effect.fail("boom"), 20))
        yield* TaskGroup.spawn(taking(log, "never", 100))
      })
    )
    expect(ended(cancelledAt(Cancel.shield(group), 5))).toMatchObject({ time: 20 })
    expect(log).toEqual(["task"])
  })

  it("S14 once begun is completed, wherever it is cancelled", () => {
    const state = { begun: 0, done: 0 }
    const program = TaskGroup.open(
      Effect.forEach([1, 2], () =>
        TaskGroup.spawn(
          Cancel.shield(
            Effect.andThen(
              Effect.sync(() => void state.begun++),
              Effect.delay(
                Effect.sync(() => void state.done++),
                10
              )
            )
          )
        )
      )
    )
    const subject = Effect.suspend(() => {
      Object.assign(state, { begun: 0, done: 0 })
      return program
    })
    const check = (run: Sim.Run<unknown, unknown>) => {
      expect(state.done).toBe(state.begun)
      return Leaks.check(run)
    }
    Effect.runSync(Interrupt.everywhere(subject, { check }))
    Effect.runSync(Sim.explore(subject, { schedules: 300, check, stop: "interrupt" }))
  })
})

describe("Cancel.checkpoint", () => {
  /** Loops in one slice, as generators over ready values do; gives how far it came. */
  const loop = (step: Effect.Effect<void>, rounds: number) => {
    const state = { rounds: 0 }
    return {
      state,
      effect: Effect.gen(function* () {
        for (let round = 1; round <= rounds; round++) {
          state.rounds = round
          yield* step
        }
      })
    }
  }

  it("lets others run, and cancellation in, once its slice is used up", () => {
    const { effect, state } = loop(Cancel.checkpoint, 100_000)
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(effect)
        yield* task.cancel()
      })
    )
    expect(ended(Effect.exit(program)).told).toEqual([undefined])
    expect(state.rounds).toBeLessThan(2048)
  })

  it("costs no slice of its own otherwise", () => {
    const { effect } = loop(Cancel.checkpoint, 10_240)
    expect(Effect.runSync(Sim.run(effect)).steps).toBeLessThan(20)
  })

  it("is where nothing happens to what nobody cancels", () => {
    expect(ended(Effect.exit(loop(Cancel.checkpoint, 5000).effect)).told).toEqual([undefined])
  })
})

describe("Cancel.reason", () => {
  /** Waits for its cancellation, and keeps why that came. */
  const victim = (into: Array<unknown>) =>
    Effect.onInterrupt(Effect.never, () => Effect.map(Cancel.reason, (reason) => into.push(Option.getOrNull(reason))))

  it("is none while nothing is cancelled", () => {
    const program = TaskGroup.open(Deadline.within(Cancel.reason, "1 second"))
    expect(ended(Effect.exit(program)).told).toEqual([Option.none()])
    expect(ended(Effect.exit(Cancel.reason)).told).toEqual([Option.none()])
  })

  const cases: { [name: string]: [(task: Effect.Effect<never>) => Effect.Effect<unknown, unknown>, Cancel.Reason] } = {
    "a task, when its handle is used": [
      (task) =>
        TaskGroup.open(
          Effect.flatMap(TaskGroup.spawn(task), (task) => task.cancel("enough")),
          { name: "group" }
        ),
      { kind: "explicit", by: "group", message: "enough" }
    ],
    "a task, when a sibling fails": [
      (task) =>
        TaskGroup.open(Effect.andThen(TaskGroup.spawn(task), TaskGroup.spawn(Effect.fail("boom"), { name: "bad" }))),
      { kind: "sibling", by: "bad", message: `task "bad" failed` }
    ],
    "a body, when a task fails": [
      (body) =>
        TaskGroup.open(Effect.andThen(TaskGroup.spawn(Effect.delay(Effect.fail("boom"), 1), { name: "bad" }), body)),
      { kind: "sibling", by: "bad", message: `task "bad" failed` }
    ],
    "a task, when the body fails": [
      (task) => TaskGroup.open(Effect.andThen(TaskGroup.spawn(task), Effect.fail("boom")), { name: "group" }),
      { kind: "body", by: "group", message: `the body of group "group" failed` }
    ],
    "a task, when its group is ended": [
      (task) => TaskGroup.open(Effect.andThen(TaskGroup.spawn(task), TaskGroup.cancel("found")), { name: "group" }),
      { kind: "explicit", by: "group", message: "found" }
    ],
    "a daemon, when the tasks are done": [
      (task) => TaskGroup.open(TaskGroup.spawn(task, { kind: "daemon" }), { name: "group" }),
      { kind: "shutdown", by: "group", message: `the tasks of group "group" are done` }
    ],
    "a service, when the tasks are done": [
      (task) => TaskGroup.open(TaskGroup.spawn(task, { kind: "service" }), { name: "group" }),
      { kind: "shutdown", by: "group", message: `the tasks of group "group" are done` }
    ],
    "the body of a deadline": [
      (body) => Deadline.within(body, "1 second", { name: "deadline" }),
      { kind: "deadline", by: "deadline", message: "not done within 1s" }
    ],
    "the body of a deadline in a task": [
      (body) => TaskGroup.open(TaskGroup.spawn(Deadline.within(body, "1 second", { name: "deadline" }))),
      { kind: "deadline", by: "deadline", message: "not done within 1s" }
    ],
    "the body of a deadline in one that passes first": [
      (body) => body.pipe(Deadline.within("1 hour"), Deadline.within("1 second", { name: "outer" })),
      { kind: "deadline", by: "outer", message: "not done within 1s" }
    ],
    "the task of a group that a deadline ends": [
      (task) => TaskGroup.open(TaskGroup.spawn(task), { name: "group", within: "1 second" }),
      { kind: "deadline", by: "group", message: "not done within 1s" }
    ],
    "a task two groups below the one that is cancelled": [
      (task) =>
        TaskGroup.open(
          Effect.flatMap(TaskGroup.spawn(TaskGroup.open(TaskGroup.open(TaskGroup.spawn(task)))), (task) =>
            Effect.delay(task.cancel("enough"), 1)
          ),
          { name: "group" }
        ),
      { kind: "explicit", by: "group", message: "enough" }
    ],
    "the task of a group that is cancelled from outside, with a reason": [
      (task) => cancelledAt(TaskGroup.open(TaskGroup.spawn(task)), 5),
      tester
    ],
    "the task of a group in a deadline that is cancelled from outside": [
      (task) => cancelledAt(Deadline.within(TaskGroup.open(TaskGroup.spawn(task)), "1 second"), 5),
      tester
    ]
  }
  it.each(Object.entries(cases))("tells %s", (_name, [program, reason]) => {
    const seen: Array<unknown> = []
    ended(Effect.exit(program(victim(seen))))
    expect(seen).toEqual([reason])
  })

  it("S23 is the first where there are several", () => {
    const seen: Array<unknown> = []
    const slow = Effect.onInterrupt(Effect.never, () =>
      Effect.delay(
        Effect.map(Cancel.reason, (reason) => seen.push(Option.getOrThrow(reason).message)),
        20
      )
    )
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(slow)
        const again = yield* TaskGroup.spawn(Effect.delay(task.cancel("again"), 10))
        yield* Effect.delay(task.cancel("first"), 5)
        yield* again.join
      })
    )
    expect(ended(cancelledAt(program, 15)).time).toBe(25)
    ended(Effect.exit(Deadline.within(program, 15)))
    expect(seen).toEqual(["first", "first"])
  })
})

describe("Cancel.cleanup", () => {
  it("runs with the reason when its effect is cancelled, to its end, and the cancellation goes on", () => {
    const log: Array<string> = []
    const program = Effect.never.pipe(
      Cancel.cleanup((reason) => taking(log, Option.getOrThrow(reason).message, 20)),
      Effect.onInterrupt(() => taking(log, "goes on", 0))
    )
    expect(ended(cancelledAt(program, 5, 10))).toEqual({ told: ["cancelled", "cancelled"], time: 25 })
    expect(log).toEqual(["stop", "goes on"])
  })

  it("does not run for a value or a failure, and has no reason where none was given", () => {
    const seen: Array<unknown> = []
    const noted = <E>(effect: Effect.Effect<unknown, E>) =>
      ended(Effect.exit(Cancel.cleanup(effect, (reason) => Effect.sync(() => seen.push(reason))))).told
    expect(noted(Effect.succeed(1))).toEqual([1])
    expect(noted(Effect.fail("boom"))).toEqual(["boom"])
    expect(seen).toEqual([])
    expect(noted(Effect.interrupt)).toEqual(["cancelled"])
    expect(seen).toEqual([Option.none()])
  })

  it("keeps a defect of the cleanup beside the cancellation", () => {
    const program = Cancel.cleanup(Effect.never, () => Effect.die("boom"))
    expect(ended(cancelledAt(program, 5)).told.toSorted()).toEqual(["boom", "cancelled"])
  })
})

describe("a group and the cleanup of its tasks", () => {
  /** Runs a program with a logger that keeps what it is given, with the time in milliseconds. */
  const logging = (program: Effect.Effect<unknown, unknown>) => {
    const logged: Array<string> = []
    const logger = Logger.make(({ date, logLevel, message }) => {
      logged.push(`${date.getTime()} ${logLevel}: ${String(message)}`)
    })
    const { told, time } = ended(Effect.exit(Effect.provideService(program, Logger.CurrentLoggers, new Set([logger]))))
    return { told, time, logged }
  }
  const stuck = (millis: number) => Effect.onInterrupt(Effect.never, () => Effect.sleep(millis))
  const cancelled = (
    body: Effect.Effect<unknown, never, TaskGroup.TaskGroup<never>>,
    options?: TaskGroup.OpenOptions
  ) =>
    Effect.catchTag(
      TaskGroup.open(Effect.andThen(body, TaskGroup.cancel()), { name: "group", ...options }),
      ["GroupCancelled", "DeadlineExceeded"],
      (error) => Effect.succeed(error._tag)
    )
  const waits = (names: string) => `Group "group" waits for cancelled tasks to clean up: ${names}`

  it("runs the tasks that a cleanup spawns in a group of its own to their end", () => {
    const log: Array<string> = []
    const flush = TaskGroup.open(
      Effect.andThen(TaskGroup.spawn(taking(log, "one", 10)), TaskGroup.spawn(taking(log, "two", 20)))
    )
    const program = TaskGroup.open(TaskGroup.spawn(Effect.onInterrupt(Effect.never, () => flush)))
    expect(ended(cancelledAt(program, 5, 10)).time).toBe(25)
    expect(log).toEqual(["one", "two"])
  })

  it("says nothing of cleanup that is done in time, and keeps no timer for it", () => {
    const program = cancelled(Effect.andThen(TaskGroup.spawn(stuck(9)), TaskGroup.spawn(stuck(5))), { cleanup: 10 })
    expect(logging(program)).toEqual({ told: ["GroupCancelled"], time: 9, logged: [] })
  })

  it("S13 names the tasks that take longer, says for how long they have, and goes on waiting", () => {
    const program = cancelled(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(stuck(5), { name: "quick" })
        yield* TaskGroup.spawn(stuck(50), { name: "slow" })
        yield* TaskGroup.spawn(stuck(70), { name: "slower" })
        yield* Effect.sleep(100)
      }),
      { cleanup: "20 millis" }
    )
    expect(logging(program)).toEqual({
      told: ["GroupCancelled"],
      time: 170,
      logged: [`120 Warn: ${waits(`"slow" for 20ms, "slower" for 20ms`)}`]
    })
  })

  it("waits for 10 seconds before it says so, when nothing else is asked for", () => {
    const program = cancelled(TaskGroup.spawn(stuck(11_000), { name: "slow" }))
    expect(logging(program)).toMatchObject({ time: 11_000, logged: [`10000 Warn: ${waits(`"slow" for 10s`)}`] })
  })

  it("names a body, a daemon and a service that take longer as well", () => {
    const body = cancelledAt(TaskGroup.open(stuck(50), { name: "group", cleanup: 20 }), 5)
    expect(logging(body).logged).toEqual([`25 Warn: ${waits(`"group" for 20ms`)}`])
    for (const kind of ["daemon", "service"] as const) {
      const program = TaskGroup.open(TaskGroup.spawn(stuck(50), { kind, name: kind }), { name: "group", cleanup: 20 })
      expect(logging(program)).toMatchObject({ time: 50, logged: [`20 Warn: ${waits(`"${kind}" for 20ms`)}`] })
    }
  })

  it("names a service that is slow after tasks that were", () => {
    const program = cancelled(
      Effect.andThen(
        TaskGroup.spawn(stuck(50), { kind: "service", name: "service" }),
        TaskGroup.spawn(stuck(30), { name: "task" })
      ),
      { cleanup: 20 }
    )
    expect(logging(program)).toMatchObject({
      time: 80,
      logged: [`20 Warn: ${waits(`"task" for 20ms`)}`, `50 Warn: ${waits(`"service" for 20ms`)}`]
    })
  })

  it("S22 names a task that ignores its handle, while the group is open", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const quick = yield* TaskGroup.spawn(stuck(5), { name: "quick" })
        const deaf = yield* TaskGroup.spawn(stuck(50), { name: "deaf" })
        yield* quick.cancel()
        yield* deaf.cancel()
        yield* Effect.sleep(100)
      }),
      { name: "group", cleanup: 20 }
    )
    expect(logging(program)).toMatchObject({ time: 155, logged: [`25 Warn: ${waits(`"deaf" for 20ms`)}`] })
  })

  it("gives each task its own time", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const first = yield* TaskGroup.spawn(stuck(50), { name: "first" })
        const second = yield* TaskGroup.spawn(stuck(50), { name: "second" })
        yield* Effect.all([first.cancel(), Effect.delay(second.cancel(), 15)], { concurrency: "unbounded" })
      }),
      { name: "group", cleanup: 20 }
    )
    expect(logging(program)).toMatchObject({
      time: 65,
      logged: [`20 Warn: ${waits(`"first" for 20ms`)}`, `35 Warn: ${waits(`"second" for 20ms`)}`]
    })
  })

  describe("with `abandon`", () => {
    const orphans = Effect.map(TaskGroup.orphans, (all) => all.map(({ from, name, since }) => [name, from, since]))

    it("S13 stops waiting, lists what still runs as orphans, and takes them off when they end", () => {
      const program = Effect.gen(function* () {
        const reason = yield* cancelled(
          Effect.andThen(TaskGroup.spawn(stuck(50), { name: "slow" }), TaskGroup.spawn(stuck(5), { name: "quick" })),
          { cleanup: 20, abandon: true }
        )
        const now = yield* orphans
        yield* Effect.sleep(30)
        return [reason, now, yield* orphans]
      })
      expect(logging(program)).toEqual({
        told: [["GroupCancelled", [["group / slow", "group", 20]], []]],
        time: 50,
        logged: [`20 Warn: ${waits(`"slow" for 20ms`)}. It stops waiting and leaves them as orphans`]
      })
    })

    it("does not give up a task that ends while it is named", () => {
      const program = Effect.gen(function* () {
        const named = yield* Deferred.make<void>()
        const logger = Logger.make(() => Deferred.doneUnsafe(named, Effect.void))
        const group = TaskGroup.open(
          Effect.gen(function* () {
            const touchy = yield* TaskGroup.spawn(Effect.onInterrupt(Effect.never, () => Deferred.await(named)))
            const other = yield* TaskGroup.spawn(stuck(10))
            yield* Effect.all([touchy.cancel(), Effect.delay(other.cancel(), 15)], { concurrency: "unbounded" })
            yield* Effect.sleep(10)
            return "value"
          }),
          { cleanup: 20, abandon: true }
        )
        return yield* Effect.provideService(group, Logger.CurrentLoggers, new Set([logger]))
      })
      expect(ended(Effect.exit(program))).toEqual({ told: ["value"], time: 35 })
    })

    it("goes on waiting for the others when an orphan ends", () => {
      const program = TaskGroup.open(
        Effect.gen(function* () {
          const deaf = yield* TaskGroup.spawn(stuck(50))
          yield* TaskGroup.spawn(Effect.sleep(100))
          yield* TaskGroup.spawn(Effect.ignore(deaf.cancel()), { kind: "daemon" })
        }),
        { cleanup: 20, abandon: true }
      )
      expect(logging(program)).toMatchObject({ told: [undefined], time: 100 })
    })

    it("is cancelled when its body is what it gave up", () => {
      const cancelsBody = Effect.flatMap(Task.current, (task) =>
        Option.getOrThrow(Option.flatMap(task, ({ parent }) => parent)).cancel()
      )
      const program = TaskGroup.open(Effect.andThen(TaskGroup.spawn(Effect.delay(cancelsBody, 5)), stuck(50)), {
        cleanup: 20,
        abandon: true
      })
      const exit = Effect.tap(Effect.map(Effect.exit(program), told), () => Effect.sleep(50))
      expect(logging(exit)).toMatchObject({ told: [["cancelled"]], time: 75 })
    })

    it("waits when cleanup is done in time", () => {
      const program = cancelled(TaskGroup.spawn(stuck(15)), { cleanup: 20, abandon: true })
      expect(logging(program)).toEqual({ told: ["GroupCancelled"], time: 15, logged: [] })
    })

    it("leaves what failed before as the failure of the group, and the orphan's own to nobody", () => {
      const orphan = Effect.onInterrupt(Effect.never, () => Effect.delay(Effect.die("late"), 50))
      const program = Effect.tap(
        Effect.flip(
          TaskGroup.open(
            Effect.andThen(TaskGroup.spawn(orphan), TaskGroup.spawn(Effect.delay(Effect.fail("boom"), 5))),
            { cleanup: 20, abandon: true }
          )
        ),
        () => Effect.sleep(100)
      )
      expect(logging(program)).toMatchObject({ told: ["boom"], time: 125 })
    })

    it("still shuts services down, one by one, each with its time to clean up", () => {
      const log: Array<string> = []
      const service = (name: string, millis: number) =>
        TaskGroup.spawn(
          Effect.onInterrupt(Effect.never, () => taking(log, name, millis)),
          { kind: "service", name }
        )
      const program = Effect.gen(function* () {
        yield* cancelled(
          Effect.all([service("first", 5), service("second", 10), TaskGroup.spawn(stuck(100), { name: "slow" })]),
          { cleanup: 20, abandon: true }
        )
        const now = yield* orphans
        yield* Effect.sleep(100)
        return now
      })
      expect(logging(program)).toMatchObject({ told: [[["group / slow", "group", 20]]], time: 135 })
      expect(log).toEqual(["second", "first"])
    })

    it("ends the group for one who cancelled it from outside, too", () => {
      const program = Effect.tap(
        cancelledAt(TaskGroup.open(TaskGroup.spawn(stuck(100)), { cleanup: 20, abandon: true }), 5),
        () => Effect.sleep(100)
      )
      expect(ended(Effect.provideService(program, Logger.CurrentLoggers, new Set()))).toEqual({
        told: ["cancelled"],
        time: 125
      })
    })
  })
})

describe("Cancel.scope", () => {
  const outcome = <A, E>(effect: Effect.Effect<A, E>) => {
    const { exit, time } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
    return [time, ...told(exit).map((one) => (one instanceof Error ? one.message : one))]
  }
  const cancelled = (message: string, scope = "scope") => `Cancel scope "${scope}" was cancelled: ${message}`
  const cleaned = (millis: number) => Effect.onInterrupt(Effect.never, () => Effect.sleep(millis))

  it("S24 cancelled from outside ends its body, waits for the cleanup, and fails with the reason; what is around it goes on", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const scopes: Array<Cancel.Scope> = []
        const task = yield* TaskGroup.supervise(
          Cancel.scope(
            (scope) =>
              Effect.andThen(
                Effect.sync(() => scopes.push(scope)),
                cleaned(20)
              ),
            { name: "job" }
          )
        )
        yield* Effect.sleep(10)
        yield* scopes[0]!.cancel("enough")
        yield* scopes[0]!.cancel("again")
        const error = yield* Effect.flip(task.join)
        yield* scopes[0]!.cancel("too late")
        return error.message
      })
    )
    expect(outcome(program)).toEqual([30, cancelled("enough", "job")])
  })

  it("S24 cancelled from inside stops there, in hidden fibers and nested scopes too", () => {
    const after: Array<string> = []
    const inside = (scope: Cancel.Scope) =>
      Effect.andThen(
        scope.cancel("from inside"),
        Effect.sync(() => after.push("went on"))
      )
    expect(outcome(Cancel.scope(inside))).toEqual([0, cancelled("from inside")])
    const raced = Cancel.scope((scope) => Effect.raceFirst(inside(scope), cleaned(5)))
    expect(outcome(raced)).toEqual([5, cancelled("from inside")])
    const nested = Cancel.scope((outer) => Cancel.scope(() => inside(outer), { name: "inner" }), { name: "outer" })
    expect(outcome(nested)).toEqual([0, cancelled("from inside", "outer")])
    expect(after).toEqual([])
  })

  it("S24 gives way to what its body fails with, keeps what its cleanup fails with, and gives the value of a body that ends well", () => {
    const failing = Cancel.scope((scope) => Effect.ensuring(Effect.fail("own"), scope.cancel()))
    expect(outcome(failing)).toEqual([0, "own"])
    const messy = Cancel.scope((scope) => Effect.onInterrupt(scope.cancel("out"), () => Effect.die("messy")))
    expect(outcome(messy)).toEqual([0, cancelled("out"), "messy"])
    const anyway = Cancel.scope((scope) => Effect.as(Effect.uninterruptible(scope.cancel()), "value"))
    expect(["value", cancelled("cancelled by its handle")]).toContain(outcome(anyway)[1])
    expect(outcome(Cancel.scope(() => Effect.succeed("untouched")))).toEqual([0, "untouched"])
  })

  it("is neither a deadline nor in the way of one", () => {
    const inside = Cancel.scope(() => Effect.flatMap(Deadline.remaining, (left) => Effect.as(cleaned(0), left)))
    expect(outcome(Effect.flip(Deadline.within(inside, 30)).pipe(Effect.map(({ _tag }) => _tag)))).toEqual([
      30,
      "DeadlineExceeded"
    ])
    expect(outcome(Cancel.scope(() => Deadline.remaining))).toEqual([0, Option.none()])
    expect(
      outcome(
        Deadline.within(
          Cancel.scope(() => Deadline.remaining),
          30
        )
      )
    ).toEqual([0, Option.some(Duration.millis(30))])
  })

  it("gives its reason to the finalizers of its body, and of the groups in it", () => {
    const reasons: Array<string> = []
    const note = Effect.onInterrupt(Effect.never, () =>
      Effect.map(Cancel.reason, (reason) => void reasons.push(Option.getOrThrow(reason).message))
    )
    const program = Cancel.scope((scope) =>
      Effect.all(
        [
          note,
          TaskGroup.open(Effect.andThen(TaskGroup.spawn(note), Effect.never)),
          Effect.delay(scope.cancel("for a reason"), 5)
        ],
        { concurrency: "unbounded" }
      )
    )
    outcome(program)
    expect(reasons).toEqual(["for a reason", "for a reason"])
  })

  const race = Effect.suspend(() =>
    TaskGroup.open(
      Cancel.scope((scope) =>
        Effect.gen(function* () {
          yield* TaskGroup.spawn(scope.cancel("one"), { name: "one" })
          yield* TaskGroup.spawn(scope.cancel("two"), { name: "two" })
          return yield* cleaned(5)
        })
      )
    ).pipe(
      Effect.flip,
      Effect.map(({ message }) => expect([cancelled("one"), cancelled("two")]).toContain(message))
    )
  )

  it.sim("S24 is cancelled once, whoever comes first, under any order", race, { granularity: "op", schedules: 1000 })

  it.everywhere("leaves nothing behind, wherever it is interrupted", race)
})

describe("a request to stop", () => {
  const polite = Effect.map(Cancel.stopRequested, ({ by, kind, message }) => `${kind} ${by}: ${message}`)
  const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
    const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
    if (Exit.isSuccess(exit)) return exit.value
    throw new Error(String(exit))
  }

  it("of a group reaches its body, its tasks and the groups in them, and cancels nobody", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(polite)
        const inner = yield* TaskGroup.spawn(
          TaskGroup.open(
            Effect.gen(function* () {
              const deep = yield* TaskGroup.spawn(Deadline.within(polite, "1 minute"))
              return [yield* polite, yield* deep.join]
            })
          )
        )
        const deaf = yield* TaskGroup.spawn(Effect.as(Effect.sleep(50), "not touched"))
        yield* Effect.sleep(5)
        yield* TaskGroup.stop("closing time")
        yield* TaskGroup.stop("again")
        return [yield* polite, yield* task.join, ...(yield* inner.join), yield* deaf.join]
      }),
      { name: "main" }
    )
    const heard = "explicit main: closing time"
    expect(valueOf(program)).toEqual([heard, heard, heard, heard, "not touched"])
  })

  it("of a task reaches that task and the groups it has open, and no other", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const asked = yield* TaskGroup.spawn(
          TaskGroup.open(Effect.flatMap(TaskGroup.spawn(polite), (task) => task.join))
        )
        const other = yield* TaskGroup.spawn(Effect.raceFirst(polite, Effect.as(Effect.sleep(50), "not asked")))
        yield* asked.stop()
        yield* asked.stop("again")
        return [yield* asked.join, yield* other.join, yield* Cancel.stopReason]
      }),
      { name: "main" }
    )
    expect(valueOf(program)).toEqual(["explicit main: asked to stop by its handle", "not asked", Option.none()])
  })

  it("is heard by who begins to listen after it, in tasks and groups that did not exist", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const group = yield* TaskGroup.current()
        yield* group.stop("too late")
        const task = yield* TaskGroup.spawn(TaskGroup.open(polite))
        const reason = Option.getOrThrow(yield* Cancel.stopReason)
        return [yield* task.join, reason.message]
      })
    )
    expect(valueOf(program)).toEqual([expect.stringContaining("too late"), "too late"])
  })

  it("does not go up: the group around does not hear what was asked of one in it", () => {
    const program = TaskGroup.open(
      Effect.andThen(TaskGroup.open(Effect.andThen(TaskGroup.stop(), polite)), Cancel.stopReason)
    )
    expect(valueOf(program)).toEqual(Option.none())
  })

  it("of the program is heard outside of groups too, never where nobody asks", () => {
    const race = Effect.raceFirst(polite, Effect.as(Effect.sleep(50), "nobody asked"))
    expect(valueOf(race)).toBe("nobody asked")
  })

  const listening = Effect.suspend(() => {
    const heard: Array<string> = []
    const listen = (name: string) => Effect.map(Cancel.stopRequested, () => void heard.push(name))
    const program = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(listen("task"))
        yield* TaskGroup.spawn(TaskGroup.open(listen("nested")))
        yield* TaskGroup.spawn(Effect.raceFirst(listen("raced"), Effect.never))
        yield* TaskGroup.spawn(Deadline.moveOn(Effect.andThen(listen("bounded"), Effect.never), "1 second"))
        yield* TaskGroup.spawn(TaskGroup.stop(), { name: "stopper" })
      })
    )
    return Effect.map(program, () => heard.toSorted())
  })

  it.sim(
    "is heard by each listener under any order",
    Effect.map(listening, (heard) => expect(heard).toEqual(["bounded", "nested", "raced", "task"])),
    { granularity: "op", schedules: 1000 }
  )

  it.everywhere("leaves no listener behind, wherever it is interrupted", listening, {
    check: (run) => {
      Effect.runSync(Leaks.check(run))
    }
  })

  it("is asked of nobody who has gone: the program knows whether anybody listens", () => {
    const signal = new StopSignal()
    const quick = Deadline.moveOn(TaskGroup.open(Effect.andThen(TaskGroup.spawn(polite), polite)), 10)
    const states: Array<boolean> = []
    const look = Effect.sync(() => void states.push(isHeard(signal)))
    const program = Effect.gen(function* () {
      yield* look
      yield* Effect.forkChild(quick)
      yield* Effect.sleep(5)
      yield* look
      yield* Effect.sleep(10)
      yield* look
    })
    valueOf(Effect.provideService(program, ProgramStop, signal))
    expect(states).toEqual([false, true, false])
    let own!: StopSignal
    const stopped = Effect.suspend(() => Effect.provideService(quick, ProgramStop, (own = new StopSignal())))
    Effect.runSync(Interrupt.everywhere(stopped, { check: () => expect(isHeard(own)).toBe(false) }))
  })
})
