/** What the step that runs right now may count: read by progress and summary, written by I/O. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export interface Meter {
  /** Attempts after the first. */
  retries: number
  /** Bytes that came in or went out. */
  bytes: number
}

export const make = (): Meter => ({ retries: 0, bytes: 0 })

/** The meter of the pipeline that runs this effect; outside of one, a meter nobody reads. */
export const Meter: Context.Reference<Meter> = Context.Reference("skein/Meter", { defaultValue: make })

/** Adds `bytes` to the running pipeline's count. */
export const addBytes = (bytes: number): Effect.Effect<void> =>
  Effect.map(Meter, (meter) => void (meter.bytes += bytes))

/** Counts one more attempt for the running pipeline. */
export const addRetry: Effect.Effect<void> = Effect.map(Meter, (meter) => void (meter.retries += 1))
