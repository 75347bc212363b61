/** When the time is up: what is cancelled, what is reported, and by whom. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { Cancel, Deadline, Joiner, TaskGroup } from "skein"
import { cancelledAfter, conforms, failsAfter, failsRegardless, interruptionsOf, tester } from "./support.ts"

/** How something ended, in a word: its value, the names of deadlines, other errors, and cancellations. */
const told = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit)
    ? String(exit.value)
    : exit.cause.reasons
        .map((reason) => {
          if (reason._tag === "Interrupt") return "cancelled"
          const error = reason._tag === "Fail" ? reason.error : reason.defect
          return error instanceof Deadline.DeadlineExceeded ? `late: ${error.deadline}` : String(error)
        })
        .join(", ")

const ended = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.exit(effect), told)

const millisLeft = Effect.map(Deadline.remaining, (left) => Option.getOrNull(Option.map(left, Duration.toMillis)))

describe("Deadlines", () => {
  conforms(
    "C89 a body that sleeps past its deadline is cancelled, the error says so, and the deadline has expired",
    ({ works }) =>
      Effect.gen(function* () {
        let handle: Deadline.Handle | undefined
        const body = (deadline: Deadline.Handle) => {
          handle = deadline
          return works("body")
        }
        const error = yield* Effect.flip(Deadline.open("20 millis", body, { name: "short" }))
        return [error.message, yield* handle!.expired]
      }),
    ({ exit, log, time }) => {
      const message = `Deadline "short" exceeded: not done within 20ms, so it was cancelled`
      expect(exit).toEqual(Exit.succeed([message, true]))
      expect(log).toEqual(["body cancelled"])
      expect(time).toBe(20)
    }
  )

  conforms(
    "C90 a deadline may be a moment, as milliseconds or as a DateTime, and is at that moment",
    ({ works }) =>
      Effect.gen(function* () {
        const noon = (yield* Clock.currentTimeMillis) + 20
        const left = yield* Deadline.at(Effect.delay(millisLeft, 5), noon)
        const first = yield* ended(Deadline.at(works("first"), noon, { name: "noon" }))
        const one = DateTime.makeUnsafe(noon + 30)
        const second = yield* ended(works("second").pipe(Deadline.at(one, { name: "one" })))
        const third = yield* ended(Deadline.at(works("third"), noon, { name: "past" }))
        return [left, first, second, third]
      }),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed([15, "late: noon", "late: one", "late: past"]))
      expect(log).toEqual(["first cancelled", "second cancelled"])
      expect(time).toBe(50)
    }
  )

  const sameMoment = (body: Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const note = <A>(effect: Effect.Effect<A, Deadline.DeadlineExceeded>) =>
        Effect.tapError(effect, (error) => Effect.sync(() => seen.push(error.deadline!)))
      const inner = note(Deadline.within(body, 20, { name: "inner" }))
      const own = Effect.flatMap(Effect.forkChild(inner, { startImmediately: true }), Fiber.join)
      yield* Effect.ignore(note(Deadline.within(inner, 20, { name: "outer" })))
      yield* Effect.ignore(note(Deadline.within(own, 20, { name: "outer of another fiber" })))
      return seen
    })

  conforms(
    "C91 of two deadlines at the same moment only the outermost reports, also across fibers",
    ({ works }) => sameMoment(works("body")),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["outer", "outer of another fiber"]))
      expect(log).toEqual(["body cancelled", "body cancelled"])
      expect(time).toBe(40)
    }
  )

  // The wait is for a clock that jumps, as it does for a program that was busy: that of a simulation moves from timer to timer.
  it.effect("C93 an inner deadline that is late does not keep the outer one from stopping what comes after", () =>
    Effect.gen(function* () {
      const clock = yield* TestClock.testClockWith(Effect.succeed)
      let busy = 0n
      const late = { ...clock, monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + busy }
      const fiber = yield* Effect.sync(() => void (busy = 5_000_000_000n)).pipe(
        Effect.andThen(Effect.never),
        Deadline.within("1 second", { name: "inner" }),
        Effect.ignore,
        Effect.andThen(Effect.sleep("1 minute")),
        Deadline.within("2 seconds", { name: "outer" }),
        ended,
        Effect.provideService(Clock.Clock, late),
        Effect.forkChild
      )
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(fiber)).toBe("late: outer")
    })
  )

  conforms(
    "C95 an infinite deadline never passes, and is no deadline",
    ({ works }) => {
      const day = 24 * 60 * 60 * 1000
      return Effect.all([
        Deadline.within(works("body", day), Duration.infinity),
        Deadline.within(millisLeft, Duration.infinity),
        Deadline.open(Duration.infinity, (deadline) => Effect.map(deadline.remaining, Option.isNone)),
        Deadline.at(works("at", day), Infinity),
        Effect.map(Deadline.moveOn(works("moveOn", day), Duration.infinity), Option.getOrNull)
      ])
    },
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(["body", null, true, "at", "moveOn"]))
      expect(time).toBe(3 * 24 * 60 * 60 * 1000)
    }
  )

  conforms(
    "C96 with no time to begin with the body does not start",
    ({ say }) =>
      Effect.gen(function* () {
        const seen = []
        for (const millis of [0, -1]) {
          seen.push(yield* Effect.map(Effect.flip(Deadline.within(say("within"), millis)), ({ message }) => message))
          seen.push(yield* ended(Deadline.open(millis, () => say("open"), { name: "open" })))
          seen.push(yield* Effect.map(Deadline.moveOn(say("moveOn"), millis), Option.isNone))
        }
        return seen
      }),
    ({ exit, log }) => {
      const seen = ["Deadline exceeded: no time was left, so it was not started", "late: open", true]
      expect(exit).toEqual(Exit.succeed([...seen, ...seen]))
      expect(log).toEqual([])
    }
  )

  // tokio and asyncio give the value; here (S15) a deadline that is spent looks at nothing, so that the outcome does not
  // depend on how the value comes about.
  conforms(
    "C97 a value that is ready does not make up for having no time, and needs none where there is some",
    () =>
      Effect.all([
        ended(Deadline.within(Effect.succeed("ready"), 0, { name: "none" })),
        Deadline.within(Effect.succeed("ready"), "1 nano")
      ]),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(["late: none", "ready"]))
      expect(time).toBe(0)
    }
  )

  conforms(
    "C98 what the body fails with by itself is what is reported, also when the deadline passes during its cleanup",
    ({ works }) =>
      Effect.gen(function* () {
        let handle: Deadline.Handle | undefined
        const quick = yield* ended(
          Deadline.open("20 millis", (deadline) => {
            handle = deadline
            return failsAfter(5, "own")
          })
        )
        const cleaning = yield* ended(
          Deadline.within(
            Effect.onExit(failsAfter(5, "own"), () => works("cleanup", 100)),
            "20 millis"
          )
        )
        return [quick, yield* handle!.expired, cleaning]
      }),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(["own", false, "own"]))
      expect(time).toBe(5 + 105)
    },
    { also: ["unknown: own"] }
  )

  conforms(
    "C100 a cancellation that is not the deadline's is not a timeout, also when the deadline passes during the cleanup",
    ({ works }) =>
      Effect.forEach([1, 100], (cleanup) =>
        TaskGroup.open(
          Effect.gen(function* () {
            let fiber: Fiber.Fiber<unknown, unknown> | undefined
            const body = Effect.withFiber((self) => {
              fiber = self
              return works("body", 1000, { cleanup })
            })
            const task = yield* TaskGroup.supervise(Deadline.within(body, "20 millis"))
            yield* Effect.sleep(5)
            fiber?.interruptUnsafe(undefined, Cancel.annotate(tester))
            return told(yield* task.exit)
          })
        )
      ),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(["cancelled", "cancelled"]))
      expect(time).toBe(5 + 1 + 5 + 100)
    }
  )

  conforms(
    "C102 a deadline that has passed waits for the cleanup of the body",
    ({ say, works }) =>
      Effect.tap(ended(Deadline.within(works("body", 100, { cleanup: 30 }), "20 millis", { name: "short" })), say),
    ({ log, time }) => {
      expect(log).toEqual(["body cancelled", "late: short"])
      expect(time).toBe(50)
    }
  )

  conforms(
    "C104 a deadline works in the cleanup of a block that has timed out",
    ({ say, works }) =>
      works("body").pipe(
        Effect.onInterrupt(() =>
          Effect.flatMap(ended(Deadline.within(works("cleanup"), "30 millis", { name: "cleanup" })), say)
        ),
        Deadline.within("20 millis", { name: "inner" }),
        Deadline.within("25 millis", { name: "outer" }),
        ended
      ),
    ({ exit, log, time }) => {
      // The outer one passes during the cleanup, which it does not touch: it is what is reported.
      expect(exit).toEqual(Exit.succeed("late: outer"))
      expect(log).toEqual(["body cancelled", "cleanup cancelled", "late: cleanup"])
      expect(time).toBe(50)
    }
  )

  conforms(
    "C105 a deadline works in cleanup after a plain cancellation",
    ({ say, works }) =>
      cancelledAfter(
        Effect.onInterrupt(works("body"), () =>
          Effect.flatMap(ended(Deadline.within(works("cleanup"), "30 millis", { name: "cleanup" })), say)
        ),
        5
      ),
    ({ log, time }) => {
      expect(log).toEqual(["body cancelled", "cleanup cancelled", "late: cleanup"])
      expect(time).toBe(35)
    }
  )

  conforms(
    "C106 rescheduling is honoured: later, earlier, to never and back; the deadline has not expired",
    ({ works }) =>
      Effect.gen(function* () {
        const later = yield* Deadline.open("10 millis", (deadline) =>
          Effect.gen(function* () {
            yield* Effect.sleep(5)
            yield* deadline.reschedule("20 millis")
            yield* Effect.sleep(15)
            const left = Option.map(yield* deadline.remaining, Duration.toMillis)
            return [Option.getOrNull(left), yield* millisLeft, yield* deadline.expired]
          })
        )
        const earlier = yield* ended(
          Deadline.open(
            "1 hour",
            (deadline) => Effect.andThen(Effect.delay(deadline.reschedule("10 millis"), 5), works("earlier")),
            { name: "earlier" }
          )
        )
        const never = yield* Deadline.open("10 millis", (deadline) =>
          Effect.gen(function* () {
            yield* deadline.reschedule(Duration.infinity)
            const left = [yield* deadline.remaining, yield* Deadline.remaining]
            yield* Effect.sleep(100)
            return [left.every(Option.isNone), yield* deadline.expired]
          })
        )
        const back = yield* ended(
          Deadline.open(
            Duration.infinity,
            (deadline) => Effect.andThen(Effect.delay(deadline.reschedule("10 millis"), 5), works("back")),
            { name: "back" }
          )
        )
        return [later, earlier, never, back]
      }),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed([[5, 5, false], "late: earlier", [true, false], "late: back"]))
      expect(time).toBe(20 + 15 + 100 + 15)
    }
  )

  // There is no handle before the body starts.
  conforms(
    "C107 a deadline that is over cannot be rescheduled: its body has ended, or it has passed",
    ({ say, works }) =>
      Effect.gen(function* () {
        let handle: Deadline.Handle | undefined
        const keep = (deadline: Deadline.Handle) => Effect.sync(() => void (handle = deadline))
        const late = Effect.suspend(() => ended(handle!.reschedule("1 hour")))
        yield* Deadline.open("20 millis", keep)
        const afterEnd = yield* late
        const inCleanup = (deadline: Deadline.Handle) =>
          Effect.andThen(
            keep(deadline),
            Effect.onInterrupt(works("body"), () => Effect.flatMap(late, say))
          )
        yield* ended(Deadline.open("20 millis", inCleanup, { name: "short" }))
        return [afterEnd, yield* late]
      }),
    ({ exit, log, time }) => {
      const over = (name: string, why: string) =>
        `DeadlineOver: Deadline${name} was not rescheduled: ${why}. Only a deadline that is active can be moved`
      const passed = over(` "short"`, "it has passed, and its body is cancelled")
      expect(exit).toEqual(Exit.succeed([over("", "its body has ended or is being cancelled"), passed]))
      expect(log).toEqual(["body cancelled", passed])
      expect(time).toBe(20)
    }
  )

  // Trio calls the effective deadline of what is cancelled minus infinity. Here cleanup is not cancelled by what it cleans
  // up after: only deadlines that have not passed bind it.
  conforms(
    "C109 the effective deadline: the earliest of the nested ones, a shield's own, none for a cancelled body",
    ({ say }) =>
      Effect.gen(function* () {
        const [five, nine] = ["5 seconds", "9 seconds"] as const
        const seen = [
          yield* millisLeft,
          yield* Effect.delay(millisLeft, 1000).pipe(Deadline.within(five), Deadline.within(nine)),
          yield* Effect.delay(millisLeft, 1000).pipe(Deadline.within(nine), Deadline.within(five)),
          yield* millisLeft.pipe(Cancel.shield, Deadline.within(five)),
          yield* millisLeft.pipe(Cancel.shield({ within: nine }), Deadline.within(five)),
          yield* Effect.andThen(Deadline.within(Effect.void, five), millisLeft)
        ]
        const cleansUp = Effect.onInterrupt(Effect.never, () => Effect.flatMap(millisLeft, (left) => say(String(left))))
        yield* ended(Deadline.within(cleansUp, five))
        yield* ended(cleansUp.pipe(Deadline.within(five), Deadline.within(nine)))
        yield* cancelledAfter(Deadline.within(cleansUp, five), 1000)
        return seen
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed([null, 4000, 4000, null, 9000, null]))
      expect(log).toEqual(["null", "4000", "null"])
    }
  )

  conforms(
    "C110 what is cancelled before its deadline ends as that cancellation, and the deadline never passes",
    ({ works }) => cancelledAfter(Deadline.within(works("body", 100, { cleanup: 50 }), "20 millis"), 5),
    ({ exit, log, time }) => {
      const inner: Exit.Exit<unknown, unknown> = Exit.isSuccess(exit) ? exit.value : exit
      expect(told(inner)).toBe("cancelled")
      expect(interruptionsOf(inner)).toBe(1)
      expect(Exit.isFailure(inner) && Cancel.reasonOf(inner.cause)).toEqual(Option.some(tester))
      expect(log).toEqual(["body cancelled"])
      expect(time).toBe(55)
    }
  )

  // Virtual time moves only when nothing can run; this clock moves beside the body.
  it.effect("C112 a body that is always ready and never waits is stopped at its deadline", () =>
    Effect.gen(function* () {
      for (const step of [Cancel.checkpoint, Effect.void]) {
        const fiber = yield* Effect.forkChild(
          ended(Deadline.within(Effect.forever(step), "1 second", { name: "spin" }))
        )
        yield* Effect.yieldNow
        yield* TestClock.adjust("999 millis")
        expect(fiber.pollUnsafe()).toBe(undefined)
        yield* TestClock.adjust("1 millis")
        expect(yield* Fiber.join(fiber)).toBe("late: spin")
      }
    })
  )

  conforms(
    "C113 the error names the task that was late",
    ({ works }) =>
      TaskGroup.open(
        TaskGroup.spawn(Deadline.within(works("page"), "20 millis", { name: "checkout" }), { name: "orders" })
      ).pipe(
        Effect.flip,
        Effect.map((error) => [error.task, error.message])
      ),
    ({ exit }) => {
      const message = `Deadline "checkout" exceeded in task "orders": not done within 20ms, so it was cancelled`
      expect(exit).toEqual(Exit.succeed(["orders", message]))
    }
  )

  conforms(
    "C114 settling within a time gives what is done by then, and says of the rest that it was late",
    ({ works }) =>
      Effect.map(
        Joiner.settle(
          { quick: works("quick", 5), bad: failsRegardless(5, "boom"), slow: works("slow") },
          { within: 20 }
        ),
        ({ bad, quick, slow }) => [
          told(quick),
          told(bad),
          told(slow),
          Exit.isFailure(slow) ? Option.getOrUndefined(Cancel.reasonOf(slow.cause))?.kind : undefined
        ]
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["quick", "boom", "cancelled", "deadline"]))
      expect(log).toEqual(["quick done", "slow cancelled"])
      expect(time).toBe(20)
    },
    { also: ["bad: boom"] }
  )
})
