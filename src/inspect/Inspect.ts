/** What a program does right now, and what it did last: for whoever looks while it runs. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FiberRuntimeMetrics } from "effect/Metric"
import { Scheduler } from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { shallowInJson } from "../concurrency/base/Entries.ts"
import { millisOf } from "../concurrency/base/Lasting.ts"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import * as Secrets from "../concurrency/base/Secrets.ts"
import { waiting as waitingFor } from "../concurrency/base/TaskNode.ts"
import * as Time from "../concurrency/base/Time.ts"
import { Registry } from "../concurrency/Registry.ts"
import { Runs } from "../pipeline/context/Runs.ts"
import { Deep, type Depth } from "./context/Deep.ts"
import type { Entry } from "./context/Entry.ts"
import { Process } from "./context/Process.ts"
import type { Snapshot, TaskView } from "./context/Snapshot.ts"
import { WatchedMetrics, WatchedScheduler } from "./inspect/Hooks.ts"
import { defaults, findings, type Limits } from "./inspect/Findings.ts"
import { seenIn } from "./inspect/Look.ts"
import { cycles } from "./inspect/Cycles.ts"
import { reading } from "./inspect/Reading.ts"
import { runsOf } from "./inspect/Runs.ts"
import { type Shown, walk } from "./inspect/View.ts"
import { Watch } from "./inspect/Watch.ts"
import { NoSuchRun } from "./InspectError.ts"

export { NoSuchRun } from "./InspectError.ts"

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
  /** How long code may run without the event loop turning, before that is an event of kind "blocked". Default 100 milliseconds. */
  readonly blocked?: Duration.Input | undefined
  /** From when on something is a finding of a snapshot. */
  readonly limits?: LimitOptions | undefined
}

export interface LimitOptions {
  /** Work that was given up and still runs. Default 10 seconds. */
  readonly orphan?: Duration.Input | undefined
  /** A cancelled task that cleans up. Default 10 seconds. */
  readonly cleanup?: Duration.Input | undefined
  /** Permits of a limiter that somebody waits for. Default 30 seconds. */
  readonly held?: Duration.Input | undefined
  /** A failure of a supervised task that nobody has looked at. Default 1 second. */
  readonly unseen?: Duration.Input | undefined
  /** For how long a queue or a group only grew, from one snapshot to the next. Default 10 seconds. */
  readonly growing?: Duration.Input | undefined
  /** By how many a queue of a limiter grew meanwhile. Default 100. */
  readonly queue?: number | undefined
  /** By how many tasks a group grew meanwhile. Default 1,000. */
  readonly tasks?: number | undefined
  /** What half of the attempts of a step take, where others wait for it. Default 1 second. */
  readonly slowStep?: Duration.Input | undefined
}

/** What the layer keeps, where there is one. */
const Current: Context.Reference<Watch | undefined> = /* @__PURE__ */ Context.Reference("skein/inspect/Watch", {
  defaultValue: (): Watch | undefined => undefined
})

/**
 * Keeps what happens to the tasks of a program, for `events` and `snapshot`, and measures what their fibers do. It stands around the
 * scheduler and the fiber metrics that are there. Within another such layer it is that one.
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
    Effect.withFiber((fiber) => {
      checkWhole("Inspect: history", options.history, 0)
      checkDuration("Inspect: blocked", options.blocked)
      if (fiber.getRef(Current) !== undefined) return Effect.succeed(Context.empty())
      return Effect.map(watching(options), (watch) =>
        Context.make(Current, watch).pipe(
          Context.add(Scheduler, new WatchedScheduler(fiber.getRef(Scheduler), watch.meter)),
          Context.add(FiberRuntimeMetrics, new WatchedMetrics(fiber.getRef(FiberRuntimeMetrics), watch.meter))
        )
      )
    })
  )

const durations = ["orphan", "cleanup", "held", "unseen", "growing", "slowStep"] as const
const counts = ["queue", "tasks"] as const

const limitsOf = (options: LimitOptions): Limits => {
  const limits: { -readonly [K in keyof Limits]: Limits[K] } = { ...defaults }
  for (const name of durations) {
    checkDuration(`Inspect: limits.${name}`, options[name])
    const given = options[name]
    if (given !== undefined) limits[name] = millisOf(given)
  }
  for (const name of counts) {
    checkWhole(`Inspect: limits.${name}`, options[name], 1)
    limits[name] = options[name] ?? limits[name]
  }
  return limits
}

/** As long as the scope is open. */
const watching = ({ blocked = 100, history = 10_000, limits = {} }: LayerOptions) =>
  Effect.acquireRelease(
    Effect.withFiber((fiber) => {
      const watch = new Watch({ history, blocked: millisOf(blocked), limits: limitsOf(limits) }, Time.of(fiber))
      const { listeners } = fiber.getRef(Runs)
      listeners.add(watch.committed)
      const stop = fiber.getRef(Registry)["~skein/Registry"].watch(watch.hear)
      const close = () => {
        stop()
        listeners.delete(watch.committed)
        watch.history.close()
      }
      return Effect.succeed(Object.assign(watch, { close }))
    }),
    (watch) => Effect.sync(watch.close)
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
  const seen = walk(roots, watch === undefined ? () => null : watch.meter.look())
  const at = Time.of(fiber).currentTimeMillisUnsafe()
  return Effect.flatMap(lookInto(fiber.getRef(Deep), seen.tasks), ({ rings, withoutPlaces }) =>
    Effect.map(runsOf(fiber.getRef(Runs)), (runs) => {
      const now = {
        at,
        runs,
        rings,
        orphans: Array.from(orphans, (one) => ({ ...one, name: Secrets.hidden(one.name) }))
      }
      return shallowInJson<Snapshot>({
        formatVersion: 1,
        at,
        process: fiber.getRef(Process)?.() ?? null,
        groups: seen.groups,
        orphans: now.orphans,
        runs,
        findings: findings(seenIn(seen, now, watch), watch?.limits ?? defaults),
        history: { kept: watch?.history.kept ?? 0, dropped: watch?.history.dropped ?? 0 },
        withoutPlaces
      })
    })
  )
})

/** What a look below the program gave. */
interface Looked {
  /** Tasks of which each waits for a fiber of the next, and the last for one of the first. */
  readonly rings: ReadonlyArray<ReadonlyArray<TaskView>>
  readonly withoutPlaces: string | null
}

/** Writes into tasks where they wait. */
const lookInto = (depth: Depth | undefined, tasks: ReadonlyArray<Shown>): Effect.Effect<Looked> => {
  const without = (withoutPlaces: string): Looked => ({ rings: [], withoutPlaces })
  if (depth === undefined) return Effect.succeed(without("nobody asked for them, or this platform cannot tell"))
  const views = new Map(tasks.flatMap(({ task, view }) => (task.fiber === undefined ? [] : [[task.fiber, view]])))
  return Effect.match(depth.look([...views.keys()]), {
    onFailure: ({ why }) => without(why),
    onSuccess: (all) => {
      for (const [fiber, view] of views) {
        const one = all.get(fiber)
        if (one === undefined) continue
        view.places = one.places
        view.waitsFor ??= one.waitsFor
      }
      // A fiber is looked at where it is that of a task.
      return { rings: cycles(all).map((ring) => ring.map((fiber) => views.get(fiber)!)), withoutPlaces: null }
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
      ? Effect.map(watching({}), ({ history }) => reading(history, 0))
      : Effect.succeed(reading(watch.history, watch.history.dropped))
  )
)

/**
 * Pauses, resumes or drains a run that lives in this process, as its handle does.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Inspect } from "skein/inspect"
 *
 * const error = await Effect.runPromise(Effect.flip(Inspect.control({ name: "nightly" }, "pause")))
 * error.message // => `No run "nightly" lives in this process; none does`
 * ```
 */
export const control = (
  { name, partition }: { readonly name: string; readonly partition?: string | undefined },
  what: "pause" | "resume" | "drain"
): Effect.Effect<void, NoSuchRun> =>
  Effect.flatMap(Runs, ({ all }) => {
    for (const run of all) if (run.name === name && run.partition === partition) return run[what]
    return new NoSuchRun({ run: name, runs: Array.from(all, (run) => run.name) })
  })

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
