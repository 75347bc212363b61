import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Limiter, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"

const leftBy = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSync(Sim.run(effect)).left
const nothing = { fibers: [], timers: 0, scopes: 0, lent: [] }

const leakOf = <A, E>(effect: Effect.Effect<A, E>): string => {
  const error = Effect.runSync(Effect.flip(Leaks.none(effect)))
  if (error._tag !== "BugFound") throw error
  expect(error.cause).toBeInstanceOf(Leaks.Leaked)
  return error.why
}

const isClean = <A, E>(effect: Effect.Effect<A, E>) => {
  expect(leftBy(effect)).toEqual(nothing)
  expect(Effect.runSync(Leaks.none(effect)).schedules).toBe(50)
}

describe("a fiber that outlives the effect", () => {
  it("is a leak, under its name, and so is its timer", () => {
    expect(leftBy(Effect.forkDetach(Effect.never))).toEqual({ ...nothing, fibers: ["fiber 1"] })
    const named = Effect.forkDetach(Effect.withSpan(Effect.sleep("1 hour"), "poller"))
    expect(leakOf(named)).toBe(
      'The effect has ended, but the fiber "poller" is alive; 1 timer is pending. ' +
        "Whoever makes it has to end it, in every outcome"
    )
    expect(leakOf(Effect.forkDetach(Effect.never))).not.toContain("timer")
    expect(leakOf(Effect.all([named, named]))).toContain(
      'the fiber "poller" is alive; the fiber "poller 2" is alive; 2 timers are pending'
    )
  })

  it("is none if it can still end without time passing, as cleanup does", () => {
    isClean(Effect.forkDetach(Effect.replicateEffect(Effect.yieldNow, 20)))
    isClean(Effect.forkChild(Effect.onInterrupt(Effect.never, () => Effect.replicateEffect(Effect.yieldNow, 20))))
    isClean(TaskGroup.open(TaskGroup.spawn(Effect.sleep("1 hour"), { kind: "daemon" })))
    isClean(Effect.timeoutOption(Effect.never, 1))
  })

  it("is found also where the promise that it waits for settles only after the end", async () => {
    const late = Effect.forkDetach(
      Effect.promise(() => Promise.resolve()),
      { startImmediately: true }
    )
    expect((await Effect.runPromise(Sim.run(late))).left).toEqual(nothing)
    const never = Effect.forkDetach(Effect.promise(() => new Promise(() => {})))
    expect((await Effect.runPromise(Sim.run(never))).left.fibers).toEqual(["fiber 1"])
  })

  it("is found in every outcome of the effect, and under any schedule", () => {
    const failing = Effect.andThen(Effect.forkDetach(Effect.never), Effect.fail("whatever"))
    expect(leakOf(failing)).toContain('the fiber "fiber 1" is alive')
    expect(Effect.runSync(Leaks.none(Effect.fail("whatever"))).schedules).toBe(50)
    const rarely = Effect.gen(function* () {
      let late = false
      yield* Effect.all(
        [
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void (late = true))
          ),
          Effect.andThen(
            Effect.yieldNow,
            Effect.suspend(() => (late ? Effect.void : Effect.forkDetach(Effect.never)))
          )
        ],
        { concurrency: 2 }
      )
    })
    expect(leftBy(rarely)).toEqual(nothing)
    expect(leakOf(rarely)).toMatch(/the fiber "fiber \d" is alive/)
  })
})

describe("a scope", () => {
  it("with finalizers in it that nobody closes is a leak", () => {
    const careless = Effect.flatMap(Scope.make(), (scope) =>
      Effect.provideService(
        Effect.acquireRelease(Effect.void, () => Effect.void),
        Scope.Scope,
        scope
      )
    )
    expect(leftBy(careless)).toEqual({ ...nothing, scopes: 1 })
    expect(leakOf(careless)).toContain("but 1 scope is open with finalizers.")
    expect(leakOf(Effect.all([careless, careless]))).toContain("2 scopes are open with finalizers.")
  })

  it("that is closed, or has nothing in it, is none", () => {
    isClean(Effect.scoped(Effect.acquireRelease(Effect.void, () => Effect.sleep(1))))
    isClean(Effect.flatMap(Scope.make(), (scope) => Effect.provideService(Effect.yieldNow, Scope.Scope, scope)))
    isClean(
      Effect.exit(
        Effect.scoped(
          Effect.andThen(
            Effect.addFinalizer(() => Effect.void),
            Effect.die("broken")
          )
        )
      )
    )
  })

  it("of a pool of workers tells that they outlive the effect", () => {
    const pool = Effect.gen(function* () {
      yield* Effect.acquireRelease(Effect.succeed("worker thread"), () => Effect.void)
      return "pool"
    })
    const careless = Effect.flatMap(Scope.make(), (scope) => Effect.provideService(pool, Scope.Scope, scope))
    expect(leakOf(careless)).toContain("1 scope is open")
    isClean(Effect.scoped(pool))
  })

  it.effect("of the test around the run is none of its leaks, whatever is in it", () =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.void)
      const run = yield* Sim.run(Effect.addFinalizer(() => Effect.void))
      expect(run.left).toEqual(nothing)
      expect((yield* Leaks.none(Effect.acquireRelease(Effect.void, () => Effect.void))).schedules).toBe(50)
    })
  )
})

describe("what is watched", () => {
  it("is a leak unless it is 0 at the end of the run", () => {
    const watching = (held: number) =>
      Effect.gen(function* () {
        let open = 0
        yield* Leaks.watch("connection", () => open)
        open = held
      })
    isClean(watching(0))
    expect(leakOf(watching(2))).toContain("2 × connection is not given back")
    expect(leftBy(Effect.all([watching(1), watching(0), watching(3)])).lent).toEqual([
      "1 × connection",
      "3 × connection"
    ])
    // A double release gives back more than there was.
    expect(leakOf(watching(-1))).toContain("-1 × connection")
  })

  it("may be given back after the end, by what still can run", () => {
    isClean(
      Effect.gen(function* () {
        let open = 1
        yield* Leaks.watch("connection", () => open)
        yield* Effect.forkDetach(
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void open--)
          )
        )
      })
    )
  })

  it("counts the permits of a semaphore that are out", () => {
    const taking = (taken: number) =>
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(5)
        yield* Leaks.semaphore(semaphore, 5)
        yield* semaphore.take(taken)
      })
    isClean(taking(0))
    expect(leftBy(taking(1)).lent).toEqual(["1 × permit of a semaphore"])
    expect(leftBy(taking(3)).lent).toEqual(["3 × permit of a semaphore"])
    expect(leftBy(taking(5)).lent).toEqual(["5 × permit of a semaphore"])
    expect(leakOf(taking(2))).toContain("2 × permit of a semaphore is not given back")
  })

  it("counts the permits of a limiter that are out", () => {
    const using = (use: (limiter: Limiter.Limiter) => Effect.Effect<unknown>) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(2)
        yield* Leaks.limiter(limiter)
        yield* use(limiter)
      })
    isClean(using((limiter) => limiter.withPermit(Effect.void)))
    const careless = using((limiter) => Effect.forkDetach(limiter.withPermit(Effect.never), { startImmediately: true }))
    expect(leakOf(careless)).toContain("1 × permit of a limiter is not given back")
  })

  it("does nothing outside of simulations", () => {
    const watching = Effect.gen(function* () {
      yield* Leaks.watch("connection", () => 1)
      const semaphore = yield* Semaphore.make(1)
      yield* Leaks.semaphore(semaphore, 1)
      return yield* semaphore.take(1)
    })
    expect(Effect.runSync(watching)).toBe(1)
  })
})

describe("a fiber that Effect.runFork starts inside of the effect", () => {
  const nowhere = (effect: Effect.Effect<unknown>) => Effect.sync(() => void Effect.runFork(effect))

  it("is a leak where it outlives the effect, though no schedule decides about it", () => {
    expect(leftBy(nowhere(Effect.withSpan(Effect.never, "poller"))).fibers).toEqual([
      "poller (outside of the simulation)"
    ])
    const twice = Effect.andThen(nowhere(Effect.never), nowhere(Effect.never))
    expect(leakOf(twice)).toContain('the fiber "fiber (outside of the simulation) 2" is alive')
  })

  it("is none where it has ended, at once or by a promise that the effect waits for", async () => {
    isClean(nowhere(Effect.void))
    const awaited = Effect.promise((signal) =>
      Effect.runPromise(Effect.andThen(Effect.yieldNow, Effect.void), { signal })
    )
    const run = await Effect.runPromise(Sim.run(awaited))
    expect(run.left).toEqual(nothing)
  })

  it("is none where it has only to be given its turns", async () => {
    const yields = nowhere(Effect.replicateEffect(Effect.yieldNow, 3))
    isClean(yields)
    expect((await Effect.runPromise(Sim.run(yields))).left).toEqual(nothing)
    const late = nowhere(Effect.andThen(Effect.replicateEffect(Effect.yieldNow, 3), Effect.never))
    const { left } = await Effect.runPromise(Sim.run(late))
    expect(left.fibers).toEqual(["fiber (outside of the simulation)"])
  })

  it("is a fiber of the run like any other where it is started with the services of the effect", () => {
    const inside = Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync(() => void Effect.runForkWith(context)(Effect.sleep("1 hour")))
    )
    expect(leftBy(inside)).toEqual({ ...nothing, fibers: ["fiber 1"], timers: 1 })
  })

  it("is not seen where something from outside starts it later: a timer, or a promise", async () => {
    const later = Effect.sync(() => void Promise.resolve().then(() => Effect.runFork(Effect.never)))
    const run = await Effect.runPromise(Sim.run(Effect.andThen(later, Effect.yieldNow)))
    expect(run.left).toEqual(nothing)
  })

  it("leaves the scheduler of everybody else as it was", () => {
    const scheduler = Context.get(Context.empty(), Scheduler.Scheduler)
    const { shouldYield } = scheduler
    Effect.runSync(Sim.run(nowhere(Effect.die("broken"))))
    expect(scheduler.shouldYield).toBe(shouldYield)
  })
})

describe("Leaks.none", () => {
  it("explores 50 schedules, or as it is told", () => {
    expect(Effect.runSync(Leaks.none(Effect.void)).schedules).toBe(50)
    expect(Effect.runSync(Leaks.none(Effect.void, { schedules: 3 })).schedules).toBe(3)
  })

  it("reports a deadlock and a livelock as Sim.explore does", () => {
    expect(Effect.runSync(Effect.flip(Leaks.none(Effect.flatMap(Latch.make(), Latch.await)))).message).toContain(
      "Deadlock"
    )
    const spin = Leaks.none(Effect.forever(Effect.yieldNow), { maxOperations: 100, shrinks: 0 })
    expect(Effect.runSync(Effect.flip(spin)).message).toContain("Livelock")
  })
})

describe("Leaks.check", () => {
  it("fails with Leaked, which has each kind, and not for a run that was killed", () => {
    const run = Effect.runSync(Sim.run(Effect.forkDetach(Effect.sleep(1))))
    const leaked = Effect.runSync(Effect.flip(Leaks.check(run)))
    expect(leaked).toMatchObject({ _tag: "Leaked", fibers: ["fiber 1"], timers: 1, scopes: 0, lent: [] })
    const stop = { how: "kill", step: 1, fiber: 0 } as const
    const program = Effect.andThen(Effect.forkDetach(Effect.sleep(1), { startImmediately: true }), Effect.sleep(5))
    const killed = Effect.runSync(Sim.run(program, { stop }))
    expect(killed.left.fibers.length).toBeGreaterThan(0)
    expect(Effect.runSyncExit(Leaks.check(killed))).toEqual(Exit.void)
  })
})
