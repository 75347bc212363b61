/** The limiter behind `Limiter.all`: permits of several, taken one after the other. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Limiter, Stats } from "./Contract.ts"

export class CombinedLimiter implements Limiter {
  private readonly limiters: ReadonlyArray<Limiter>

  constructor(limiters: ReadonlyArray<Limiter>) {
    this.limiters = limiters
  }

  readonly withPermit = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => this.withPermits(1)(effect)

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      this.limiters.reduceRight((inner, limiter) => limiter.withPermits(permits)(inner), effect)
  }

  tryWithPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
      this.limiters.reduceRight<Effect.Effect<Option.Option<A>, E, R>>(
        (inner, limiter) => Effect.map(limiter.tryWithPermits(permits)(inner), Option.flatten),
        Effect.asSome(effect)
      )
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

const most = (some: ReadonlyMap<string, number>, others: ReadonlyMap<string, number>): ReadonlyMap<string, number> => {
  const all = new Map(some)
  for (const [task, permits] of others) all.set(task, Math.max(permits, all.get(task) ?? 0))
  return all
}
