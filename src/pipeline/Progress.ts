/** What a run tells of itself, while it runs and at its end. */
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { StepProgress } from "./context/Counted.ts"
import type { Delivery } from "./Guarantee.ts"
import type { Counts } from "./Journal.ts"
import type { Position } from "./Source.ts"

export interface Progress extends Counts {
  readonly pipeline: string
  /** Attempts after the first, over all steps. */
  readonly retries: number
  /** Bytes that steps moved, as far as they count them: `Fetch` does. */
  readonly moved: number
  /** Elements read and not settled yet. */
  readonly inFlight: number
  /** Elements from the watermark to the reader: larger than `inFlight` when one is slow. */
  readonly lag: number
  /** How each step stands, from the first to the last, and the sink behind them. */
  readonly steps: ReadonlyArray<StepProgress>
  readonly elapsed: Duration.Duration
  /** Settled elements a second since the start of this run. */
  readonly rate: number
  /** How long the rest will take at the rate so far, where the source knows its size. */
  readonly eta: Option.Option<Duration.Duration>
}

/** How a run ended, with the counts of this run alone. */
export interface Summary extends Counts {
  readonly pipeline: string
  readonly guarantee: Delivery
  /** "done": read to the end; "drained": stopped in an orderly way before. */
  readonly outcome: "done" | "drained"
  /** Whether the same command will go on where this run stopped. */
  readonly resumable: boolean
  /** Whether this run went on where an earlier one had stopped. */
  readonly resumed: boolean
  readonly retries: number
  readonly moved: number
  readonly seconds: number
  /** Settled elements a second. */
  readonly rate: number
  /** The watermark. */
  readonly position: Option.Option<Position>
  /** The counts over all runs since the pipeline first started. */
  readonly total: Counts
}
