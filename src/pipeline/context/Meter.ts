/** What the step that runs right now may count: read by progress and summary, written by I/O. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export interface Meter {
  /** Attempts after the first. */
  retries: number
  /** Bytes that came in or went out. */
  bytes: number
}

/**
 * A meter of one's own, for whoever wants to know what effects count.
 *
 * @example
 * ```ts
 * import { Meter } from "skein"
 *
 * Meter.make() // => { retries: 0, bytes: 0 }
 * ```
 */
export const make = (): Meter => ({ retries: 0, bytes: 0 })

/**
 * The meter of the pipeline that runs this effect; outside of one, a meter nobody reads.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Meter } from "skein"
 *
 * const meter = Meter.make()
 *
 * await Effect.runPromise(Effect.provideService(Meter.addBytes(5), Meter.Meter, meter))
 * meter.bytes // => 5
 * ```
 */
export const Meter: Context.Reference<Meter> = Context.Reference("skein/Meter", { defaultValue: make })

/**
 * Adds `bytes` to the running pipeline's count.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Meter, Pipeline } from "skein"
 *
 * const download = (n: number) => Effect.as(Meter.addBytes(1000), n)
 *
 * await Effect.runPromise(Pipeline.collect(Pipeline.from([1, 2]).pipe(Pipeline.map(download)))) // => [1, 2]
 * ```
 */
export const addBytes = (bytes: number): Effect.Effect<void> =>
  Effect.map(Meter, (meter) => void (meter.bytes += bytes))

/**
 * Counts one more attempt for the running pipeline.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Meter } from "skein"
 *
 * const meter = Meter.make()
 *
 * await Effect.runPromise(Effect.provideService(Meter.addRetry, Meter.Meter, meter))
 * meter.retries // => 1
 * ```
 */
export const addRetry: Effect.Effect<void> = Effect.map(Meter, (meter) => void (meter.retries += 1))
