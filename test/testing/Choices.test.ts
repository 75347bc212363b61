import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { Choices, Schedules, Sim } from "skein/testing"

const times = <A>(count: number, effect: Effect.Effect<A>) => Effect.replicateEffect(effect, count)
const valueOf = <A>(effect: Effect.Effect<A>, options?: Sim.Options): A =>
  Effect.runSync(Effect.flatMap(Sim.run(effect, options), ({ exit }) => exit))

describe.each(["random", "pct"] as const)("in a simulation by %s", (strategy) => {
  it("choose gives each of the options", () => {
    const seen = valueOf(times(300, Choices.choose(4)), { strategy })
    expect([...new Set(seen)].toSorted()).toEqual([0, 1, 2, 3])
    expect(seen).toEqual(valueOf(times(300, Choices.choose(4)), { strategy }))
    expect(seen).not.toEqual(valueOf(times(300, Choices.choose(4)), { strategy, seed: 1 }))
  })

  it("happens has its probability", () => {
    const count = (probability: number) =>
      valueOf(times(1000, Choices.happens(probability)), { strategy }).filter(Boolean).length
    expect([count(0), count(1)]).toEqual([0, 1000])
    expect(count(0.2)).toBeGreaterThan(140)
    expect(count(0.2)).toBeLessThan(260)
  })
})

describe("in any simulation", () => {
  it("are kept among the choices of the run, and replayed", () => {
    const ask = Effect.all([Choices.choose(5), Choices.happens(0.5), Choices.choose(7)])
    const run = Effect.runSync(Sim.run(ask, { strategy: "random", seed: 4 }))
    const [a, b, c] = valueOf(ask, { strategy: "random", seed: 4 })
    expect(run.schedule.choices).toEqual([a, b ? 1 : 0, c])
    expect(Effect.runSync(Sim.replay(ask, run.token)).exit).toEqual(Exit.succeed([a, b, c]))
  })

  it("are explored, and shrunk towards 0 and false", () => {
    const ask = Effect.all([Choices.choose(100), Choices.happens(0.5), Choices.choose(100)])
    const small = ([a, b, c]: readonly [number, boolean, number]) => a < 40 || (!b && c < 90)
    const bug = Effect.runSync(
      Effect.flip(
        Sim.explore(ask, { granularity: "boundary", check: ({ exit }) => Exit.isSuccess(exit) && small(exit.value) })
      )
    )
    expect(Schedules.parse(bug.token).choices).toEqual([40, 1])
  })

  it("are the natural ones by fifo: 0 and false, whatever the probability", () => {
    expect(valueOf(Effect.all([Choices.choose(3), Choices.happens(0.999)]))).toEqual([0, false])
  })

  it("are none where there is one option only", () => {
    expect(Effect.runSync(Sim.run(Choices.choose(1), { strategy: "random" })).schedule.choices).toEqual([])
    expect(valueOf(Choices.choose(0), { strategy: "random" })).toBe(0)
  })
})

describe("a latency", () => {
  const slept = (latency: Choices.Latency, options?: Sim.Options) =>
    Effect.runSync(Sim.run(Choices.latency(latency), options)).time
  const range = { min: "20 millis", max: "120 millis" } as const
  const seeds = Array.from({ length: 200 }, (_, seed) => seed)

  it("is as long as it says, and the shortest of a range where all goes its natural way", () => {
    expect(slept("3 seconds", { strategy: "random", seed: 3 })).toBe(3000)
    expect(slept(range)).toBe(20)
  })

  it("is drawn from its range, in ten steps", () => {
    const drawn = new Set(seeds.map((seed) => slept(range, { strategy: "random", seed })))
    expect([...drawn].toSorted((a, b) => a - b)).toEqual([20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
  })

  it("may end at the very moment at which somebody else wakes", () => {
    const ended = Effect.andThen(Choices.latency(range), Clock.currentTimeNanos)
    const program = Effect.map(Effect.all([Effect.sleep(73.3), ended], { concurrency: 2 }), ([, nanos]) => nanos)
    const ends = seeds.map((seed) => valueOf(program, { strategy: "random", seed }))
    expect(ends.filter((nanos) => nanos === 73_300_000n).length).toBeGreaterThan(5)
    expect(Math.min(...ends.map(Number))).toBe(20_000_000)
    // What is earlier than the shortest, or later than the longest, is not waited for.
    const apart = Effect.all([Effect.sleep(13), Effect.sleep(130), ended], { concurrency: 3 })
    const others = seeds.map((seed) => Number(valueOf(apart, { strategy: "random", seed })[2]))
    expect(others.filter((nanos) => nanos % 10_000_000 !== 0)).toEqual([])
  })

  it("is one of the steps outside of simulations", async () => {
    const started = performance.now()
    await Effect.runPromise(Choices.latency({ min: 0, max: 1 }))
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

it("are decided by Random outside of simulations, so by its seed", () => {
  const ask = Effect.all([times(100, Choices.choose(6)), times(100, Choices.happens(0.5))])
  const seeded = (seed: string) => Effect.runSync(Random.withSeed(ask, seed))
  expect(seeded("a")).toEqual(seeded("a"))
  expect(seeded("a")).not.toEqual(seeded("b"))
  const [chosen, happened] = seeded("a")
  expect(new Set(chosen)).toEqual(new Set([0, 1, 2, 3, 4, 5]))
  expect(new Set(happened)).toEqual(new Set([true, false]))
  expect(Effect.runSync(Choices.happens(0))).toBe(false)
  expect(Effect.runSync(Choices.happens(1))).toBe(true)
})
