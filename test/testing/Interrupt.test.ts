import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import { Interrupt, Leaks, Schedules, Sim } from "skein/testing"

const swept = <A, E>(effect: Effect.Effect<A, E>, options?: Interrupt.Options<A, E>) =>
  Effect.runSync(Interrupt.everywhere(effect, options))

const foundIn = <A, E>(effect: Effect.Effect<A, E>, options?: Interrupt.Options<A, E>): Sim.BugFound => {
  const error = Effect.runSync(Effect.flip(Interrupt.everywhere(effect, options)))
  if (error._tag !== "BugFound") throw error
  return error
}

/** The runs of a sweep. */
const runsOf = <A, E>(effect: Effect.Effect<A, E>, options?: Omit<Interrupt.Options<A, E>, "check">) => {
  const runs: Array<Sim.Run<A, E>> = []
  return { ...swept(effect, { ...options, check: (run) => void runs.push(run) }), all: runs }
}

/** Opens, works and closes, and is watched. */
const using = (use: (acquire: Effect.Effect<void>, release: Effect.Effect<void>) => Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    let open = 0
    yield* Leaks.watch("file", () => open)
    yield* use(
      Effect.sync(() => void open++),
      Effect.sync(() => void open--)
    )
  })

const work = Effect.sleep("1 second")
const steps = (count: number) => Effect.replicateEffect(Effect.yieldNow, count)

describe("Interrupt.everywhere", () => {
  it("finds a cleanup that is registered one operation late, and passes one that is not", () => {
    const late = using((acquire, release) => Effect.andThen(acquire, Effect.ensuring(work, release)))
    const bug = foundIn(late)
    expect(bug.why).toContain("1 × file is not given back")
    const replayed = Effect.runSync(Sim.replay(late, bug.token))
    expect(replayed).toMatchObject({ stopped: true, left: { lent: ["1 × file"] } })
    expect(Schedules.parse(bug.token).stop).toMatchObject({ how: "interrupt", fiber: 0 })
    const careful = using((acquire, release) =>
      Effect.acquireUseRelease(
        acquire,
        () => work,
        () => release
      )
    )
    expect(swept(careful).places).toBeGreaterThan(5)
  })

  it("finds fibers that are orphaned, and defects, without any check of one's own", () => {
    const orphan = Effect.gen(function* () {
      const fiber = yield* Effect.forkDetach(Effect.sleep("1 hour"))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
    })
    expect(foundIn(orphan).why).toContain('the fiber "fiber 1" is alive')
    const clumsy = Effect.onInterrupt(work, () => Effect.die(new Error("clumsy cleanup")))
    expect(foundIn(clumsy).why).toContain("clumsy cleanup")
  })

  it("finds a program that fails where nothing disturbs it, or is interrupted by itself", () => {
    expect(foundIn(Effect.fail("x"))).toMatchObject({ schedule: 1, why: "x", stopped: "" })
    expect(foundIn(Effect.interrupt)).toMatchObject({ schedule: 1, stopped: "" })
  })

  it("finds a typed failure that only an interruption brings", () => {
    const worker = Effect.gen(function* () {
      const queue = yield* Queue.unbounded<string>()
      yield* Queue.offer(queue, "message")
      let worked = 0
      const work = Effect.andThen(
        Queue.take(queue),
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void worked++)
        )
      )
      yield* Fiber.await(yield* Effect.forkChild(Interrupt.victim(work)))
      if (worked + (yield* Queue.size(queue)) !== 1) return yield* Effect.fail("a message is lost")
    })
    const bug = foundIn(worker)
    expect(bug.why).toBe("a message is lost")
    expect(bug.stopped).toMatch(/^"fiber 1" interrupted before step \d+$/)
    expect(bug.message).toContain(`, ${bug.stopped}, fails: a message is lost`)
    // The order is not to blame.
    expect(bug.message).toMatch(/\n {2}\d+ of \d+ choices out of the natural order were needed to get there /)
    const waiting = Effect.onInterrupt(work, () => Effect.die(new Error("clumsy cleanup")))
    expect(foundIn(waiting, { at: "suspension" }).message).toContain("\n  the natural order leads there\n")
  })

  it("passes the typed failures that it is told of, and no others", () => {
    const program = Effect.onInterrupt(Effect.andThen(work, Effect.fail("expected")), () => Effect.void)
    expect(swept(program, { fails: (error) => error === "expected" }).places).toBeGreaterThan(0)
    expect(foundIn(program, { fails: (error) => error !== "expected" }).why).toBe("expected")
    const worse = Effect.onInterrupt(program, () => Effect.die(new Error("clumsy cleanup")))
    expect(foundIn(worse, { fails: () => true }).why).toBe("clumsy cleanup")
  })

  it("finds what does not end when it is interrupted", () => {
    const stuck = Effect.flatMap(Deferred.make<void>(), (deferred) =>
      Effect.onInterrupt(Effect.sleep(1), () => Deferred.await(deferred))
    )
    expect(foundIn(stuck).why).toMatch(/^Deadlock: .*\n {2}main waits for a Deferred$/)
    const endless = Effect.onInterrupt(Effect.sleep(1), () => Effect.forever(Effect.yieldNow))
    expect(foundIn(endless, { maxOperations: 1000 }).why).toMatch(/^Livelock: no end after 1\d\d\d operations/)
  })

  it("finds what is wrong with the undisturbed run, too", () => {
    const bug = foundIn(Effect.succeed(1), { check: ({ stopped }) => stopped })
    expect(bug).toMatchObject({ schedule: 1, why: "the check says false of a run that ended with Success(1)" })
    expect(Schedules.parse(bug.token).stop).toBeUndefined()
  })

  it("interrupts before each operation once, in slices of one, two and three operations", () => {
    const { all, places, runs } = runsOf(Effect.asVoid(steps(3)))
    expect(runs).toBe(all.length)
    expect(places).toBe(all.filter(({ stopped }) => stopped).length)
    const undisturbed = all.filter(({ schedule }) => schedule.stop === undefined)
    expect(undisturbed.length).toBe(3)
    expect(undisturbed.every(({ exit, stopped }) => Exit.isSuccess(exit) && !stopped)).toBe(true)
    const [one, two, three] = undisturbed.map((run) => run.steps)
    expect(one).toBeGreaterThan(two!)
    expect(two).toBeGreaterThan(three!)
    expect(one).toBeGreaterThan(undisturbed[0]!.operations / 3)
    for (const [at, first] of all.entries()) {
      if (first.schedule.stop !== undefined) continue
      const next = all.findIndex(({ schedule }, index) => index > at && schedule.stop === undefined)
      const stops = all.slice(at + 1, next < 0 ? undefined : next)
      expect(stops.map(({ schedule }) => schedule.stop?.step)).toEqual(stops.map((_, index) => index + 1))
      expect(stops.length).toBe(first.steps - 1)
    }
    expect(all.filter(({ schedule }) => schedule.stop !== undefined).every(({ stopped }) => stopped)).toBe(true)
  })

  it("interrupts at suspensions only, if it is told so: where one waits, starts or resumes another", () => {
    const noSuspension = Effect.forEach([1, 2, 3], () => Effect.void)
    expect(runsOf(noSuspension, { at: "suspension" })).toMatchObject({ places: 0, runs: 1 })
    expect(runsOf(noSuspension).places).toBeGreaterThan(5)
    const late = using((acquire, release) => Effect.andThen(acquire, Effect.ensuring(work, release)))
    expect(swept(late, { at: "suspension" }).places).toBe(1)
    const tooLate = using((acquire, release) =>
      Effect.andThen(acquire, Effect.andThen(Effect.yieldNow, Effect.ensuring(work, release)))
    )
    expect(foundIn(tooLate, { at: "suspension" }).why).toContain("1 × file")
    const granularities = runsOf(noSuspension, { at: "suspension" }).all.map(({ schedule }) => schedule.granularity)
    expect(new Set(granularities)).toEqual(new Set(["boundary"]))
  })

  it("interrupts while a fiber sleeps and while it waits for another", () => {
    const times: Array<number> = []
    const program = Effect.onInterrupt(Effect.andThen(Effect.sleep(10), Effect.sleep(20)), () =>
      Effect.map(Clock.currentTimeMillis, (now) => void times.push(now))
    )
    swept(program, { at: "suspension" })
    expect([...new Set(times)]).toEqual([0, 10])
  })

  it("waits for regions that are uninterruptible", () => {
    const seen: Array<string> = []
    const shielded = Effect.suspend(() => {
      let state = "before"
      const set = (next: string) => Effect.sync(() => void (state = next))
      const region = Effect.andThen(set("inside"), Effect.andThen(steps(3), set("after")))
      return Effect.andThen(steps(1), Effect.andThen(Effect.uninterruptible(region), steps(1))).pipe(
        Effect.onExit((exit) => Effect.sync(() => void seen.push(Exit.isFailure(exit) ? state : "not interrupted")))
      )
    })
    swept(shielded)
    expect(new Set(seen)).toEqual(new Set(["before", "after", "not interrupted"]))
    expect(seen.filter((state) => state === "after").length).toBeGreaterThan(10)
  })

  it("interrupts the root by default, and each of the fibers in turn for target any", () => {
    const program = Effect.gen(function* () {
      const [a, b] = [yield* Effect.forkChild(steps(2)), yield* Effect.forkChild(steps(2))]
      return [Exit.isFailure(yield* Fiber.await(a)), Exit.isFailure(yield* Fiber.await(b))] as const
    })
    const root = runsOf(program)
    expect(new Set(root.all.flatMap(({ schedule }) => schedule.stop?.fiber ?? []))).toEqual(new Set([0]))
    const any = runsOf(program, { target: "any" })
    expect(new Set(any.all.flatMap(({ schedule }) => schedule.stop?.fiber ?? []))).toEqual(new Set([0, 1, 2]))
    const outcomes = any.all.flatMap(({ exit, schedule }) =>
      Exit.isSuccess(exit) ? [`${schedule.stop?.fiber}: ${exit.value}`] : []
    )
    expect(new Set(outcomes.filter((outcome) => outcome.includes("true")))).toEqual(
      new Set(["1: true,false", "2: false,true"])
    )
    // A fiber that has ended is not there to be interrupted: one run for each of three fibers and three slices tells.
    const inVain = any.all.filter(({ schedule, stopped }) => schedule.stop !== undefined && !stopped)
    expect(inVain.length).toBeLessThanOrEqual(9)
    expect(any.runs).toBe(any.places + inVain.length + 3)
  })

  it("interrupts the victim, where one is marked, and nobody else", () => {
    const program = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Interrupt.victim(Effect.andThen(work, work)))
      return yield* Fiber.await(fiber)
    })
    const { all } = runsOf(program)
    expect(all.every(({ exit }) => Exit.isSuccess(exit))).toBe(true)
    const interrupted = all.filter(({ exit }) => Exit.isSuccess(exit) && Exit.isFailure(exit.value))
    expect(interrupted.length).toBeGreaterThan(5)
    expect(new Set(interrupted.map(({ schedule }) => schedule.stop?.fiber))).toEqual(new Set([1]))
  })

  it("finds a permit that is lost to one of those who wait for it", () => {
    // What it has to find in any queue for permits: woken, and interrupted before it says so.
    const clumsy = Effect.gen(function* () {
      const waiters: Array<Deferred.Deferred<void>> = []
      let free = 1
      yield* Leaks.watch("permit", () => 1 - free)
      const take = Effect.suspend(() => {
        if (free > 0) return Effect.sync(() => void free--)
        const deferred = Deferred.makeUnsafe<void>()
        waiters.push(deferred)
        return Deferred.await(deferred)
      })
      const give = Effect.suspend(() => {
        const next = waiters.shift()
        return next === undefined ? Effect.sync(() => void free++) : Deferred.succeed(next, undefined)
      })
      const use = Effect.acquireUseRelease(
        Effect.interruptible(take),
        () => Effect.yieldNow,
        () => give
      )
      yield* Effect.all([use, Interrupt.victim(use), use].map(Effect.exit), { concurrency: "unbounded" })
    })
    expect(foundIn(clumsy).why).toMatch(/permit|Deadlock/)
    const right = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      yield* Leaks.semaphore(semaphore, 1)
      const use = semaphore.withPermit(Effect.yieldNow)
      yield* Effect.all([use, Interrupt.victim(use), use].map(Effect.exit), { concurrency: "unbounded" })
    })
    expect(swept(right, { target: "any" }).places).toBeGreaterThan(20)
  })

  it("takes a check that gives an effect", () => {
    const check = ({ exit }: Sim.Run<void, never>) => (Exit.isFailure(exit) ? Effect.fail("cancelled") : Effect.void)
    expect(foundIn(Effect.asVoid(steps(2)), { check }).why).toBe("cancelled")
  })

  it("sweeps programs that wait for promises", async () => {
    const program = Effect.flatMap(Queue.unbounded<string>(), (queue) =>
      Effect.andThen(
        Effect.promise(() => Promise.resolve()),
        Queue.offer(queue, "sent")
      )
    )
    expect((await Effect.runPromise(Interrupt.everywhere(program))).places).toBeGreaterThan(3)
  })

  it("reports what another run would not repeat", () => {
    let runs = 0
    const program = Effect.suspend(() => (++runs === 3 ? Effect.die("now and then") : Effect.void))
    expect(Effect.runSync(Effect.flip(Interrupt.everywhere(program)))._tag).toBe("OutsideNondeterminism")
  })
})

describe("Interrupt.victim", () => {
  it("changes nothing outside of simulations, nor what the effect gives", () => {
    expect(Effect.runSync(Interrupt.victim(Effect.succeed(1)))).toBe(1)
    expect(Effect.runSync(Effect.flip(Interrupt.victim(Effect.fail("no"))))).toBe("no")
    expect(Effect.runSync(Sim.run(Interrupt.victim(Effect.succeed(1)))).exit).toEqual(Exit.succeed(1))
  })
})
