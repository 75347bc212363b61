/** The limiters behind `Limiter.perKey`: one for each key that is in use, made when first needed and dropped when idle. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import { ConcurrencyLimiter } from "./ConcurrencyLimiter.ts"
import type { Limiter, Stats } from "./Contract.ts"
import { attempt, inUseNow, OwnLimiter, type Use } from "./OwnLimiter.ts"

/** S30: found, made and dropped by its key in single steps, and never while somebody uses it. */
interface Entry<K> {
  readonly key: K
  limiter: Limiter | undefined
  /** Lets one at a time make the limiter, until it is there. */
  making: Limiter | undefined
  /** Effects that hold or want a permit. */
  users: number
  /** How often it was used. */
  uses: number
}

export class KeyedLimiter<K> {
  private readonly make: (key: K) => Effect.Effect<Limiter>
  private readonly entries = new Map<K, Entry<K>>()
  /** Those without users that are not idle yet, as a bucket of tokens that has to fill; looked at in turn. */
  private readonly unused = new Set<Entry<K>>()

  constructor(make: (key: K) => Effect.Effect<Limiter>) {
    this.make = make
  }

  of(key: K): Limiter {
    return new LimiterOfKey((use) => this.use(key, use))
  }

  withPermit(key: K) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      this.use(key, (limiter) => limiter.withPermits(1)(effect))
  }

  get stats(): Effect.Effect<ReadonlyMap<K, Stats>> {
    return Effect.suspend(() => {
      const stats = new Map<K, Stats>()
      return Effect.as(
        Effect.forEach(this.entries.values(), (entry) =>
          Effect.map(this.look(entry), (found) => {
            if (found !== undefined) stats.set(entry.key, found)
          })
        ),
        stats
      )
    })
  }

  private use<A, E, R>(key: K, f: (limiter: Limiter) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      let entry: Entry<K> | undefined
      return Effect.onExitPrimitive(
        Effect.suspend(() => {
          entry = this.enter(key)
          return entry.limiter === undefined ? Effect.flatMap(this.made(entry), f) : f(entry.limiter)
        }),
        () => entry && this.leave(entry, fiber)
      )
    })
  }

  private enter(key: K): Entry<K> {
    let entry = this.entries.get(key)
    if (entry === undefined) {
      entry = { key, limiter: undefined, making: undefined, users: 0, uses: 0 }
      this.entries.set(key, entry)
    }
    entry.users += 1
    entry.uses += 1
    this.unused.delete(entry)
    return entry
  }

  /** One makes it, and the others wait; where that fails or is cancelled, the next one of them makes it. */
  private made(entry: Entry<K>): Effect.Effect<Limiter> {
    entry.making ??= new ConcurrencyLimiter(1)
    return entry.making.withPermit(
      Effect.suspend(() =>
        entry.limiter === undefined
          ? Effect.map(this.make(entry.key), (limiter) => {
              entry.making = undefined
              return (entry.limiter = limiter)
            })
          : Effect.succeed(entry.limiter)
      )
    )
  }

  private leave(entry: Entry<K>, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown> | undefined {
    if (--entry.users > 0) return undefined
    this.unused.add(entry)
    return this.forget(entry, this.unused.size === 1 ? 0 : looks, fiber)
  }

  /**
   * Forgets it if it is idle, and so do so many of those that were looked at longest ago: more than one, so that idle ones
   * cannot pile up. An effect only where a limiter has to be asked: a tenth of what a permit of a key costs.
   */
  private forget(
    entry: Entry<K> | undefined,
    more: number,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<unknown> | undefined {
    if (entry === undefined) return undefined
    const rest = () => (more === 0 ? undefined : this.forget(this.longestUnused(), more - 1, fiber))
    const inUse = entry.limiter === undefined ? 0 : inUseNow(entry.limiter, fiber)
    if (inUse === undefined)
      return Effect.andThen(
        this.look(entry),
        Effect.suspend(() => rest() ?? Effect.void)
      )
    if (inUse === 0) this.dropUnused(entry, entry.uses)
    return rest()
  }

  /** The one that was looked at longest ago; now it is the last. */
  private longestUnused(): Entry<K> | undefined {
    const [first] = this.unused
    if (first === undefined) return undefined
    this.unused.delete(first)
    this.unused.add(first)
    return first
  }

  /** What is known of it; nothing, if it was idle and is dropped for that. */
  private look(entry: Entry<K>): Effect.Effect<Stats | undefined> {
    const { limiter, uses } = entry
    if (limiter !== undefined) {
      return Effect.map(limiter.stats, (stats) =>
        stats.inUse === 0 && this.dropUnused(entry, uses) ? undefined : stats
      )
    }
    this.dropUnused(entry, uses)
    return Effect.undefined
  }

  /** Forgets it, unless somebody uses it, or has since it was used so many times. */
  private dropUnused(entry: Entry<K>, uses: number): boolean {
    if (entry.users > 0 || entry.uses !== uses || !this.unused.delete(entry)) return false
    this.entries.delete(entry.key)
    return true
  }
}

class LimiterOfKey extends OwnLimiter {
  private readonly use: <A, E, R>(f: (limiter: Limiter) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  constructor(use: LimiterOfKey["use"]) {
    super()
    this.use = use
  }

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      this.use((limiter) => limiter.withPermits(permits)(effect))
  }

  override attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    return this.use((limiter) => attempt(limiter, permits, use))
  }

  get stats(): Effect.Effect<Stats> {
    return this.use((limiter) => limiter.stats)
  }

  /** It may have to be made first. */
  override inUseNow(): undefined {
    return undefined
  }
}

const looks = 4
