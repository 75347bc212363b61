/** What a process does at a moment, as plain JSON: `Inspect.snapshot` gives it, and the command and the page read nothing else. */
import type { GroupInfo, Orphan, TaskInfo } from "../../concurrency/base/TaskInfo.ts"
import type { StepProgress } from "../../pipeline/context/Counted.ts"
import type { State } from "../../pipeline/Run.ts"

export interface Snapshot {
  /** Changes when the meaning of a field does. */
  readonly formatVersion: 1
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Null where the platform tells nothing of it. */
  readonly process: ProcessView | null
  /** The groups that were opened outside of any task. */
  readonly groups: ReadonlyArray<GroupView>
  readonly orphans: ReadonlyArray<Orphan>
  readonly runs: ReadonlyArray<RunView>
  /** What looks wrong, the worst first. */
  readonly findings: ReadonlyArray<Finding>
  /** What the history of events holds. */
  readonly history: { readonly kept: number; readonly dropped: number }
  /** Why tasks have no places in files; null where they have. */
  readonly withoutPlaces: string | null
}

export interface ProcessView {
  readonly pid: number
  /** The command line, as far as it holds no secret. */
  readonly title: string
  readonly startedAt: number
  /** Megabytes. */
  readonly memory: { readonly resident: number; readonly heap: number }
  /** The part of the last second in which the event loop was busy, from 0 to 1. */
  readonly busy: number
}

export interface GroupView extends Omit<GroupInfo, "tasks"> {
  readonly tasks: ReadonlyArray<TaskView>
}

export interface TaskView extends TaskInfo {
  readonly groups: ReadonlyArray<GroupView>
  /** What its fibers did so far; null where they are not watched. */
  readonly work: WorkView | null
  /** Where its fibers wait, the innermost place first; empty where that is not known. */
  readonly places: ReadonlyArray<Place>
}

/** Times in milliseconds. */
export interface WorkView {
  readonly fibers: number
  /** Whether one of them could go on, or does. */
  readonly isRunnable: boolean
  /** How long they ran. */
  readonly busy: number
  /** How long they could have run, and others did. */
  readonly scheduled: number
  /** How long they waited. */
  readonly idle: number
}

export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
}

/** How a run of a pipeline stands; durations in milliseconds. */
export interface RunView {
  readonly name: string
  readonly partition: string | null
  readonly state: State
  readonly steps: ReadonlyArray<StepView>
  readonly settled: number
  readonly written: number
  readonly dead: number
  readonly inFlight: number
  /** Elements from the watermark to the reader. */
  readonly lag: number
  /** Settled elements a second. */
  readonly rate: number
  readonly elapsed: number
  readonly eta: number | null
  /** The last commit; null before the first. */
  readonly commit: { readonly at: number; readonly rows: number; readonly took: number; readonly count: number } | null
  /** Until when its lease holds, if it is not renewed; null without a journal that has leases. */
  readonly leaseUntil: number | null
}

export interface StepView extends Omit<StepProgress, "latency"> {
  readonly latency: { readonly p50: number; readonly p99: number } | null
}

export interface Finding {
  readonly kind:
    | "deadlock"
    | "waits-for-itself"
    | "blocks-the-loop"
    | "never-yields"
    | "orphan"
    | "permit-held"
    | "queue-grows"
    | "failure-unseen"
    | "tasks-grow"
    | "cleanup-stuck"
    | "step-slow"
    | "lease-stalled"
  /** The task it is about, by id and name; null where it is about none. */
  readonly task: { readonly id: number; readonly name: string } | null
  /** What is wrong, in one line that names the task, group, limiter, step or run. */
  readonly message: string
  /** What to do about it, in one line. */
  readonly advice: string
  readonly places: ReadonlyArray<Place>
}
