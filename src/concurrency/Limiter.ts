/**
 * May this start now? A limiter answers by how many run, or by time, in strict order of asking: nothing starves and
 * nothing barges in. A permit belongs to one effect and comes back when that ends, however it ends, so that none can
 * be lost or released twice.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { ConcurrencyLimiter, isCount, notACount } from "./ConcurrencyLimiter.ts"
import { KeyedLimiter } from "./KeyedLimiter.ts"
import { RateLimiter } from "./RateLimiter.ts"

export { AlreadyHeld, TooManyPermits } from "./ConcurrencyLimiter.ts"

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

/**
 * A limiter that lets effects run while they hold no more than `limit` permits between them. Zero lets nothing start
 * until it is resized. Asking for more permits than there are dies at once with `TooManyPermits`, asking for a
 * second one in the fiber that holds the first with `AlreadyHeld`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* Limiter.concurrency(2)
 *   let running = 0
 *   let most = 0
 *   const work = Effect.sync(() => void (most = Math.max(most, ++running))).pipe(
 *     Effect.delay("1 millis"),
 *     Effect.ensuring(Effect.sync(() => void running--)),
 *     limiter.withPermit
 *   )
 *   yield* Effect.all(Array.from({ length: 10 }, () => work), { concurrency: "unbounded" })
 *   return most <= 2
 * })
 *
 * await Effect.runPromise(program) // => true
 * ```
 */
export const concurrency = (limit: number): Effect.Effect<Resizable> =>
  Effect.suspend(() =>
    isCount(limit) ? Effect.succeed(new ConcurrencyLimiter(limit)) : Effect.die(notACount("limit", limit))
  )

/**
 * A limiter that lets `limit` effects start in each `per`, evenly spaced. `burst` (default 1) is how many may start at
 * once after a pause; with the default no stretch of time that is `per` long sees more than `limit`. A permit is spent,
 * not returned: how long the effect runs does not matter. Asking for n permits waits until they have been earned.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* Limiter.rate({ limit: 10, per: "1 second", burst: 2 })
 *   const call = limiter.tryWithPermits(1)(Effect.succeed("started"))
 *   return (yield* Effect.all([call, call, call])).map((started) => started._tag)
 * })
 *
 * await Effect.runPromise(program) // => ["Some", "Some", "None"]
 * ```
 */
export const rate = (options: {
  readonly limit: number
  readonly per: Duration.Input
  readonly burst?: number | undefined
}): Effect.Effect<Limiter> =>
  Effect.suspend(() => {
    const per = Duration.toMillis(options.per)
    const burst = options.burst ?? 1
    const valid = options.limit > 0 && options.limit < Infinity && per > 0 && per < Infinity && burst >= 1
    return valid
      ? Effect.succeed(new RateLimiter(options.limit, per, burst))
      : Effect.die(
          new RangeError(
            `Limiter.rate: limit and per must be positive and finite, burst at least 1; ` +
              `got limit ${options.limit}, per ${Duration.format(Duration.millis(per))}, burst ${burst}`
          )
        )
  })

/**
 * A limiter for each key, made by `make` when the key is first used and dropped once it is idle, so that memory does not
 * grow with the keys ever seen.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const hosts = yield* Limiter.perKey((_host: string) => Limiter.concurrency(4))
 *   const size = yield* hosts.withPermit("example.org")(Effect.map(hosts.stats, (stats) => stats.size))
 *   return [size, (yield* hosts.stats).size]
 * })
 *
 * await Effect.runPromise(program) // => [1, 0]
 * ```
 */
export const perKey = <K>(make: (key: K) => Effect.Effect<Limiter>): Effect.Effect<Keyed<K>> =>
  Effect.sync(() => new KeyedLimiter(make))
