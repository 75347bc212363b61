/** What a program does right now, and what it did last: for whoever looks while it runs. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { shallowInJson } from "../concurrency/base/Entries.ts"
import { checkWhole } from "../concurrency/base/Options.ts"
import { waiting as waitingFor } from "../concurrency/base/TaskNode.ts"
import * as Time from "../concurrency/base/Time.ts"
import { Registry } from "../concurrency/Registry.ts"
import { Deep, type Depth } from "./context/Deep.ts"
import type { Entry } from "./context/Entry.ts"
import { Process } from "./context/Process.ts"
import type { Snapshot } from "./context/Snapshot.ts"
import { reading } from "./inspect/Reading.ts"
import { type Shown, walk } from "./inspect/View.ts"
import { Watch } from "./inspect/Watch.ts"

export type { BlockedEntry, CommitEntry, EndEntry, Entry, LostEntry, TaskEntry } from "./context/Entry.ts"
export type {
  Finding,
  GroupView,
  Place,
  ProcessView,
  RunView,
  Snapshot,
  StepView,
  TaskView,
  WorkView
} from "./context/Snapshot.ts"

export interface LayerOptions {
  /** How many events are kept; those before are counted and dropped. Default 10,000. */
  readonly history?: number | undefined
}

/** What the layer keeps, where there is one. */
const Current: Context.Reference<Watch | undefined> = /* @__PURE__ */ Context.Reference("skein/inspect/Watch", {
  defaultValue: (): Watch | undefined => undefined
})

/**
 * Keeps what happens to the tasks of a program, for `events` and `snapshot`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 * import { Inspect } from "skein/inspect"
 *
 * const program = Effect.gen(function*() {
 *   yield* TaskGroup.open(TaskGroup.spawn(Effect.void, { name: "job" }), { name: "main" })
 *   const { history } = yield* Inspect.snapshot
 *   return history
 * })
 *
 * const layer = Inspect.layer({ history: 4 })
 * await Effect.runPromise(Effect.provide(program, layer)) // => { kept: 4, dropped: 1 }
 * ```
 */
export const layer = (options: LayerOptions = {}): Layer.Layer<never> =>
  Layer.effectContext(
    Effect.suspend(() => {
      checkWhole("Inspect: history", options.history, 0)
      return Effect.map(watching(options.history ?? 10_000), (watch) => Context.make(Current, watch))
    })
  )

/** As long as the scope is open. */
const watching = (capacity: number) =>
  Effect.acquireRelease(
    Effect.withFiber((fiber) => {
      const watch = new Watch(capacity, Time.of(fiber))
      const stop = fiber.getRef(Registry)["~skein/Registry"].watch(watch.hear)
      return Effect.succeed(Object.assign(watch, { stop }))
    }),
    (watch) =>
      Effect.sync(() => {
        watch.stop()
        watch.history.close()
      })
  )

/**
 * What runs at the moment, as plain JSON. It needs no layer: without one nothing is known of what fibers did before.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 * import { Inspect } from "skein/inspect"
 *
 * const program = Effect.gen(function*() {
 *   yield* TaskGroup.spawn(Inspect.waiting("the moon")(Effect.never), { name: "wolf", kind: "daemon" })
 *   return yield* Inspect.snapshot
 * })
 *
 * const { groups } = await Effect.runPromise(TaskGroup.open(program, { name: "night" }))
 * groups.map(({ name, tasks }) => [name, ...tasks.map((task) => task.name)]) // => [["night", "night", "wolf"]]
 * groups[0]!.tasks[1]!.waitsFor // => "the moon"
 * ```
 */
export const snapshot: Effect.Effect<Snapshot> = /* @__PURE__ */ Effect.withFiber((fiber) => {
  const { orphans, roots } = fiber.getRef(Registry)["~skein/Registry"]
  const watch = fiber.getRef(Current)
  const { groups, tasks } = walk(roots, () => null)
  const view: Omit<Snapshot, "withoutPlaces"> = {
    formatVersion: 1,
    at: Time.of(fiber).currentTimeMillisUnsafe(),
    process: fiber.getRef(Process)?.() ?? null,
    groups,
    orphans: Array.from(orphans),
    runs: [],
    findings: [],
    history: { kept: watch?.history.kept ?? 0, dropped: watch?.history.dropped ?? 0 }
  }
  return Effect.map(seen(fiber.getRef(Deep), tasks), (withoutPlaces) => shallowInJson({ ...view, withoutPlaces }))
})

/** Writes into tasks where they wait; gives why they have none where that is so. */
const seen = (depth: Depth | undefined, tasks: ReadonlyArray<Shown>): Effect.Effect<string | null> => {
  if (depth === undefined) return Effect.succeed("nobody asked for them, or this platform cannot tell")
  const fibers = tasks.flatMap(({ task }) => (task.fiber === undefined ? [] : [task.fiber]))
  return Effect.match(depth.look(fibers), {
    onFailure: ({ why }) => why,
    onSuccess: (all) => {
      for (const { task, view } of tasks) {
        const one = task.fiber && all.get(task.fiber)
        if (one === undefined) continue
        view.places = one.places
        view.waitsFor ??= one.waitsFor
      }
      return null
    }
  })
}

/**
 * What happens to tasks: with the layer what its history holds and then what comes, without it what comes from now on. Nothing waits
 * for a slow reader: it is told how many were lost to it, as an entry of kind "lost".
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { TaskGroup } from "skein"
 * import { Inspect } from "skein/inspect"
 *
 * const program = Effect.gen(function*() {
 *   yield* TaskGroup.open(TaskGroup.spawn(Effect.void, { name: "job" }), { name: "main" })
 *   return yield* Stream.runCollect(Stream.take(Inspect.events, 5))
 * })
 *
 * const entries = await Effect.runPromise(Effect.provide(program, Inspect.layer()))
 * entries.map((entry) => entry.kind) // => ["started", "spawned", "started", "exited", "exited"]
 * ```
 */
export const events: Stream.Stream<Entry> = /* @__PURE__ */ Stream.unwrap(
  Effect.flatMap(Current, (watch) =>
    watch === undefined
      ? Effect.map(watching(10_000), ({ history }) => reading(history, 0))
      : Effect.succeed(reading(watch.history, watch.history.dropped))
  )
)

/**
 * Says what a task waits for while the effect runs, where only the program knows: it is in the tree and in snapshots as `waitsFor`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 * import { Inspect } from "skein/inspect"
 *
 * const program = Effect.gen(function*() {
 *   yield* TaskGroup.spawn(Inspect.waiting("an answer of the bank")(Effect.sleep(10)), { name: "payment" })
 *   return (yield* TaskGroup.tree).groups[0]!.tasks[1]!.waitsFor
 * })
 *
 * await Effect.runPromise(TaskGroup.open(program)) // => "an answer of the bank"
 * ```
 */
export const waiting =
  (label: string): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  (effect) =>
    Effect.withFiber((fiber) => {
      const over = waitingFor(fiber, () => label)
      return Effect.onExitPrimitive(effect, () => void over())
    })
