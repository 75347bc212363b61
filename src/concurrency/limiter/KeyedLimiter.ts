/** The limiters behind `Limiter.perKey`: one for each key that is in use, made when first needed and dropped when idle. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { ConcurrencyLimiter } from "./ConcurrencyLimiter.ts"
import type { Limiter, Stats } from "./Contract.ts"
import { attempt, OwnLimiter, type Use } from "./OwnLimiter.ts"

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

  withPermit(key: K): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> {
    return this.of(key).withPermit
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
    return Effect.suspend(() => {
      let entry: Entry<K> | undefined
      return Effect.onExitPrimitive(
        Effect.suspend(() => {
          entry = this.enter(key)
          return entry.limiter === undefined ? Effect.flatMap(this.made(entry), f) : f(entry.limiter)
        }),
        () => entry && this.leave(entry)
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

  private leave(entry: Entry<K>): Effect.Effect<void> | undefined {
    if (--entry.users > 0) return undefined
    this.unused.add(entry)
    return Effect.andThen(this.look(entry), this.drop(looks))
  }

  /** Looks at so many of those that were looked at longest ago: more than one, so that idle ones cannot pile up. */
  private drop(looks: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const [first] = this.unused
      if (first === undefined || looks === 0) return Effect.void
      this.unused.delete(first)
      this.unused.add(first)
      return Effect.andThen(this.look(first), this.drop(looks - 1))
    })
  }

  /** What is known of it; nothing, if it was idle and is dropped for that. */
  private look(entry: Entry<K>): Effect.Effect<Stats | undefined> {
    return Effect.suspend(() => {
      const { limiter, uses } = entry
      if (limiter === undefined) {
        this.dropUnused(entry, uses)
        return Effect.succeed(undefined)
      }
      return Effect.map(limiter.stats, (stats) =>
        stats.inUse === 0 && this.dropUnused(entry, uses) ? undefined : stats
      )
    })
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
}

const looks = 4
