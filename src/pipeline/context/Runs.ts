/** The runs of pipelines that live, for whoever looks at a program from outside. Nothing is counted for them: they tell when asked. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Progress } from "../Progress.ts"
import type { State } from "../Run.ts"
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
  readonly state: State
  readonly steps: ReadonlyArray<StepReading>
  readonly progress: Pick<Progress, "settled" | "written" | "dead" | "inFlight" | "lag" | "rate" | "elapsed" | "eta">
  readonly commit: LastCommit | undefined
  /** Until when its lease holds, by the time of day; none where it lasts as long as the process. */
  readonly leaseUntil: number | undefined
}

/** Times in milliseconds. */
export interface LastCommit {
  readonly at: number
  readonly rows: number
  readonly took: number
}

export class LiveRuns {
  readonly all: Set<LiveRun> = new Set()
  /** Who hears of commits. */
  readonly listeners: Set<(run: string, commit: LastCommit) => void> = new Set()
}

/** Those of the process, unless others are provided. */
export const Runs: Context.Reference<LiveRuns> = /* @__PURE__ */ Context.Reference("skein/Pipeline/Runs", {
  defaultValue: (): LiveRuns => new LiveRuns()
})
