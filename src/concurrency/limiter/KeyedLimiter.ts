/** The limiters behind `Limiter.perKey`: one for each key that is in use, made when first needed and dropped when idle. */
import * as Effect from "effect/Effect"
import type { Limiter, Stats } from "./Contract.ts"

interface Entry {
  readonly limiter: Limiter
  /** Effects that hold or want a permit. */
  users: number
}

export class KeyedLimiter<K> {
  private readonly make: (key: K) => Effect.Effect<Limiter>
  private readonly entries = new Map<K, Entry>()
  /** Keys without users, the one that was left first in front. A bucket of tokens has to fill before it is idle. */
  private readonly unused = new Set<K>()

  constructor(make: (key: K) => Effect.Effect<Limiter>) {
    this.make = make
  }

  of(key: K): Limiter {
    return {
      withPermit: (effect) => this.use(key, (limiter) => limiter.withPermit(effect)),
      withPermits: (permits) => (effect) => this.use(key, (limiter) => limiter.withPermits(permits)(effect)),
      tryWithPermits: (permits) => (effect) => this.use(key, (limiter) => limiter.tryWithPermits(permits)(effect)),
      stats: this.use(key, (limiter) => limiter.stats)
    }
  }

  withPermit(key: K): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> {
    return (effect) => this.use(key, (limiter) => limiter.withPermit(effect))
  }

  get stats(): Effect.Effect<ReadonlyMap<K, Stats>> {
    return Effect.suspend(() =>
      Effect.map(
        Effect.forEach(this.entries, ([key, { limiter }]) =>
          Effect.map(limiter.stats, (stats) => [key, stats] as const)
        ),
        (stats) => new Map(stats)
      )
    )
  }

  private use<A, E, R>(key: K, f: (limiter: Limiter) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      let mine: Entry | undefined
      const enter = (entry: Entry) => {
        mine = entry
        entry.users += 1
        this.unused.delete(key)
        return f(entry.limiter)
      }
      return Effect.onExit(
        Effect.suspend(() => {
          const entry = this.entries.get(key)
          return entry === undefined
            ? Effect.flatMap(this.make(key), (limiter) => enter(this.add(key, limiter)))
            : enter(entry)
        }),
        () => {
          if (mine === undefined || --mine.users > 0) return Effect.void
          this.unused.add(key)
          return this.dropIdle
        }
      )
    })
  }

  /** Whoever else made one for the key in the meantime was first. */
  private add(key: K, limiter: Limiter): Entry {
    let entry = this.entries.get(key)
    if (entry === undefined) this.entries.set(key, (entry = { limiter, users: 0 }))
    return entry
  }

  private readonly dropIdle: Effect.Effect<void> = Effect.suspend(() => {
    for (const key of this.unused) {
      const entry = this.entries.get(key)!
      return Effect.flatMap(entry.limiter.stats, ({ inUse }) => {
        if (inUse > 0 || entry.users > 0) return Effect.void
        this.entries.delete(key)
        this.unused.delete(key)
        return this.dropIdle
      })
    }
    return Effect.void
  })
}
