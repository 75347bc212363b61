import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as TxRef from "effect/TxRef"
import { Deadline, TaskGroup } from "skein"
import { Choices, Schedules, Sim } from "skein/testing"
import { play, range, saying, valueOf } from "../support/simulated.ts"

const strategies = ["random", "pct", "fifo"] as const
const granularities = ["boundary", "op"] as const
const settings = strategies.flatMap((strategy) => granularities.map((granularity) => ({ strategy, granularity })))

const pct = { seed: 1, strategy: "pct", granularity: "boundary" } as const
const stop = { how: "interrupt", step: 12, fiber: 3 } as const

describe("a token", () => {
  it.each<[string, Schedules.Schedule]>([
    ["sim1:0:boundary:fifo", { seed: 0, strategy: "fifo", granularity: "boundary" }],
    ["sim1:7:op:random", { seed: 7, strategy: "random", granularity: "op" }],
    ["sim1:-3:op:pct", { seed: -3, strategy: "pct", granularity: "op" }],
    ["sim1:1:op:", { seed: 1, strategy: "fifo", granularity: "op", choices: [] }],
    ["sim1:1:op:0*3.2.1", { seed: 1, strategy: "fifo", granularity: "op", choices: [0, 0, 0, 2, 1] }],
    ["sim1:1:op:12.3*2", { seed: 1, strategy: "fifo", granularity: "op", choices: [12, 3, 3] }],
    ["sim1:1:op:2:interrupt@12/3", { seed: 1, strategy: "fifo", granularity: "op", choices: [2], stop }],
    ["sim1:1:boundary:pct:kill@0/0", { ...pct, stop: { how: "kill", step: 0, fiber: 0 } }]
  ])("%s says a schedule", (token, schedule) => {
    expect(Schedules.token(schedule)).toBe(token)
    expect(Schedules.parse(token)).toEqual(schedule)
  })

  it("says every choice of any list, in the order of the list", () => {
    const choices = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))))
    const same = (list: ReadonlyArray<number>) => {
      const token = Schedules.token({ seed: 1, strategy: "fifo", granularity: "op", choices: list })
      return String(Schedules.parse(token).choices) === String(list)
    }
    const result = Effect.runSync(
      Arbitrary.checkEffect(choices, (list) => Effect.sync(() => same(list)), { runs: 300 })
    )
    expect(result._tag).toBe("Passed")
  })

  it("says choices instead of the strategy that made them: they decide, and what they do not say is natural", () => {
    expect(Schedules.token({ ...pct, choices: [1] })).toBe("sim1:1:boundary:1")
    expect(Schedules.parse("sim1:1:boundary:1").strategy).toBe("fifo")
  })

  it("says how late timers may be, if they may", () => {
    const token = Schedules.token({ ...pct, choices: [1], late: 2.5, stop: { how: "kill", step: 3, fiber: 0 } })
    expect(token).toBe("sim1:1:boundary:1:late@2.5:kill@3/0")
    expect(Schedules.parse(token)).toMatchObject({ late: 2.5, stop: { how: "kill", step: 3, fiber: 0 } })
    expect(Schedules.token({ ...pct, late: 0 })).toBe(Schedules.token(pct))
  })

  it("may have blanks around it, as one that was copied has", () => {
    expect(Schedules.parse(" sim1:42:op:pct\n")).toEqual({ seed: 42, strategy: "pct", granularity: "op" })
  })

  it.each([
    ["", "it does not begin with sim1"],
    ["sim2:1:op:1", "it does not begin with sim1"],
    ["sim1", "its seed is not a whole number"],
    ["sim1:one:op:1", "its seed is not a whole number"],
    ["sim1:1.5:op:1", "its seed is not a whole number"],
    [`sim1:${"9".repeat(400)}:op:1`, "its seed is not a whole number"],
    ["sim1:1", "its granularity is neither boundary nor op"],
    ["sim1:1:fiber:1", "its granularity is neither boundary nor op"],
    ["sim1:1:op", "it has not four to six parts"],
    ["sim1:1:op:1:kill@1/0:more", "it has not four to six parts"],
    ["sim1:1:op:1.x", '"x" is not a choice'],
    ["sim1:1:op:1..2", '"" is not a choice'],
    ["sim1:1:op:-1", '"-1" is not a choice'],
    ["sim1:1:op:1*", '"1*" is not a choice'],
    ["sim1:1:op:0*1e9", '"0*1e9" is not a choice'],
    [`sim1:1:op:${"9".repeat(16)}`, `"${"9".repeat(16)}" is not a choice`],
    ["sim1:1:op:0*123456789", '"0*123456789" is not a choice'],
    ["sim1:1:op:0*10000001", "it has more than 10000000 choices"],
    ["sim1:1:op:2.0*10000000", "it has more than 10000000 choices"],
    ["sim1:1:op:1:late@", '"late@" does not say how many milliseconds timers may be late'],
    ["sim1:1:op:1:late@1e9", '"late@1e9" does not say how many milliseconds timers may be late'],
    ["sim1:1:op:1:kill@1/0:late@1", "it has not four to six parts"],
    ["sim1:1:op:1:kill", '"kill" does not say where it was stopped'],
    ["sim1:1:op:1:pause@1/0", '"pause@1/0" does not say where it was stopped'],
    ["sim1:1:op:1:kill@1", '"kill@1" does not say where it was stopped'],
    ["sim1:1:op:1:kill@-1/0", '"kill@-1/0" does not say where it was stopped']
  ])("%j is none: %s", (token, why) => {
    const error = thrownBy(() => Schedules.parse(token))
    expect(error).toBeInstanceOf(Schedules.BadToken)
    expect(error).toMatchObject({ _tag: "BadToken", token, why })
    expect((error as Error).message).toBe(
      `Cannot replay "${token}": ${why}. Copy the whole token from the message of the failed run`
    )
  })

  it("is refused by Sim.replay and Sim.explore as by parse", () => {
    expect(() => Effect.runSync(Sim.replay(Effect.void, "sim1:x"))).toThrow(Schedules.BadToken)
    expect(() => Effect.runSync(Sim.explore(Effect.void, { replay: "sim1:x" }))).toThrow(Schedules.BadToken)
  })
})

describe("arbitrary", () => {
  const sample = (options?: Parameters<typeof Schedules.arbitrary>[0]) =>
    Effect.runSync(Arbitrary.sampleEffect(Schedules.arbitrary(options), { count: 200, seed: 1 }))

  it("draws choices, at most 100 or as many as it is told, mostly natural ones, for granularity op or another", () => {
    const lists = sample().map((schedule) => schedule.choices ?? [])
    const all = lists.flat()
    expect(Math.max(...lists.map((list) => list.length))).toBeGreaterThan(5)
    expect(Math.max(...lists.map((list) => list.length))).toBeLessThanOrEqual(100)
    expect([...new Set(all)].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 5])
    expect(all.filter((choice) => choice === 0).length / all.length).toBeGreaterThan(0.3)
    expect(new Set(sample().map((schedule) => schedule.granularity))).toEqual(new Set(["op"]))
    expect(sample({ granularity: "boundary" })[0]?.granularity).toBe("boundary")
    expect(Math.max(...sample({ choices: 3 }).map((schedule) => schedule.choices?.length ?? 0))).toBe(3)
  })

  it("gives schedules that run, and whose runs replay", () => {
    const program = Effect.all([Effect.yieldNow, Effect.sleep(1), Effect.yieldNow], { concurrency: 3 })
    for (const schedule of sample().slice(0, 50)) {
      const run = Effect.runSync(Sim.run(program, schedule))
      expect(Effect.runSync(Sim.replay(program, run.token)).order).toEqual(run.order)
    }
  })

  it("shrinks together with the input, both to the smallest that fail", () => {
    // Fails when a writer is preempted between reading and writing: which takes two of them, and one switch.
    const writers = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))
    const loses = (count: number) =>
      Effect.suspend(() => {
        let total = 0
        const add = Effect.flatMap(
          Effect.sync(() => total),
          (n) => Effect.sync(() => void (total = n + 1))
        )
        return Effect.map(
          Effect.all(
            Array.from({ length: count }, () => add),
            { concurrency: count }
          ),
          () => total
        )
      })
    const result = Effect.runSync(
      Arbitrary.checkEffect(
        Arbitrary.all([writers, Schedules.arbitrary()]),
        ([count, schedule]) =>
          Effect.map(Sim.run(loses(count), schedule), ({ exit }) => exit._tag === "Success" && exit.value === count),
        { runs: 500, maxShrinks: 2000, seed: 1 }
      )
    )
    expect(result._tag).toBe("Falsified")
    if (result._tag !== "Falsified") return
    const [count, { choices = [] }] = result.shrunkInput
    expect(count).toBe(2)
    expect(choices.filter((choice) => choice !== 0)).toHaveLength(1)
    expect(choices.at(-1)).not.toBe(0)
  })
})

describe("fifo at boundaries is the order of Effect itself", () => {
  const programs: Record<string, Effect.Effect<string>> = {
    forks: saying((say) =>
      Effect.gen(function* () {
        const fibers = yield* Effect.forEach(["a", "b"], (name) =>
          Effect.forkChild(
            Effect.gen(function* () {
              yield* say(`${name}1`)
              const child = yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, say(`child of ${name}`)))
              yield* Effect.yieldNow
              yield* say(`${name}2`)
              yield* Fiber.join(child)
            })
          )
        )
        yield* say("main")
        yield* Effect.forEach(fibers, Fiber.join)
      })
    ),
    "forks that start at once": saying((say) =>
      Effect.gen(function* () {
        const talk = Effect.andThen(say("at once"), Effect.andThen(Effect.yieldNow, say("later")))
        const fiber = yield* Effect.forkChild(talk, { startImmediately: true })
        yield* say("main")
        yield* Fiber.join(fiber)
      })
    ),
    "a queue": saying((say) =>
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<number>(2)
        const reader = yield* Effect.forkChild(
          Effect.forEach(range(5), () => Effect.flatMap(Queue.take(queue), (n) => say(`take ${n}`)))
        )
        yield* Effect.forEach(range(5), (n) => Effect.andThen(Queue.offer(queue, n), say(`offer ${n}`)))
        yield* Fiber.join(reader)
      })
    ),
    "a semaphore": saying((say) =>
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(2)
        const work = (n: number) =>
          semaphore.withPermit(Effect.andThen(say(`in ${n}`), Effect.andThen(Effect.yieldNow, say(`out ${n}`))))
        yield* Effect.all(range(5).map(work), { concurrency: "unbounded" })
      })
    ),
    "deferreds and latches": saying((say) =>
      Effect.gen(function* () {
        const [deferred, latch] = [yield* Deferred.make<void>(), yield* Latch.make()]
        const waiters = yield* Effect.forEach(range(3), (n) =>
          Effect.forkChild(
            Effect.gen(function* () {
              yield* Deferred.await(deferred)
              yield* say(`deferred ${n}`)
              yield* Latch.await(latch)
              yield* say(`latch ${n}`)
            })
          )
        )
        yield* Effect.yieldNow
        yield* Deferred.succeed(deferred, undefined)
        yield* say("done")
        yield* Effect.yieldNow
        yield* Latch.open(latch)
        yield* say("open")
        yield* Effect.forEach(waiters, Fiber.join)
      })
    ),
    "races and timeouts": saying((say) =>
      Effect.gen(function* () {
        yield* Effect.race(Effect.andThen(Effect.yieldNow, say("slow")), say("fast"))
        yield* Effect.timeoutOption(Effect.andThen(Effect.yieldNow, say("in time")), "1 hour")
        yield* Effect.onInterrupt(Effect.never, () => say("interrupted")).pipe(Effect.race(say("winner")))
      })
    ),
    streams: saying((say) =>
      Stream.fromIterable(range(6)).pipe(
        Stream.mapEffect((n) => Effect.as(Effect.andThen(Effect.yieldNow, say(`map ${n}`)), n), { concurrency: 3 }),
        Stream.runForEach((n) => say(`each ${n}`))
      )
    ),
    "tasks of a group": saying((say) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Effect.andThen(say("a1"), Effect.andThen(Effect.yieldNow, say("a2"))))
          const task = yield* TaskGroup.spawn(Effect.andThen(Effect.yieldNow, say("b")))
          yield* say("body")
          yield* task.join
          yield* say("joined")
        })
      )
    ),
    priorities: saying((say) =>
      Effect.all(
        [3, 1, 2, 0].map((priority) => Effect.andThen(Effect.yieldNowWith(priority), say(`${priority}`))),
        { concurrency: "unbounded" }
      )
    ),
    "more operations than a fiber may do at a stretch": saying((say) =>
      Effect.all(
        ["a", "b"].map((word, at) =>
          Effect.andThen(
            Effect.forEach(range(at === 0 ? 5000 : 10), () => Effect.sync(() => word)),
            say(word)
          )
        ),
        { concurrency: 2 }
      )
    )
  }

  it.each(Object.entries(programs))("of %s", async (_, program) => {
    expect(valueOf(program)).toBe(await Effect.runPromise(program))
  })

  it("is the default", () => {
    expect(play(Effect.void).schedule).toMatchObject({ seed: 0, strategy: "fifo", granularity: "boundary" })
  })
})

describe("strategies and granularities", () => {
  const preempted = (said: string) => !["a1 a2 b1 b2", "b1 b2 a1 a2"].includes(said)
  const twice = saying((say) =>
    Effect.all(
      ["a", "b"].map((name) => Effect.andThen(say(`${name}1`), say(`${name}2`))),
      { concurrency: 2 }
    )
  )

  it.each(strategies)("%s never preempts between operations at boundaries, and does at op", (strategy) => {
    const said = (granularity: Schedules.Granularity) =>
      range(100).map((seed) => valueOf(twice, { seed, strategy, granularity }))
    expect(said("boundary").some(preempted)).toBe(false)
    expect(said("op").some(preempted)).toBe(true)
  })

  it.each(["random", "pct"] as const)("%s finds every order of who is ready", (strategy) => {
    const talk = saying((say) =>
      Effect.all(
        ["a", "b", "c"].map((word) => Effect.andThen(Effect.yieldNow, say(word))),
        { concurrency: "unbounded" }
      )
    )
    for (const granularity of granularities) {
      const orders = new Set(range(200).map((seed) => valueOf(talk, { seed, strategy, granularity })))
      expect(orders).toEqual(new Set(["a b c", "a c b", "b a c", "b c a", "c a b", "c b a"]))
    }
  })

  it("random and pct let a fiber that was resumed on another's stack wait at boundaries, too", () => {
    // A Deferred resumes who waits for it inside of `succeed`.
    const wake = saying((say) =>
      Effect.gen(function* () {
        const deferred = yield* Deferred.make<void>()
        const waiter = yield* Effect.forkChild(Effect.andThen(Deferred.await(deferred), say("woken")), {
          startImmediately: true
        })
        yield* Effect.andThen(Deferred.succeed(deferred, undefined), say("waker"))
        yield* Fiber.join(waiter)
      })
    )
    expect(valueOf(wake)).toBe("woken waker")
    for (const strategy of ["random", "pct"] as const) {
      const orders = new Set(range(50).map((seed) => valueOf(wake, { seed, strategy })))
      expect(orders).toEqual(new Set(["woken waker", "waker woken"]))
    }
  })

  it("a fiber that is started immediately begins at once; preemption at op comes after its first operation", () => {
    const start = saying((say) =>
      Effect.gen(function* () {
        const child = yield* Effect.forkChild(Effect.andThen(say("child begins"), say("child ends")), {
          startImmediately: true
        })
        yield* say("parent")
        yield* Fiber.join(child)
      })
    )
    const orders = (granularity: Schedules.Granularity) =>
      new Set(
        strategies.flatMap((strategy) => range(50).map((seed) => valueOf(start, { seed, strategy, granularity })))
      )
    const atOnce = "child begins child ends parent"
    expect(orders("boundary")).toEqual(new Set([atOnce]))
    expect(orders("op")).toEqual(new Set([atOnce, "child begins parent child ends", "parent child begins child ends"]))
  })

  it("a fiber that is interrupted before it has begun ends, as under Effect itself", () => {
    const program = Effect.flatMap(Effect.forkChild(Effect.never), Fiber.interrupt)
    for (const options of settings) {
      for (const seed of range(50)) expect(Exit.isSuccess(play(program, { ...options, seed }).exit)).toBe(true)
    }
  })

  it("pct starves a fiber for long, which random seldom does", () => {
    // How often the busy one has its turn before the other has had a single one.
    const turns = Effect.gen(function* () {
      let waited = 0
      let done = false
      const starved = Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => void (done = true))
      )
      const hungry = Effect.replicateEffect(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void (done ? 0 : waited++))
        ),
        100
      )
      yield* Effect.all([starved, hungry, hungry], { concurrency: "unbounded" })
      return waited
    })
    const starvations = (strategy: Schedules.Strategy) =>
      range(200).filter((seed) => valueOf(turns, { seed, strategy }) >= 20).length
    expect(starvations("pct")).toBeGreaterThan(10)
    expect(starvations("random")).toBe(0)
    expect(starvations("fifo")).toBe(0)
  })

  it("pct takes the turn from whoever has it at a few points only", () => {
    const spin = (n: number) =>
      Effect.replicateEffect(
        Effect.sync(() => n),
        200
      )
    const program = Effect.all(range(2).map(spin), { concurrency: 2 })
    const switches = (strategy: Schedules.Strategy) =>
      range(50).map((seed) => {
        const { order } = play(program, { seed, strategy, granularity: "op" })
        return order.filter((fiber, index) => index > 0 && order[index - 1] !== fiber).length
      })
    expect(Math.max(...switches("pct"))).toBeLessThan(12)
    expect(Math.max(...switches("pct"))).toBeGreaterThan(4)
    expect(Math.max(...switches("random"))).toBeGreaterThan(50)
  })

  it("pct gives the turn back to whoever lost it only when no other can run", () => {
    const spin = Effect.replicateEffect(
      Effect.sync(() => 1),
      200
    )
    const program = Effect.all([spin, spin], { concurrency: 2 })
    for (const seed of range(100)) {
      const { order } = play(program, { seed, strategy: "pct", granularity: "op" })
      for (const [turn, fiber] of order.entries()) {
        // The first turn of each is on the stack of the root, which may have had to go first.
        const isBack = fiber !== 0 && order[turn + 1] === fiber && order.indexOf(fiber) < turn
        if (isBack) expect(order.slice(turn).includes(3 - fiber)).toBe(false)
      }
    }
  })

  it("random preempts often with one seed and seldom with another, but in each run now and then", () => {
    const spin = Effect.replicateEffect(
      Effect.sync(() => 1),
      500
    )
    const rates = range(60).map((seed) => {
      const { operations, order } = play(Effect.all([spin, spin], { concurrency: 2 }), {
        seed,
        strategy: "random",
        granularity: "op"
      })
      return order.length / operations
    })
    expect(Math.min(...rates)).toBeLessThan(0.08)
    expect(Math.min(...rates)).toBeGreaterThan(0.02)
    expect(Math.max(...rates)).toBeGreaterThan(0.2)
  })

  it("keep to the priorities of a dispatcher, as Effect does, and to nothing else", () => {
    const all = saying((say) =>
      Effect.gen(function* () {
        // Their starts are in the dispatcher of the one who forks them; their yields are in their own.
        const low = yield* Effect.forkChild(Effect.andThen(Effect.yieldNowWith(5), say("low")))
        const high = yield* Effect.forkChild(Effect.andThen(Effect.yieldNowWith(-5), say("high")))
        yield* Effect.yieldNowWith(1)
        yield* say("parent")
        yield* Fiber.joinAll([low, high])
      })
    )
    const orders = range(100).map((seed) => valueOf(all, { seed, strategy: "random" }))
    expect(new Set(orders).size).toBeGreaterThan(3)
    const parked = saying((say) =>
      Effect.withFiber((fiber) => {
        for (const priority of [2, 0, 1, 0])
          fiber.currentDispatcher.scheduleTask(() => Effect.runSync(say(`${priority}`)), priority)
        return Effect.sleep(1)
      })
    )
    for (const options of settings) expect(valueOf(parked, options)).toBe("0 0 1 2")
  })

  const primitives: Record<string, Effect.Effect<unknown, unknown>> = {
    yields: Effect.all([Effect.yieldNow, Effect.yieldNow], { concurrency: 2 }),
    sleeps: Effect.all([Effect.sleep(1), Effect.sleep(1)], { concurrency: 2 }),
    "a queue": Effect.flatMap(Queue.bounded<number>(1), (queue) =>
      Effect.all(
        [Effect.forEach(range(3), (n) => Queue.offer(queue, n)), Effect.forEach(range(3), () => Queue.take(queue))],
        { concurrency: 2 }
      )
    ),
    "a pubsub": Effect.scoped(
      Effect.gen(function* () {
        const pubsub = yield* PubSub.bounded<number>(1)
        const subscription = yield* PubSub.subscribe(pubsub)
        yield* Effect.all(
          [
            Effect.forEach(range(3), (n) => PubSub.publish(pubsub, n)),
            Effect.forEach(range(3), () => PubSub.take(subscription))
          ],
          { concurrency: 2 }
        )
      })
    ),
    "a semaphore": Effect.flatMap(Semaphore.make(1), (semaphore) =>
      Effect.all(
        range(3).map(() => semaphore.withPermit(Effect.yieldNow)),
        { concurrency: 3 }
      )
    ),
    "a latch and a deferred": Effect.gen(function* () {
      const [latch, deferred] = [yield* Latch.make(), yield* Deferred.make<void>()]
      yield* Effect.all(
        [Latch.await(latch), Deferred.await(deferred), Latch.open(latch), Deferred.succeed(deferred, undefined)],
        { concurrency: 4 }
      )
    }),
    "a transaction": Effect.flatMap(TxRef.make(0), (ref) => {
      const add = Effect.tx(Effect.flatMap(TxRef.get(ref), (n) => TxRef.set(ref, n + 1)))
      const three = Effect.tx(
        Effect.flatMap(TxRef.get(ref), (n): Effect.Effect<number, never, Effect.Transaction> =>
          n < 3 ? Effect.txRetry : Effect.succeed(n)
        )
      )
      return Effect.all([three, add, add, add], { concurrency: 4 })
    }),
    "a race": Effect.raceAll([Effect.never, Effect.yieldNow, Effect.sleep(1)]),
    "a timeout": Effect.timeoutOption(Effect.never, 1),
    "an interruption": Effect.flatMap(Effect.forkChild(Effect.uninterruptible(Effect.yieldNow)), Fiber.interrupt),
    "a retry": Effect.retry(Effect.fail("no"), { times: 3 }),
    "a stream": Stream.fromIterable(range(5)).pipe(
      Stream.mapEffect((n) => Effect.as(Effect.yieldNow, n), { concurrency: 2 }),
      Stream.buffer({ capacity: 1 }),
      Stream.runDrain
    ),
    "a finalizer": Effect.scoped(Effect.acquireRelease(Effect.yieldNow, () => Effect.yieldNow)),
    "a group": TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(Effect.yieldNow)
        yield* TaskGroup.spawn(Effect.sleep(1), { kind: "daemon" })
        yield* task.join
      })
    ),
    "a deadline": Deadline.moveOn(1)(Effect.never)
  }

  it.each(Object.entries(primitives))("%s comes to its end under the tightest preemption", (_, program) => {
    for (const strategy of strategies) {
      for (const seed of range(strategy === "fifo" ? 1 : 30)) {
        play(program, { strategy, seed, granularity: "op", maxOperations: 20_000 })
      }
    }
  })

  it("preempt nobody out of a region that must not yield", () => {
    const atomic = saying((say) =>
      Effect.all(
        ["a", "b"].map((name) =>
          Effect.provideService(Effect.andThen(say(`${name}1`), say(`${name}2`)), Scheduler.PreventSchedulerYield, true)
        ),
        { concurrency: 2 }
      )
    )
    for (const seed of range(100)) {
      expect(preempted(valueOf(atomic, { seed, strategy: "random", granularity: "op" }))).toBe(false)
    }
  })

  it("decide what Choices ask for: fifo the natural way, the others by their seed, a replay by its list", () => {
    const ask = Effect.all([Choices.choose(3), Choices.happens(0.5), Choices.choose(1)])
    expect(valueOf(ask)).toEqual([0, false, 0])
    for (const strategy of ["random", "pct"] as const) {
      const answers = range(100).map((seed) => String(valueOf(ask, { seed, strategy })))
      expect(new Set(answers).size).toBe(6)
    }
    expect(valueOf(ask, { choices: [2, 1] })).toEqual([2, true, 0])
    // A choice that is not on offer, as after a change of the program, is the natural one.
    expect(valueOf(ask, { choices: [3, 2] })).toEqual([0, false, 0])
  })
})

const thrownBy = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  return undefined
}
