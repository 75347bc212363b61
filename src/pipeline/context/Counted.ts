/** How a step, or the sink, stands: as it is read, and as it is told. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Latency, Tally } from "./Tally.ts"

interface Stands {
  readonly name: string
  /** How many elements may be worked on at once, at the moment: by it and its neighbours, where they share their workers. */
  readonly concurrency: number
  readonly waiting: number
  readonly working: number
  /** Elements that were begun and hold no worker, as they wait for their next attempt or for a token of their key. */
  readonly resting: number
  /** Elements that it began with; of the sink, rows that it was given. */
  readonly taken: number
  /** Elements that it gave on; of the sink, rows that are written. */
  readonly given: number
  /** Attempts after the first. */
  readonly retries: number
  /** Elements that it failed on and that were dropped. */
  readonly skipped: number
  /** Elements that it failed on and that were kept as dead letters. */
  readonly dead: number
}

/** How a step stands in this run; the last is the sink. */
export interface StepProgress extends Stands {
  /**
   * How long what it waited for took: of a step an attempt, of the sink a commit. Of attempts that take no more than a millisecond, one
   * in 16 is timed. None as long as it waited for nothing.
   */
  readonly latency: Option.Option<StepLatency>
}

export interface StepLatency {
  readonly mean: Duration.Duration
  /** What 99 in 100 do not exceed; not exact, as they are counted between bounds. */
  readonly p99: Duration.Duration
}

export interface StepReading extends Stands {
  readonly latency: Latency
}

/** What was given up. */
interface GivenUp {
  readonly skipped: number
  readonly dead: number
}

export const reading = (
  stands: Pick<Stands, "name" | "concurrency" | "waiting" | "working" | "resting">,
  { given, latency, meter, taken }: Tally,
  { dead, skipped }: GivenUp
): StepReading => ({ ...stands, taken, given, retries: meter.retries, skipped, dead, latency })

export const told = (step: StepReading): StepProgress => {
  const { latency } = step
  const millis = Duration.millis
  return {
    ...step,
    latency:
      latency.count === 0
        ? Option.none()
        : Option.some({ mean: millis(latency.mean), p99: millis(latency.quantile(0.99)) })
  }
}
