/** How many orders of a program can be tried in a second, and what does virtual time cost? */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import * as TestClock from "effect/testing/TestClock"
import { type Schedules, Sim } from "skein/testing"
import { check, type Group, millis, perSecond, type Row, scaled } from "./support/group.ts"
import { times } from "./support/loops.ts"

/** So many fibers, beside the one that starts them, count together under a lock, each with a yield under it. */
const counting = (fibers: number, rounds: number): Effect.Effect<number> =>
  Effect.suspend(() => {
    const lock = Semaphore.makeUnsafe(1)
    let count = 0
    const add = Effect.suspend(() => {
      const seen = count
      return Effect.map(Effect.yieldNow, () => void (count = seen + 1))
    })
    const fiber = times(rounds, () => lock.withPermit(add))
    const all = Effect.all(
      Array.from({ length: fibers }, () => fiber),
      { concurrency: "unbounded", discard: true }
    )
    return Effect.map(all, () => count)
  })

const direct = "Effect.runPromise"

const directly = (schedules: number, fibers: number, rounds: number): Row => ({
  name: direct,
  kind: "raw",
  measure: perSecond({
    ops: schedules,
    checksum: schedules * fibers * rounds,
    work: async () => {
      let total = 0
      for (let i = 0; i < schedules; i++) total += await Effect.runPromise(counting(fibers, rounds))
      return total
    }
  })
})

interface Exploration {
  readonly how: Pick<Sim.ExploreOptions<number, never>, "strategy" | "granularity">
  readonly fibers: number
  readonly rounds: number
  readonly schedules: number
  /** How many decisions a schedule has to have on average, give or take a tenth. */
  readonly decisions?: number
}

const explored = ({ decisions, fibers, how, rounds, schedules }: Exploration): Row => ({
  name: `Sim.explore${how.strategy === undefined ? "" : `, ${how.strategy}, ${how.granularity}`}`,
  kind: "ours",
  goal: { limit: 0.9, of: direct },
  measure: perSecond({
    ops: schedules,
    checksum: schedules * fibers * rounds,
    work: async () => {
      let total = 0
      let decided = 0
      const add = ({ exit, schedule }: Sim.Run<number, never>) => {
        if (exit._tag === "Success") total += exit.value
        decided += schedule.choices?.length ?? 0
      }
      await Effect.runPromise(Sim.explore(counting(fibers, rounds), { ...how, schedules, check: add }))
      const mean = decided / schedules
      if (decisions !== undefined && Math.abs(mean / decisions - 1) > 0.1) check(mean, decisions)
      return total
    }
  })
})

/** And how many rounds of eight fibers it takes for 3,500 decisions. */
const ways: ReadonlyArray<readonly [Schedules.Strategy, Schedules.Granularity, number]> = [
  ["random", "boundary", 194],
  ["random", "op", 42],
  ["pct", "boundary", 147],
  ["pct", "op", 96]
]

const few = scaled(10_000)
const many = scaled(500)
const days = 20
const hours = days * 24
const repeat = scaled(20)

/** How often the clock has rung, and the hours that it shows then. */
const hourly = Effect.suspend(() => {
  let rings = 0
  const ring = Effect.map(Effect.sleep("1 hour"), () => void rings++)
  return Effect.andThen(
    times(hours, () => ring),
    Effect.map(Clock.currentTimeMillis, (now) => rings + now / 3_600_000)
  )
})

const repeated = (run: Effect.Effect<number, unknown>) =>
  millis({
    ops: repeat,
    checksum: repeat * 2 * hours,
    work: async () => {
      let total = 0
      for (let i = 0; i < repeat; i++) total += await Effect.runPromise(run)
      return total
    }
  })

const adjusted = Effect.gen(function* () {
  const fiber = yield* Effect.forkChild(hourly)
  yield* TestClock.adjust(`${days} days`)
  return yield* Fiber.join(fiber)
}).pipe(Effect.provide(TestClock.layer()))

const about = { unit: "schedules a second", better: "more", baseline: direct } as const

const groups: ReadonlyArray<Group> = [
  {
    ...about,
    title: "Three fibers that count under a lock, three times each",
    rows: [
      directly(few, 3, 3),
      explored({ how: {}, fibers: 3, rounds: 3, schedules: few }),
      ...ways.map(([strategy, granularity]) =>
        explored({ how: { strategy, granularity }, fibers: 3, rounds: 3, schedules: few })
      )
    ],
    notes: ["Effect.runPromise runs the one order that there is without a simulation."]
  },
  {
    ...about,
    title: "Eight fibers that count under a lock, 3,500 decisions a schedule",
    rows: [
      directly(many, 8, 100),
      ...ways.map(([strategy, granularity, rounds]) =>
        explored({ how: { strategy, granularity }, fibers: 8, rounds, schedules: many, decisions: 3500 })
      )
    ],
    notes: [
      `Effect.runPromise runs 100 rounds; the others ${ways.map(([, , rounds]) => rounds).join(", ")}, for 3,500 decisions each.`
    ]
  },
  {
    title: `${days} virtual days with an hourly loop`,
    unit: "ms",
    better: "less",
    baseline: "TestClock.adjust",
    rows: [
      { name: "TestClock.adjust", kind: "raw", measure: repeated(adjusted) },
      { name: "Sim.run", kind: "ours", goal: { limit: 50 }, measure: repeated(Sim.autoAdvance(hourly)) }
    ]
  }
]
export default groups
