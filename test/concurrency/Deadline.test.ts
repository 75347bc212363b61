import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { Cancel, Deadline, TaskGroup } from "skein"
import { everywhere, once, seeded, victim } from "../support/sweep.ts"

const failures = <A, E>(exit: Exit.Exit<A, E>) =>
  Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter(Cause.isFailReason).map((reason) => reason.error)

const exceeded = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  const error = failures(exit)[0]
  return error instanceof Deadline.DeadlineExceeded ? (error.deadline ?? "unnamed") : undefined
}

const endsAt = (effect: Effect.Effect<unknown, unknown>) => {
  const { exit, time, timers, fibers } = once(effect)
  expect({ timers, fibers }).toEqual({ timers: 0, fibers: 0 })
  return { exit, time }
}

describe("Deadline.within", () => {
  it.effect("C89 a body that sleeps past it is cancelled, and the error says what and how long", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.sleep("1 hour").pipe(
        Deadline.within("5 seconds", { name: "checkout" }),
        TaskGroup.open({ name: "orders" }),
        Effect.flip,
        Effect.forkChild
      )
      yield* TestClock.adjust("4999 millis")
      expect(fiber.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      expect(error).toMatchObject({ _tag: "DeadlineExceeded", deadline: "checkout", duration: 5000, task: "orders" })
      expect(error.message).toBe(
        `Deadline "checkout" exceeded in task "orders": not done within 5s, so it was cancelled`
      )
    })
  )

  it("gives the body's value or error, and leaves no timer or fiber behind", () => {
    const body = (effect: Effect.Effect<number, string>) => Deadline.within(effect, "5 seconds")
    expect(endsAt(body(Effect.succeed(1)))).toEqual({ exit: Exit.succeed(1), time: 0 })
    expect(endsAt(body(Effect.delay(Effect.succeed(1), "2 seconds")))).toEqual({ exit: Exit.succeed(1), time: 2000 })
    expect(endsAt(body(Effect.fail("no")))).toEqual({ exit: Exit.fail("no"), time: 0 })
  })

  it("C95 an infinite one never passes", () => {
    const { exit, time } = endsAt(Deadline.within(Effect.delay(Effect.succeed(1), "300 days"), Duration.infinity))
    expect({ exit, time }).toEqual({ exit: Exit.succeed(1), time: Duration.toMillis("300 days") })
  })

  it("C96, C97 with no time to begin with the body does not start, even if its value were ready", () => {
    for (const duration of [0, -1]) {
      let started = false
      const { exit } = endsAt(
        Deadline.within(
          Effect.sync(() => (started = true)),
          duration
        )
      )
      expect(started).toBe(false)
      expect(failures(exit)).toMatchObject([{ message: "Deadline exceeded: no time was left, so it was not started" }])
    }
  })

  it("C98 the body's own error beats the deadline, also when that passes during its cleanup", () => {
    const body = Effect.ensuring(Effect.fail("own"), Effect.sleep("10 seconds"))
    const { exit, time } = endsAt(Deadline.within(body, "5 seconds"))
    expect(failures(exit)).toEqual(["own"])
    expect(time).toBe(10_000)
  })

  it("C100, C110 a foreign cancellation is not a timeout, also when the deadline passes during its cleanup", () => {
    const cleanups = ["1 second", "10 seconds"] as const
    for (const cleanup of cleanups) {
      const body = Effect.ensuring(Effect.interrupt, Effect.sleep(cleanup))
      const { exit } = endsAt(Deadline.within(body, "5 seconds"))
      expect(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)).toBe(true)
    }
  })

  it("C102 waits for the cleanup of the body, and keeps what it fails with behind the timeout", () => {
    const body = Effect.onExit(Effect.never, () => Effect.andThen(Effect.sleep("3 seconds"), Effect.fail("cleanup")))
    const { exit, time } = endsAt(Deadline.within(body, "5 seconds"))
    expect(exceeded(exit)).toBe("unnamed")
    expect(failures(exit)[1]).toBe("cleanup")
    expect(Exit.isFailure(exit) && exit.cause.reasons.some(Cause.isInterruptReason)).toBe(false)
    expect(time).toBe(8000)
  })

  it("a typed failure stays typed next to a defect in the cleanup", () => {
    const { exit } = endsAt(
      Deadline.within(
        Effect.onExit(Effect.never, () => Effect.die("boom")),
        "1 second"
      )
    )
    expect(exceeded(exit)).toBe("unnamed")
    expect(Exit.isFailure(exit) && exit.cause.reasons.filter(Cause.isDieReason).map((one) => one.defect)).toEqual([
      "boom"
    ])
  })

  it.effect("C112 a body that is always ready is stopped, as soon as it lets the clock move", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.flip(Deadline.within(Effect.forever(Effect.yieldNow), "1 second")))
      yield* Effect.yieldNow
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber))._tag).toBe("DeadlineExceeded")
    })
  )

  it("gives the cancellation its reason", () => {
    let reason: Option.Option<Cancel.Reason> = Option.none()
    const body = Effect.onExit(Effect.never, (exit) =>
      Effect.sync(() => void (reason = Exit.isFailure(exit) ? Cancel.reasonOf(exit.cause) : reason))
    )
    endsAt(Deadline.within(body, "90 seconds", { name: "import" }))
    expect(reason).toEqual(Option.some({ kind: "deadline", by: "import", message: "not done within 1m 30s" }))
  })

  it("when whoever waits is cancelled, the body is cancelled for the same reason and its cleanup is awaited", () => {
    const why: Cancel.Reason = { kind: "sibling", by: "other", message: "other failed" }
    let reason: Option.Option<Cancel.Reason> = Option.none()
    const body = Effect.onExit(Effect.never, (exit) => {
      reason = Exit.isFailure(exit) ? Cancel.reasonOf(exit.cause) : reason
      return Effect.andThen(Effect.sleep("2 seconds"), Effect.fail("cleanup"))
    })
    const program = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Deadline.within(body, "5 seconds"))
      yield* Effect.sleep("1 second")
      fiber.interruptUnsafe(undefined, Cancel.annotate(why))
      return yield* Fiber.await(fiber)
    })
    const { exit, time } = endsAt(program)
    const inner = Exit.isSuccess(exit) ? (exit.value as Exit.Exit<never, unknown>) : exit
    expect(reason).toEqual(Option.some(why))
    expect(failures(inner)).toEqual(["cleanup"])
    expect(Exit.isFailure(inner) && Cancel.reasonOf(inner.cause)).toEqual(Option.some(why))
    expect(time).toBe(3000)
  })

  it("is absolute: it does not start again when the program was busy", () => {
    const { time } = endsAt(
      Deadline.within(
        Effect.forEach([1, 2, 3, 4], () => Effect.sleep("1 second")),
        "2500 millis"
      ).pipe(Effect.exit)
    )
    expect(time).toBe(2500)
  })

  it("does not pass early because timers round down", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const coarse = {
        ...clock,
        sleep: (duration: Duration.Duration) =>
          clock.sleep(Duration.millis(Math.trunc(Duration.toMillis(duration)) || 0.1))
      }
      const body = Effect.provideService(Effect.delay(Effect.succeed("in time"), "1400 micros"), Clock.Clock, clock)
      return yield* Effect.provideService(Deadline.within(body, "1500 micros"), Clock.Clock, coarse)
    })
    expect(endsAt(program).exit).toEqual(Exit.succeed("in time"))
  })

  it("two hundred nested ones end with the shortest", () => {
    let body: Effect.Effect<void, Deadline.DeadlineExceeded> = Effect.sleep("1 day")
    for (let i = 1; i <= 200; i++) body = Deadline.within(body, `${5000 - 5 * i} millis`, { name: `${i}` })
    const { exit, time } = endsAt(body)
    expect(exceeded(exit)).toBe("200")
    expect(time).toBe(4000)
  })
})

describe("nested deadlines", () => {
  const nested = (outer: Duration.Input, inner: Duration.Input, body: Effect.Effect<unknown> = Effect.never) =>
    Effect.suspend(() => {
      const seen: Array<string> = []
      const note = <A>(effect: Effect.Effect<A, Deadline.DeadlineExceeded>) =>
        Effect.tapError(effect, (error) => Effect.sync(() => seen.push(error.deadline!)))
      return body.pipe(
        Deadline.within(inner, { name: "inner" }),
        note,
        Deadline.within(outer, { name: "outer" }),
        note,
        Effect.exit,
        Effect.map((exit) => [exceeded(exit), ...seen])
      )
    })

  it("the one that passes first reports, and only its own handler sees it", () => {
    expect(endsAt(nested("5 seconds", "2 seconds"))).toEqual({
      exit: Exit.succeed(["inner", "inner", "inner"]),
      time: 2000
    })
    expect(endsAt(nested("2 seconds", "5 seconds"))).toEqual({ exit: Exit.succeed(["outer", "outer"]), time: 2000 })
  })

  it("C91 at the same moment only the outermost reports, in every order of fibers", () => {
    seeded(nested("2 seconds", "2 seconds"), (run) => {
      expect(run.exit).toEqual(Exit.succeed(["outer", "outer"]))
      expect(run).toMatchObject({ timers: 0, fibers: 0 })
    })
  })

  it("C91 that holds too when the inner one belongs to a fiber of its own", () => {
    const body = Effect.forkChild(Effect.exit(Deadline.within(Effect.never, "2 seconds", { name: "inner" })))
    seeded(Effect.exit(Deadline.within(Effect.flatMap(body, Fiber.join), "2 seconds", { name: "outer" })), (run) =>
      expect(Exit.isSuccess(run.exit) && exceeded(run.exit.value)).toBe("outer")
    )
  })

  it.effect("C93 an inner one that is late does not keep the outer one from stopping what comes after", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.sleep("10 seconds").pipe(
        Deadline.within("1 second", { name: "inner" }),
        Effect.ignore,
        Effect.andThen(Effect.sleep("1 minute")),
        Deadline.within("2 seconds", { name: "outer" }),
        Effect.exit,
        Effect.forkChild
      )
      yield* TestClock.adjust("1 hour")
      expect(exceeded(yield* Fiber.join(fiber))).toBe("outer")
    })
  )

  it.effect("C96 inside one that has passed unnoticed nothing is started", () =>
    Effect.gen(function* () {
      const clock = yield* TestClock.testClockWith(Effect.succeed)
      let late = 0
      let started = false
      const busy = { ...clock, monotonicTimeNanosUnsafe: () => BigInt(late) }
      const fiber = yield* Effect.sync(() => void (late = 3e9)).pipe(
        Effect.andThen(
          Deadline.within(
            Effect.sync(() => (started = true)),
            "5 seconds",
            { name: "inner" }
          )
        ),
        Deadline.within("2 seconds", { name: "outer" }),
        Effect.provideService(Clock.Clock, busy),
        Effect.exit,
        Effect.forkChild
      )
      expect(exceeded(yield* Fiber.join(fiber))).toBe("outer")
      expect(started).toBe(false)
    })
  )

  it("C104, C105 a deadline inside cleanup works, after a timeout and after a cancellation", () => {
    const cleanup = Effect.exit(Deadline.within(Effect.never, "3 seconds", { name: "cleanup" }))
    let seen: string | undefined
    const body = Effect.onExit(Effect.never, () => Effect.map(cleanup, (exit) => void (seen = exceeded(exit))))
    const after = (effect: Effect.Effect<unknown, unknown>) => {
      seen = undefined
      const { time } = endsAt(Effect.exit(effect))
      return { seen, time }
    }
    expect(after(Deadline.within(body, "1 second"))).toEqual({ seen: "cleanup", time: 4000 })
    expect(after(Deadline.within(Deadline.within(body, "1 second"), "2 seconds"))).toEqual({
      seen: "cleanup",
      time: 4000
    })
    const cancelled = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Deadline.within(body, "1 hour"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
    })
    expect(after(cancelled)).toEqual({ seen: "cleanup", time: 3000 })
  })

  it("an enclosing deadline that cannot reach a detached fiber does not disarm the one inside", () => {
    const detached = Effect.forkDetach(Effect.exit(Deadline.within(Effect.never, "2 seconds", { name: "inner" })))
    for (const outer of ["1 second", "2 seconds"] as const) {
      const program = Effect.gen(function* () {
        const fiber = yield* Deferred.make<Fiber.Fiber<Exit.Exit<never, Deadline.DeadlineExceeded>>>()
        const body = Effect.andThen(
          Effect.flatMap(detached, (one) => Deferred.succeed(fiber, one)),
          Effect.never
        )
        yield* Effect.exit(Deadline.within(body, outer, { name: "outer" }))
        return exceeded(yield* Fiber.join(yield* Deferred.await(fiber)))
      })
      seeded(
        program,
        (run) => {
          expect(run).toMatchObject({ exit: Exit.succeed("inner"), timers: 0, fibers: 0 })
          expect(run.time).toBeLessThanOrEqual(2001)
        },
        { seeds: 100 }
      )
    }
  })
})

describe("Deadline.remaining", () => {
  const left = Effect.map(Deadline.remaining, (left) => Option.getOrNull(Option.map(left, Duration.toMillis)))

  it("C109 is none without a deadline, and the earliest of the enclosing ones otherwise", () => {
    const after = Effect.andThen(Effect.sleep("1 second"), left)
    const value = (effect: Effect.Effect<unknown, unknown>) => endsAt(effect).exit
    expect(value(left)).toEqual(Exit.succeed(null))
    expect(value(Deadline.within(left, "3 seconds"))).toEqual(Exit.succeed(3000))
    expect(value(after.pipe(Deadline.within("3 seconds"), Deadline.within("5 seconds")))).toEqual(Exit.succeed(2000))
    expect(value(after.pipe(Deadline.within("5 seconds"), Deadline.within("3 seconds")))).toEqual(Exit.succeed(2000))
    expect(value(Effect.andThen(Deadline.within(left, "3 seconds"), left))).toEqual(Exit.succeed(null))
    expect(value(Deadline.within(left, Duration.infinity))).toEqual(Exit.succeed(null))
  })

  it("C109 is none in the cleanup of what has timed out or was cancelled, and in what is unbounded", () => {
    let seen: number | null = -1
    const body = Effect.onExit(Effect.never, () => Effect.map(left, (left) => void (seen = left)))
    endsAt(Deadline.within(body, "1 second"))
    expect(seen).toBe(null)
    seen = -1
    endsAt(
      Effect.flatMap(Effect.forkChild(Deadline.within(body, "1 hour"), { startImmediately: true }), Fiber.interrupt)
    )
    expect(seen).toBe(null)
    const unbounded = Deadline.within(Effect.delay(Deadline.unbounded(left), "1 second"), "3 seconds")
    expect(endsAt(unbounded).exit).toEqual(Exit.succeed(null))
  })
})

describe("cancelled at every operation", () => {
  it("a deadline releases what its body holds, keeps no timer, and ends", () => {
    let held = 0
    const body = Effect.acquireUseRelease(
      Effect.sync(() => held++),
      () => Effect.sleep("3 seconds"),
      () =>
        Effect.andThen(
          Effect.sleep("1 second"),
          Effect.sync(() => held--)
        )
    )
    for (const duration of ["2 seconds", "3 seconds", "5 seconds"] as const) {
      const subject = () => {
        held = 0
        return Effect.exit(Deadline.within(body, duration))
      }
      const check = (run: { timers: number; fibers: number }) => {
        expect({ held, timers: run.timers, fibers: run.fibers }).toEqual({ held: 0, timers: 0, fibers: 0 })
      }
      everywhere(subject, check)
      seeded(subject, check, { interrupt: true })
    }
  })

  it("a body that is cancelled by someone else is never reported as a timeout", () => {
    const program = Effect.gen(function* () {
      const body = victim(Effect.andThen(Effect.sleep("1 second"), Effect.sleep("1 second")))
      return yield* Effect.exit(Deadline.within(body, "5 seconds"))
    })
    let cancelled = 0
    everywhere(program, (run) => {
      const exit = Exit.isSuccess(run.exit) ? run.exit.value : run.exit
      expect(exceeded(exit)).toBe(undefined)
      if (Exit.isFailure(exit)) cancelled++
    })
    expect(cancelled).toBeGreaterThan(0)
  })
})
