import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { Interrupt, Leaks, Sim } from "skein/testing"
import * as Deadline from "../../src/concurrency/Deadline.ts"
import * as Limiter from "../../src/concurrency/Limiter.ts"
import { Attempt } from "../../src/pipeline/context/Attempt.ts"
import * as Meter from "../../src/pipeline/context/Meter.ts"
import * as Policy from "../../src/pipeline/Policy.ts"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

class Busy {
  readonly _tag = "Busy"
  readonly n: number
  constructor(n: number) {
    this.n = n
  }
}

/** Fails as often as told, then succeeds; `starts` are the times of the attempts. */
const flaky = (failures: number, body: Effect.Effect<void> = Effect.void) => {
  const starts: Array<number> = []
  const call = Effect.gen(function* () {
    starts.push(yield* now)
    yield* body
    return starts.length > failures ? starts.length : yield* Effect.fail(new Busy(starts.length))
  })
  const waits = () => starts.slice(1).map((start, i) => start - starts[i]!)
  return { call, starts, waits }
}

/** Makes chance give always the same share. */
const withChance = (share: number) =>
  Effect.provideService(Random.Random, { nextDoubleUnsafe: () => share, nextIntUnsafe: () => 0 })

const longest = withChance(1)

const errorOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined

describe("retries", () => {
  it("a call that succeeds is made once, and costs no time", () => {
    const { call, starts } = flaky(0)
    expect(Effect.runSync(Sim.run(Policy.apply(call, {})))).toMatchObject({
      exit: Exit.succeed(1),
      time: 0,
      left: { timers: 0 }
    })
    expect(starts.length).toBe(1)
  })

  it("makes 4 attempts by default and fails with the last error as it was", () => {
    const { call, starts } = flaky(9)
    const { exit } = Effect.runSync(Sim.run(Policy.apply(call, {})))
    expect(starts.length).toBe(4)
    expect(errorOf(exit)).toEqual(new Busy(4))
  })

  it("makes as many as told, and none with retries 0", () => {
    const attempts = (retries: number) => {
      const { call, starts } = flaky(99)
      Effect.runSync(Sim.run(Policy.apply(call, { retries })))
      return starts.length
    }
    expect([0, 1, 7].map(attempts)).toEqual([1, 2, 8])
  })

  it("waits between zero and an exponentially growing time, no longer than the cap", () => {
    const { call, waits } = flaky(9)
    Effect.runSync(Sim.run(longest(Policy.apply(call, { retries: 9 }))))
    expect(waits()).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    const own = flaky(4)
    Effect.runSync(Sim.run(longest(Policy.apply(own.call, { retries: 4, backoff: { base: 10, factor: 3, cap: 100 } }))))
    expect(own.waits()).toEqual([10, 30, 90, 100])
    const least = flaky(3)
    Effect.runSync(Sim.run(withChance(0)(Policy.apply(least.call, {}))))
    expect(least.waits()).toEqual([0, 0, 0])
    const middle = flaky(3)
    Effect.runSync(Sim.run(withChance(0.5)(Policy.apply(middle.call, {}))))
    expect(middle.waits()).toEqual([125, 250, 500])
  })

  it.effect("waits on the clock of the program", () =>
    Effect.gen(function* () {
      const { call, starts } = flaky(1)
      const fiber = yield* fork(longest(Policy.apply(call, {})))
      yield* TestClock.adjust("249 millis")
      expect(starts.length).toBe(1)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toBe(2)
    })
  )

  it("asks which errors are worth it", () => {
    const { call, starts } = flaky(9)
    const { exit } = Effect.runSync(Sim.run(Policy.apply(call, { retryWhile: (error) => error.n < 2 })))
    expect(starts.length).toBe(2)
    expect(errorOf(exit)).toEqual(new Busy(2))
  })

  it("tries no error again that says itself that this is of no use, unless told to", () => {
    const attempts = (retryable: boolean, policy: Policy.Policy<unknown>) => {
      let made = 0
      const call = Effect.suspend(() => Effect.fail({ retryable, n: ++made }))
      Effect.runSync(Sim.run(Policy.apply(call, policy)))
      return made
    }
    expect(attempts(false, {})).toBe(1)
    expect(attempts(true, {})).toBe(4)
    expect(attempts(false, { retryWhile: () => true })).toBe(4)
    expect(attempts(true, { retryWhile: () => false })).toBe(1)
  })

  it("a defect and a cancellation are not retried", () => {
    const both = Effect.failCause(Cause.combine(Cause.fail("no"), Cause.die("boom")))
    for (const end of [Effect.die("boom"), Effect.interrupt, both]) {
      let attempts = 0
      const call = Effect.andThen(
        Effect.sync(() => void attempts++),
        end
      )
      expect(Exit.isFailure(Effect.runSync(Sim.run(Policy.apply(call, {}))).exit)).toBe(true)
      expect(attempts).toBe(1)
    }
  })

  it("waits as long as the other side asks, up to 60 seconds", () => {
    const { call, waits } = flaky(2)
    const asks = { retryAfter: (error: Busy) => (error.n === 1 ? Option.some(Duration.seconds(60)) : Option.none()) }
    Effect.runSync(Sim.run(longest(Policy.apply(call, asks))))
    expect(waits()).toEqual([60_000, 500])
  })

  it("fails at once when it is asked to wait longer than that", () => {
    const { call, starts } = flaky(9)
    const run = Effect.runSync(Sim.run(Policy.apply(call, { retryAfter: () => Option.some(Duration.millis(60_001)) })))
    expect({ attempts: starts.length, time: run.time }).toEqual({ attempts: 1, time: 0 })
    expect(errorOf(run.exit)).toEqual(new Busy(1))
  })

  it("counts attempts and retries for the pipeline that runs it", () => {
    const meter = Meter.make()
    const attempt: Attempt = { key: "a", count: 1 }
    const program = Policy.apply(flaky(2).call, {}).pipe(
      Effect.provideService(Meter.Meter, meter),
      Effect.provideService(Attempt, attempt)
    )
    Effect.runSync(Sim.run(program))
    expect(meter.retries).toBe(2)
    expect(attempt.count).toBe(3)
    Effect.runSync(Sim.run(Effect.provideService(Policy.apply(flaky(0).call, {}), Meter.Meter, meter)))
    expect(meter.retries).toBe(2)
  })
})

describe("time", () => {
  it("an attempt that runs out of its time is made again, whatever `retryWhile` says", () => {
    let attempts = 0
    const call = Effect.suspend(() => (++attempts < 3 ? Effect.never : Effect.succeed("in time")))
    const policy = { attempt: "2 seconds", retryWhile: () => false } as const
    expect(Effect.runSync(Sim.run(longest(Policy.apply(call, policy))))).toMatchObject({
      exit: Exit.succeed("in time"),
      time: 4750,
      left: { timers: 0 }
    })
  })

  it("when all of them do, the error names the attempt", () => {
    const { exit } = Effect.runSync(Sim.run(Policy.apply(Effect.never, { attempt: 5, retries: 1 }, { name: "users" })))
    expect(errorOf(exit)).toMatchObject({ _tag: "DeadlineExceeded", deadline: "users attempt", duration: 5 })
  })

  it("the total holds for attempts and the waiting between them", () => {
    const { call, starts } = flaky(9, Effect.sleep("1 second"))
    const run = Effect.runSync(
      Sim.run(longest(Policy.apply(call, { total: "2 seconds", retries: 9 }, { name: "users" })))
    )
    expect(errorOf(run.exit)).toMatchObject({ _tag: "DeadlineExceeded", deadline: "users total", duration: 2000 })
    expect({ time: run.time, attempts: starts.length, timers: run.left.timers }).toEqual({
      time: 2000,
      attempts: 2,
      timers: 0
    })
  })

  it("S15 a retry that cannot begin in time is not waited for: the last error comes at once", () => {
    const { call, starts } = flaky(9, Effect.sleep("1 second"))
    const { exit, time } = Effect.runSync(
      Sim.run(longest(Policy.apply(call, { total: "2500 millis", backoff: { factor: 5 } })))
    )
    expect([errorOf(exit), time, starts.length]).toEqual([new Busy(2), 2250, 2])
  })

  it("S15 the wait that the other side asks for is bounded as well, and by a deadline around the call", () => {
    const asked = (wait: number) => {
      const { call, starts } = flaky(9)
      const policy: Policy.Policy<Busy> = { retryAfter: () => Option.some(Duration.seconds(wait)), retries: 1 }
      const late = Deadline.within(Policy.apply(call, policy), "5 seconds")
      const { exit, time } = Effect.runSync(Effect.tap(Sim.run(late), Leaks.check))
      return [errorOf(exit), time, starts.length]
    }
    expect(asked(4)).toEqual([new Busy(2), 4000, 2])
    expect(asked(5)).toEqual([new Busy(1), 0, 1])
    expect(asked(6)).toEqual([new Busy(1), 0, 1])
  })

  it("a total that passes during an attempt is not taken for the attempt's own time", () => {
    const run = Effect.runSync(Sim.run(Policy.apply(Effect.never, { total: "1 second", attempt: "1 second" })))
    expect(errorOf(run.exit)).toMatchObject({ deadline: "total" })
    expect(run.time).toBe(1000)
  })
})

describe("limits", () => {
  it("every attempt takes a token", () => {
    const { call, starts } = flaky(3)
    const program = Effect.flatMap(Limiter.rate({ limit: 1, per: "1 minute" }), (rate) => Policy.apply(call, { rate }))
    expect(Effect.runSync(Sim.run(program)).time).toBe(180_000)
    expect(starts.length).toBe(4)
  })

  it("P6 the slot is free while it backs off", () => {
    const program = Effect.gen(function* () {
      const slot = yield* Limiter.concurrency(1)
      const start = yield* now
      const retried = yield* fork(longest(Policy.apply(flaky(1, Effect.sleep(100)).call, { slot })))
      yield* Effect.sleep(200)
      expect((yield* slot.stats).inUse).toBe(0)
      yield* slot.withPermit(Effect.sleep(50))
      expect((yield* now) - start).toBe(250)
      yield* Fiber.join(retried)
      return (yield* now) - start
    })
    expect(Effect.runSync(Sim.run(program)).exit).toEqual(Exit.succeed(450))
  })

  it("P6 the token is taken before the slot, and the attempt's time runs only once it has both", () => {
    const program = Effect.gen(function* () {
      const slot = yield* Limiter.concurrency(1)
      const rate = yield* Limiter.rate({ limit: 1, per: "10 seconds" })
      const call = Policy.apply(Effect.sleep("4 seconds"), { slot, rate, attempt: "5 seconds", retries: 0 })
      yield* fork(slot.withPermit(Effect.sleep("8 seconds")))
      const first = yield* fork(call)
      const second = yield* fork(call)
      yield* Effect.sleep("1 second")
      // The first has its token and waits for the slot; the second waits for a token and does not stand in the way.
      expect(yield* slot.stats).toMatchObject({ inUse: 1, waiting: 1 })
      expect(yield* rate.stats).toMatchObject({ waiting: 1 })
      yield* Fiber.join(first)
      yield* Fiber.join(second)
    })
    expect(Effect.runSync(Sim.run(program))).toMatchObject({ exit: Exit.succeed(undefined), time: 16_000 })
  })

  it("takes one key of a family of limiters", () => {
    const program = Effect.gen(function* () {
      const hosts = yield* Limiter.perKey((_: string) => Limiter.concurrency(1))
      const call = (host: string) => Policy.apply(Effect.sleep("1 second"), { slot: hosts.of(host) })
      yield* Effect.all([call("a"), call("b"), call("a")], { concurrency: "unbounded" })
      return (yield* hosts.stats).size
    })
    expect(Effect.runSync(Sim.run(program))).toMatchObject({ exit: Exit.succeed(0), time: 2000 })
  })
})

describe("breaker", () => {
  it("is outside of the retries: it counts a call once, and when it is open no attempt is made", () => {
    const program = Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        tripPolicy: CircuitBreaker.consecutive(2),
        openDuration: "1 minute"
      })
      const policy: Policy.Policy<Busy, CircuitBreaker.CircuitBreakerError> = {
        retries: 1,
        breaker: (effect) => breaker.execute(effect, { key: "users" })
      }
      const { call, starts } = flaky(99)
      const errors = yield* Effect.forEach([1, 2, 3], () => Effect.flip(Policy.apply(call, policy)))
      return [starts.length, ...errors.map((error) => error._tag)]
    })
    const layer = CircuitBreaker.layerStoreMemory()
    expect(Effect.runSync(Sim.run(Effect.provide(Effect.scoped(program), layer))).exit).toEqual(
      Exit.succeed([4, "Busy", "Busy", "CircuitBreakerError"])
    )
  })
})

describe("types", () => {
  const call: Effect.Effect<number, Busy, "service"> = Effect.fail(new Busy(1))

  it("DeadlineExceeded is in the error exactly when the policy limits the time", () => {
    expectTypeOf(call.pipe(Policy.apply({}))).toEqualTypeOf<Effect.Effect<number, Busy, "service">>()
    expectTypeOf(call.pipe(Policy.apply({ retryWhile: (error) => error.n > 1 }))).toEqualTypeOf<
      Effect.Effect<number, Busy, "service">
    >()
    type Timed = Effect.Effect<number, Busy | Deadline.DeadlineExceeded, "service">
    expectTypeOf(call.pipe(Policy.apply({ total: "1 second" }))).toEqualTypeOf<Timed>()
    expectTypeOf(Policy.apply(call, { attempt: 5 })).toEqualTypeOf<Timed>()
    expectTypeOf(Policy.apply(call, { attempt: 5, total: "1 second" })).toEqualTypeOf<Timed>()
    const policy: Policy.Policy<Busy> = {}
    expectTypeOf(Policy.apply(call, policy)).toEqualTypeOf<Timed>()
  })

  it("a policy for other errors does not fit", () => {
    expectTypeOf<Policy.Policy<string>>().not.toExtend<Policy.Policy<Busy>>()
    expectTypeOf<Policy.Policy<unknown>>().toExtend<Policy.Policy<Busy>>()
  })
})

describe("cancelled at every operation", () => {
  it("gives back every slot and leaves no timer", () => {
    let slot: Limiter.Limiter
    const subject = Effect.suspend(() => {
      slot = Effect.runSync(Limiter.concurrency(1))
      const rate = Effect.runSync(Limiter.rate({ limit: 10, per: "1 second" }))
      const policy = { slot, rate, attempt: 150, total: "1 second" } as const
      const call = () => Effect.exit(Policy.apply(flaky(2, Effect.sleep(100)).call, policy))
      return Effect.all([call(), call(), call()], { concurrency: "unbounded", discard: true })
    })
    const check = (run: Sim.Run<void, never>) => {
      expect(Effect.runSync(slot.stats)).toMatchObject({ inUse: 0, waiting: 0 })
      return Leaks.check(run)
    }
    Effect.runSync(Interrupt.everywhere(subject, { check }))
    Effect.runSync(Sim.explore(subject, { schedules: 100, check, stop: "interrupt" }))
  })
})
