/**
 * A run of a job: it owns its name while it lives, tells how it stands, and can be paused, resumed and drained. One that ended,
 * however it ended, left behind what its last commit says and nothing else.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { StepProgress } from "./context/Counted.ts"
import type { KeptDeadLetter } from "./Journal.ts"
import type { Progress, Summary } from "./Progress.ts"
import type { Range } from "./Step.ts"

export type { StepLatency, StepProgress } from "./context/Counted.ts"

/** What a run does at the moment; the last three are how it ended. */
export type State = "running" | "paused" | "draining" | "done" | "drained" | "failed"

/** A run that has begun: its lease is taken, its sinks are open. */
export interface Run<out E> {
  readonly name: string
  readonly state: Effect.Effect<State>
  readonly progress: Effect.Effect<Progress>
  /** How each step stands, from the first to the last, and the sink behind them. */
  readonly steps: Effect.Effect<ReadonlyArray<StepProgress>>
  /** Reads no more until `resume`; what is in flight is finished and committed. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Stops reading, finishes what is in flight, commits and ends (P9); past `drainWithin` it is cancelled. */
  readonly drain: Effect.Effect<void>
  /**
   * Changes how many elements a step works on at once, or lets it find out between two bounds: from now on, and for this run. Steps
   * that share their workers change together. Dies with a `RangeError` where there is no such step.
   */
  readonly set: (step: string, options: { readonly concurrency: number | Range }) => Effect.Effect<void>
  /** How the run ends. Whoever waits may be cancelled without cancelling the run. */
  readonly await: Effect.Effect<Summary, E>
}

export interface RunOptions<out G> {
  /** The key of the journal: the same name goes on where the last run stopped. One run of it at a time. */
  readonly name: string
  /** Part of the key: one of several runs that share a name, each with a source of its own. Default: the whole. */
  readonly partition?: string | undefined
  /** Which version of the pipeline this is, in your own words; kept with dead letters. */
  readonly version?: string | undefined
  /** The least the job must guarantee. What it cannot give does not compile. */
  readonly require?: G | undefined
  /** Forget what was committed, dead letters included, and start over. Default false. */
  readonly restart?: boolean | undefined
  /** What to do when what was read of the source has changed: refuse with `SourceChanged` (default) or start over. */
  readonly onChanged?: "refuse" | "restart" | undefined
  /** What to do when the last run finished: read what was added since (default) or start over. */
  readonly onFinished?: "resume" | "restart" | undefined
  /**
   * What to do when the job writes somewhere else than before: refuse with `SinkChanged` (default), or let a sink that is new
   * begin with the elements that come now, and forget one that is gone.
   */
  readonly onSinkChanged?: "refuse" | "begin" | undefined
  /**
   * What to do when other steps keep something than before, a state or the keys that they have seen: refuse with `StepsChanged`
   * (default), or let a step that is new begin with the elements that come now, and forget one that is gone.
   */
  readonly onStepsChanged?: "refuse" | "begin" | undefined
  /**
   * What may be open between reader and watermark. Default 64 MiB, and 1,024 elements, or twice as many as `maxRows` where the sink
   * says which batch it prefers.
   */
  readonly window?: { readonly items?: number | undefined; readonly bytes?: number | undefined } | undefined
  /** The most elements in one write of the sink; the children of one element are never split. Default: what the sink prefers, or 1,000. */
  readonly maxRows?: number | undefined
  /**
   * The least time between two commits, unless there is enough for one: as many rows as a write takes, half a window, or a full window
   * with nothing more on its way. Default 20 milliseconds: what comes slower is committed at once, and nothing that is ready waits longer.
   * Zero, which is the default for a source that is told what is settled, as it may wait for that: a commit takes what came while the
   * last one ran.
   */
  readonly commitEvery?: Duration.Input | undefined
  /** How long a drain may finish what is in flight before it is cancelled. Default 20 seconds. */
  readonly drainWithin?: Duration.Input | undefined
  /**
   * How long a run that is no longer heard of keeps its name from others, where nobody can find out that its process is
   * gone: on another machine, or stopped. Default 15 seconds.
   */
  readonly lease?: Duration.Input | undefined
  /**
   * Told of each dead letter of this run once the commit that keeps it is durable; the next commit waits for it. At least once: where
   * the run ends in between, the next one with an `onDead` begins with those that were not told.
   */
  readonly onDead?: ((letter: KeptDeadLetter) => Effect.Effect<void>) | undefined
  /** Told of the progress once an `interval` (default 1 second). */
  readonly progress?:
    | {
        readonly interval?: Duration.Input | undefined
        readonly on: (progress: Progress) => Effect.Effect<void>
      }
    | undefined
  /**
   * Makes a span of what a step waits for with one element in `every`, where there is a tracer: the spans of requests hang below it, and
   * what steps do with other elements makes none. Default: steps make the spans that they make, below that of the run.
   */
  readonly trace?: { readonly every: number } | undefined
}
