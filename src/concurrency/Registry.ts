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

/** Work that was given up while it still runs: nobody waits for it, but it is not forgotten. */
export interface Orphan {
  readonly name: string
  /** What gave it up: a cancelled `Offload.promise`, or a group that would not wait any longer. */
  readonly from: "promise" | "group"
  /** When, in milliseconds since the epoch. */
  readonly since: number
}

/** Where tasks are entered, and who is told of them. */
export interface Registry {
  /** The groups that were opened outside of any task. */
  readonly roots: Set<{ readonly info: GroupInfo }>
  readonly orphans: Set<Orphan>
  /** How many tasks were entered: the id of the last. */
  tasks: number
  /** Called on the stack of what it tells of, so it has to be quick and must not throw. */
  listener: ((event: Event) => void) | undefined
}

/**
 * An empty registry with this listener: provided to a program it has the tasks of that program alone.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Registry, TaskGroup } from "skein"
 *
 * const heard: Array<string> = []
 * const registry = Registry.make(({ kind, task }) => void heard.push(`${kind} ${task.name}`))
 * const program = TaskGroup.open(TaskGroup.spawn(Effect.void, { name: "job" }), { name: "main" })
 *
 * await Effect.runPromise(Effect.provideService(program, Registry.Registry, registry))
 * heard // => ["started main", "spawned job", "started job", "exited job", "exited main"]
 * ```
 */
export const make = (listener?: Registry["listener"]): Registry => ({
  roots: new Set(),
  orphans: new Set(),
  tasks: 0,
  listener
})

/**
 * The registry that tasks enter: one for the whole process, unless another is provided. Setting its `listener` changes
 * who is told, from then on.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Registry, TaskGroup } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const registry = yield* Registry.Registry
 *   let tasks = 0
 *   registry.listener = ({ kind }) => void (tasks += kind === "spawned" ? 1 : 0)
 *   yield* TaskGroup.open(Effect.andThen(TaskGroup.spawn(Effect.void), TaskGroup.spawn(Effect.void)))
 *   registry.listener = undefined
 *   return tasks
 * })
 *
 * await Effect.runPromise(program) // => 2
 * ```
 */
export const Registry: Context.Reference<Registry> = Context.Reference("skein/Registry", {
  defaultValue: (): Registry => make()
})

/**
 * The tree of a registry, as `TaskGroup.tree` gives it from within; for whoever looks from outside of the program.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Registry, TaskGroup } from "skein"
 *
 * const registry = Registry.make()
 * const fiber = Effect.runFork(
 *   Effect.provideService(TaskGroup.open(Effect.never, { name: "main" }), Registry.Registry, registry)
 * )
 *
 * Registry.treeOf(registry).groups.map((group) => group.name) // => ["main"]
 * fiber.interruptUnsafe()
 * ```
 */
export const treeOf = (registry: Registry): Tree => ({
  formatVersion: 1,
  groups: Array.from(registry.roots, (group) => group.info)
})
