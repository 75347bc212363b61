/** A run of the first elements that keeps and writes nothing: what it would have done. */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Delivery } from "../Guarantee.ts"
import type { Counts, DeadLetter } from "../Journal.ts"
import type { RunOptions } from "../Run.ts"
import type { Position } from "../Source.ts"
import type { Description } from "./Running.ts"

export interface DryRunOptions<out G> extends RunOptions<G> {
  /** How many elements of the source are read. Default 10. */
  readonly first?: number | undefined
}

/** What a run would do with the next elements of its source. */
export interface DryRun extends Counts {
  readonly pipeline: string
  readonly guarantee: Delivery
  /** Where an earlier run stopped, behind which this began. */
  readonly from: Option.Option<Position>
  /** Whether there is more to read. */
  readonly more: boolean
  /** What would be written, by sink. */
  readonly writes: ReadonlyArray<Written>
  /** What each filter dropped. */
  readonly left: ReadonlyArray<Dropped>
  /** What a step failed on whose policy is to skip. */
  readonly failed: ReadonlyArray<Skipped>
  /** What would be kept as a dead letter. */
  readonly letters: ReadonlyArray<DeadLetter>
}

export interface Written {
  readonly sink: string
  readonly elements: ReadonlyArray<unknown>
}

export interface Dropped {
  readonly step: string
  readonly input: unknown
}

export interface Skipped extends Dropped {
  readonly position: Position
  /** The error, readable. */
  readonly cause: string
}

export const dryRun = <E, R>(description: Description, options: DryRunOptions<Delivery>): Effect.Effect<DryRun, E, R> =>
  Effect.die(new Error(`not there yet: ${options.name}`))
