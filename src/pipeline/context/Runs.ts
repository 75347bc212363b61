/** The runs of pipelines that live, for whoever looks at a program from outside. Nothing is counted for them: they tell when asked. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { StepReading } from "./Counted.ts"

export interface LiveRun {
  readonly name: string
  readonly partition: string | undefined
  readonly now: Effect.Effect<RunNow>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly drain: Effect.Effect<void>
}

export interface RunNow {
  readonly state: "running" | "paused" | "draining" | "done" | "drained" | "failed"
  readonly steps: ReadonlyArray<StepReading>
  readonly progress: {
    readonly settled: number
    readonly written: number
    readonly dead: number
    readonly inFlight: number
    readonly lag: number
    readonly rate: number
    readonly elapsed: Duration.Duration
    readonly eta: Option.Option<Duration.Duration>
  }
  readonly commit: LastCommit | undefined
  /** Until when its lease holds, by the time of day; none where it lasts as long as the process. */
  readonly leaseUntil: number | undefined
}

/** Of this run, with how many there were. Times in milliseconds. */
export interface LastCommit {
  readonly at: number
  readonly rows: number
  readonly took: number
  readonly count: number
}

export class LiveRuns {
  readonly all: Set<LiveRun> = new Set()
  private listeners: ReadonlyArray<(run: string, commit: LastCommit) => void> = []

  /** Has `f` hear of commits; the function it gives takes it off. */
  listen(f: (run: string, commit: LastCommit) => void): () => void {
    this.listeners = [...this.listeners, f]
    return () => void (this.listeners = this.listeners.filter((other) => other !== f))
  }

  committed(run: string, commit: LastCommit): void {
    for (const listener of this.listeners) listener(run, commit)
  }
}

/** Those of the process, unless others are provided. */
export const Runs: Context.Reference<LiveRuns> = /* @__PURE__ */ Context.Reference("skein/Pipeline/Runs", {
  defaultValue: (): LiveRuns => new LiveRuns()
})
