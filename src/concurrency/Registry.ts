/**
 * What runs, for whoever wants to look: every task is a node, under the group that owns it and from the task that opened
 * that group; and a listener hears what happens to tasks.
 */
import * as Context from "effect/Context"
import { Entries, treeOf as entriesTree } from "./base/Entries.ts"
import type { Listener, Tree } from "./base/TaskInfo.ts"

export type {
  Change,
  Ended,
  Event,
  GroupInfo,
  Kind,
  Listener,
  Orphan,
  State,
  TaskInfo,
  TaskTree,
  Tree
} from "./base/TaskInfo.ts"

/** Where tasks are entered, and who is told of them. */
export interface Registry {
  /** Adds a listener, which is told from then on; the function it gives takes it off. */
  readonly listen: (listener: Listener) => () => void
  readonly "~skein/Registry": Entries
}

/**
 * An empty registry with these listeners: provided to a program it has the tasks of that program alone.
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
export const make = (...listeners: ReadonlyArray<Listener>): Registry => {
  const entries = new Entries()
  for (const listener of listeners) entries.listen(listener)
  return { listen: (listener) => entries.listen(listener), "~skein/Registry": entries }
}

/**
 * The registry that tasks enter: one for the whole process, unless another is provided.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Registry, TaskGroup } from "skein"
 *
 * const program = Effect.gen(function*() {
 *   const registry = yield* Registry.Registry
 *   let slowest = 0
 *   const stop = registry.listen((event) => {
 *     if (event.kind === "exited") slowest = Math.max(slowest, event.duration)
 *   })
 *   yield* TaskGroup.open(TaskGroup.spawn(Effect.sleep("20 millis")))
 *   stop()
 *   return slowest >= 19
 * })
 *
 * await Effect.runPromise(program) // => true
 * ```
 */
export const Registry: Context.Reference<Registry> = /* @__PURE__ */ Context.Reference("skein/Registry", {
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
export const treeOf = (registry: Registry): Tree => entriesTree(registry["~skein/Registry"])
