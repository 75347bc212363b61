/** What every limiter is, whatever it counts. */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

export interface Limiter {
  /** Runs the effect with one permit, waiting for it first. */
  readonly withPermit: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs the effect with so many permits, taken at once. */
  readonly withPermits: (permits: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs the effect if the permits are there and nobody waits for them; gives none, without waiting, otherwise. */
  readonly tryWithPermits: (
    permits: number
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
  readonly stats: Effect.Effect<Stats>
}

export interface Stats {
  readonly limit: number
  /** Permits that are held; of a rate, tokens that are not back yet. */
  readonly inUse: number
  /** Effects that wait. */
  readonly waiting: number
  /** How many permits each task holds, by name. */
  readonly borrowers: ReadonlyMap<string, number>
}

/** A limiter whose limit can be changed while it is in use. */
export interface Resizable extends Limiter {
  /**
   * Changes the limit. More lets waiting effects in at once, in order; less admits nobody until enough permits have
   * come back. Zero holds everything up.
   */
  readonly resize: (limit: number) => Effect.Effect<void>
}

/** A limiter for each key. Keys are compared as those of a `Map` are. */
export interface Keyed<K> {
  readonly withPermit: (key: K) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The limiter of one key. */
  readonly of: (key: K) => Limiter
  /** What is known of every key in use. */
  readonly stats: Effect.Effect<ReadonlyMap<K, Stats>>
}
