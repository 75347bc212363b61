/** S28: timers that a test has put into the place of the process's, and clocks that step. */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { afterEach, describe, expect, it, vi } from "vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { mock } from "node:test"
import { Deadline, Limiter, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { clockLike } from "../support/clock.ts"

/** Lets everything run that waits for no timer. */
const settle = ((setImmediate) => async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
})(globalThis.setImmediate)

/** For those who wait by real timers while others are fake: no virtual clock has both. */
const realSleep = (
  (setTimeout) => (millis: number) =>
    new Promise<void>((resolve) => setTimeout(resolve, millis))
)(globalThis.setTimeout)

/** One kind of fake timers. */
interface Fakes {
  readonly use: () => void
  readonly advance: (millis: number) => Promise<void>
  readonly back: () => void
  /** Whether a timer that is set when another one fires can fire in the same step. */
  readonly goesThrough: boolean
}

const vitest = (config: Parameters<typeof vi.useFakeTimers>[0], isSync = false): Fakes => ({
  use: () => void vi.useFakeTimers(config),
  advance: async (millis) => {
    if (isSync) vi.advanceTimersByTime(millis)
    else await vi.advanceTimersByTimeAsync(millis)
    await settle()
  },
  back: () => void vi.useRealTimers(),
  goesThrough: true
})

const node = (...apis: ReadonlyArray<"setTimeout" | "setImmediate" | "setInterval" | "Date">): Fakes => ({
  use: () => mock.timers.enable({ apis: [...apis] }),
  advance: async (millis) => {
    mock.timers.tick(millis)
    await settle()
  },
  back: () => mock.timers.reset(),
  goesThrough: false
})

const kinds: ReadonlyArray<readonly [string, Fakes]> = [
  ["vi.useFakeTimers()", vitest({})],
  ["vi.useFakeTimers(), advanced without waiting", vitest({}, true)],
  ["vi.useFakeTimers() for setTimeout alone", vitest({ toFake: ["setTimeout", "clearTimeout"] })],
  ["mock.timers for setTimeout alone", node("setTimeout")],
  ["mock.timers for setTimeout and Date", node("setTimeout", "Date")],
  ["mock.timers for everything", node("setTimeout", "setImmediate", "setInterval", "Date")]
]

afterEach(() => {
  vi.useRealTimers()
  mock.timers.reset()
})

/** Starts the effect and tells when it has ended, and how. */
const start = <A, E>(effect: Effect.Effect<A, E>) => {
  const fiber = Effect.runFork(effect)
  return {
    get hasEnded() {
      return fiber.pollUnsafe() !== undefined
    },
    get value() {
      const exit = fiber.pollUnsafe()
      return exit !== undefined && Exit.isSuccess(exit) ? exit.value : exit
    },
    stop: () => fiber.interruptUnsafe()
  }
}

/** An effect that ends at some time, with Effect's own timeouts and with our deadlines. */
interface Case {
  readonly kind: "within" | "moveOn" | "nested" | "after" | "inside" | "raced" | "moved" | "group"
  readonly a: number
  readonly b: number
}

const theirs = ({ a, b, kind }: Case): Effect.Effect<unknown, unknown> => {
  const never = (millis: number) => Effect.timeout(Effect.never, millis)
  switch (kind) {
    case "within":
    case "moveOn":
    case "group":
      return never(a)
    case "nested":
      return Effect.timeout(never(a), b)
    case "after":
      return Effect.andThen(Effect.exit(never(a)), never(b))
    case "inside":
      return Effect.timeout(Effect.andThen(Effect.exit(never(a)), never(b)), a + 2 * b)
    case "raced":
      return Effect.timeout(Effect.sleep(a), b)
    case "moved":
      return Effect.andThen(Effect.timeout(Effect.sleep(b), a), never(a + b))
  }
}

const ours = ({ a, b, kind }: Case): Effect.Effect<unknown, unknown> => {
  const never = (millis: number) => Deadline.within(Effect.never, millis)
  switch (kind) {
    case "within":
      return never(a)
    case "moveOn":
      return Deadline.moveOn(Effect.never, a)
    case "group":
      return TaskGroup.open(TaskGroup.spawn(Effect.never), { within: a })
    case "nested":
      return Deadline.within(never(a), b)
    case "after":
      return Effect.andThen(Effect.exit(never(a)), never(b))
    case "inside":
      return Deadline.within(Effect.andThen(Effect.exit(never(a)), never(b)), a + 2 * b)
    case "raced":
      return Deadline.within(Effect.sleep(a), b)
    case "moved":
      return Deadline.open(a, (deadline) =>
        Effect.andThen(Effect.sleep(b), Effect.andThen(deadline.reschedule(a + b), Effect.never))
      )
  }
}

const Int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Spec = Schema.Struct({
  cases: Schema.Array(
    Schema.Struct({
      kind: Schema.Literals(["within", "moveOn", "nested", "after", "inside", "raced", "moved", "group"]),
      a: Int(1, 40),
      b: Int(0, 40),
      /** Before which step it starts. */
      at: Int(0, 3)
    })
  ).check(Schema.isMinLength(1), Schema.isMaxLength(8)),
  steps: Schema.Array(Schema.Literals([1, 1, 2, 3, 7, 10, 40])).check(Schema.isMinLength(4), Schema.isMaxLength(10))
})

/** Who has ended before the first step, and after each. */
const endings = async (
  fakes: Fakes,
  { cases, steps }: typeof Spec.Type,
  make: (one: Case) => Effect.Effect<unknown, unknown>
) => {
  fakes.use()
  const runs: Array<ReturnType<typeof start>> = []
  const ended: Array<string> = []
  for (const [index, step] of steps.entries()) {
    for (const { a, at, b, kind } of cases) if (at === index) runs.push(start(make({ kind, a, b: b + 0.5 })))
    await fakes.advance(step)
    ended.push(runs.map((run) => (run.hasEnded ? "x" : "-")).join(""))
  }
  for (const run of runs) run.stop()
  await fakes.advance(0)
  fakes.back()
  return ended
}

const runs = process.env["SKEIN_DEEP"] === undefined ? 100 : 3000

describe.each(kinds)("S28 under %s", (_, fakes) => {
  it("deadlines of all kinds pass at the step at which Effect's timeouts do", async () => {
    const property = (spec: typeof Spec.Type) =>
      Effect.promise(async () => {
        const expected = await endings(fakes, spec, theirs)
        const actual = await endings(fakes, spec, ours)
        return JSON.stringify(actual) === JSON.stringify(expected)
      })
    const result = await Effect.runPromise(Arbitrary.checkEffect(Arbitrary.schema(Spec), property, { runs }))
    expect(Arbitrary.formatCheckFailure(result)).toBeUndefined()
  }, 300_000)

  it("a deadline passes when the timers are advanced, in one step or many", async () => {
    fakes.use()
    const late = () => start(Effect.flip(Deadline.within(Effect.never, "1 minute", { name: "late" })))
    const inMany = late()
    await fakes.advance(59_999)
    expect(inMany.hasEnded).toBe(false)
    await fakes.advance(1)
    expect(inMany.value).toMatchObject({ _tag: "DeadlineExceeded", deadline: "late", duration: 60_000 })
    const inOne = late()
    await fakes.advance(60_000)
    expect(inOne.value).toMatchObject({ _tag: "DeadlineExceeded", deadline: "late", duration: 60_000 })
  })

  it("the `within` of a group passes when the timers are advanced", async () => {
    fakes.use()
    const late = start(Effect.flip(TaskGroup.open(TaskGroup.spawn(Effect.never), { within: "5 seconds" })))
    await fakes.advance(4999)
    expect(late.hasEnded).toBe(false)
    await fakes.advance(1)
    expect(late.value).toMatchObject({ _tag: "DeadlineExceeded", duration: 5000 })
  })

  it("nested deadlines report in the order in which they pass", async () => {
    fakes.use()
    const nested = (outer: number, inner: number) =>
      start(
        Effect.flip(
          Effect.never.pipe(Deadline.within(inner, { name: "inner" }), Deadline.within(outer, { name: "outer" }))
        )
      )
    const runs = [nested(3000, 2000), nested(2000, 3000), nested(2000, 2000)]
    await fakes.advance(5000)
    expect(runs.map(({ value }) => (value as Deadline.DeadlineExceeded).deadline)).toEqual(["inner", "outer", "outer"])
  })

  it("what remains of a deadline becomes less by what the timers are advanced", async () => {
    fakes.use()
    const left: Array<unknown> = []
    let look = () => {}
    const looks = (deadline: Deadline.Handle) =>
      Effect.withFiber<never>((fiber) => {
        const both = Effect.all([Deadline.remaining, deadline.remaining])
        look = () => left.push(...Effect.runSyncWith(fiber.context)(both).map(Option.map(Duration.toMillis)))
        return Effect.never
      })
    const run = start(Deadline.open(1000, looks))
    look()
    await fakes.advance(400)
    look()
    await fakes.advance(599)
    look()
    expect(left).toEqual([1000, 1000, 600, 600, 1, 1].map(Option.some))
    run.stop()
  })

  it("a rate lets ten calls in, each at its step", async () => {
    fakes.use()
    const limiter = Effect.runSync(Limiter.rate({ limit: 10, per: "1 second" }))
    const started: Array<number> = []
    let time = 0
    const calls = Array.from({ length: 10 }, () => start(limiter.withPermit(Effect.sync(() => started.push(time)))))
    for (; time < 950; time += 50) await fakes.advance(50)
    // Those that start while the time goes on note what it was before.
    expect(started).toEqual([0, 50, 150, 250, 350, 450, 550, 650, 750, 850])
    expect(calls.every((call) => call.hasEnded)).toBe(true)
  })

  it("a rate has its tokens back when the timers are advanced while nobody waits", async () => {
    fakes.use()
    const limiter = Effect.runSync(Limiter.rate({ limit: 2, per: "1 second", burst: 2 }))
    const take = () => Option.isSome(Effect.runSync(limiter.tryWithPermits(1)(Effect.void)))
    const taken = [take(), take(), take()]
    await fakes.advance(500)
    taken.push(take(), take())
    await fakes.advance(3600_000)
    taken.push(take(), take(), take())
    expect(taken).toEqual([true, true, false, true, false, true, true, false])
  })

  it("a task is named and given up when its `cleanup` is over", async () => {
    fakes.use()
    const logged: Array<unknown> = []
    const deaf = Effect.onInterrupt(Effect.never, () => Effect.sleep("1 day"))
    const group = TaskGroup.open(Effect.andThen(TaskGroup.spawn(deaf, { name: "deaf" }), Effect.fail("no")), {
      name: "group",
      cleanup: "5 seconds",
      abandon: true
    })
    const logger = Logger.make(({ message }) => void logged.push(...[message].flat()))
    const run = start(Effect.provide(Effect.flip(group), Logger.layer([logger])))
    await fakes.advance(4999)
    expect([run.hasEnded, logged]).toEqual([false, []])
    await fakes.advance(1)
    expect(run.value).toBe("no")
    expect(logged).toEqual([
      'Group "group" waits for cancelled tasks to clean up: "deaf" for 5s. It stops waiting and leaves them as orphans'
    ])
    await fakes.advance(86_400_000)
  })

  it("a budget of restarts comes back when the timers are advanced", async () => {
    fakes.use()
    const runs = (pause: number, times: number) => {
      let count = 0
      const task = Effect.suspend(() => (++count > 5 ? Effect.never : Effect.fail("no")))
      const options = { restart: Schedule.spaced(pause), maxRestarts: { times, per: 1000 } }
      return {
        run: start(TaskGroup.open(Effect.andThen(TaskGroup.spawn(task, options), Effect.never))),
        count: () => count
      }
    }
    const often = runs(400, 2)
    const seldom = runs(600, 2)
    for (let step = 0; step < 40; step++) await fakes.advance(100)
    expect([often.run.hasEnded, often.count()]).toEqual([true, 3])
    expect([seldom.run.hasEnded, seldom.count()]).toEqual([false, 6])
    seldom.run.stop()
    await fakes.advance(1)
  })

  it("what was lost with them holds nobody up afterwards", async () => {
    fakes.use()
    const limiter = Effect.runSync(Limiter.rate({ limit: 1, per: 10 }))
    const lost = [
      start(Deadline.within(Effect.never, 5)),
      start(Deadline.within(Effect.never, "1 hour")),
      start(limiter.withPermit(Effect.void)),
      start(limiter.withPermit(Effect.void))
    ]
    await settle()
    fakes.back()
    expect(await Effect.runPromise(Effect.flip(Deadline.within(Effect.never, 10)))).toMatchObject({ duration: 10 })
    await Effect.runPromise(limiter.withPermit(Effect.void))
    expect(lost.map((run) => run.hasEnded)).toEqual([false, false, true, true])
    for (const run of lost) run.stop()
    fakes.use()
    const again = start(Deadline.within(Effect.never, "1 minute"))
    await fakes.advance(60_000)
    expect(again.hasEnded).toBe(true)
  })

  it("what they skipped is past afterwards, and is not waited for", async () => {
    fakes.use()
    const limiter = Effect.runSync(Limiter.rate({ limit: 1, per: 20 }))
    await Effect.runPromise(limiter.withPermit(Effect.void))
    await fakes.advance(3600_000)
    await Effect.runPromise(limiter.withPermit(Effect.void))
    fakes.back()
    const before = performance.now()
    await Effect.runPromise(limiter.withPermit(Effect.void))
    expect(performance.now() - before).toBeLessThan(1000)
  })

  it("who waits by real timers goes on with those", async () => {
    const real = [5, 30, 60, 3600_000].map((millis) => start(Deadline.within(Effect.never, millis)))
    fakes.use()
    const fake = start(Deadline.within(Effect.never, 10))
    real[0]!.stop()
    for (let turn = 0; turn < 1000 && !real[2]!.hasEnded; turn++) await realSleep(5)
    expect([...real, fake].map((run) => run.hasEnded)).toEqual([true, true, true, false, false])
    await fakes.advance(10)
    expect(fake.hasEnded).toBe(true)
    fakes.back()
    await Effect.runPromise(Effect.exit(Deadline.within(Effect.never, 5)))
    expect(real[3]!.hasEnded).toBe(false)
    real[3]!.stop()
  })

  it("clocks with timers of their own go on as before", () => {
    fakes.use()
    const program = Effect.gen(function* () {
      const first = yield* Deadline.open(1000, (deadline) => Effect.delay(deadline.remaining, 400))
      yield* Effect.exit(Deadline.within(Effect.never, "1 minute"))
      const limiter = yield* Limiter.rate({ limit: 10, per: "1 second" })
      yield* Effect.forEach(Array.from({ length: 11 }), () => limiter.withPermit(Effect.void))
      return first
    })
    const { exit, time } = Effect.runSync(Effect.tap(Sim.run(program), Leaks.check))
    expect(exit).toEqual(Exit.succeed(Option.some(Duration.millis(600))))
    expect(time).toBe(400 + 60_000 + 1000)
  })
})

describe("S28 fake timers that tell nobody how far they are", () => {
  it("let deadlines pass and calls of a rate start, each at its step", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const faked = globalThis.setTimeout
    globalThis.setTimeout = ((...args: Parameters<typeof faked>) => faked(...args)) as typeof faked
    const limiter = Effect.runSync(Limiter.rate({ limit: 3, per: 1000 }))
    const runs = [
      ...Array.from({ length: 4 }, () => start(limiter.withPermit(Effect.void))),
      start(Effect.exit(Deadline.within(Effect.never, 700))),
      start(TaskGroup.open(TaskGroup.spawn(Effect.never), { within: 900 }))
    ]
    const ended: Array<number> = []
    for (let step = 0; step < 10; step++) {
      await vi.advanceTimersByTimeAsync(step === 0 ? 0 : 125)
      ended.push(runs.filter((run) => run.hasEnded).length)
    }
    expect(ended).toEqual([1, 1, 1, 2, 2, 2, 4, 4, 6, 6])
  })
})

describe("S28 timers that something watches", () => {
  it("are real ones: one for any number of deadlines, and rates by the clock", async () => {
    const { setTimeout } = globalThis
    let timers = 0
    // As instrumentation does it, which passes every call on.
    globalThis.setTimeout = Object.assign((...args: Parameters<typeof setTimeout>) => {
      timers += 1
      return setTimeout(...args)
    }, setTimeout) as typeof setTimeout
    try {
      const limiter = Effect.runSync(Limiter.rate({ limit: 1, per: 20 }))
      await Effect.runPromise(limiter.withPermit(Effect.void))
      const runs = Array.from({ length: 50 }, () => start(Deadline.within(Effect.never, "1 minute")))
      for (const run of runs) run.stop()
      expect(timers).toBeLessThan(5)
      await realSleep(25)
      expect(Option.isSome(Effect.runSync(limiter.tryWithPermits(1)(Effect.void)))).toBe(true)
    } finally {
      globalThis.setTimeout = setTimeout
    }
  })
})

describe("S28 a wall clock that steps", () => {
  const hour = 3600_000

  /** Runs the program where `step` sets the wall clock, and not the monotonic one, forward or back. */
  const steppingBy = <A, E>(program: (step: (millis: number) => Effect.Effect<void>) => Effect.Effect<A, E>) =>
    Effect.clockWith((clock) => {
      let offset = 0
      const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() + offset
      const stepped = clockLike(clock, {
        currentTimeMillisUnsafe,
        currentTimeMillis: Effect.sync(currentTimeMillisUnsafe)
      })
      const step = (millis: number) => Effect.sync(() => void (offset += millis))
      return Effect.provideService(program(step), Clock.Clock, stepped)
    })

  const stepping = <A, E>(program: (step: (millis: number) => Effect.Effect<void>) => Effect.Effect<A, E>) =>
    Effect.runSync(Effect.tap(Sim.run(steppingBy(program)), Leaks.check))

  it.each([hour, -hour])("by %i ms does not move the end of `cleanup`", (millis) => {
    const deaf = Effect.onInterrupt(Effect.never, () => Effect.sleep(500))
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => void logged.push(...[message].flat()))
    const { exit, time } = stepping((step) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(deaf, { name: "deaf" })
          yield* Effect.forkDetach(Effect.delay(step(millis), 60))
          return yield* Effect.fail("no")
        }),
        { name: "group", cleanup: 200, abandon: true }
      ).pipe(Effect.flip, Effect.tap(Effect.sleep(300)), Effect.provide(Logger.layer([logger])))
    )
    expect(exit).toEqual(Exit.succeed("no"))
    expect(time).toBe(200 + 300)
    expect(logged).toEqual([expect.stringContaining('"deaf" for 200ms')])
  })

  it.each([hour, -hour])("by %i ms changes neither the budget of restarts nor their schedule", (millis) => {
    const restarts = (pause: number) =>
      stepping((step) => {
        let count = 0
        const task = Effect.suspend(() =>
          ++count > 5
            ? Effect.succeed("done")
            : Effect.andThen(step(count % 2 === 0 ? millis : -millis), Effect.fail("no"))
        )
        const options = { restart: Schedule.fixed(pause), maxRestarts: { times: 2, per: 1000 } }
        return TaskGroup.open(Effect.flatMap(TaskGroup.supervise(task, options), (task) => Effect.exit(task.join)))
      })
    const often = restarts(400)
    expect([often.exit, often.time]).toEqual([Exit.succeed(Exit.fail("no")), 800])
    const seldom = restarts(600)
    expect([seldom.exit, seldom.time]).toEqual([Exit.succeed(Exit.succeed("done")), 3000])
  })

  it.each([hour, -hour])("by %i ms moves neither deadlines nor sleeps nor rates", (millis) => {
    const { exit, time } = stepping((step) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.rate({ limit: 1, per: 100 })
        const steps = Effect.forever(Effect.delay(Effect.andThen(step(millis), step(0)), 30))
        const calls = Effect.forEach([1, 2, 3], () => limiter.withPermit(Effect.void))
        const inTime = yield* Effect.raceFirst(steps, Deadline.moveOn(calls, 201))
        const late = yield* Effect.raceFirst(steps, Deadline.moveOn(Effect.sleep(101), 100))
        return [Option.isSome(inTime), Option.isSome(late)]
      })
    )
    expect(exit).toEqual(Exit.succeed([true, false]))
    expect(time).toBe(300)
  })

  it("at any moment changes nothing, in any order and wherever it is cancelled", () => {
    const program = steppingBy((step) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.rate({ limit: 1, per: 100 })
        const deaf = Effect.onInterrupt(Effect.never, () => Effect.sleep(500))
        let fails = 0
        const flaky = Effect.suspend(() => (++fails < 5 ? Effect.fail("no") : Effect.void))
        const options = { restart: Schedule.spaced(60), maxRestarts: { times: 2, per: 110 } }
        const all: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          TaskGroup.open(Effect.andThen(TaskGroup.spawn(deaf), Effect.delay(Effect.fail("no"), 10)), {
            cleanup: 200,
            abandon: true
          }),
          TaskGroup.open(Effect.flatMap(TaskGroup.supervise(flaky, options), (task) => task.join)),
          Deadline.within(Effect.never, 150),
          Effect.forEach([1, 2, 3], () => limiter.withPermit(Effect.void)),
          Effect.forEach([hour, -hour, -hour, hour], (millis) => Effect.delay(step(millis), 50))
        ]
        const clock = yield* Effect.clockWith(Effect.succeed)
        const since = Number(clock.monotonicTimeNanosUnsafe())
        const passed = (exit: Exit.Exit<unknown, unknown>) =>
          `${exit._tag} ${(Number(clock.monotonicTimeNanosUnsafe()) - since) / 1_000_000}`
        return yield* Effect.forEach(all, (one) => Effect.map(Effect.exit(one), passed), { concurrency: "unbounded" })
      })
    ).pipe(Effect.provide(Logger.layer([])))
    const check = (run: Sim.Run<ReadonlyArray<string>, unknown>) => {
      if (!run.stopped)
        expect(run.exit).toEqual(
          Exit.succeed(["Failure 210", "Success 240", "Failure 150", "Success 200", "Success 200"])
        )
    }
    Effect.runSync(Interrupt.everywhere(program, { check }))
    Effect.runSync(Sim.explore(program, { schedules: 1000, granularity: "op", check, stop: "interrupt" }))
  })
})
