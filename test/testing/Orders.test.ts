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
const unlimited = { exhaustive: { preemptions: Infinity } } as const

/** Runs fibers that nobody waits for but time, so that none resumes another. */
const beside = (fibers: ReadonlyArray<Effect.Effect<unknown>>) =>
  Effect.andThen(Effect.forEach(fibers, (fiber) => Effect.forkDetach(fiber)), Effect.sleep(1))

/** So many fibers that have so many turns each, and say so. */
const taking = (fibers: number, turns: number) =>
  saying((say) =>
    beside(
      range(fibers).map((fiber) =>
        Effect.andThen(say(`${fiber}`), Effect.replicateEffect(Effect.andThen(Effect.yieldNow, say(`${fiber}`)), turns - 1))
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
    const { runs, schedules, summary } = every(Effect.all([Choices.happens(0), Choices.happens(1), Choices.choose(1)]))
    expect(runs[0]?.exit).toEqual(Exit.succeed([false, true, 0]))
    expect([schedules, summary]).toEqual([1, "the only order"])
  })

  it("is that of all permutations for timers of one moment, and 1 for those of different ones", () => {
    const sleepers = (delay: (n: number) => number) =>
      saying((say) => beside(range(4).map((n) => Effect.delay(say(`${n}`), delay(n)))).pipe(Effect.andThen(Effect.sleep(9))))
    const same = everyValue(sleepers(() => 5), { exhaustive: { preemptions: 0 } })
    expect([same.length, new Set(same).size]).toEqual([24 * 24, 24])
    expect(new Set(everyValue(sleepers((n) => 5 + n), { exhaustive: { preemptions: 0 } }))).toEqual(new Set(["0 1 2 3"]))
  })

  it.each([
    [2, 2],
    [2, 4],
    [3, 1]
  ])("of %d fibers of %d operations, with any bound of preemptions, is that of interleavings with so many", (fibers, each) => {
    const fork = Effect.forkDetach(straight(each))
    const program = range(fibers - 1).reduce((forks) => Effect.flatMap(forks, () => fork), fork)
    for (const preemptions of [0, 1, 2, 3, Infinity]) {
      // To fork takes two operations, of which the first forks; and to go to sleep takes two.
      const expected = interleaved([fibers * 2 + 1, ...range(fibers).map(() => each)], 0, preemptions)
      const { complete, distinct, runs, schedules, summary } = every(
        Effect.flatMap(program, () => Effect.sleep(1)),
        { exhaustive: { preemptions } }
      )
      expect({ preemptions, complete, distinct, schedules }).toEqual({
        preemptions,
        complete: true,
        distinct: expected,
        schedules: expected
      })
      expect(summary.endsWith("orders")).toBe(preemptions === Infinity)
      expect(new Set(runs.map(({ token }) => token)).size).toBe(expected)
    }
  })
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
