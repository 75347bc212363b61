import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import { WebCrypto } from "effect/crypto/WebCrypto"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { Deadline, Registry, Task, TaskGroup } from "skein"
import { Choices, Disk, Fault, Interrupt, Network, Origin, Schedules, Sim } from "skein/testing"
import { play, range, saying, valueOf } from "../support/simulated.ts"

const explored = <A, E>(effect: Effect.Effect<A, E>, options?: Sim.ExploreOptions<A, E>) =>
  Effect.runSync(Sim.explore(effect, options))

const foundIn = <A, E>(effect: Effect.Effect<A, E>, options?: Sim.ExploreOptions<A, E>): Sim.BugFound => {
  const error = Effect.runSync(Effect.flip(Sim.explore(effect, options)))
  if (error._tag !== "BugFound") throw error
  return error
}

/** Something of everything that a schedule decides. */
const busy = Effect.gen(function* () {
  const queue = yield* Queue.bounded<number>(1)
  const said: Array<unknown> = []
  const reader = yield* Effect.forkChild(
    Effect.forEach(range(3), () => Effect.tap(Queue.take(queue), (n) => Effect.sync(() => said.push(n))))
  )
  const worker = (n: number) =>
    Effect.gen(function* () {
      yield* Effect.yieldNow
      yield* Effect.sleep((yield* Random.nextIntBetween(1, 3)) * 10)
      said.push(yield* Choices.choose(4), yield* Choices.happens(0.5))
      yield* Queue.offer(queue, n)
    })
  yield* Effect.all(range(3).map(worker), { concurrency: "unbounded" })
  yield* Fiber.join(reader)
  return said.join(" ")
})

const strategies = ["random", "pct", "fifo"] as const
const granularities = ["boundary", "op"] as const
const settings = strategies.flatMap((strategy) => granularities.map((granularity) => ({ strategy, granularity })))

/** Two who read, and write one more: the second to write may not know of the first. */
const lostUpdate = Effect.gen(function* () {
  const total = yield* Ref.make(0)
  const add = Effect.flatMap(Ref.get(total), (n) => Ref.set(total, n + 1))
  yield* Effect.all([add, add], { concurrency: 2 })
  return yield* Ref.get(total)
})

const isTwo = (run: Sim.Run<number, unknown>) => expect(run.exit).toEqual(Exit.succeed(2))

describe("a run is repeatable", () => {
  it.each(settings)("$strategy at $granularity: the same seed gives the same run, 100 of 100", (options) => {
    for (const seed of range(100)) {
      const runs = [play(busy, { ...options, seed }), play(busy, { ...options, seed })] as const
      expect(facts(runs[1])).toEqual(facts(runs[0]))
    }
  })

  it("also when many fibers ran in the process between, and groups whose tasks have no names", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(busy, { name: "busy" })
        yield* TaskGroup.spawn(Effect.sleep(5))
        return yield* task.join
      })
    )
    const { token } = play(program, { seed: 4, strategy: "random", granularity: "op" })
    const first = Effect.runSync(Sim.replay(program, token))
    for (const seed of range(10)) play(program, { seed })
    Effect.runSync(Effect.forEach(range(1000), () => Effect.forkDetach(Effect.void)))
    const second = Effect.runSync(Sim.replay(program, token))
    expect(facts(second)).toEqual(facts(first))
    expect(second.trace).toEqual(first.trace)
    expect(Sim.table(second)).toBe(Sim.table(first))
  })

  it.each(settings)("$strategy at $granularity: its token replays it", (options) => {
    for (const seed of range(30)) {
      const run = play(busy, { ...options, seed })
      const again = Effect.runSync(Sim.replay(busy, run.token))
      expect(facts(again)).toEqual({ ...facts(run), schedule: again.schedule })
      expect(again.schedule.choices).toEqual(run.schedule.choices)
      expect(run.trace).toEqual([])
      expect(again.trace.length).toBe(run.order.length)
    }
  })

  it.each([-1, 1.5, NaN, 2 ** 40, Number.MAX_SAFE_INTEGER])("by a token for the seed %d as well", (seed) => {
    const run = play(busy, { seed, strategy: "random", granularity: "op" })
    expect(Effect.runSync(Sim.replay(busy, run.token)).exit).toEqual(run.exit)
  })

  it("takes another way with another seed, but not fifo, which draws nothing", () => {
    const orders = (options: Sim.Options) =>
      new Set(range(20).map((seed) => String(play(busy, { ...options, seed }).order)))
    expect(orders({ strategy: "random" }).size).toBeGreaterThan(15)
    expect(orders({ strategy: "pct", granularity: "op" }).size).toBeGreaterThan(10)
    expect(orders({ strategy: "fifo" }).size).toBeLessThan(10)
  })

  it("draws from Random by its seed, and another list for another", () => {
    const draw = Effect.all([Random.next, Random.nextInt, Random.nextIntBetween(0, 1000), Random.nextBoolean])
    expect(valueOf(draw, { seed: 5 })).toEqual(valueOf(draw, { seed: 5 }))
    expect(valueOf(draw, { seed: 5 })).not.toEqual(valueOf(draw, { seed: 6 }))
    const numbers = valueOf(Effect.replicateEffect(Random.next, 1000))
    expect(numbers.every((n) => n >= 0 && n < 1)).toBe(true)
    expect(numbers.reduce((a, b) => a + b) / 1000).toBeCloseTo(0.5, 1)
    const whole = valueOf(Effect.replicateEffect(Random.nextInt, 100))
    expect(whole.every(Number.isSafeInteger)).toBe(true)
    expect(whole.some((n) => n < 0) && whole.some((n) => n > 0)).toBe(true)
  })

  it("goes the same way when it is told in detail, with spans, named functions and a tracer", () => {
    const named = Effect.fn("named")(function* (n: number) {
      yield* Effect.yieldNow
      return n
    })
    const program = Effect.all([named(1), Effect.withSpan(named(2), "span"), Effect.delay(named(3), 10)], {
      concurrency: 3
    }).pipe(Effect.withSpan("outer"), Effect.andThen(busy))
    for (const tracer of [undefined, quiet, listening]) {
      const traced = tracer === undefined ? program : Effect.provideService(program, Tracer.Tracer, tracer)
      for (const granularity of granularities) {
        const { operations, order, schedule, steps, token } = play(traced, { seed: 3, strategy: "random", granularity })
        const again = Effect.runSync(Sim.replay(traced, token))
        expect([again.order, again.operations, again.steps]).toEqual([order, operations, steps])
        expect(again.schedule.choices).toEqual(schedule.choices)
      }
    }
  })

  it("keeps the services around it, the tracer included, and takes over scheduler, clock and chance only", () => {
    const Greeting = Context.Reference<string>("Greeting", { defaultValue: () => "nobody" })
    const spans: Array<string> = []
    const tracer = Tracer.make({
      span: (options) => {
        spans.push(options.name)
        return new Tracer.NativeSpan(options)
      }
    })
    const run = Sim.run(Effect.withSpan(Effect.service(Greeting), "inside")).pipe(
      Effect.provideService(Greeting, "hello"),
      Effect.provideService(Tracer.Tracer, tracer)
    )
    expect(Effect.runSync(run).exit).toEqual(Exit.succeed("hello"))
    expect(spans).toEqual(["inside"])
  })

  it("is a world of its own for tasks: no task, deadline or registry around it reaches into it", async () => {
    const heard: Array<string> = []
    const registry = Registry.make(({ task }) => void heard.push(task.name))
    const inside = Effect.gen(function* () {
      yield* TaskGroup.open(TaskGroup.spawn(Effect.sleep("1 hour"), { name: "inside" }))
      return { task: yield* Task.current, remaining: yield* Deadline.remaining }
    })
    const around = TaskGroup.open(Deadline.within("1 minute")(Effect.flatMap(Sim.run(inside), ({ exit }) => exit)), {
      name: "around"
    })
    expect(await Effect.runPromise(Effect.provideService(around, Registry.Registry, registry))).toEqual({
      task: Option.none(),
      remaining: Option.none()
    })
    expect(new Set(heard)).toEqual(new Set(["around"]))
  })

  it("gives what the effect ends with, whatever it is", () => {
    expect(play(Effect.succeed(1)).exit).toEqual(Exit.succeed(1))
    expect(play(Effect.fail("no")).exit).toEqual(Exit.fail("no"))
    expect(play(Effect.die("broken")).exit).toEqual(Exit.die("broken"))
    expect(Exit.hasInterrupts(play(Effect.interrupt).exit)).toBe(true)
    expect(play(Effect.void)).toMatchObject({ killed: undefined, stopped: false, time: 0, fibers: ["main"] })
  })

  it("works on an effect that another simulation runs", () => {
    expect(valueOf(Effect.map(Sim.run(busy, { seed: 3, strategy: "random" }), (run) => run.order))).toEqual(
      play(busy, { seed: 3, strategy: "random" }).order
    )
  })

  it("can be interrupted from outside, however long it is", async () => {
    const endless = Sim.run(Effect.forever(Effect.yieldNow), { maxOperations: Infinity })
    const signal = AbortSignal.timeout(30)
    const exit = await Effect.runPromiseExit(endless, { signal })
    expect(Exit.hasInterrupts(exit)).toBe(true)
  })
})

const facts = <A, E>({ exit, fibers, left, operations, order, schedule, steps, time, token }: Sim.Run<A, E>) => ({
  exit,
  fibers,
  left,
  operations,
  order,
  schedule,
  steps,
  time,
  token
})

const quiet = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
const listening = Tracer.make({
  span: (options) => new Tracer.NativeSpan(options),
  context: (operation, fiber) => operation["~effect/Effect/evaluate"](fiber)
})

describe("virtual time", () => {
  it("jumps to the next timer when nothing can run, and stands still before", () => {
    expect(play(Effect.forEach([100, 200, 150], (seconds) => Effect.sleep(`${seconds} seconds`))).time).toBe(450_000)
    const program = saying((say) =>
      Effect.all(
        [
          Effect.delay(say("third"), 3),
          Effect.delay(say("first"), 1),
          Effect.delay(say("second"), 2),
          Effect.andThen(Effect.replicateEffect(Effect.yieldNow, 1000), say("zeroth"))
        ],
        { concurrency: "unbounded" }
      )
    )
    for (const options of settings) expect(valueOf(program, options)).toBe("zeroth first second third")
    expect(play(program).time).toBe(3)
  })

  it("is what every reading of the clock gives, from 0 on", () => {
    const readings = Effect.all([
      Clock.currentTimeMillis,
      Clock.currentTimeNanos,
      Clock.monotonicTimeNanos,
      Clock.clockWith((clock) => Effect.succeed([clock.currentTimeMillisUnsafe(), clock.monotonicTimeNanosUnsafe()]))
    ])
    expect(valueOf(readings)).toEqual([0, 0n, 0n, [0, 0n]])
    const later = Effect.andThen(Effect.sleep(Duration.nanos(1_500_000n)), readings)
    expect(valueOf(later)).toEqual([1, 1_500_000n, 1_500_000n, [1, 1_500_000n]])
    expect(Duration.toMillis(valueOf(Effect.timed(Effect.sleep("2 seconds")))[0])).toBe(2000)
  })

  it("adds up fractions of milliseconds without drifting", () => {
    const tick = Effect.sleep(Duration.millis(0.1))
    expect(play(Effect.replicateEffect(tick, 1000)).time).toBe(100)
    expect(valueOf(Effect.andThen(Effect.replicateEffect(tick, 30), Clock.currentTimeNanos))).toBe(3_000_000n)
  })

  it.each([0, -5])("does not pass in a sleep of %s, which lets others run as in Effect", (millis) => {
    const program = saying((say) =>
      Effect.all([Effect.andThen(Effect.sleep(millis), say("slept")), say("other")], { concurrency: 2 })
    )
    expect(valueOf(program)).toBe("other slept")
    expect(play(program).time).toBe(0)
  })

  it("never comes to the end of an infinite sleep", () => {
    expect(valueOf(Effect.timeoutOption(Effect.sleep("Infinity"), "1 hour"))).toEqual(Option.none())
    const deadlock = Effect.runSync(Effect.flip(Sim.run(Effect.sleep(Duration.infinity))))
    expect(deadlock.message).toContain("main waits for nothing that ever comes (Effect.never)")
  })

  it("rings the timers of one moment in the order of setting by fifo, and in every order by others", () => {
    const program = saying((say) =>
      Effect.all(
        ["a", "b", "c"].map((word) => Effect.delay(say(word), 5)),
        { concurrency: "unbounded" }
      )
    )
    expect(valueOf(program, { strategy: "fifo" })).toBe("a b c")
    for (const strategy of ["random", "pct"] as const) {
      const orders = range(200).map((seed) => valueOf(program, { seed, strategy }))
      expect(new Set(orders)).toEqual(new Set(["a b c", "a c b", "b a c", "b c a", "c a b", "c b a"]))
    }
  })

  it("forgets the timers of whoever no longer sleeps, wherever they are in line", () => {
    const program = Effect.gen(function* () {
      const sleepers = yield* Effect.forEach(range(300), (i) => Effect.forkChild(Effect.sleep(1000 + ((i * 7) % 300))))
      yield* Effect.sleep(1)
      yield* Effect.forEach(sleepers, (sleeper, i) => (i % 3 === 0 ? Effect.void : Fiber.interrupt(sleeper)))
      const ends = yield* Effect.forEach(sleepers, (sleeper, i) =>
        i % 3 === 0 ? Effect.andThen(Fiber.await(sleeper), Clock.currentTimeMillis) : Effect.succeed(0)
      )
      return Math.max(...ends)
    })
    const run = play(program)
    expect(run.exit).toEqual(Exit.succeed(1000 + Math.max(...range(100).map((i) => (i * 21) % 300))))
    expect(run.left).toEqual({ fibers: [], timers: 0, scopes: 0, lent: [] })
  })

  it("is what timeouts, schedules, deadlines and 20 days of hours go by", () => {
    const hourly = Effect.repeat(Effect.void, Schedule.max([Schedule.spaced("1 hour"), Schedule.recurs(20 * 24)]))
    expect(play(hourly).time).toBe(20 * 24 * 3_600_000)
    const late = Effect.timeout(Effect.sleep("2 hours"), "1 hour")
    expect(play(late).time).toBe(3_600_000)
    expect(Exit.isFailure(play(late).exit)).toBe(true)
    const moved = play(Deadline.moveOn("3 hours")(Effect.never))
    expect([moved.time, Exit.isSuccess(moved.exit)]).toEqual([3 * 3_600_000, true])
  })

  it("is its own in each run, whatever clock there is around it", () => {
    const around = { ...Clock.Clock.defaultValue(), currentTimeMillisUnsafe: () => 77 }
    const run = Effect.provideService(Sim.run(Clock.currentTimeMillis), Clock.Clock, around)
    expect(Effect.runSync(run).exit).toEqual(Exit.succeed(0))
  })
})

describe("a program that comes to no end", () => {
  it("is a Deadlock, which names each task and what it waits for, with a token and a table", () => {
    const program = Effect.gen(function* () {
      const [a, b] = [yield* Semaphore.make(1), yield* Semaphore.make(1)]
      const both = (one: Semaphore.Semaphore, other: Semaphore.Semaphore) =>
        one.withPermit(Effect.andThen(Effect.yieldNow, other.withPermit(Effect.void)))
      return yield* TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(both(a, b), { name: "alice" })
          yield* TaskGroup.spawn(both(b, a), { name: "bob" })
        }),
        { name: "couple" }
      )
    })
    const deadlock = Effect.runSync(Effect.flip(Sim.run(program)))
    expect(deadlock).toBeInstanceOf(Sim.Deadlock)
    expect(deadlock).toMatchObject({
      _tag: "Deadlock",
      waiting: expect.arrayContaining([
        { name: "alice", waitsFor: "permits of a Semaphore" },
        { name: "bob", waitsFor: "permits of a Semaphore" }
      ])
    })
    expect(deadlock.message).toMatch(/^nothing can run and no timer is set\n {2}main waits for /)
    expect(deadlock.message).toContain("\n  alice waits for permits of a Semaphore\n  bob waits for ")
    expect(deadlock.message).toContain(`\n  replay: "${deadlock.token}"\n`)
    expect(deadlock.message).toContain(deadlock.table)
    expect(deadlock.table).toMatch(/main.*alice.*bob/)
    const again = Effect.runSync(Effect.flip(Sim.replay(program, deadlock.token)))
    expect(again.message).toBe(deadlock.message)
  })

  it("is none while a timer is set", () => {
    expect(Exit.isSuccess(play(Effect.raceFirst(Effect.never, Effect.sleep("50 weeks"))).exit)).toBe(true)
  })

  it("is a Livelock after so many operations, one million by default, with those who are alive", () => {
    const busyWaiting = Effect.gen(function* () {
      yield* Effect.forkChild(Effect.withSpan(Effect.never, "sleepy"))
      yield* Effect.forkChild(Effect.void)
      return yield* Effect.withSpan(Effect.forever(Effect.yieldNow), "spin")
    })
    const livelock = Effect.runSync(Effect.flip(Sim.run(busyWaiting, { maxOperations: 500 })))
    expect(livelock).toBeInstanceOf(Sim.Livelock)
    if (!(livelock instanceof Sim.Livelock)) return
    expect(livelock.alive).toEqual([
      { name: "spin", waitsFor: "" },
      { name: "sleepy", waitsFor: "nothing that ever comes (Effect.never)" }
    ])
    expect(livelock.operations).toBeGreaterThanOrEqual(500)
    expect(livelock.operations).toBeLessThan(520)
    expect(livelock.message).toMatch(
      /^no end after 5\d\d operations and 0 ms of virtual time. If the program is only long, raise `maxOperations`\n {2}spin runs on\n/
    )
    expect(livelock.message).toContain(`\n  replay: "${livelock.token}"\n`)
    expect(livelock.table).toContain("spin")
    const usual = Effect.runSync(Effect.flip(Sim.run(Effect.forever(Effect.void))))
    expect(usual).toMatchObject({ _tag: "Livelock", operations: expect.toSatisfy((n: number) => n >= 1_000_000) })
    const again = Effect.runSync(Effect.flip(Sim.replay(busyWaiting, livelock.token, { maxOperations: 500 })))
    expect(again.message).toBe(livelock.message)
  })

  it("names twenty of those who are alive, and says how many more there are", () => {
    const crowd = Effect.forEach(range(25), () => Effect.forkChild(Effect.never))
    const spinning = Effect.andThen(crowd, Effect.forever(Effect.yieldNow))
    const livelock = Effect.runSync(Effect.flip(Sim.run(spinning, { maxOperations: 2000 })))
    expect(livelock.message).toMatch(/\n {2}fiber 19 waits for nothing [^\n]+\n {2}and 6 more\n/)
    const deadlock = Effect.runSync(Effect.flip(Sim.run(Effect.andThen(crowd, Effect.never))))
    expect(deadlock.message).toMatch(/\n {2}fiber 19 waits for nothing [^\n]+\n {2}and 6 more\n/)
  })

  it.each(settings)("$strategy at $granularity: a long one is none", (options) => {
    const long = Effect.all(
      [Effect.replicateEffect(Effect.yieldNow, 5000), Effect.replicateEffect(Effect.void, 5000)],
      {
        concurrency: 2
      }
    )
    const run = play(long, options)
    expect(Exit.isSuccess(run.exit)).toBe(true)
    expect(Effect.runSync(Sim.replay(long, run.token)).order).toEqual(run.order)
  })

  it("ends at the end of the root, and lets go on only what still can, for the look at what is left", () => {
    let done = 0
    const program = Effect.forkDetach(
      Effect.andThen(
        Effect.replicateEffect(Effect.yieldNow, 10),
        Effect.sync(() => done++)
      )
    )
    const run = play(program)
    expect([run.left.fibers, done]).toEqual([[], 1])
    expect(run.order.length).toBeLessThan(5)
    const endless = play(Effect.forkDetach(Effect.forever(Effect.yieldNow)), { maxOperations: 1000 })
    expect([endless.left.fibers, Exit.isSuccess(endless.exit)]).toEqual([["fiber 1"], true])
  })
})

describe("after the end of a run", () => {
  const later = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

  it.each<[string, Sim.Options]>([
    ["that ended", {}],
    ["that was killed", { stop: { how: "kill", step: 2, fiber: 0 } }]
  ])("%s, nothing of it goes on, whatever promise settles", async (_, options) => {
    let settle = () => {}
    let went = 0
    const promised = Effect.andThen(
      Effect.promise(() => new Promise<void>((resolve) => void (settle = resolve))),
      Effect.sync(() => void went++)
    )
    const program = Effect.andThen(
      Effect.forkDetach(promised, { startImmediately: true }),
      Effect.andThen(Effect.yieldNow, Effect.yieldNow)
    )
    const run = await Effect.runPromise(Sim.run(program, options))
    expect(run.stopped).toBe(options.stop !== undefined)
    expect(run.left.fibers.length).toBeGreaterThan(0)
    settle()
    await later()
    expect(went).toBe(0)
  })
})

describe("promises", () => {
  it("may take part: microtasks in any number are no deadlock", async () => {
    const promised = Effect.promise(async () => {
      for (let i = 0; i < 100; i++) await Promise.resolve()
      return "settled"
    })
    const run = await Effect.runPromise(Sim.run(Effect.all([promised, Effect.yieldNow, promised], { concurrency: 3 })))
    expect(run.exit).toEqual(Exit.succeed(["settled", undefined, "settled"]))
  })

  it("settle before time goes on, so that no timeout wins against them", async () => {
    const promised = Effect.timeoutOption(
      Effect.promise(() => Promise.resolve("settled")),
      1
    )
    const run = await Effect.runPromise(Sim.run(Effect.replicateEffect(promised, 3)))
    expect(run.exit).toEqual(Exit.succeed([Option.some("settled"), Option.some("settled"), Option.some("settled")]))
    expect(run.time).toBe(0)
  })

  it("replay, too", async () => {
    const program = Effect.all(
      range(3).map(() =>
        Effect.andThen(
          Effect.promise(() => Promise.resolve()),
          Effect.yieldNow
        )
      ),
      { concurrency: 3 }
    )
    for (const seed of range(10)) {
      const run = await Effect.runPromise(Sim.run(program, { seed, strategy: "random", granularity: "op" }))
      expect((await Effect.runPromise(Sim.replay(program, run.token))).order).toEqual(run.order)
    }
  })

  it("that settle by nothing of the simulation are a deadlock, which says so", async () => {
    const deadlock = await Effect.runPromise(Effect.flip(Sim.run(Effect.promise(() => new Promise(() => {})))))
    expect(deadlock).toMatchObject({ _tag: "Deadlock", waiting: [{ name: "main", waitsFor: "a promise" }] })
  })
})

describe("explore", () => {
  it("runs 200 schedules by default: the natural one, then both granularities of random and pct", () => {
    const seen: Array<Schedules.Schedule> = []
    const result = explored(busy, { check: ({ schedule }) => void seen.push(schedule) })
    expect(result.schedules).toBe(200)
    expect(result.distinct).toBeGreaterThan(150)
    expect(result.distinct).toBeLessThanOrEqual(200)
    expect(seen.map(({ seed }) => seed)).toEqual(range(200).map((i) => i + 1))
    expect(seen[0]).toMatchObject({ strategy: "fifo", granularity: "boundary" })
    const kinds = seen.slice(1).map(({ granularity, strategy }) => `${strategy} ${granularity}`)
    expect(new Set(kinds)).toEqual(new Set(["random op", "pct op", "random boundary", "pct boundary"]))
  })

  it("says how many schedules were different", () => {
    expect(explored(Effect.void, { schedules: 20 })).toEqual({
      schedules: 20,
      distinct: 1,
      complete: false,
      summary: "20 schedules, 1 of them different"
    })
    const yields = Effect.all([Effect.yieldNow, Effect.yieldNow], { concurrency: 2 })
    expect(explored(yields, { schedules: 50, granularity: "boundary" }).distinct).toBe(2)
  })

  it("keeps to the strategy, granularity and first seed that it is given", () => {
    const seen: Array<Schedules.Schedule> = []
    const options = { schedules: 10, seed: 77, strategy: "pct", granularity: "boundary" } as const
    explored(busy, { ...options, check: ({ schedule }) => void seen.push(schedule) })
    expect(seen.map(({ seed }) => seed)).toEqual(range(10).map((i) => i + 77))
    expect(new Set(seen.map(({ granularity, strategy }) => `${strategy} ${granularity}`))).toEqual(
      new Set(["pct boundary"])
    )
  })

  it("finds an update that is lost when a fiber is preempted, and passes what is guarded", () => {
    const bug = foundIn(lostUpdate, { check: isTwo })
    expect(bug).toMatchObject({ _tag: "BugFound", shrunk: expect.toSatisfy((n: number) => n <= 3) })
    const guarded = Effect.gen(function* () {
      const total = yield* Ref.make(0)
      const add = Ref.update(total, (n) => n + 1)
      yield* Effect.all([add, add], { concurrency: 2 })
      return yield* Ref.get(total)
    })
    expect(explored(guarded, { check: isTwo }).schedules).toBe(200)
  })

  it("finds an update that is lost between waking up and the operation after it", () => {
    const woken = Effect.suspend(() => {
      let total = 0
      const add = Effect.flatMap(Effect.sleep(1), () => {
        const seen = total
        return Effect.sync(() => void (total = seen + 1))
      })
      return Effect.map(Effect.all([add, add], { concurrency: 2 }), () => total)
    })
    expect(foundIn(woken, { check: isTwo })._tag).toBe("BugFound")
    expect(foundIn(woken, { check: isTwo, exhaustive: { preemptions: 1 } })._tag).toBe("BugFound")
  })

  it("reports which schedule, why, the token that replays it, the table and how far it was shrunk", () => {
    const bug = foundIn(lostUpdate, {
      check: ({ exit }) => (Exit.isSuccess(exit) && exit.value === 2 ? 0 : failing("lost"))
    })
    expect(bug.why).toBe("lost")
    expect(bug.schedule).toBeGreaterThan(1)
    expect(bug.schedule).toBeLessThan(200)
    expect(bug.choices).toBeGreaterThanOrEqual(bug.shrunk)
    expect(bug.runs).toBeGreaterThan(0)
    expect(bug.message).toBe(
      `Schedule ${bug.schedule} fails: lost\n  replay: "${bug.token}"\n` +
        `  ${bug.shrunk} of ${bug.choices} choices out of the natural order were needed (${bug.runs} runs to find out)\n\n` +
        bug.table
    )
    const again = Effect.runSync(Sim.replay(lostUpdate, bug.token))
    expect(again.exit).toEqual(Exit.succeed(1))
    expect(Sim.table(again)).toBe(bug.table)
  })

  it("repeats one schedule instead, if it is told its token, and shrinks no more", () => {
    const { token } = foundIn(lostUpdate, { check: isTwo, shrinks: 0 })
    let runs = 0
    const again = foundIn(
      Effect.suspend(() => (runs++, lostUpdate)),
      { check: isTwo, replay: token, schedules: 1000 }
    )
    expect(again).toMatchObject({ token, runs: 0, schedule: 1 })
    expect(runs).toBe(3)
    expect(explored(Effect.succeed(2), { check: isTwo, replay: token })).toMatchObject({ schedules: 1, distinct: 1 })
  })

  it.each<[string, (run: Sim.Run<number, unknown>) => unknown, string]>([
    ["throws", () => throwing(new RangeError("not two")), "not two"],
    ["is false", () => false, "the check says false of a run that ended with Success(1)"],
    ["fails", () => Effect.fail("failed"), "failed"],
    ["fails with an object", () => Effect.fail({ left: 1 }), '{"left":1}'],
    ["dies", () => Effect.die(new Error("died")), "died"],
    ["gives an effect that throws", () => Effect.sync(() => throwing(new Error("late"))), "late"]
  ])("a check that %s does not pass", (_, check, why) => {
    expect(foundIn(Effect.succeed(1), { check }).why).toBe(why)
  })

  it.each<[string, (run: Sim.Run<number, unknown>) => unknown]>([
    ["gives nothing", () => undefined],
    ["is true", () => true],
    ["gives any value", () => 0],
    ["succeeds", () => Effect.succeed(false)]
  ])("a check that %s passes", (_, check) => {
    expect(explored(Effect.fail("whatever"), { check, schedules: 2 }).schedules).toBe(2)
  })

  it("wants the effect to succeed, if no check is given, and keeps what it failed with", () => {
    const cause = new Error("no")
    expect(foundIn(Effect.fail(cause))).toMatchObject({ why: "no", cause, schedule: 1 })
    expect(foundIn(Effect.die("broken")).why).toBe("broken")
    expect(foundIn(Effect.interrupt).why).toMatch(/interrupt/i)
  })

  it("finds deadlocks and livelocks, without a replay line of their own", () => {
    const deadlock = foundIn(Effect.never)
    expect(deadlock.why).toBe(
      "Deadlock: nothing can run and no timer is set\n  main waits for nothing that ever comes (Effect.never)"
    )
    expect(deadlock.message.split("replay: ").length).toBe(2)
    expect(deadlock.message).toContain("\n  it fails in the natural order\n")
    const livelock = foundIn(Effect.forever(Effect.yieldNow), { maxOperations: 300, shrinks: 5 })
    expect(livelock.why).toMatch(/^Livelock: no end after 3\d\d operations and 0 ms of virtual time/)
  })

  it("begins no further schedule when its budget of real time is over, but runs at least one", () => {
    const started = performance.now()
    const result = explored(busy, { schedules: 1_000_000, budget: "50 millis" })
    expect(performance.now() - started).toBeLessThan(2000)
    expect(result.schedules).toBeGreaterThan(1)
    expect(result.schedules).toBeLessThan(1_000_000)
    expect(explored(busy, { budget: 0 }).schedules).toBe(1)
  })

  it.effect("has a budget of real time also where a test has a clock of its own", () =>
    Effect.map(Sim.explore(busy, { schedules: 1_000_000, budget: "20 millis" }), ({ schedules }) =>
      expect(schedules).toBeLessThan(1_000_000)
    )
  )

  it.each(["interrupt", "kill"] as const)("stops each schedule once more, by an %s, where the seed says", (how) => {
    const runs: Array<Sim.Run<string, unknown>> = []
    explored(busy, { schedules: 50, stop: how, check: (run) => void runs.push(run) })
    const stopped = runs.filter((_, index) => index % 2 === 1)
    expect(runs.length).toBe(100)
    expect(runs.filter((_, index) => index % 2 === 0).every(({ schedule }) => schedule.stop === undefined)).toBe(true)
    expect(stopped.every((run) => run.stopped && run.schedule.stop?.how === how)).toBe(true)
    expect(new Set(stopped.map(({ schedule }) => schedule.stop?.step)).size).toBeGreaterThan(10)
    expect(stopped.every(({ killed }) => (killed === undefined) === (how === "interrupt"))).toBe(true)
    const { exit, token } = stopped[7]!
    expect(Effect.runSync(Sim.replay(busy, token)).exit).toEqual(exit)
  })

  it("keeps the error channel of what it explores out of its own, and its requirements in", () => {
    const Port = Context.Service<{ readonly port: number }>("Port")
    const program = Sim.explore(Effect.service(Port), { schedules: 3 })
    const provided: Effect.Effect<Sim.Explored, Sim.BugFound | Sim.OutsideNondeterminism> = Effect.provideService(
      program,
      Port,
      { port: 1 }
    )
    expect(Effect.runSync(provided).schedules).toBe(3)
  })
})

const throwing = (error: unknown): never => {
  throw error
}
const failing = (why: string) => Effect.fail(why)

describe("shrinking", () => {
  it("ends in a list of which no single choice can be left out, made natural or made smaller", () => {
    const fails = (choices: ReadonlyArray<number>) => {
      const run = play(lostUpdate, { granularity: "op", choices })
      return Exit.isSuccess(run.exit) && run.exit.value !== 2 ? (run.schedule.choices ?? []) : undefined
    }
    for (const seed of range(20)) {
      const bug = foundIn(lostUpdate, { seed: seed * 100, granularity: "op", check: isTwo })
      const { choices = [] } = Schedules.parse(bug.token)
      expect(fails(choices)).toEqual(choices)
      expect(bug.shrunk).toBe(unnatural(choices))
      for (const [at, choice] of choices.entries()) {
        if (choice === 0) continue
        expect(fails(choices.with(at, 0))).toBeUndefined()
        // What a smaller number comes to may be the same preemption.
        expect([undefined, choices]).toContainEqual(fails(choices.with(at, choice - 1)))
      }
      for (const at of choices.keys()) {
        const shorter = fails(choices.toSpliced(at, 1))
        if (shorter !== undefined) expect(unnatural(shorter)).toBeGreaterThanOrEqual(unnatural(choices))
      }
    }
  })

  it("takes a bug that needs the right choice among many down to that one choice", () => {
    const needle = Effect.gen(function* () {
      const picked = yield* Effect.forEach(range(30), () => Choices.choose(8))
      return picked.filter((choice) => choice >= 5).length
    })
    const bug = foundIn(needle, { check: ({ exit }) => Exit.isSuccess(exit) && exit.value < 2 })
    expect(Schedules.parse(bug.token).choices?.filter((choice) => choice !== 0)).toEqual([5, 5])
    expect(bug.choices).toBeGreaterThan(10)
  })

  it("keeps to the bug that was found, and does not slide to another", () => {
    const two = Effect.gen(function* () {
      const first = yield* Choices.choose(10)
      if (first >= 5) return yield* Effect.fail({ _tag: "High" })
      if (first > 0) return yield* Effect.fail("low")
    })
    const bugs = range(20).map((seed) => foundIn(two, { seed, strategy: "random" }))
    const found = bugs.map(
      ({ token, why }) => `${why}: ${Schedules.parse(token).choices?.filter((choice) => choice > 0)}`
    )
    expect(new Set(found)).toEqual(new Set(["low: 1", '{"_tag":"High"}: 5']))
  })

  it("spends as many runs as it may, 500 by default", () => {
    const count = (shrinks?: number) => {
      let runs = 0
      const program = Effect.suspend(() => (runs++, Effect.forEach(range(200), () => Choices.choose(1000))))
      const bug = foundIn(program, {
        strategy: "random",
        shrinks,
        check: ({ exit }) => Exit.isFailure(exit) || exit.value.reduce((a, b) => a + b, 0) < 80_000
      })
      return [bug.runs, runs]
    }
    expect(count(0)).toEqual([0, 3])
    expect(count(10)).toEqual([10, 13])
    expect(count()).toEqual([500, 503])
  })
})

const unnatural = (choices: ReadonlyArray<number>) => choices.filter((choice) => choice !== 0).length

describe("OutsideNondeterminism", () => {
  const outsideOf = <A>(effect: Effect.Effect<A, unknown>, options?: Sim.ExploreOptions<A, unknown>) =>
    Effect.runSync(Effect.flip(Sim.explore(effect, options)))

  it("is reported for state that outlives a run", () => {
    let runs = 0
    const error = outsideOf(Effect.suspend(() => (++runs === 3 ? Effect.fail("the third") : Effect.void)))
    expect(error).toBeInstanceOf(Sim.OutsideNondeterminism)
    expect(error).toMatchObject({
      _tag: "OutsideNondeterminism",
      why: "the third",
      difference: "the second time it passes",
      token: expect.stringMatching(/^sim1:3:/)
    })
    expect(error.message).toContain(
      "A run fails (the third), but not in the same way twice: the second time it passes."
    )
    expect(error.message).toContain("state that outlives a run, Date.now, Math.random, setTimeout or real I/O.")
    expect(error.message).toContain('replay: "sim1:3:')
  })

  it("is reported for state that makes every run after the first fail", () => {
    let runs = 0
    const error = outsideOf(Effect.suspend(() => (++runs > 1 ? Effect.fail("again") : Effect.void)))
    expect(error).toMatchObject({
      _tag: "OutsideNondeterminism",
      difference: "the first schedule passed, and fails when it is repeated (again)"
    })
  })

  it("is reported for another order of fibers", () => {
    let runs = 0
    const program = Effect.gen(function* () {
      if (++runs % 2 === 0) yield* Effect.forkChild(Effect.withSpan(Effect.void, "now and then"))
      yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, Effect.yieldNow))
      yield* Effect.sleep(1)
      return yield* Effect.fail("always")
    })
    expect(outsideOf(program)).toMatchObject({
      difference: expect.stringMatching(/^turn \d+ was that of .+, then that of /)
    })
    expect(outsideOf(Effect.suspend(() => (++runs % 2 === 0 ? Effect.never : Effect.fail("no"))))).toMatchObject({
      difference: expect.stringMatching(/^first Exit, then Deadlock$|^first Deadlock, then Exit$/)
    })
    const longer = Effect.suspend(() =>
      Effect.andThen(++runs % 2 === 0 ? Effect.yieldNow : Effect.void, Effect.fail("no"))
    )
    expect(outsideOf(longer)).toMatchObject({ difference: expect.stringMatching(/^the second time it went on|none$/) })
    const asks = Effect.suspend(() => Effect.andThen(Choices.choose(++runs % 2 === 0 ? 1000 : 2), Effect.fail("no")))
    expect(outsideOf(asks, { strategy: "random" })).toMatchObject({ difference: "other choices were offered" })
  })

  it("is reported for Math.random and Date.now that decide who goes first", () => {
    let now = 1000
    // Stands in for the real clock, which would tick only now and then.
    const dateNow = () => now++
    const byClock = Effect.suspend(() => (dateNow() % 2 === 0 ? Effect.fail("even") : Effect.void))
    expect(outsideOf(byClock)._tag).toBe("OutsideNondeterminism")
    let drawn = 0
    // Stands in for Math.random, which could draw the same twice.
    const random = () => drawn++
    const byChance = Effect.gen(function* () {
      for (let i = random(); i > 0; i--) yield* Effect.yieldNow
      return yield* Effect.fail("always")
    })
    expect(outsideOf(byChance)._tag).toBe("OutsideNondeterminism")
  })

  it("is never reported for a program that decides by its schedule only, whatever it is told in", () => {
    const named = Effect.fn("named")(function* (n: number) {
      yield* Effect.yieldNow
      return n
    })
    const pure = Effect.gen(function* () {
      yield* Effect.all([named(1), Effect.withSpan(named(2), "span"), busy], { concurrency: 3 })
      yield* TaskGroup.open(Effect.andThen(TaskGroup.spawn(named(3)), TaskGroup.spawn(named(4), { name: "task" })))
      const task = yield* Task.current
      if (Option.isSome(task)) return
      return yield* Effect.fail((yield* Random.next) + (yield* Clock.currentTimeMillis))
    }).pipe(Effect.withSpan("outer"))
    for (const seed of range(20)) expect(foundIn(pure, { seed: seed * 10, shrinks: 20 })._tag).toBe("BugFound")
  })
})

describe("what is outside of the order", () => {
  const told = (effect: Effect.Effect<unknown, unknown>) => foundIn(Effect.andThen(effect, Effect.fail("told"))).table

  it("is the natural order of Effect: what a dispatcher gets has its turn with what it has", async () => {
    const program = saying((say) =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const child = Effect.gen(function* () {
          yield* Effect.forkDetach(say("child's first"))
          yield* Deferred.await(go)
          yield* Effect.forkDetach(say("child's second"))
        })
        yield* Effect.forkChild(child, { startImmediately: true })
        yield* Effect.forkDetach(say("main's"))
        yield* Deferred.succeed(go, undefined)
        yield* Effect.repeat(Effect.yieldNow, { times: 10 })
      })
    )
    expect(await Effect.runPromise(program)).toBe("child's first child's second main's")
    expect(valueOf(program)).toBe("child's first child's second main's")
  })

  it("is repeated by the seed: random bytes and ids, which Effect takes from its WebCrypto", () => {
    const draw = Effect.map(WebCrypto, (crypto) => [crypto.randomUUID(), ...crypto.getRandomValues(new Uint8Array(4))])
    const [one, again, other] = [7, 7, 8].map((seed) => String(valueOf(draw, { seed })))
    expect(again).toBe(one)
    expect(other).not.toBe(one)
    expect(one).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12},/)
  })

  it("takes no time: digests are those of the real WebCrypto, and no timer rings before them", async () => {
    const data = new TextEncoder().encode("skein")
    const digests = Effect.gen(function* () {
      const { digestHex } = yield* Digest.Digest
      return yield* Effect.forEach([Digest.sha1, Digest.sha256, Digest.sha384, Digest.sha512], (algorithm) =>
        digestHex(algorithm, data)
      )
    }).pipe(Effect.provide(Digest.layerWebCrypto))
    const { exit, time } = await Effect.runPromise(Sim.run(Effect.timeout(digests, 1)))
    expect(exit).toEqual(Exit.succeed(await Effect.runPromise(digests)))
    expect(time).toBe(0)
  })

  it("is told in the table: notes and what is logged, which no logger prints in runs that are many", () => {
    const table = told(Effect.andThen(Sim.note("half way"), Effect.log("saw", { n: 3 })))
    expect(table).toContain("half way")
    expect(table).toContain(`logs saw {"n":3}`)
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => void logged.push(message))
    const heard = (effect: Effect.Effect<unknown, unknown>) =>
      Effect.runSync(Effect.provideService(effect, Logger.CurrentLoggers, new Set([logger])))
    heard(Sim.explore(Effect.log("many"), { schedules: 5 }))
    heard(Interrupt.everywhere(Effect.log("many")))
    expect(logged).toEqual([])
    heard(Sim.run(Effect.log("one")))
    expect(logged).toEqual([["one"]])
  })

  it("is told in the table: the fault that strikes", () => {
    const origin = Origin.layer(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")))
    const flaky = Layer.provide(Fault.http([{ fault: "lost" }]), origin)
    expect(told(Effect.provide(Effect.ignore(HttpClient.get("http://origin/")), flaky))).toContain(
      "fault lost: GET http://origin/"
    )
  })

  it("is told in the table: a crash of the disk, and hosts that are out of reach", () => {
    const crash = Effect.flatMap(Disk.make(), (disk) => disk.crash)
    expect(told(crash)).toContain("the disk crashes")
    const origin = Origin.layer(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")))
    const cut = Effect.gen(function* () {
      const network = yield* Network.Network
      yield* network.cut("origin")
      yield* Effect.timeoutOption(HttpClient.get("http://origin/"), "1 second")
      yield* network.mend("origin")
    })
    const table = told(Effect.provide(cut, Layer.provide(Network.layer({}), origin)))
    expect(
      ["cuts origin", "lost on the way: origin", "mends origin"].filter((note) => table.includes(note))
    ).toHaveLength(3)
  })

  it("says what an error says, also one that Effect has wrapped, or that has no message", () => {
    const wrapped = Effect.try(() => {
      throw new Error("the inner one")
    })
    expect(foundIn(wrapped).why).toBe("the inner one")
    expect(foundIn(Effect.filterOrFail(Effect.succeed(1), (n) => n === 2)).why).toBe("NoSuchElementError")
  })

  it("holds a run that explore has interrupted to leave nothing, unless it is told otherwise", () => {
    const careful = Effect.ensuring(Effect.sleep(10), Effect.sleep(5))
    expect(explored(careful, { schedules: 20, stop: "interrupt" }).schedules).toBe(20)
    const careless = Effect.onInterrupt(Effect.sleep(10), () => Effect.forkDetach(Effect.sleep(5)))
    expect(explored(careless, { schedules: 20 }).schedules).toBe(20)
    expect(foundIn(careless, { schedules: 20, stop: "interrupt" }).why).toContain("1 timer is pending")
  })

  it("sees what a promise brings after the end before it says what is left", async () => {
    const { left } = await Effect.runPromise(Sim.run(Effect.forkDetach(Effect.promise(() => Promise.resolve()))))
    expect(left.fibers).toEqual([])
  })

  it("can be stopped where everybody waits", () => {
    const server = Effect.onInterrupt(Effect.never, () => Effect.sleep(5))
    const { exit, steps, time } = play(server, { stop: { how: "interrupt", step: 1, fiber: 0 } })
    expect(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)).toBe(true)
    expect([steps, time]).toEqual([2, 5])
  })
})

describe("waitAllBlocked", () => {
  it("waits until all others wait, for whatever, and time stands still meanwhile", () => {
    const program = saying((say) =>
      Effect.gen(function* () {
        const latch = yield* Latch.make()
        yield* Effect.forkChild(Effect.andThen(Effect.replicateEffect(Effect.yieldNow, 50), say("worked")))
        const sleeper = yield* Effect.forkChild(Effect.delay(say("slept"), 10))
        const waiter = yield* Effect.forkChild(Effect.andThen(Latch.await(latch), say("woken")))
        yield* Sim.waitAllBlocked
        yield* say(`blocked at ${yield* Clock.currentTimeMillis}`)
        yield* Latch.open(latch)
        yield* Fiber.joinAll([sleeper, waiter])
      })
    )
    for (const options of settings) {
      for (const seed of range(10)) {
        expect(valueOf(program, { ...options, seed })).toBe("worked blocked at 0 woken slept")
      }
    }
  })

  it("may be waited for by several, and again", () => {
    const program = saying((say) =>
      Effect.gen(function* () {
        yield* Effect.all(
          [Effect.andThen(Sim.waitAllBlocked, say("a")), Effect.andThen(Sim.waitAllBlocked, say("b"))],
          {
            concurrency: 2
          }
        )
        yield* Sim.waitAllBlocked
        yield* say("c")
      })
    )
    expect(valueOf(program)).toBe("a b c")
  })

  it("lets promises settle first", async () => {
    let settled = false
    const program = Effect.gen(function* () {
      yield* Effect.forkChild(
        Effect.promise(() => Promise.resolve()).pipe(Effect.andThen(Effect.sync(() => void (settled = true))))
      )
      yield* Sim.waitAllBlocked
      return settled
    })
    expect((await Effect.runPromise(Sim.run(program))).exit).toEqual(Exit.succeed(true))
  })

  it("forgets whoever was interrupted while it waited", () => {
    const program = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Sim.waitAllBlocked, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      return yield* Effect.never
    })
    const error = Effect.runSync(Effect.flip(Sim.run(program)))
    expect(error._tag).toBe("Deadlock")
  })

  it("dies outside of simulations, and says what to do", () => {
    expect(() => Effect.runSync(Sim.waitAllBlocked)).toThrow(
      "Sim.waitAllBlocked works in a simulation only: wrap the test in Sim.run"
    )
  })
})

describe("autoAdvance", () => {
  it.effect("gives what the effect gives, though the clock of the test stands still", () =>
    Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      expect(yield* Sim.autoAdvance(Effect.delay(Effect.succeed("morning"), "8 hours"))).toBe("morning")
      expect(yield* Clock.currentTimeMillis).toBe(before)
      expect(yield* Effect.flip(Sim.autoAdvance(Effect.delay(Effect.fail("late"), "8 hours")))).toBe("late")
      expect((yield* Effect.flip(Sim.autoAdvance(Effect.never)))._tag).toBe("Deadlock")
      expect((yield* Effect.flip(Sim.autoAdvance(Effect.forever(Effect.void), { maxOperations: 100 })))._tag).toBe(
        "Livelock"
      )
    })
  )

  it.effect("closes within the run what the effect adds to the scope of the test", () =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const slow = Effect.andThen(
        Effect.sleep("1 minute"),
        Effect.sync(() => void said.push("closed"))
      )
      yield* Sim.autoAdvance(Effect.addFinalizer(() => slow))
      expect(said).toEqual(["closed"])
      const run = yield* Sim.run(Effect.addFinalizer(() => slow))
      expect([run.time, run.left.scopes]).toEqual([60_000, 0])
    })
  )
})
