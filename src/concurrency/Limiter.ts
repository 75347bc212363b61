/**
 * May this start now? A limiter answers by how many run, or by time, in strict order of asking: nothing starves and
 * nothing barges in. A permit belongs to one effect and comes back when that ends, however it ends, so that none can
 * be lost or released twice.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constTrue } from "effect/Function"
import { millisOf } from "./base/Lasting.ts"
import { isCount } from "./base/Options.ts"
import { AdaptiveLimiter } from "./limiter/AdaptiveLimiter.ts"
import { CombinedLimiter } from "./limiter/CombinedLimiter.ts"
import { ConcurrencyLimiter } from "./limiter/ConcurrencyLimiter.ts"
import type { Keyed, Limiter, Resizable } from "./limiter/Contract.ts"
import { KeyedLimiter } from "./limiter/KeyedLimiter.ts"
import { RateLimiter } from "./limiter/RateLimiter.ts"
import { span } from "./base/Span.ts"

export type { Keyed, Limiter, Resizable, Stats } from "./limiter/Contract.ts"
export { AlreadyHeld, TooManyPermits } from "./LimiterError.ts"

/**
 * A limiter that lets effects run while they hold no more than `limit` permits between them. Zero lets nothing start
 * until it is resized. Asking for more permits than there are dies at once with `TooManyPermits`.
 *
 * Asking for a second permit in the fiber that holds the first dies with `AlreadyHeld`. So does asking, under a permit, in
 * a deadline, a race, a group opened there or a fiber forked there, for more than there are beside those held; a task that
 * is spawned there into a group opened outside only waits.
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
export const concurrency = (limit: number): Effect.Effect<Resizable> => Effect.sync(() => new ConcurrencyLimiter(limit))

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
    const per = millisOf(options.per)
    const burst = options.burst ?? 1
    const valid =
      options.limit > 0 && options.limit < Infinity && per > 0 && per < Infinity && burst >= 1 && burst < Infinity
    return valid
      ? Effect.succeed(new RateLimiter(options.limit, per, burst))
      : Effect.die(
          new RangeError(
            `Limiter.rate: limit and per must be positive and finite, burst at least 1 and finite; ` +
              `got limit ${options.limit}, per ${span(per)}, burst ${burst}`
          )
        )
  })

/**
 * A limiter whose permits are bytes, or anything else that comes in amounts: effects run while what they say they need
 * is no more than `size` between them. As `concurrency` in all else: asking for more than `size` dies with
 * `TooManyPermits`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const memory = yield* Limiter.bytes(10_000_000)
 *   const load = (bytes: number) => memory.withPermits(bytes)(Effect.map(memory.stats, (stats) => stats.inUse))
 *   return yield* load(4_000_000)
 * })
 *
 * await Effect.runPromise(program) // => 4_000_000
 * ```
 */
export const bytes = (size: number): Effect.Effect<Resizable> => concurrency(size)

export interface AdaptiveOptions {
  /** The limit to begin with, and the least it can be; no more permits than this can be asked for at once. */
  readonly min: number
  readonly max: number
  /** An effect may take this many times what it takes without load before the limit is lowered for it; Infinity: only errors lower it. Default 1. */
  readonly tolerance?: number | undefined
  /** What the limit is multiplied with on overload. Default 0.9. */
  readonly backoff?: number | undefined
  /** Which errors and defects say that it was too much. Default: all. */
  readonly overloaded?: ((error: unknown) => boolean) | undefined
}

/**
 * A limiter that finds its limit between `min` and `max` by itself, with Netflix's Gradient2. While all permits are in use, it
 * grows as long as effects take no longer than without load, and shrinks as they do; what they take without load it
 * finds out by lowering the limit for a moment again and again. An effect that fails multiplies the limit with `backoff`,
 * once for all effects that ran at the time. What is cancelled does not count.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* Limiter.adaptive({ min: 4, max: 100 })
 *   const limit = Effect.map(limiter.stats, (stats) => stats.limit)
 *   const calls = Array.from({ length: 100 }, () => limiter.withPermit(Effect.yieldNow))
 *   yield* Effect.all(calls, { concurrency: "unbounded" })
 *   const grown = yield* limit
 *   yield* Effect.ignore(limiter.withPermit(Effect.fail("503")))
 *   return (yield* limit) < grown
 * })
 *
 * await Effect.runPromise(program) // => true
 * ```
 */
export const adaptive = (options: AdaptiveOptions): Effect.Effect<Limiter> =>
  Effect.suspend(() => {
    const { backoff = 0.9, max, min, overloaded = constTrue, tolerance = 1 } = options
    const valid = isCount(min) && isCount(max) && 1 <= min && min <= max && 0 < backoff && backoff < 1 && tolerance >= 1
    return valid
      ? Effect.succeed(new AdaptiveLimiter({ min, max, tolerance, backoff }, overloaded))
      : Effect.die(
          new RangeError(
            "Limiter.adaptive: min and max must be whole numbers with 1 ≤ min ≤ max, tolerance 1 or more, " +
              `backoff between 0 and 1; got min ${min}, max ${max}, tolerance ${tolerance}, backoff ${backoff}`
          )
        )
  })

/**
 * One limiter out of several: an effect waits for the permits of the first, then of the second and so on, runs while it
 * holds them all, and gives all back. Where limiters are combined in more than one way, keep to one order: otherwise two
 * effects may each wait for what the other one holds. Trying takes from all or from none, but for limiters that are not of
 * this module: their permits are taken before the others are asked.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const slots = yield* Limiter.concurrency(8)
 *   const rate = yield* Limiter.rate({ limit: 100, per: "1 second" })
 *   return yield* Limiter.all(slots, rate).withPermit(Effect.map(slots.stats, (stats) => stats.inUse))
 * })
 *
 * await Effect.runPromise(program) // => 1
 * ```
 */
export const all = (...limiters: ReadonlyArray<Limiter>): Limiter => new CombinedLimiter(limiters)

/**
 * A limiter for each key, made by `make` when the key is first used and dropped once it is idle, so that memory does not
 * grow with the keys ever seen. There is one at a time for a key: others wait while it is made, and make it themselves
 * where that fails or is cancelled.
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
