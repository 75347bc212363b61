/** The limit that `Limiter.adaptive` finds: in a simulated service that does so many calls at once, and queues the others. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"
import { Limiter } from "skein"
import { Leaks, Sim } from "skein/testing"

const deep = process.env["SKEIN_DEEP"] !== undefined
const seeds = deep ? [1, 2, 3, 4, 5, 6, 7, 8] : [1, 2]

const simulate = <A>(effect: Effect.Effect<A, unknown>, seed = 0): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect, { seed, maxOperations: 1e8 }), Leaks.check))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

const defect = (effect: Effect.Effect<unknown, unknown>): unknown => {
  const { exit } = Effect.runSync(Sim.run(effect))
  return Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined
}

const limitOf = (limiter: Limiter.Limiter) => Effect.map(limiter.stats, ({ limit }) => limit)

/** Milliseconds. */
const latency = {
  "20 to 100 ms": Random.nextBetween(20, 100),
  "50 ms, exactly": Effect.succeed(50),
  "mostly about 40 ms, with a long tail": Effect.map(
    Effect.all([Random.next, Random.next]),
    ([a, b]) => 40 * Math.exp(0.6 * Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b))
  )
}
type Latency = (typeof latency)[keyof typeof latency]

interface Measured {
  /** The mean limit. */
  readonly limit: number
  /** Calls done in a second. */
  readonly rate: number
}

/** Has so many clients call the service, one call after the other each, and measures for each of the stretches of seconds. */
const measure = (
  limiter: Limiter.Limiter,
  clients: number,
  call: Effect.Effect<unknown, unknown>,
  stretches: ReadonlyArray<{ readonly from?: Effect.Effect<unknown>; readonly seconds: number }>
) =>
  Effect.gen(function* () {
    let done = 0
    const client: Effect.Effect<never> = Effect.forever(
      Effect.tap(Effect.ignore(limiter.withPermit(call)), () => Effect.sync(() => done++))
    )
    const observed = Effect.gen(function* () {
      const measured: Array<Measured> = []
      for (const { from = Effect.void, seconds } of stretches) {
        yield* from
        done = 0
        let sum = 0
        for (let i = 0; i < 20 * seconds; i++) {
          yield* Effect.sleep(50)
          sum += yield* limitOf(limiter)
        }
        measured.push({ limit: sum / (20 * seconds), rate: done / seconds })
      }
      return measured
    })
    const all = Effect.all(
      Array.from({ length: clients }, () => client),
      { concurrency: "unbounded" }
    )
    return yield* Effect.raceFirst(observed, Effect.andThen(all, Effect.never))
  })

/** A service that does so many calls at once: any more wait there. */
const serviceOf = (knee: number, millis: Latency) =>
  Effect.map(Semaphore.make(knee), (servers) => ({
    servers,
    call: servers.withPermits(1)(Effect.flatMap(millis, Effect.sleep))
  }))

const isWithin = (value: number, percent: number, of: number, what: string) =>
  expect(Math.abs(value / of - 1), `${what}: ${value.toFixed(1)} of ${of}`).toBeLessThanOrEqual(percent / 100)

describe("Limiter.adaptive in a service with a knee", () => {
  for (const [name, millis] of Object.entries(latency)) {
    it(`comes within 20 % of the best limit, with calls of ${name}`, { timeout: 300_000 }, () => {
      for (const [knee, max] of [
        [8, 64],
        [20, 64],
        [50, 200]
      ] as const) {
        for (const seed of seeds) {
          const program = Effect.gen(function* () {
            const { call } = yield* serviceOf(knee, millis)
            const limiter = yield* Limiter.adaptive({ min: 2, max })
            const best = yield* Limiter.concurrency(knee)
            const [, measured] = yield* measure(limiter, 2 * max, call, [{ seconds: 5 }, { seconds: deep ? 120 : 15 }])
            const [ideal] = yield* measure(best, 2 * max, call, [{ seconds: 10 }])
            return { ...measured!, ideal: ideal!.rate }
          })
          const { ideal, limit, rate } = simulate(program, seed)
          isWithin(limit, 20, knee, `limit, knee ${knee}, seed ${seed}`)
          expect(rate / ideal, `calls a second, knee ${knee}, seed ${seed}`).toBeGreaterThan(0.8)
        }
      }
    })
  }

  it("follows the knee up and down", { timeout: 300_000 }, () => {
    for (const seed of seeds) {
      const program = Effect.gen(function* () {
        const { call, servers } = yield* serviceOf(20, latency["20 to 100 ms"])
        const limiter = yield* Limiter.adaptive({ min: 2, max: 200 })
        const knees = [20, 50, 10, 30]
        const stretches = knees.flatMap((knee) => [
          { from: servers.resize(knee), seconds: 10 },
          { seconds: deep ? 60 : 10 }
        ])
        const measured = yield* measure(limiter, 200, call, stretches)
        return knees.map((knee, i) => [knee, measured[2 * i + 1]!.limit] as const)
      })
      for (const [knee, limit] of simulate(program, seed)) {
        isWithin(limit, 20, knee, `knee ${knee}, seed ${seed}`)
      }
    }
  })

  it("finds the new normal when calls take longer for good", { timeout: 300_000 }, () => {
    for (const seed of seeds) {
      const program = Effect.gen(function* () {
        let factor = 1
        const { call } = yield* serviceOf(
          20,
          Effect.map(latency["20 to 100 ms"], (millis) => millis * factor)
        )
        const limiter = yield* Limiter.adaptive({ min: 2, max: 200 })
        const slower = Effect.sync(() => (factor = 4))
        return (yield* measure(limiter, 200, call, [
          { seconds: 10 },
          { from: slower, seconds: 60 },
          { seconds: 30 }
        ]))[2]!
      })
      const { limit } = simulate(program, seed)
      isWithin(limit, 20, 20, `seed ${seed}`)
    }
  })

  it("finds the load from which on calls fail", { timeout: 300_000 }, () => {
    for (const seed of seeds) {
      const program = Effect.gen(function* () {
        let running = 0
        const call = Effect.suspend(() =>
          ++running > 30 ? Effect.fail("503") : Effect.flatMap(latency["20 to 100 ms"], Effect.sleep)
        ).pipe(Effect.ensuring(Effect.sync(() => running--)))
        const limiter = yield* Limiter.adaptive({ min: 2, max: 200 })
        return (yield* measure(limiter, 200, call, [{ seconds: 5 }, { seconds: 20 }]))[1]!
      })
      const { limit } = simulate(program, seed)
      isWithin(limit, 20, 30, `seed ${seed}`)
    }
  })
})

describe("Limiter.adaptive without overload", () => {
  for (const [name, millis] of Object.entries(latency)) {
    it(`goes up to its maximum, or to the demand, with calls of ${name}`, { timeout: 300_000 }, () => {
      for (const [clients, max] of [
        [200, 64],
        [64, 200]
      ] as const) {
        for (const seed of seeds) {
          const program = Effect.gen(function* () {
            const limiter = yield* Limiter.adaptive({ min: 2, max })
            const call = Effect.flatMap(millis, Effect.sleep)
            return (yield* measure(limiter, clients, call, [{ seconds: 5 }, { seconds: deep ? 120 : 15 }]))[1]!
          })
          const { limit } = simulate(program, seed)
          isWithin(limit, 20, 64, `${clients} clients, max ${max}, seed ${seed}`)
        }
      }
    })
  }
})

describe("Limiter.adaptive", () => {
  /** As many effects as the limit, all at once: each of them a success that takes a second, unless told otherwise. */
  const round = (limiter: Limiter.Limiter, effect: Effect.Effect<unknown, unknown> = Effect.sleep("1 second")) =>
    Effect.flatMap(limitOf(limiter), (limit) =>
      Effect.all(
        Array.from({ length: limit }, () => Effect.exit(limiter.withPermit(effect))),
        { concurrency: "unbounded", discard: true }
      )
    )

  const limits = (count: number, limiter: Limiter.Limiter, effect?: Effect.Effect<unknown, unknown>) =>
    Effect.forEach(Array.from({ length: count }), () => Effect.andThen(round(limiter, effect), limitOf(limiter)))

  const adaptive = (options?: Partial<Limiter.AdaptiveOptions>) =>
    Limiter.adaptive({ min: 1, max: 8, tolerance: Infinity, backoff: 0.75, ...options })

  /** At its maximum. */
  const grown = (options?: Partial<Limiter.AdaptiveOptions>) =>
    Effect.gen(function* () {
      const limiter = yield* adaptive(options)
      yield* limits(100, limiter)
      return limiter
    })

  it("begins with its minimum, and does not grow while there is room: nothing is known of a limit not reached", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* adaptive({ min: 2 })
      for (let i = 0; i < 200; i++) yield* limiter.withPermit(Effect.sleep("1 second"))
      return yield* limitOf(limiter)
    })
    expect(simulate(program)).toBe(2)
  })

  it("is cut by failures and defects, once for all that ran together, and not below its minimum", () => {
    for (const failure of [Effect.fail("503"), Effect.die("broken")]) {
      const program = Effect.flatMap(grown(), (limiter) => limits(8, limiter, Effect.delay(failure, "1 second")))
      expect(simulate(program)).toEqual([6, 4, 3, 2, 1, 1, 1, 1])
    }
    const few = Effect.flatMap(adaptive({ min: 3 }), (limiter) => limits(2, limiter, Effect.fail("503")))
    expect(simulate(few)).toEqual([3, 3])
  })

  it("goes on from an overload that comes before anything was measured, and from calls that take no time", () => {
    for (const tolerance of [1, 2, Infinity]) {
      for (const millis of [0, 5]) {
        const { limit, served } = simulate(
          Effect.gen(function* () {
            const limiter = yield* Limiter.adaptive({ min: 1, max: 8, tolerance })
            yield* Effect.exit(limiter.withPermit(Effect.fail("too much")))
            const calls = Effect.forEach(
              Array.from({ length: 500 }),
              () => limiter.withPermit(millis === 0 ? Effect.yieldNow : Effect.sleep(millis)),
              { concurrency: 16 }
            )
            return { served: (yield* calls).length, limit: yield* limitOf(limiter) }
          })
        )
        expect(served).toBe(500)
        expect(limit).toBeGreaterThanOrEqual(1)
        expect(limit).toBeLessThanOrEqual(8)
      }
    }
  })

  it("learns nothing from what was cancelled, nor from errors that are no overload", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* grown({ tolerance: 1, overloaded: (error) => error !== "404" })
      const before = yield* limitOf(limiter)
      for (let i = 0; i < 20; i++) {
        yield* round(limiter, Effect.delay(Effect.interrupt, "5 seconds"))
        yield* round(limiter, Effect.fail("404"))
      }
      expect(yield* limitOf(limiter)).toBe(before)
      yield* round(limiter, Effect.delay(Effect.fail("503"), "1 second"))
      return yield* limitOf(limiter)
    })
    expect(simulate(program)).toBe(6)
  })

  it("tolerates that effects take longer, as far as it is told to", () => {
    // A thing done at once by all takes as long as they are many: the less of them, the better.
    const found = (tolerance: number) =>
      Effect.gen(function* () {
        let running = 0
        const call = Effect.suspend(() => Effect.sleep(50 * Math.max(1, ++running / 10))).pipe(
          Effect.ensuring(Effect.sync(() => running--))
        )
        const limiter = yield* Limiter.adaptive({ min: 2, max: 100, tolerance })
        return (yield* measure(limiter, 100, call, [{ seconds: 5 }, { seconds: 20 }]))[1]!.limit
      })
    isWithin(simulate(found(1)), 20, 10, "tolerance 1")
    isWithin(simulate(found(2)), 20, 20, "tolerance 2")
    isWithin(simulate(found(Infinity)), 20, 100, "any tolerance")
  })

  it("what is only tried and refused does not count", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* adaptive({ min: 2 })
      const none = yield* Limiter.concurrency(0)
      const both = Limiter.all(limiter, none)
      for (let i = 0; i < 100; i++) yield* both.tryWithPermits(2)(Effect.void)
      yield* limits(100, limiter)
      return yield* limitOf(limiter)
    })
    expect(simulate(program)).toBe(8)
  })

  it("lets waiters in as it grows, and makes none wait for what might never come", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* adaptive()
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
        Array.from({ length: 500 }, () => limiter.withPermit(work)),
        { concurrency: "unbounded" }
      )
      expect(most).toBe(8)
      yield* limiter.withPermits(2)(Effect.void)
    })
    expect(defect(program)).toMatchObject({ _tag: "TooManyPermits", asked: 2, limit: 1 })
  })

  it("refuses what makes no sense", () => {
    for (const options of [
      { min: 0 },
      { max: 0 },
      { min: 1.5 },
      { backoff: 1 },
      { tolerance: 0.9 },
      { tolerance: NaN }
    ]) {
      expect(defect(adaptive(options))).toBeInstanceOf(RangeError)
    }
  })

  it("gives its permits back although `overloaded` throws", () => {
    const program = Effect.gen(function* () {
      const overloaded = () => {
        throw new Error("hostile")
      }
      const limiter = yield* adaptive({ overloaded })
      yield* Effect.exit(limiter.withPermit(Effect.fail("1")))
      yield* Effect.exit(limiter.tryWithPermits(1)(Effect.fail("2")))
      return (yield* limiter.stats).inUse
    })
    expect(simulate(program)).toBe(0)
  })
})
