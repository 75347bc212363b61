/** The limiter behind `Limiter.all`: permits of several, taken one after the other. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import type { Limiter, Stats } from "./Contract.ts"
import { attempt, inUseNow, OwnLimiter, type Take, type Taken, type Use } from "./OwnLimiter.ts"

export class CombinedLimiter extends OwnLimiter {
  private readonly limiters: ReadonlyArray<Limiter>

  constructor(limiters: ReadonlyArray<Limiter>) {
    super()
    this.limiters = limiters
  }

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      this.limiters.reduceRight((inner, limiter) => limiter.withPermits(permits)(inner), effect)
  }

  override attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    const ask = (index: number, takes: ReadonlyArray<Take>): Effect.Effect<Option.Option<A>, E, R> =>
      index === this.limiters.length
        ? use(each(takes))
        : attempt(this.limiters[index]!, permits, (take) => ask(index + 1, [...takes, take]))
    return ask(0, [])
  }

  override inUseNow(fiber: Fiber.Fiber<unknown, unknown>): number | undefined {
    const all = this.limiters.map((limiter) => inUseNow(limiter, fiber))
    return all.reduce((most, one) => (most === undefined || one === undefined ? undefined : Math.max(most, one)), 0)
  }

  /** Of each the worst: the least limit, the most in use, all who wait. */
  get stats(): Effect.Effect<Stats> {
    return Effect.map(
      Effect.forEach(this.limiters, ({ stats }) => stats),
      (all) => ({
        limit: Math.min(...all.map(({ limit }) => limit)),
        inUse: Math.max(0, ...all.map(({ inUse }) => inUse)),
        waiting: all.reduce((sum, { waiting }) => sum + waiting, 0),
        borrowers: all.map(({ borrowers }) => borrowers).reduce(most, new Map())
      })
    )
  }
}

/** S30: takes from each, or from none. */
const each =
  (takes: ReadonlyArray<Take>): Take =>
  (fiber) => {
    const taken: Array<Taken> = []
    let all: Taken | undefined
    try {
      for (const take of takes) {
        const one = take(fiber)
        if (one === undefined) return undefined
        taken.unshift(one)
      }
      all = {
        undo: () => taken.forEach((one) => one.undo()),
        end: (exit) => taken.forEach((one) => one.end(exit))
      }
      return all
    } finally {
      if (all === undefined) taken.forEach((one) => one.undo())
    }
  }

const most = (some: ReadonlyMap<string, number>, others: ReadonlyMap<string, number>): ReadonlyMap<string, number> => {
  const all = new Map(some)
  for (const [task, permits] of others) all.set(task, Math.max(permits, all.get(task) ?? 0))
  return all
}
