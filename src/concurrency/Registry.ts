/**
 * What runs, for whoever wants to look: every task is a node, under the group that owns it and from the task that opened
 * that group; and a listener hears what happens to tasks.
 */
import * as Context from "effect/Context"

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

export interface Event {
  readonly kind: "spawned" | "started" | "suspended" | "cancelling" | "exited"
  readonly task: TaskInfo
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Registry {
  readonly roots: Set<{ readonly info: GroupInfo }>
  /** Called on the stack of what it tells of, so it has to be quick and must not throw. */
  listener: ((event: Event) => void) | undefined
}

export const make = (): Registry => ({ roots: new Set(), listener: undefined })

/** The registry that tasks enter: the program's own, unless another is provided. */
export const Registry: Context.Reference<Registry> = Context.Reference("skein/Registry", { defaultValue: make })

export const treeOf = (registry: Registry): Tree => ({
  formatVersion: 1,
  groups: Array.from(registry.roots, (group) => group.info)
})
