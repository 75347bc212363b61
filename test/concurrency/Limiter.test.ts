import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { Limiter, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { clockLike } from "../support/clock.ts"

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const value = <A>(effect: Effect.Effect<A, unknown>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

const defect = (effect: Effect.Effect<unknown, unknown>): unknown => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  return Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined
}

/** Has so many take a permit for a second each, and gives how many had one at once. */
const mostAtOnce = (limiter: Limiter.Limiter, times: number) =>
  Effect.gen(function* () {
    let running = 0
    let most = 0
    const work = Effect.suspend(() => {
      most = Math.max(most, ++running)
      return Effect.ensuring(
        Effect.sleep("1 second"),
        Effect.sync(() => running--)
      )
    })
    yield* Effect.all(
      Array.from({ length: times }, () => limiter.withPermit(work)),
      { concurrency: "unbounded" }
    )
    return most
  })

describe("Limiter.concurrency", () => {
  it("never lets in more than its limit, with 1, 10 and 100", () => {
    for (const limit of [1, 10, 100]) {
      const most = Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(limit)
        return yield* mostAtOnce(limiter, 200)
      })
      expect(Effect.runSync(Sim.run(most))).toMatchObject({ exit: Exit.succeed(limit), time: (200 / limit) * 1000 })
    }
  })

  it("large requests do not starve, and try does not barge in", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(3)
      const order: Array<string> = []
      const say = (name: string) => Effect.sync(() => void order.push(name))
      const hold = (name: string, permits: number) =>
        fork(limiter.withPermits(permits)(Effect.andThen(say(name), Effect.sleep("1 second"))))
      const fibers = [yield* hold("two", 2), yield* hold("three", 3), yield* hold("one", 1)]
      expect(yield* limiter.tryWithPermits(1)(Effect.void)).toEqual(Option.none())
      yield* Fiber.awaitAll(fibers)
      expect(yield* limiter.tryWithPermits(3)(say("tried"))).toEqual(Option.some(undefined))
      return order
    })
    expect(value(program)).toEqual(["two", "three", "one", "tried"])
  })

  it("a large first waiter that is cancelled makes way for small ones behind it", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(3)
      yield* fork(limiter.withPermits(2)(Effect.never))
      const large = yield* fork(limiter.withPermits(2)(Effect.never))
      const small = yield* fork(limiter.withPermit(Effect.succeed("small")))
      yield* Fiber.interrupt(large)
      return yield* Fiber.join(small)
    })
    expect(value(program)).toBe("small")
  })

  it("impossible requests die at once instead of waiting for ever", () => {
    const asking = (permits: number) =>
      Effect.flatMap(Limiter.concurrency(3), (limiter) => limiter.withPermits(permits)(Effect.void))
    expect(defect(asking(4))).toMatchObject({ _tag: "TooManyPermits", asked: 4, limit: 3 })
    expect(String(defect(asking(4)))).toContain("Asked for 4 permits of a limiter that has 3")
    for (const permits of [-1, 0.5, NaN, Infinity]) expect(defect(asking(permits))).toBeInstanceOf(RangeError)
    expect(defect(Limiter.concurrency(-1))).toBeInstanceOf(RangeError)
    const larger = Effect.flatMap(Limiter.concurrency(3), (limiter) => limiter.tryWithPermits(4)(Effect.void))
    expect(value(larger)).toEqual(Option.none())
  })

  it("shrinking below what a waiter asked for tells that waiter, and lets the next one in", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(3)
      const holder = yield* fork(limiter.withPermits(2)(Effect.never))
      const large = yield* fork(limiter.withPermits(3)(Effect.void))
      const small = yield* fork(limiter.withPermits(2)(Effect.succeed("small")))
      yield* limiter.resize(2)
      const exit = yield* Fiber.await(large)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        _tag: "TooManyPermits",
        asked: 3,
        limit: 2
      })
      yield* Fiber.interrupt(holder)
      return yield* Fiber.join(small)
    })
    expect(value(program)).toBe("small")
  })

  it("lets in ten thousand waiters that never suspend, and holds nobody up with it", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      let done = 0
      let atRelease = -1
      const holder = yield* fork(
        Effect.andThen(
          limiter.withPermit(Effect.sleep("1 second")),
          Effect.sync(() => (atRelease = done))
        )
      )
      const count = limiter.withPermit(Effect.sync(() => done++))
      const fibers = yield* Effect.forEach(Array.from({ length: 10_000 }), () => fork(count))
      yield* Fiber.join(holder)
      yield* Fiber.awaitAll(fibers)
      expect(atRelease).toBeLessThan(100)
      return done
    })
    expect(value(program)).toBe(10_000)
  })
})

describe("Limiter.rate", () => {
  const startTimes = (options: Parameters<typeof Limiter.rate>[0], permits: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const limiter = yield* Limiter.rate(options)
      const start = yield* now
      return yield* Effect.forEach(permits, (n) => limiter.withPermits(n)(Effect.map(now, (time) => time - start)), {
        concurrency: "unbounded"
      })
    })

  it("spaces starts evenly and exactly, however long they run", () => {
    expect(value(startTimes({ limit: 10, per: "1 second" }, [1, 1, 1, 1]))).toEqual([0, 100, 200, 300])
    const thirds = value(
      startTimes(
        { limit: 3, per: "1 second" },
        Array.from({ length: 3001 }, () => 1)
      )
    )
    expect(thirds[3]).toBe(1000)
    expect(thirds[3000]).toBe(1_000_000)
  })

  it.effect("spaces them exactly under the TestClock too", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(
        startTimes(
          { limit: 7, per: "1 second" },
          Array.from({ length: 15 }, () => 1)
        )
      )
      yield* TestClock.adjust("1999 millis")
      expect(fiber.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust("1 millis")
      expect((yield* Fiber.join(fiber))[14]).toBeCloseTo(2000, 6)
    })
  )

  it("lets a burst start at once, and after a pause again", () => {
    expect(value(startTimes({ limit: 10, per: "1 second", burst: 3 }, [1, 1, 1, 1, 1]))).toEqual([0, 0, 0, 100, 200])
    const paused = Effect.gen(function* () {
      const limiter = yield* Limiter.rate({ limit: 10, per: "1 second", burst: 2 })
      const tried = Effect.map(limiter.tryWithPermits(1)(Effect.void), Option.isSome)
      const before = yield* Effect.all([tried, tried, tried])
      yield* Effect.sleep("1 hour")
      return [...before, ...(yield* Effect.all([tried, tried, tried]))]
    })
    expect(value(paused)).toEqual([true, true, false, true, true, false])
  })

  it("no stretch that is `per` long sees more than `limit`, whenever they come", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.rate({ limit: 5, per: "1 second" })
      const starts: Array<number> = []
      const call = limiter.withPermit(Effect.map(now, (time) => starts.push(time)))
      yield* Effect.forEach(
        Array.from({ length: 200 }),
        () => Effect.flatMap(Random.nextBetween(0, 20_000), (millis) => Effect.delay(call, millis)),
        { concurrency: "unbounded" }
      )
      return starts
    })
    const starts = value(program)
    expect(starts.length).toBe(200)
    for (let i = 5; i < starts.length; i++) expect(starts[i]! - starts[i - 5]!).toBeGreaterThanOrEqual(999.999)
  })

  it("n permits wait until they have been earned, and nobody passes them by", () => {
    expect(value(startTimes({ limit: 10, per: "1 second" }, [1, 5, 1]))).toEqual([0, 500, 600])
    const late = Effect.gen(function* () {
      const limiter = yield* Limiter.rate({ limit: 10, per: "1 second" })
      const start = yield* now
      yield* fork(limiter.withPermits(6)(Effect.void))
      yield* Effect.sleep("200 millis")
      expect(yield* limiter.tryWithPermits(1)(Effect.void)).toEqual(Option.none())
      return (yield* limiter.withPermit(now)) - start
    })
    expect(value(late)).toBe(600)
  })

  it("a waiter that is cancelled gives its turn to the next, and the last one takes the timer with it", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* Limiter.rate({ limit: 1, per: "1 second" })
      yield* limiter.withPermit(Effect.void)
      const cancelled = yield* fork(limiter.withPermits(5)(Effect.void))
      const next = yield* fork(limiter.withPermit(now))
      const last = yield* fork(limiter.withPermit(now))
      const start = yield* now
      yield* Fiber.interrupt(cancelled)
      expect((yield* Fiber.join(next)) - start).toBe(1000)
      expect(yield* limiter.stats).toMatchObject({ limit: 1, inUse: 1, waiting: 1 })
      yield* Fiber.interrupt(last)
      expect((yield* limiter.stats).waiting).toBe(0)
    })
    const run = Effect.runSync(Effect.tap(Sim.run(program), Leaks.check))
    expect(run).toMatchObject({ exit: Exit.succeed(undefined), time: 1000 })
  })

  it("a machine that slept does not make up for it with a flood", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      let asleep = 0n
      const sleepy = clockLike(clock, { monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + asleep })
      const limiter = yield* Limiter.rate({ limit: 10, per: "1 second" })
      let started = 0
      const call = limiter.withPermit(Effect.sync(() => started++))
      const calls = Effect.all(
        Array.from({ length: 100 }, () => call),
        { concurrency: "unbounded" }
      )
      const fiber = yield* fork(Effect.provideService(calls, Clock.Clock, sleepy))
      asleep = 3_600_000_000_000n
      yield* Effect.sleep("100 millis")
      expect(started).toBeLessThanOrEqual(2)
      yield* Fiber.interrupt(fiber)
    })
    expect(Effect.runSync(Effect.tap(Sim.run(program), Leaks.check)).exit).toEqual(Exit.succeed(undefined))
  })

  it("timers that fire late do not slow it down", () => {
    const program = Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const late = clockLike(clock, { sleep: (duration) => clock.sleep(Duration.sum(duration, Duration.millis(5))) })
      const limiter = yield* Limiter.rate({ limit: 1000, per: "1 second" })
      const call = limiter.withPermit(Effect.void)
      yield* Effect.provideService(
        Effect.all(
          Array.from({ length: 1001 }, () => call),
          { concurrency: "unbounded" }
        ),
        Clock.Clock,
        late
      )
    })
    expect(Effect.runSync(Sim.run(program)).time).toBeLessThanOrEqual(1005)
  })

  it("refuses what makes no sense", () => {
    expect(String(defect(Limiter.rate({ limit: 0, per: "1 second" })))).toContain("got limit 0, per 1s, burst 1")
    expect(defect(Limiter.rate({ limit: 1, per: 0 }))).toBeInstanceOf(RangeError)
    expect(defect(Limiter.rate({ limit: 1, per: "1 second", burst: 0 }))).toBeInstanceOf(RangeError)
  })
})

describe("Limiter.perKey", () => {
  it("limits each key by itself and drops a key once it is idle", () => {
    const program = Effect.gen(function* () {
      let made = 0
      const hosts = yield* Limiter.perKey((_: string) => Effect.suspend(() => (made++, Limiter.concurrency(1))))
      const work = (key: string) => hosts.withPermit(key)(Effect.andThen(Effect.sleep("1 second"), now))
      const start = yield* now
      const fiber = yield* fork(Effect.all([work("a"), work("b"), work("a")], { concurrency: "unbounded" }))
      expect(Array.from(yield* hosts.stats, ([key, { inUse, waiting }]) => [key, inUse, waiting])).toEqual([
        ["a", 1, 1],
        ["b", 1, 0]
      ])
      expect((yield* Fiber.join(fiber)).map((time) => time - start)).toEqual([1000, 1000, 2000])
      expect((yield* hosts.stats).size).toBe(0)
      expect(made).toBe(2)
      expect(yield* hosts.of("c").tryWithPermits(1)(hosts.of("c").stats)).toMatchObject({ value: { inUse: 1 } })
      expect((yield* hosts.stats).size).toBe(0)
    })
    value(program)
  })

  it("makes one limiter for a key, also when making it takes time", () => {
    const program = Effect.gen(function* () {
      const hosts = yield* Limiter.perKey((_: string) => Effect.delay(Limiter.concurrency(1), "1 second"))
      const work = hosts.withPermit("a")(Effect.sleep("1 second"))
      yield* Effect.all([work, work, work], { concurrency: "unbounded" })
      expect((yield* hosts.stats).size).toBe(0)
    })
    expect(Effect.runSync(Sim.run(program))).toMatchObject({ exit: Exit.succeed(undefined), time: 4000 })
  })

  it("keeps a rate until its tokens are back, so that a key cannot be used to get around it", () => {
    const program = Effect.gen(function* () {
      const hosts = yield* Limiter.perKey((_: string) => Limiter.rate({ limit: 1, per: "1 second" }))
      const start = yield* now
      yield* hosts.withPermit("a")(Effect.void)
      expect((yield* hosts.withPermit("a")(now)) - start).toBe(1000)
      expect((yield* hosts.stats).size).toBe(1)
      yield* Effect.sleep("1 second")
      yield* hosts.withPermit("b")(Effect.void)
      expect(Array.from((yield* hosts.stats).keys())).toEqual(["b"])
    })
    value(program)
  })
})

describe("Limiter.bytes", () => {
  it("lets in what fits between them, in order, and refuses what never will", () => {
    const program = Effect.gen(function* () {
      const memory = yield* Limiter.bytes(10)
      const order: Array<number> = []
      const load = (bytes: number) =>
        memory.withPermits(bytes)(
          Effect.andThen(
            Effect.sync(() => order.push(bytes)),
            Effect.sleep("1 second")
          )
        )
      const fiber = yield* fork(Effect.all([load(4), load(5), load(3), load(1)], { concurrency: "unbounded" }))
      expect(order).toEqual([4, 5])
      expect(yield* memory.stats).toMatchObject({ limit: 10, inUse: 9, waiting: 2 })
      yield* Fiber.join(fiber)
      expect(order).toEqual([4, 5, 3, 1])
      return yield* memory.withPermits(11)(Effect.void)
    })
    expect(defect(program)).toMatchObject({ _tag: "TooManyPermits", asked: 11, limit: 10 })
  })
})

describe("Limiter.all", () => {
  it("takes the permits in order, holds them all and gives all back", () => {
    const program = Effect.gen(function* () {
      const wide = yield* Limiter.concurrency(3)
      const narrow = yield* Limiter.concurrency(1)
      const both = Limiter.all(wide, narrow)
      const fibers = yield* Effect.forEach([1, 2, 3, 4], () => fork(both.withPermit(Effect.sleep("1 second"))))
      expect(yield* wide.stats).toMatchObject({ inUse: 3, waiting: 1 })
      expect(yield* narrow.stats).toMatchObject({ inUse: 1, waiting: 2 })
      expect(yield* both.stats).toMatchObject({ limit: 1, inUse: 3, waiting: 3 })
      yield* Fiber.awaitAll(fibers)
      expect(yield* both.stats).toMatchObject({ inUse: 0, waiting: 0 })
    })
    expect(Effect.runSync(Sim.run(program)).time).toBe(4000)
    value(program)
  })

  it("try takes either all or none", () => {
    const program = Effect.gen(function* () {
      const wide = yield* Limiter.concurrency(3)
      const narrow = yield* Limiter.concurrency(1)
      const both = Limiter.all(wide, narrow)
      expect(yield* both.tryWithPermits(1)(narrow.stats)).toMatchObject({ value: { inUse: 1 } })
      yield* fork(narrow.withPermit(Effect.never))
      expect(yield* both.tryWithPermits(1)(Effect.void)).toEqual(Option.none())
      expect((yield* wide.stats).inUse).toBe(0)
    })
    value(program)
  })

  it("of none lets everything in", () => {
    expect(value(Limiter.all().tryWithPermits(7)(Effect.succeed("in")))).toEqual(Option.some("in"))
  })
})

describe("the tree of tasks", () => {
  it("says what a task waits for", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const slots = yield* Limiter.concurrency(4)
        const rate = yield* Limiter.rate({ limit: 1, per: "1 minute" })
        yield* rate.withPermit(Effect.void)
        const kinds = { slots: slots.withPermits(3), rate: rate.withPermit, cancelled: slots.withPermits(2) }
        const cancelled: Array<Effect.Effect<void>> = []
        yield* slots.withPermits(4)(
          Effect.gen(function* () {
            for (const [name, limited] of Object.entries(kinds)) {
              const task = yield* TaskGroup.spawn(limited(Effect.sleep("1 second")), { name, kind: "daemon" })
              if (name === "cancelled") cancelled.push(task.cancel())
            }
            expect(yield* waits).toEqual({
              slots: "3 of 4 permits",
              rate: "1 of 1 permits in 1m",
              cancelled: "2 of 4 permits"
            })
            yield* Effect.all(cancelled)
          })
        )
        expect(yield* waits).toEqual({ slots: null, rate: "1 of 1 permits in 1m" })
        yield* Effect.sleep("1 minute")
        expect(yield* waits).toEqual({ rate: null })
      }),
      { name: "main" }
    )
    const waits = Effect.map(TaskGroup.tree, ({ groups }) =>
      Object.fromEntries(
        groups.flatMap(({ tasks }) => tasks.slice(1).map(({ name, waitsFor }) => [name, waitsFor] as const))
      )
    )
    value(program)
  })
})

describe("cancelled at every operation", () => {
  const contended = (limiter: Limiter.Limiter) =>
    Effect.gen(function* () {
      const others = yield* Effect.forEach([1, 2, 1], (n) => fork(limiter.withPermits(n)(Effect.sleep("1 second"))))
      const one = yield* fork(Interrupt.victim(limiter.withPermits(2)(Effect.sleep("1 second"))))
      const after = yield* fork(limiter.withPermit(Effect.sleep("1 second")))
      yield* Fiber.awaitAll([...others, one, after])
    })

  const limiters = {
    concurrency: Limiter.concurrency(2),
    "concurrency by key": Effect.map(
      Limiter.perKey((_: string) => Limiter.concurrency(2)),
      (hosts) => hosts.of("a")
    ),
    bytes: Limiter.bytes(2),
    adaptive: Limiter.adaptive({ min: 2, max: 4 }),
    all: Effect.map(Effect.all([Limiter.concurrency(2), Limiter.concurrency(3)]), (both) => Limiter.all(...both)),
    "all, with a rate": Effect.map(
      Effect.all([Limiter.rate({ limit: 4, per: "1 second" }), Limiter.bytes(2)]),
      (both) => Limiter.all(...both)
    ),
    rate: Limiter.rate({ limit: 4, per: "1 second" })
  }

  for (const [name, make] of Object.entries(limiters)) {
    it(`${name}: all others go on, all permits come back and no timer is left`, () => {
      let limiter: Limiter.Limiter
      const subject = Effect.suspend(() => contended((limiter = Effect.runSync(make))))
      const check = (run: Sim.Run<void, never>) => {
        expect(value(Effect.delay(limiter.stats, "1 hour"))).toMatchObject({ inUse: 0, waiting: 0 })
        return Effect.andThen(run.exit, Leaks.check(run))
      }
      Effect.runSync(Interrupt.everywhere(subject, { check }))
      Effect.runSync(Sim.explore(subject, { schedules: 300, check, stop: "interrupt" }))
    })
  }

  it("the same when everything is cancelled at once", () => {
    for (const make of Object.values(limiters)) {
      let limiter: Limiter.Limiter
      const subject = Effect.suspend(() => {
        limiter = Effect.runSync(make)
        const use = (n: number) => limiter.withPermits(n)(Effect.sleep("1 second"))
        return Effect.all([use(1), use(2), use(1), use(2), use(1)], { concurrency: "unbounded", discard: true })
      })
      const check = (run: Sim.Run<void, never>) => {
        expect(value(Effect.delay(limiter.stats, "1 hour"))).toMatchObject({ inUse: 0, waiting: 0 })
        return Leaks.check(run)
      }
      Effect.runSync(Interrupt.everywhere(subject, { check }))
      Effect.runSync(Sim.explore(subject, { schedules: 300, check, stop: "interrupt" }))
    }
  })
})
