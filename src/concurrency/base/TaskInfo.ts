/** What can be known of groups and tasks from outside, and what is told of them. */
import type * as Exit from "effect/Exit"

/** The whole of it, as JSON; `formatVersion` changes when the meaning of a field does. */
export interface Tree {
  readonly formatVersion: 1
  /** The groups that were opened outside of any task. */
  readonly groups: ReadonlyArray<GroupInfo>
}

export interface GroupInfo {
  readonly name: string
  readonly state: "open" | "closing" | "cancelling" | "closed"
  /** The body first, then the tasks in the order of spawning. */
  readonly tasks: ReadonlyArray<TaskTree>
  /** In JSON, of a group nested so deep that it could not be written: how many tasks are left out. */
  readonly omitted?: number
}

export interface TaskTree extends TaskInfo {
  /** The groups this task has open. */
  readonly groups: ReadonlyArray<GroupInfo>
}

export interface TaskInfo {
  readonly id: number
  readonly name: string
  readonly kind: Kind
  /** The id of the task whose code spawned it. */
  readonly parent: number | null
  readonly group: string
  readonly state: State
  /** When it got into that state, in milliseconds since the epoch. */
  readonly since: number
  /** What it waits for, where that is known. */
  readonly waitsFor: string | null
}

/** A body is what its group was opened with; a daemon or service does not keep its group open. */
export type Kind = "body" | "task" | "daemon" | "service"
export type State = "running" | "cancelling" | "succeeded" | "failed" | "cancelled"

/** What happened to a task: it is told when that is so. */
export type Event = Change | Ended

interface Told {
  readonly task: TaskInfo
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Change extends Told {
  /** "suspended" where it began to wait for something that is known, and "resumed" where it waits for that no longer. */
  readonly kind: "spawned" | "started" | "suspended" | "resumed" | "cancelling"
  /** Of "cancelling": the reason in words. */
  readonly why?: string
}

export interface Ended extends Told {
  readonly kind: "exited"
  readonly exit: Exit.Exit<unknown, unknown>
  /** Milliseconds from its start to its end. */
  readonly duration: number
}

/**
 * Called on the stack of what it hears of, so it has to be quick. One that throws is told nothing any more, which is logged
 * once; the program goes on.
 */
export type Listener = (event: Event) => void

/** Work that was given up while it still runs: nobody waits for it, but it is not forgotten. */
export interface Orphan {
  readonly name: string
  /** What gave it up: a cancelled `Offload.promise`, or a group that would not wait any longer. */
  readonly from: "promise" | "group"
  /** When, in milliseconds since the epoch. */
  readonly since: number
}
