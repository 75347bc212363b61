/** One line of a timeline: what happened to a task, a lock or a run, as the inspector, the test kit and the page all write and read it. */

export type Entry = TaskEntry | EndEntry | CommitEntry | BlockedEntry | LostEntry

interface At {
  /** Milliseconds since the epoch, with fractions; of a simulation, of its virtual time. */
  readonly at: number
}

interface OfTask extends At {
  readonly task: number
  readonly name: string
  readonly group: string
  /** The task whose code spawned it. */
  readonly parent: number | null
}

export interface TaskEntry extends OfTask {
  readonly kind: "spawned" | "started" | "suspended" | "resumed" | "cancelling"
  /** What it waits for, of "suspended"; why it is cancelled, of "cancelling". */
  readonly what?: string
  /** The task that woke it, of "resumed". */
  readonly by?: number
}

export interface EndEntry extends OfTask {
  readonly kind: "exited"
  readonly outcome: "succeeded" | "failed" | "cancelled"
  /** Milliseconds from its start. */
  readonly duration: number
  /** Of a failure, in one line, without secrets. */
  readonly error?: string
}

export interface CommitEntry extends At {
  readonly kind: "committed"
  readonly run: string
  readonly rows: number
  /** Milliseconds. */
  readonly took: number
}

/** The event loop did not turn. */
export interface BlockedEntry extends At {
  readonly kind: "blocked"
  readonly task: number | null
  readonly name: string | null
  /** Milliseconds so far. */
  readonly took: number
  readonly stack: ReadonlyArray<string>
}

/** Whoever reads was too slow for so many that came before this. */
export interface LostEntry extends At {
  readonly kind: "lost"
  readonly count: number
}
