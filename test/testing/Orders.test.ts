import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import { TaskGroup } from "skein"
import { Choices, Interrupt, Leaks, Sim } from "skein/testing"
import { play, range, saying } from "../support/simulated.ts"
import * as BlindRetry from "./gallery/BlindRetry.ts"
import * as CheckThenAct from "./gallery/CheckThenAct.ts"
import * as CleanupSkipped from "./gallery/CleanupSkipped.ts"
import * as DoubleInit from "./gallery/DoubleInit.ts"
import * as LockOrder from "./gallery/LockOrder.ts"
import * as LostUpdate from "./gallery/LostUpdate.ts"
import * as LostWakeUp from "./gallery/LostWakeUp.ts"
import * as MissedSignal from "./gallery/MissedSignal.ts"
import * as PermitLeak from "./gallery/PermitLeak.ts"
import * as PublishBeforePersist from "./gallery/PublishBeforePersist.ts"

type Options<A, E> = Omit<Sim.ExploreOptions<A, E>, "check">

/** What an exhaustive search says of the effect, and the runs that it has checked. */
const every = <A, E>(effect: Effect.Effect<A, E>, options: Options<A, E> = {}) => {
  const runs: Array<Sim.Run<A, E>> = []
  const check = (run: Sim.Run<A, E>) => void runs.push(run)
  return { ...Effect.runSync(Sim.explore(effect, { exhaustive: true, ...options, check })), runs }
}

const everyValue = <E>(effect: Effect.Effect<string, E>, options?: Options<string, E>) =>
  every(effect, options).runs.map(({ exit }) => (Exit.isSuccess(exit) ? exit.value : `${exit}`))

const boundary = { granularity: "boundary" } as const

/** Runs fibers that nobody waits for but time, so that none resumes another. */
const beside = (fibers: ReadonlyArray<Effect.Effect<unknown>>) =>
  Effect.andThen(
    Effect.forEach(fibers, (fiber) => Effect.forkDetach(fiber)),
    Effect.sleep(1)
  )

/** So many fibers that have so many turns each, and say so. */
const taking = (fibers: number, turns: number) =>
  saying((say) =>
    beside(
      range(fibers).map((fiber) =>
        Effect.andThen(
          say(`${fiber}`),
          Effect.replicateEffect(Effect.andThen(Effect.yieldNow, say(`${fiber}`)), turns - 1)
        )
      )
    )
  )

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1))

/** How many ways there are to interleave so many lists of so many steps each. */
const interleavings = (lists: number, steps: number) => factorial(lists * steps) / factorial(steps) ** lists

describe("the number of orders", () => {
  it.each([
    [2, 1],
    [2, 2],
    [2, 5],
    [3, 1],
    [3, 3],
    [4, 2]
  ])("of %d fibers with %d turns each is the number of interleavings, and each is run once", (fibers, turns) => {
    const { complete, distinct, runs, schedules, summary } = every(taking(fibers, turns), boundary)
    const expected = interleavings(fibers, turns)
    expect({ complete, distinct, schedules, summary }).toEqual({
      complete: true,
      distinct: expected,
      schedules: expected,
      summary: `all ${expected.toLocaleString("en")} orders without preemptions`
    })
    expect(runs.length).toBe(expected)
    expect(new Set(runs.map(({ exit }) => String(exit))).size).toBe(expected)
  })

  it("is multiplied by what chance decides in them", () => {
    const program = saying((say) =>
      beside(
        range(2).map((fiber) =>
          Effect.flatMap(Choices.choose(3), (n) =>
            Effect.andThen(Effect.yieldNow, Effect.andThen(Choices.happens(0.01), say(`${fiber}:${n}`)))
          )
        )
      )
    )
    const { distinct, runs, schedules, summary } = every(program, boundary)
    expect([distinct, schedules]).toEqual([6 * 9 * 4, 6 * 9 * 4])
    expect(summary).toBe("all 216 orders without preemptions")
    expect(new Set(runs.map(({ token }) => token)).size).toBe(216)
  })

  it("knows what cannot happen and what must", () => {
    const { runs, summary } = every(Effect.all([Choices.happens(0), Choices.happens(1), Choices.choose(1)]))
    expect(runs[0]?.exit).toEqual(Exit.succeed([false, true, 0]))
    expect([runs.length, summary]).toEqual([1, "the only order"])
  })

  it("is that of all permutations for timers of one moment, and 1 for those of different ones", () => {
    const sleepers = (delay: (n: number) => number) =>
      saying((say) =>
        beside(range(4).map((n) => Effect.delay(say(`${n}`), delay(n)))).pipe(Effect.andThen(Effect.sleep(9)))
      )
    const same = everyValue(
      sleepers(() => 5),
      { exhaustive: { preemptions: 0 } }
    )
    expect([same.length, new Set(same).size]).toEqual([24 * 24, 24])
    expect(
      new Set(
        everyValue(
          sleepers((n) => 5 + n),
          { exhaustive: { preemptions: 0 } }
        )
      )
    ).toEqual(new Set(["0 1 2 3"]))
  })

  it.each([
    [2, 2],
    [2, 3],
    [3, 1]
  ])(
    "of %d fibers of %d operations, with any bound of preemptions, is that of interleavings with so many",
    (fibers, each) => {
      const fork = Effect.forkDetach(straight(each))
      const program = range(fibers - 1).reduce((forks) => Effect.flatMap(forks, () => fork), fork)
      for (const preemptions of [0, 1, 2, 3, Infinity]) {
        // To fork takes two operations, of which the first forks; and to go to sleep takes two.
        const orders = (preemptions: number) =>
          interleaved([fibers * 2 + 1, ...range(fibers).map(() => each)], 0, preemptions)
        const expected = orders(preemptions)
        const { complete, distinct, runs, summary } = every(
          Effect.flatMap(program, () => Effect.sleep(1)),
          { exhaustive: { preemptions } }
        )
        expect([preemptions, complete, distinct, runs.length]).toEqual([preemptions, true, expected, expected])
        expect(summary.endsWith("orders")).toBe(preemptions === Infinity)
        expect(new Set(runs.map(({ token }) => token)).size).toBe(expected)
      }
    }
  )
})

/** A fiber of so many operations. */
const straight = (operations: number): Effect.Effect<void> => {
  const one = Effect.sync(() => {})
  return range(operations - 1).reduce<Effect.Effect<void>>((rest) => Effect.suspend(() => rest), one)
}

/**
 * How many interleavings of lists of so many steps there are that leave a list before its end no more often than that. It goes
 * on in list `last`, and the first list brings the third with its second step, the fourth with its fourth, and so on.
 */
const interleaved = (left: ReadonlyArray<number>, last: number, preemptions: number): number => {
  if (left.every((steps) => steps === 0)) return 1
  let count = 0
  for (const [list, steps] of left.entries()) {
    const isThere = list < 2 || left[0]! <= 2 * (left.length - list) + 1
    const switches = last !== list && left[last]! > 0 ? 1 : 0
    if (steps > 0 && isThere && switches <= preemptions) {
      count += interleaved(left.with(list, steps - 1), list, preemptions - switches)
    }
  }
  return count
}

describe("an exhaustive search", () => {
  /** A little of everything that a fiber can wait for. */
  const programs: Record<string, Effect.Effect<string>> = {
    lock: saying((say) =>
      Effect.flatMap(Semaphore.make(1), (lock) =>
        Effect.all(
          ["a", "b"].map((name) =>
            lock.withPermit(Effect.andThen(say(name), Effect.andThen(Effect.yieldNow, say(name))))
          ),
          { concurrency: 2 }
        )
      )
    ),
    "deferred and timers": saying((say) =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        yield* Effect.forkDetach(Effect.andThen(Deferred.await(go), say("woken")))
        yield* Effect.forkDetach(Effect.andThen(Effect.sleep(1), say("slept")))
        yield* Effect.sleep(1)
        yield* Deferred.succeed(go, undefined)
        yield* say("called")
        yield* Effect.sleep(1)
      })
    ),
    "two who wait for a latch": saying((say) =>
      Effect.gen(function* () {
        const latch = yield* Latch.make()
        yield* Effect.forkDetach(Effect.andThen(Latch.await(latch), say("a")))
        yield* Effect.forkDetach(Effect.andThen(Latch.await(latch), say("b")))
        yield* Effect.yieldNow
        yield* Latch.open(latch)
        yield* say("open")
        yield* Effect.sleep(1)
      })
    ),
    "a queue": saying((say) =>
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<number>(1)
        yield* Effect.forkDetach(
          Effect.andThen(Queue.offer(queue, 1), Effect.andThen(Queue.offer(queue, 2), say("both")))
        )
        yield* say(`${yield* Queue.take(queue)}`)
        yield* say(`${yield* Queue.take(queue)}`)
        yield* Effect.sleep(1)
      })
    ),
    interruption: saying((say) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          Effect.ensuring(Effect.andThen(say("begins"), Effect.andThen(Effect.yieldNow, say("ends"))), say("cleans up"))
        )
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        yield* say("interrupted")
      })
    ),
    "a timer that is cancelled": saying((say) =>
      Effect.race(Effect.andThen(Effect.sleep(1), say("a")), Effect.andThen(Effect.sleep(1), say("b")))
    )
  }

  it.each(Object.entries(programs))("sees all that random orders come to, of %s", (_, program) => {
    const seen = new Set(everyValue(program, { exhaustive: { preemptions: 3 }, schedules: 50_000 }))
    for (const strategy of ["random", "pct"] as const) {
      for (const seed of range(1000)) {
        const { exit } = play(program, { seed, strategy, granularity: seed % 2 === 0 ? "op" : "boundary" })
        expect(seen).toContain(Exit.isSuccess(exit) ? exit.value : `${exit}`)
      }
    }
    expect(seen.size).toBeGreaterThan(1)
  })

  it("counts the orders that random schedules come to, if they are enough", () => {
    const like = (likes: Ref.Ref<number>) => Ref.update(likes, (seen) => seen + 1)
    const counts = Effect.flatMap(Ref.make(0), (likes) =>
      TaskGroup.open(Effect.all([TaskGroup.spawn(like(likes)), TaskGroup.spawn(like(likes))]))
    )
    const all = every(counts, { exhaustive: { preemptions: Infinity } })
    expect(all.summary).toBe(`all ${all.distinct} orders`)
    const { distinct } = Effect.runSync(Sim.explore(counts, { schedules: 5000, strategy: "random" }))
    expect(distinct).toBe(all.distinct)
  })

  it("goes from few preemptions to many, checks each run once, and goes the same way each time", () => {
    const search = () => every(programs["lock"]!, { exhaustive: { preemptions: 2 } })
    const { complete, distinct, runs, schedules, summary } = search()
    expect([complete, distinct <= runs.length, runs.length < schedules]).toEqual([true, true, true])
    expect(summary).toBe(`all ${distinct} orders with at most 2 preemptions`)
    const tokens = runs.map(({ token }) => token)
    expect(new Set(tokens).size).toBe(tokens.length)
    expect(search().runs.map(({ token }) => token)).toEqual(tokens)
    expect(tokens[0]).toBe("sim1:1:boundary:")
    const kinds = runs.map(({ schedule }) => schedule.granularity)
    expect(kinds.lastIndexOf("boundary")).toBeLessThan(kinds.indexOf("op"))
    for (const { exit, token } of runs.slice(0, 50)) {
      expect(Effect.runSync(Sim.replay(programs["lock"]!, token)).exit).toEqual(exit)
    }
  })

  it("has two preemptions at most by default, and none at boundaries", () => {
    expect(every(programs["lock"]!).summary).toBe(every(programs["lock"]!, { exhaustive: { preemptions: 2 } }).summary)
    expect(every(programs["lock"]!, boundary).summary).toMatch(/ without preemptions$/)
    for (const preemptions of [-1, 1.5, NaN]) {
      const exit = Effect.runSyncExit(Sim.explore(Effect.void, { exhaustive: { preemptions } }))
      expect(String(exit)).toContain("preemptions must be a whole number, 0 or more, or Infinity")
    }
  })

  it("gives up after so many schedules, and says what it has seen", () => {
    const program = taking(3, 2)
    expect(every(program, { ...boundary, schedules: 10 })).toMatchObject({
      complete: false,
      distinct: 10,
      schedules: 10,
      summary: "10 orders of more"
    })
    expect(every(program, { ...boundary, schedules: 90 })).toMatchObject({
      complete: true,
      summary: "all 90 orders without preemptions"
    })
    const { complete, schedules, summary } = every(program, { schedules: 500 })
    expect([complete, schedules]).toEqual([false, 500])
    expect(summary).toMatch(/^\d+ orders of more, among them all without preemptions$/)
    expect(every(taking(2, 2), { schedules: 300 }).summary).toMatch(
      /^\d+ orders of more, among them all with at most 1 /
    )
  })

  it("gives up when its budget of real time is over, but runs at least one", () => {
    expect(every(taking(4, 4), { budget: 0 })).toMatchObject({
      complete: false,
      schedules: 1,
      summary: "1 order of more"
    })
    const started = performance.now()
    expect(every(taking(4, 4), { schedules: 10_000_000, budget: "50 millis" }).complete).toBe(false)
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it("does not come to the end of a loop that waits for another by yielding, and says so", () => {
    const polling = Effect.gen(function* () {
      const done = yield* Ref.make(false)
      yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, Ref.set(done, true)))
      while (!(yield* Ref.get(done))) yield* Effect.yieldNow
    })
    expect(every(polling, { ...boundary, schedules: 100 })).toMatchObject({ complete: false, schedules: 100 })
  })

  it("keeps to one seed: what Random draws is the same in all", () => {
    const drawing = Effect.andThen(taking(2, 2), Random.next)
    expect(new Set(every(drawing, boundary).runs.map(({ exit }) => String(exit))).size).toBe(1)
    expect(new Set(every(drawing, { ...boundary, seed: 7 }).runs.map(({ schedule }) => schedule.seed))).toEqual(
      new Set([7])
    )
  })

  it("reports what it finds as any search does, and what needs no preemption without one", () => {
    const lostUpdate = (between: Effect.Effect<void>) =>
      Effect.gen(function* () {
        const total = yield* Ref.make(0)
        const add = Effect.gen(function* () {
          const seen = yield* Ref.get(total)
          yield* between
          yield* Ref.set(total, seen + 1)
        })
        yield* Effect.all([add, add], { concurrency: 2 })
        if ((yield* Ref.get(total)) !== 2) return yield* Effect.fail("lost")
      })
    const found = (effect: Effect.Effect<void, string>, options: Options<void, string> = {}) => {
      const error = Effect.runSync(Effect.flip(Sim.explore(effect, { exhaustive: true, ...options })))
      if (error._tag !== "BugFound") throw error
      return error
    }
    const preempted = found(lostUpdate(Effect.void))
    expect(preempted.message).toMatch(
      /^Schedule \d+ fails: lost\n {2}replay: "sim1:1:op:[^"]+"\n {2}1 of 1 choices out of /
    )
    expect(preempted.table).toMatch(/main +fiber 1 +fiber 2/)
    expect(Effect.runSync(Sim.replay(lostUpdate(Effect.void), preempted.token)).exit).toEqual(Exit.fail("lost"))
    expect(every(lostUpdate(Effect.void), boundary).complete).toBe(true)
    const natural = found(lostUpdate(Effect.yieldNow))
    expect(natural).toMatchObject({ schedule: 1, token: "sim1:1:boundary:" })
    expect(found(Effect.never as Effect.Effect<void>).why).toContain("Deadlock: nothing can run")
  })

  it("reports OutsideNondeterminism where the ways to go are not the same twice", () => {
    let runs = 0
    const astray = (program: Effect.Effect<unknown>) =>
      Effect.runSync(Effect.flip(Sim.explore(program, { exhaustive: true })))
    const error = astray(Effect.suspend(() => Effect.all([Choices.choose(2 + runs++), Choices.choose(2)])))
    expect(error).toMatchObject({ _tag: "OutsideNondeterminism", difference: "other choices were offered" })
    expect(error.message).toMatch(
      /^A run does not go the same way twice: other choices were offered. Something decides outside /
    )
    const fewer = Effect.suspend(() => (runs++ % 2 === 0 ? Choices.choose(2) : Effect.succeed(0)))
    expect(astray(Effect.andThen(Choices.choose(2), fewer))._tag).toBe("OutsideNondeterminism")
  })

  it("runs the one schedule of a token instead", () => {
    expect(every(taking(2, 2), { replay: "sim1:0:boundary:1" })).toMatchObject({ complete: false, schedules: 1 })
  })
})

describe("an exhaustive search with interruptions", () => {
  it("stops each order before each of its steps, and all there may be after it", () => {
    const alone = Effect.replicateEffect(Effect.yieldNow, 5)
    const { places } = Effect.runSync(Interrupt.everywhere(alone, { at: "suspension" }))
    const { complete, distinct, runs, schedules, summary } = every(alone, { ...boundary, stop: "interrupt" })
    expect([complete, schedules, distinct]).toEqual([true, places + 1, places + 1])
    expect(summary).toBe(`all ${places + 1} orders and interrupts without preemptions`)
    expect(runs.map(({ schedule }) => schedule.stop?.step)).toEqual([
      undefined,
      ...range(places).map((i) => places - i)
    ])
    expect(runs.slice(1).every(({ stopped }) => stopped)).toBe(true)
  })

  it("stops a fiber that is alone before each operation, where it may be preempted once", () => {
    const alone = Effect.andThen(straight(6), straight(6))
    const { complete, runs } = every(alone, { exhaustive: { preemptions: 1 }, stop: "interrupt" })
    const stopped = runs.filter((run) => run.stopped)
    expect([complete, runs.length]).toEqual([true, stopped.length + 1])
    // After how many operations it was: never before the first, when nothing has begun, and the last one is the fourteenth.
    expect(stopped.map(({ schedule }) => schedule.choices)).toEqual(range(12).map((i) => [12 - i]))
  })

  it.each(["kill", "interrupt"] as const)(
    "begins the effect before it stops it: a %s never leaves the state of the run before",
    (stop) => {
      let own = 0
      const effect = Effect.suspend(() => {
        own += 1
        return Effect.yieldNow
      })
      let seen = 0
      const check = () => {
        expect(own).toBeGreaterThan(seen)
        seen = own
      }
      Effect.runSync(Sim.explore(effect, { granularity: "op", schedules: 100, stop, check }))
    }
  )

  it.each(["interrupt", "kill"] as const)("replays an %s by its token", (stop) => {
    const program = saying((say) =>
      Effect.all(
        ["a", "b"].map((name) => Effect.onInterrupt(Effect.andThen(Effect.yieldNow, say(name)), () => say("stop"))),
        {
          concurrency: 2
        }
      )
    )
    const { runs } = every(program, { exhaustive: { preemptions: 1 }, stop })
    expect(runs.filter(({ stopped }) => stopped).length).toBeGreaterThan(20)
    for (const { exit, operations, order, token } of runs) {
      const again = Effect.runSync(Sim.replay(program, token))
      expect([again.exit, again.order, again.operations]).toEqual([exit, order, operations])
    }
  })

  it("interrupts the victim, if there is one, and nobody else", () => {
    const program = Effect.raceFirst(Interrupt.victim(Effect.sleep(1)), Effect.sleep(2)).pipe(Effect.exit)
    const { runs } = every(program, { stop: "interrupt", exhaustive: { preemptions: 1 } })
    expect(runs.some(({ stopped }) => stopped)).toBe(true)
    expect(runs.every(({ exit }) => Exit.isSuccess(exit))).toBe(true)
  })

  it("finds the gap between taking and giving back, and none where there is none", () => {
    const using = (work: (lock: Semaphore.Semaphore) => Effect.Effect<unknown>) =>
      Effect.gen(function* () {
        const lock = yield* Semaphore.make(1)
        yield* Leaks.semaphore(lock, 1)
        yield* Effect.all([work(lock), work(lock)], { concurrency: 2 })
      })
    const explored = (effect: Effect.Effect<void>) =>
      Sim.explore(effect, { exhaustive: { preemptions: 1 }, stop: "interrupt", check: Leaks.check })
    const careless = using((lock) => Effect.andThen(lock.take(1), Effect.ensuring(Effect.yieldNow, lock.release(1))))
    const bug = Effect.runSync(Effect.flip(explored(careless)))
    expect(bug.message).toContain("of a semaphore is not given back")
    const { complete, summary } = Effect.runSync(explored(using((lock) => lock.withPermit(Effect.yieldNow))))
    expect([complete, summary]).toEqual([
      true,
      expect.stringMatching(/^all [\d,]+ orders and interrupts with at most 1 /)
    ])
  })
})

describe("a classic bug in a small program", () => {
  type Subject = Effect.Effect<unknown, unknown>

  const finds = (broken: Subject, fixed: Subject, options: Sim.ExploreOptions<unknown, unknown>) => {
    const search = (subject: Subject) => Sim.explore(subject, { exhaustive: { preemptions: 1 }, ...options })
    expect(Effect.runSync(Effect.flip(search(broken)))._tag).toBe("BugFound")
    expect(Effect.runSync(search(fixed)).complete).toBe(true)
  }

  it.each(Object.entries({ BlindRetry, CheckThenAct, DoubleInit, LockOrder, LostUpdate, LostWakeUp, MissedSignal }))(
    "%s is found, and is in no order of its corrected twin",
    (_, { broken, fixed }) => finds(broken, fixed, {})
  )

  it.each(Object.entries({ CleanupSkipped, PermitLeak }))(
    "%s is found by an interruption, and by none of its corrected twin",
    (_, { broken, fixed }) => finds(broken, fixed, { stop: "interrupt", check: Leaks.check })
  )

  it("PublishBeforePersist is found by a kill, and by none of its corrected twin", () => {
    const { broken, check, fixed } = PublishBeforePersist
    finds(broken, fixed, { stop: "kill", check })
  })
})
