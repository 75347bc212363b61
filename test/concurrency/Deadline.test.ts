import { describe, expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { Cancel, Deadline, Limiter, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import { clockLike } from "../support/clock.ts"

const failures = <A, E>(exit: Exit.Exit<A, E>) =>
  Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter(Cause.isFailReason).map((reason) => reason.error)

const exceeded = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  const error = failures(exit)[0]
  return error instanceof Deadline.DeadlineExceeded ? (error.deadline ?? "unnamed") : undefined
}

const told = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) ? exit.cause.reasons.map((reason) => reason._tag) : []

const endsAt = (effect: Effect.Effect<unknown, unknown>) => {
  const { exit, time } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  return { exit, time }
}

describe("Deadline.within", () => {
  it("gives the body's value or error, and leaves no timer or fiber behind", () => {
    const body = (effect: Effect.Effect<number, string>) => Deadline.within(effect, "5 seconds")
    expect(endsAt(body(Effect.succeed(1)))).toEqual({ exit: Exit.succeed(1), time: 0 })
    expect(endsAt(body(Effect.delay(Effect.succeed(1), "2 seconds")))).toEqual({ exit: Exit.succeed(1), time: 2000 })
    expect(endsAt(body(Effect.fail("no")))).toEqual({ exit: Exit.fail("no"), time: 0 })
  })

  it("costs nothing where there is nothing to wait for, or no end to it", () => {
    const ready = Effect.succeed(1)
    expect(Deadline.within(ready, "1 second")).toBe(ready)
    expect(Deadline.within(Effect.never, Duration.infinity)).toBe(Effect.never)
  })

  it("waits for the cleanup of the body, and keeps what it fails with behind the timeout", () => {
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

  it("S15 is absolute: it does not start again when the program was busy", () => {
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
      const coarse = clockLike(clock, {
        sleep: (duration) => clock.sleep(Duration.millis(Math.trunc(Duration.toMillis(duration)) || 0.1))
      })
      const body = Effect.provideService(Effect.delay(Effect.succeed("in time"), "1400 micros"), Clock.Clock, clock)
      return yield* Effect.provideService(Deadline.within(body, "1500 micros"), Clock.Clock, coarse)
    })
    expect(endsAt(program).exit).toEqual(Exit.succeed("in time"))
  })

  it("S15 a body that completes anyway wins: its value is returned", () => {
    const program = Effect.clockWith((clock) => {
      let busy = 0n
      const late = clockLike(clock, { monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + busy })
      const works = Effect.sync(() => {
        busy += 5_000_000_000n
        return "done"
      })
      const expires = Deadline.open("1 second", (deadline) =>
        Effect.sync(() => {
          Effect.runFork(deadline.reschedule(0))
          return "done"
        })
      )
      return Effect.provideService(
        Effect.all([
          Deadline.within(works, "1 second"),
          Deadline.moveOn(Effect.andThen(Effect.sleep("500 millis"), works), "1 second"),
          expires,
          Effect.uninterruptible(Deadline.within(works, "1 second"))
        ]),
        Clock.Clock,
        late
      )
    })
    expect(endsAt(program).exit).toEqual(Exit.succeed(["done", Option.some("done"), "done", "done"]))
  })

  it("S15 what an uninterruptible region acquires after the time is up is dropped, and closed where it belongs to a scope", () => {
    let open = 0
    const connect = Effect.sync(() => ++open).pipe(Effect.delay("3 seconds"))
    const scoped = Effect.acquireRelease(connect, () => Effect.sync(() => --open))
    const uses = [
      Effect.scoped(Effect.andThen(scoped, Effect.never)),
      Effect.acquireUseRelease(
        connect,
        () => Effect.never,
        () => Effect.sync(() => --open)
      )
    ]
    for (const use of uses) {
      const program = Effect.exit(Deadline.within(use, "1 second", { name: "late" }))
      const { exit, time } = endsAt(program)
      expect([Exit.isSuccess(exit) && exceeded(exit.value as Exit.Exit<never>), time, open]).toEqual(["late", 3000, 0])
      const check = () => {
        expect(open).toBe(0)
        return Effect.void
      }
      Effect.runSync(Interrupt.everywhere(program, { check }))
      Effect.runSync(Sim.explore(program, { schedules: 1000, granularity: "op", check, stop: "interrupt" }))
    }
    // The scope around the deadline closes what its body has opened late.
    const around = Effect.scoped(Effect.exit(Deadline.within(scoped, "1 second", { name: "late" })))
    const { exit } = endsAt(around)
    expect([Exit.isSuccess(exit) && exceeded(exit.value as Exit.Exit<never>), open]).toEqual(["late", 0])
    // Without one the value is nobody's.
    expect(exceeded(endsAt(Deadline.within(Effect.uninterruptible(connect), "1 second", { name: "late" })).exit)).toBe(
      "late"
    )
    expect(open).toBe(1)
  })

  it("thousands of nested ones end with the shortest, and at once when all of them are cancelled", () => {
    const nested = (core: Effect.Effect<void>) => {
      let effect: Effect.Effect<void, Deadline.DeadlineExceeded> = core
      for (let i = 1; i <= 2000; i++) effect = Deadline.within(effect, `${6000 - i} millis`, { name: `${i}` })
      return effect
    }
    const { exit, time } = endsAt(nested(Effect.sleep("1 day")))
    expect({ late: exceeded(exit), time }).toEqual({ late: "2000", time: 4000 })
    expect(endsAt(nested(Effect.sleep("1 second"))).exit).toEqual(Exit.void)
    const cancelled = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(nested(Effect.never), { startImmediately: true })
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(fiber)
      return told(yield* Fiber.await(fiber))
    })
    expect(endsAt(cancelled)).toEqual({ exit: Exit.succeed(["Interrupt"]), time: 1000 })
  })

  it("leaves no timer in the process", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
    const before = timers()
    const many = Effect.forEach([1, 2, 3], () => Deadline.within(Effect.yieldNow, "1 hour"), {
      concurrency: "unbounded"
    })
    await Effect.runPromise(Effect.andThen(many, Deadline.within(Effect.yieldNow, "1 hour")))
    expect(timers()).toBe(before)
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

  it("S15 the one that passes first reports, and only its own handler sees it", () => {
    expect(endsAt(nested("5 seconds", "2 seconds"))).toEqual({
      exit: Exit.succeed(["inner", "inner", "inner"]),
      time: 2000
    })
    expect(endsAt(nested("2 seconds", "5 seconds"))).toEqual({ exit: Exit.succeed(["outer", "outer"]), time: 2000 })
  })

  it.effect("inside one that has passed unnoticed nothing is started", () =>
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

  it("at the same moment the outer one is the reason, also late in the cleanup", () => {
    let reason: Option.Option<Cancel.Reason> = Option.none()
    const body = Effect.onInterrupt(Effect.never, () =>
      Effect.delay(
        Effect.map(Cancel.reason, (why) => void (reason = why)),
        "5 seconds"
      )
    )
    endsAt(nested("2 seconds", "2 seconds", body))
    expect(Option.map(reason, ({ by }) => by)).toEqual(Option.some("outer"))
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
      const check = (run: Sim.Run<string | undefined, never>) => {
        expect(run.exit).toEqual(Exit.succeed("inner"))
        expect(run.time).toBeLessThanOrEqual(2001)
        return Leaks.check(run)
      }
      Effect.runSync(Sim.explore(program, { schedules: 100, check }))
    }
  })
})

describe("Deadline.remaining", () => {
  const left = Effect.map(Deadline.remaining, (left) => Option.getOrNull(Option.map(left, Duration.toMillis)))

  it("is zero, not less, when the deadline has passed and nobody has noticed", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      let busy = 0n
      const late = clockLike(clock, { monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + busy })
      const body = Effect.andThen(
        Effect.sync(() => void (busy = 9_000_000_000n)),
        left
      )
      return yield* Effect.provideService(Deadline.within(body, "5 seconds"), Clock.Clock, late)
    })
    expect(endsAt(program).exit).toEqual(Exit.succeed(0))
  })

  it("is none in the cleanup of what has timed out or was cancelled, and in what is unbounded", () => {
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

describe("Deadline.at", () => {
  it("takes the wall clock for where the moment is, and the monotonic one for when it has come", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      let correction = 0
      const corrected = clockLike(clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + correction
      })
      const moment = clock.currentTimeMillisUnsafe() + 5000
      const body = Effect.andThen(
        Effect.sync(() => (correction = 60_000)),
        Effect.never
      )
      const deadline = Deadline.at(body, moment, { name: "noon" })
      return yield* Effect.exit(Effect.provideService(deadline, Clock.Clock, corrected))
    })
    const { exit, time } = endsAt(program)
    expect(Exit.isSuccess(exit) && exceeded(exit.value as Exit.Exit<never, unknown>)).toBe("noon")
    expect(time).toBe(5000)
  })
})

describe("Deadline.moveOn", () => {
  const moveOn = <A, E>(effect: Effect.Effect<A, E>) => Deadline.moveOn(effect, "5 seconds", { name: "patience" })

  it("gives some value in time, and none when the time is up", () => {
    expect(endsAt(moveOn(Effect.delay(Effect.succeed(1), "2 seconds")))).toEqual({
      exit: Exit.succeed(Option.some(1)),
      time: 2000
    })
    expect(endsAt(moveOn(Effect.never))).toEqual({ exit: Exit.succeed(Option.none()), time: 5000 })
  })

  it("lets failures through: of the body, of its cleanup, and other deadlines'", () => {
    expect(endsAt(moveOn(Effect.fail("own"))).exit).toEqual(Exit.fail("own"))
    const cleanup = endsAt(moveOn(Effect.onExit(Effect.never, () => Effect.fail("cleanup"))))
    expect(failures(cleanup.exit)).toEqual(["cleanup"])
    expect(exceeded(endsAt(moveOn(Deadline.within(Effect.never, "1 second", { name: "inner" }))).exit)).toBe("inner")
    const outer = endsAt(Deadline.within(moveOn(Effect.never), "1 second", { name: "outer" }))
    expect({ late: exceeded(outer.exit), time: outer.time }).toEqual({ late: "outer", time: 1000 })
    const cancelled = endsAt(moveOn(Effect.interrupt)).exit
    expect(Exit.isFailure(cancelled) && Cause.hasInterruptsOnly(cancelled.cause)).toBe(true)
  })
})

describe("Deadline.open", () => {
  it("lets anyone who has the handle move it, and the error counts from the start", () => {
    const program = Effect.gen(function* () {
      const handle = yield* Deferred.make<Deadline.Handle>()
      const body = (deadline: Deadline.Handle) => Effect.andThen(Deferred.succeed(handle, deadline), Effect.never)
      const fiber = yield* Effect.forkChild(Effect.flip(Deadline.open("5 seconds", body, { name: "lease" })))
      const deadline = yield* Deferred.await(handle)
      yield* Effect.sleep("4 seconds")
      yield* deadline.reschedule("2 seconds")
      yield* Effect.sleep("1 second")
      yield* deadline.reschedule("1500 millis")
      return (yield* Fiber.join(fiber)).message
    })
    expect(endsAt(program)).toEqual({
      exit: Exit.succeed(`Deadline "lease" exceeded: not done within 6s 500ms, so it was cancelled`),
      time: 6500
    })
  })

  it("passes at once when it is moved to now, by its own body or another fiber", () => {
    let after = false
    const own = endsAt(
      Deadline.open("5 seconds", (deadline) =>
        Effect.andThen(
          Effect.delay(deadline.reschedule(0), "1 second"),
          Effect.sync(() => (after = true))
        )
      )
    )
    expect({ late: exceeded(own.exit), time: own.time, after }).toEqual({ late: "unnamed", time: 1000, after: false })
    const first = endsAt(
      Deadline.open("5 seconds", (deadline) =>
        Effect.andThen(
          deadline.reschedule(0),
          Effect.sync(() => (after = true))
        )
      )
    )
    expect({ late: exceeded(first.exit), time: first.time, after }).toEqual({ late: "unnamed", time: 0, after: false })
    const other = Deadline.open(Duration.infinity, (deadline) =>
      Effect.andThen(Effect.forkChild(Effect.delay(deadline.reschedule(-1), "1 second")), Effect.never)
    )
    expect(endsAt(Effect.exit(other)).time).toBe(1000)
  })

  it("cannot be moved past the deadline around it", () => {
    const inner = Deadline.open("1 second", (deadline) => Effect.andThen(deadline.reschedule("1 hour"), Effect.never), {
      name: "inner"
    })
    const { exit, time } = endsAt(Deadline.within(inner, "5 seconds", { name: "outer" }))
    expect({ late: exceeded(exit), time }).toEqual({ late: "outer", time: 5000 })
  })

  it("moves back and forth under every interleaving and cancellation, and leaves nothing behind", () => {
    const program = Deadline.open("3 seconds", (deadline) =>
      Effect.gen(function* () {
        yield* Effect.forkChild(Effect.delay(deadline.reschedule("4 seconds"), "2 seconds"))
        yield* Effect.forkChild(Effect.delay(deadline.reschedule("1 second"), "4 seconds"))
        yield* deadline.reschedule("2500 millis")
        return yield* Effect.never
      })
    )
    const check = (run: Sim.Run<never, Deadline.DeadlineExceeded>) => {
      if (!run.stopped) expect({ late: exceeded(run.exit), time: run.time }).toEqual({ late: "unnamed", time: 5000 })
      return Leaks.check(run)
    }
    Effect.runSync(Interrupt.everywhere(program, { check }))
    Effect.runSync(Sim.explore(program, { schedules: 300, check, stop: "interrupt" }))
  })
})

describe("the alarm that deadlines share", () => {
  /** A clock that counts who sleeps on it. */
  const counted = (clock: Clock.Clock) => {
    const count = { made: 0, pending: 0, most: 0 }
    const sleep = (duration: Duration.Duration) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          count.made++
          count.most = Math.max(count.most, ++count.pending)
        }),
        () => clock.sleep(duration),
        () => Effect.sync(() => void count.pending--)
      )
    return { clock: clockLike(clock, { sleep }), count }
  }

  it("needs no timer for a body that is done at once, and one for any number of them at a time", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const { clock: counting, count } = counted(clock)
      const within = (deadline: number, body: Effect.Effect<void>) =>
        Effect.provideService(
          Effect.ignore(Deadline.within(Effect.provideService(body, Clock.Clock, clock), deadline)),
          Clock.Clock,
          counting
        )
      const together = (...all: ReadonlyArray<Effect.Effect<void>>) => Effect.all(all, { concurrency: "unbounded" })
      yield* within(
        5000,
        Effect.sync(() => {})
      )
      const none = count.made
      yield* together(...Array.from({ length: 100 }, (_, i) => within(5000, Effect.sleep(i + 1))))
      const forMany = count.made
      // The second is the first to pass when it starts, but the timer of the one before it comes early enough.
      yield* together(
        within(1000, Effect.sleep(100)),
        Effect.delay(within(3000, Effect.sleep(200)), 300),
        within(5000, Effect.sleep(900))
      )
      const forEarlier = count.made
      // This one passes first: the timer is set again.
      yield* together(within(5000, Effect.never), Effect.delay(within(1000, Effect.never), 100))
      return { none, forMany, forEarlier, most: count.most, pending: count.pending }
    })
    const { exit, time } = endsAt(program)
    expect(exit).toEqual(Exit.succeed({ none: 0, forMany: 1, forEarlier: 2, most: 1, pending: 0 }))
    expect(time).toBe(100 + 900 + 5000)
  })

  it("S28 serves rates and the watch over cleanups as well: one timer for all of them", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const { clock: counting, count } = counted(clock)
      const sleep = (millis: number) => Effect.provideService(Effect.sleep(millis), Clock.Clock, clock)
      const ended: Array<string> = []
      const ends = (name: string) =>
        Effect.flatMap(clock.currentTimeMillis, (now) => Effect.sync(() => ended.push(`${name} ${now - start}`)))
      const start = yield* clock.currentTimeMillis
      const limiter = yield* Limiter.rate({ limit: 1, per: 400 })
      const deaf = Effect.onInterrupt(Effect.never, () => sleep(1000))
      const group = TaskGroup.open(Effect.andThen(TaskGroup.spawn(deaf), Effect.fail("no")), {
        cleanup: 700,
        abandon: true
      })
      const all = [
        Effect.ensuring(Effect.exit(Deadline.within(Effect.never, 500)), ends("deadline")),
        ...[1, 2, 3].map(() => limiter.withPermit(ends("call"))),
        Effect.ensuring(Effect.exit(group), ends("group"))
      ]
      yield* Effect.provideService(Effect.all(all, { concurrency: "unbounded" }), Clock.Clock, counting)
      yield* sleep(1000)
      return { ended, most: count.most, pending: count.pending }
    })
    const { exit } = endsAt(Effect.provide(program, Logger.layer([])))
    const ended = ["call 0", "call 400", "deadline 500", "group 700", "call 800"]
    expect(exit).toEqual(Exit.succeed({ ended, most: 1, pending: 0 }))
  })

  it.sim(
    "calls each of many at its moment, however they come, go and move",
    Effect.gen(function* () {
      const millis = Effect.map(Random.nextIntBetween(1, 1000), Math.trunc)
      const start = yield* Clock.currentTimeMillis
      const one = Effect.gen(function* () {
        const [before, first, pause, second, end] = yield* Effect.all([millis, millis, millis, millis, millis])
        yield* Effect.sleep(before)
        const body = (deadline: Deadline.Handle) =>
          Effect.andThen(Effect.delay(deadline.reschedule(second), pause), Effect.sleep(end))
        const exit = yield* Effect.exit(Deadline.open(first, body))
        const passed = (yield* Clock.currentTimeMillis) - start - before
        const possible =
          first < pause
            ? [["late", first]]
            : first === pause
              ? [["late", first], second < end ? ["late", pause + second] : ["done", pause + end]]
              : second < end
                ? [["late", pause + second]]
                : [["done", pause + end]]
        if (second === end && first >= pause) possible.push(["late", pause + second])
        expect(possible).toContainEqual([Exit.isSuccess(exit) ? "done" : "late", passed])
      })
      yield* Effect.forEach(Array.from({ length: 100 }), () => one, { concurrency: "unbounded" })
    }),
    { schedules: 20, check: (run) => Effect.andThen(run.exit, Leaks.check(run)) }
  )

  it("does not mix up clocks: a deadline by another clock neither binds nor wakes this one", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      // Started long before, as a test clock has: by its time everything of this one lies in the future.
      const other = clockLike(clock, {
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() - 1_000_000_000_000n
      })
      const left = yield* Effect.provideService(Deadline.remaining, Clock.Clock, other).pipe(
        Deadline.within("2 seconds")
      )
      const late = yield* Effect.exit(
        Deadline.within(Effect.never, "1 second", { name: "inner" }).pipe(
          Effect.provideService(Clock.Clock, clock),
          Deadline.within("2 seconds", { name: "outer" }),
          Effect.provideService(Clock.Clock, other)
        )
      )
      const detached = Effect.forkDetach(
        Effect.exit(Deadline.within(Effect.never, "2 seconds", { name: "detached" })).pipe(
          Effect.provideService(Clock.Clock, other)
        ),
        { startImmediately: true }
      )
      const fiber = yield* Deferred.make<Fiber.Fiber<Exit.Exit<never, Deadline.DeadlineExceeded>>>()
      const body = Effect.andThen(
        Effect.flatMap(detached, (one) => Deferred.succeed(fiber, one)),
        Effect.never
      )
      yield* Effect.exit(Deadline.within(body, "1 second"))
      return [left, exceeded(late), exceeded(yield* Fiber.join(yield* Deferred.await(fiber)))]
    })
    expect(endsAt(program)).toEqual({ exit: Exit.succeed([Option.none(), "inner", "detached"]), time: 3000 })
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
      const subject = Effect.suspend(() => {
        held = 0
        return Effect.exit(Deadline.within(body, duration))
      })
      const check = (run: Sim.Run<unknown, unknown>) => {
        expect(held).toBe(0)
        return Leaks.check(run)
      }
      Effect.runSync(Interrupt.everywhere(subject, { check }))
      Effect.runSync(Sim.explore(subject, { schedules: 300, check, stop: "interrupt" }))
    }
  })

  it("a body that is cancelled by someone else is never reported as a timeout", () => {
    const program = Effect.gen(function* () {
      const body = Interrupt.victim(Effect.andThen(Effect.sleep("1 second"), Effect.sleep("1 second")))
      return yield* Effect.exit(Deadline.within(body, "5 seconds"))
    })
    let cancelled = 0
    const check = (run: Sim.Run<Exit.Exit<void, Deadline.DeadlineExceeded>, never>) => {
      const exit = Exit.isSuccess(run.exit) ? run.exit.value : run.exit
      expect(exceeded(exit)).toBe(undefined)
      if (Exit.isFailure(exit)) cancelled++
      return Leaks.check(run)
    }
    Effect.runSync(Interrupt.everywhere(program, { check }))
    expect(cancelled).toBeGreaterThan(0)
  })
})
