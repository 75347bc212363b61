/** The limiter behind `Limiter.adaptive`: finds out by itself how much at once is good for what is behind it. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import { ConcurrencyLimiter } from "./ConcurrencyLimiter.ts"
import type { Limiter, Stats } from "./Contract.ts"
import { TooManyPermits } from "../LimiterError.ts"

export interface Settings {
  readonly min: number
  readonly max: number
  readonly tolerance: number
  readonly backoff: number
  readonly overloaded: (error: unknown) => boolean
}

export class AdaptiveLimiter implements Limiter {
  private readonly settings: Settings
  private readonly permits: ConcurrencyLimiter
  private limit: number
  /** How many ended well in this round. */
  private good = 0
  private lastCut = -Infinity
  /** When all permits were last found in use. */
  private lastFull = -Infinity
  private readonly shortest = new Shortest()

  constructor(settings: Settings) {
    this.settings = settings
    this.limit = settings.min
    this.permits = new ConcurrencyLimiter(settings.min)
  }

  readonly withPermit = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => this.withPermits(1)(effect)

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      this.allows(permits, this.permits.withPermits(permits)(this.watched(effect)))
  }

  tryWithPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
      this.allows(permits, this.permits.tryWithPermits(permits)(this.watched(effect)))
  }

  get stats(): Effect.Effect<Stats> {
    return this.permits.stats
  }

  /** Who waited for more than `min` might wait for ever: those behind, whose success would raise the limit, wait too. */
  private allows<A, E, R>(permits: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { min } = this.settings
    return permits > min ? Effect.die(new TooManyPermits({ asked: permits, limit: min })) : effect
  }

  private watched<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.clockWith((clock) => {
      const start = now(clock)
      if (this.permits.isFull) this.lastFull = start
      return Effect.onExit(effect, (exit) => this.learn(exit, start, now(clock)))
    })
  }

  private learn(exit: Exit.Exit<unknown, unknown>, start: number, end: number): Effect.Effect<void> {
    const failed = Exit.isFailure(exit)
    // How long something ran that was cancelled says nothing.
    if (failed && Cause.hasInterrupts(exit.cause)) return Effect.void
    const { backoff, max, min, overloaded, tolerance } = this.settings
    const isTooMuch = failed
      ? overloaded(Cause.squash(exit.cause))
      : end - start > this.shortest.of(end - start) * tolerance
    if (isTooMuch) {
      // What started before the last cut ran under the limit before it.
      if (start < this.lastCut) return Effect.void
      this.lastCut = end
      this.good = 0
      this.limit = Math.max(min, Math.floor(this.limit * backoff))
    } else {
      // Of a limit that was not reached nothing is known.
      if (failed || this.lastFull < start || this.limit === max || ++this.good < this.limit) return Effect.void
      this.good = 0
      this.limit += 1
    }
    return this.permits.resize(this.limit)
  }
}

/** The shortest of the last 1,000 to 2,000 times; not of all, for what became slower for good is not overloaded. */
class Shortest {
  private before = Infinity
  private current = Infinity
  private count = 0

  /** With this time counted in. */
  of(time: number): number {
    if (++this.count > 1000) {
      this.before = this.current
      this.current = Infinity
      this.count = 1
    }
    this.current = Math.min(this.current, time)
    return Math.min(this.before, this.current)
  }
}

const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
