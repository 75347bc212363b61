/**
 * A group owns tasks: it ends when they have all ended, and when one of them fails it cancels the others and fails
 * with everything that went wrong.
 */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect and every group in conditional types */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Deadline from "./Deadline.ts"
import { CurrentGroup, type Failures, Group, type GroupOptions, type TaskGroup } from "./group/Group.ts"
import * as Active from "./base/ActiveDeadline.ts"
import { infoOf } from "./base/Entries.ts"
import { millisOf } from "./base/Lasting.ts"
import { annotate, type Reason } from "./base/Reason.ts"
import * as Rejection from "./base/Rejection.ts"
import { type GroupInfo, Registry, type Tree, treeOf } from "./Registry.ts"
import type { RestartOptions } from "./group/Restart.ts"
import { inGroup, type Ready, type SpawnOptions, startIn, untilReady } from "./group/Start.ts"
import { supervising } from "./group/Unhandled.ts"
import { nameOf } from "./base/TaskNode.ts"
import type * as Task from "./Task.ts"
import { GroupCancelled } from "./TaskGroupError.ts"

export { bridge, type Bridge, type RunOptions } from "./group/Bridge.ts"
export { dropped, type Failure, failures } from "./group/Failures.ts"
export type { Failures, TaskGroup } from "./group/Group.ts"
export { GroupCancelled, GroupClosed, NeverReady } from "./TaskGroupError.ts"
export type { Ready, SpawnOptions } from "./group/Start.ts"
export { orphans } from "./base/Orphans.ts"

export interface OpenOptions extends GroupOptions {
  /** The deadline of everything in the group; with it, the group can fail with `DeadlineExceeded`. */
  readonly within?: Duration.Input | undefined
}

/**
 * Runs `body` in a new group and completes only when the body, all tasks spawned into the group and all their
 * finalizers are done, on every path. Succeeds with the body's value. The first failure of the body or of a task
 * cancels everything else; the group then fails with all failures in one `Cause`, the first one first.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const one = yield* TaskGroup.spawn(Effect.succeed(1))
 *   const two = yield* TaskGroup.spawn(Effect.succeed(2), { name: "two" })
 *   return (yield* one.join) + (yield* two.join)
 * }))
 *
 * await Effect.runPromise(program) // => 3
 * ```
 */
export const open: <Arg extends Effect.Effect<any, any, any> | OpenOptions, const O extends OpenOptions = {}>(
  bodyOrOptions: Arg,
  options?: O
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<A, E | Failures<R> | Deadline.Late<O>, Exclude<R, TaskGroup<any>>>
  : <A, E, R>(
      body: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | Failures<R> | Deadline.Late<Arg>, Exclude<R, TaskGroup<any>>> = /* @__PURE__ */ dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(body: Effect.Effect<A, E, R>, options: OpenOptions = {}) => {
    const opened = Effect.withFiber((parent) => {
      const group = new Group<A, E | Failures<R>>(parent, options)
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          Effect.catchCause(restore(group.run(body)), () => Effect.void),
          () => group.outcome()
        )
      )
    })
    return options.within === undefined ? opened : Active.within(opened, millisOf(options.within), options.name)
  }
)

export interface RunPromiseOptions extends OpenOptions {
  /** Cancels the group when it is aborted; one that is aborted already starts nothing. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens a group with the effect as its body, outside of any other, and gives a promise of its value: for the edge of a program that
 * is made of promises. Rejects with what the group fails with, as it is, or, where it was cancelled, with an `AbortError` that
 * has the reason, once everything in it has cleaned up. Code that is in a group already has `TaskGroup.bridge`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const controller = new AbortController()
 * const answer = TaskGroup.runPromise(Effect.sleep("1 hour"), { signal: controller.signal })
 * controller.abort("the user left")
 *
 * await answer.catch((error) => `${error.name}: ${error.message}`) // => "AbortError: the user left"
 * await TaskGroup.runPromise(Effect.succeed(42)) // => 42
 * ```
 */
export const runPromise = <A, E, R extends TaskGroup<any>>(
  effect: Effect.Effect<A, E, R>,
  options: RunPromiseOptions = {}
): Promise<A> =>
  Rejection.promise((end) =>
    Rejection.under(options.signal, end, (end) => {
      // The group is all that it may need.
      const fiber = Effect.runFork(open(effect, options) as Effect.Effect<A, unknown>)
      fiber.addObserver(end)
      return (reason) => fiber.interruptUnsafe(undefined, annotate(reason))
    })
  )

/**
 * Starts `effect` as a task of the innermost group and returns its handle at once. The group owns the failure: it is in
 * the group's error type, and `join` on the handle has none. Dies with `GroupClosed` when the group takes no more tasks.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   yield* TaskGroup.spawn(Effect.fail("no such page"), { name: "fetch" })
 *   return yield* Effect.never
 * }))
 *
 * await Effect.runPromise(Effect.flip(program)) // => "no such page"
 * ```
 */
export const spawn: <Arg extends Effect.Effect<any, any, any> | SpawnOptions>(
  effectOrOptions: Arg,
  options?: SpawnOptions
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<Task.Task<A>, never, R | TaskGroup<E>>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Task.Task<A>, never, R | TaskGroup<E>> =
  /* @__PURE__ */ dual(
    (args) => Effect.isEffect(args[0]),
    <A, E, R>(effect: Effect.Effect<A, E, R>, options?: SpawnOptions) =>
      inGroup(options, (group, fiber) => Effect.succeed(startIn(group, fiber, effect, options, "owned")))
  )

/**
 * Gives a function that runs effects in the group of here, or in none where there is none, whatever group they are run from: for
 * code that runs the effects of its callers in tasks of its own, and must not own what those spawn.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const here = yield* TaskGroup.capture
 *   const spawns = TaskGroup.spawn(Effect.succeed("owned by the outer group"))
 *   const task = yield* TaskGroup.open(here(spawns))
 *   return yield* task.join
 * }))
 *
 * await Effect.runPromise(program) // => "owned by the outer group"
 * ```
 */
export const capture: Effect.Effect<<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>> =
  /* @__PURE__ */ Effect.contextWith((context: Context.Context<never>) => {
    const group = Context.getOption(context, CurrentGroup)
    const here = <R>(inner: Context.Context<R>): Context.Context<R> =>
      // The group is in nobody's types but its own.
      (Option.isSome(group) ? Context.add(inner, CurrentGroup, group.value) : without(inner)) as Context.Context<R>
    return Effect.succeed(<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.updateContext(effect, here<R>))
  })

const without = /* @__PURE__ */ Context.omit(CurrentGroup) as <R>(context: Context.Context<R>) => Context.Context<R>

/**
 * As `spawn`, but for a group that takes no more tasks it gives none, and the effect is not started.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(TaskGroup.trySpawn(Effect.succeed(1)))
 *
 * await Effect.runPromise(Effect.map(program, Option.isSome)) // => true
 * ```
 */
export const trySpawn = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: SpawnOptions
): Effect.Effect<Option.Option<Task.Task<A>>, never, R | TaskGroup<E>> =>
  Effect.withFiber((fiber) => {
    const group = Context.getUnsafe(fiber.context, CurrentGroup)
    // As for `spawn`, the group never resumes a `join` with the failure it owns.
    return Effect.succeed(
      group.isOpen
        ? Option.some(startIn(group, fiber, effect, options, "owned") as unknown as Task.Task<A>)
        : Option.none()
    )
  })

/**
 * Starts `effect` as a task whose failure belongs to the holder of the handle: `join` fails with it, siblings live on.
 * A failure that nobody joined or observed by the time the group closes is logged as unhandled.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const risky = yield* TaskGroup.supervise(Effect.fail("timeout"))
 *   return yield* Effect.catch(risky.join, (error) => Effect.succeed(`gave up: ${error}`))
 * }))
 *
 * await Effect.runPromise(program) // => "gave up: timeout"
 * ```
 */
export const supervise: <Arg extends Effect.Effect<any, any, any> | SpawnOptions>(
  effectOrOptions: Arg,
  options?: SpawnOptions
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<Task.Task<A, E>, never, R | TaskGroup<never>>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Task.Task<A, E>, never, R | TaskGroup<never>> =
  /* @__PURE__ */ dual(
    (args) => Effect.isEffect(args[0]),
    <A, E, R>(effect: Effect.Effect<A, E, R>, options?: SpawnOptions) =>
      inGroup(options, (group, fiber) =>
        Effect.succeed(startIn(supervising(group), fiber, effect, options, "supervised"))
      )
  )

/**
 * For calling the function of a `start` directly: nobody waits for it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const server = (ready: TaskGroup.Ready<number>) => Effect.as(ready(8080), "ended")
 *
 * await Effect.runPromise(server(TaskGroup.notStarted)) // => "ended"
 * ```
 */
export const notStarted: Ready<unknown> = () => Effect.void

/**
 * Starts a task and waits until it says that it is ready; gives the value it says so with, and the task runs on. A
 * failure before that comes out of `start` and leaves the group alone; one after it is the group's, as for `spawn`. Dies
 * with `NeverReady` when the task ends without a word, and with `TurnDeadlock` where the group has a limit and all who have a turn
 * wait for tasks that have none. Cancelling `start` cancels the task.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const server = (ready: TaskGroup.Ready<number>) => Effect.andThen(ready(8080), Effect.sleep("20 millis"))
 *
 * await Effect.runPromise(TaskGroup.open(TaskGroup.start(server))) // => 8080
 * ```
 */
export const start = <A, E, R, V>(
  f: (ready: Ready<V>) => Effect.Effect<A, E, R>,
  options?: Omit<SpawnOptions, keyof RestartOptions>
): Effect.Effect<V, E, R | TaskGroup<E>> => Effect.map(untilReady(f, options, "owned"), ([, value]) => value)

/**
 * As `start`, but what the task fails with once it was ready belongs to the holder of its handle, as for `supervise`. Gives the handle
 * with the value.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const server = (ready: TaskGroup.Ready<number>) => Effect.andThen(ready(8080), Effect.fail("the cable was cut"))
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const [task, port] = yield* TaskGroup.superviseStart(server)
 *   return `${port}: ${yield* Effect.flip(task.join)}`
 * }))
 *
 * await Effect.runPromise(program) // => "8080: the cable was cut"
 * ```
 */
export const superviseStart = <A, E, R, V>(
  f: (ready: Ready<V>) => Effect.Effect<A, E, R>,
  options?: Omit<SpawnOptions, keyof RestartOptions>
): Effect.Effect<readonly [task: Task.Task<A, E>, value: V], E, R | TaskGroup<never>> =>
  Effect.withFiber((fiber) => {
    supervising(Context.getUnsafe(fiber.context, CurrentGroup))
    return untilReady(f, options, "supervised")
  })

/**
 * Ends the innermost group early: body and tasks are cancelled, and where nothing fails meanwhile the group fails with
 * `GroupCancelled`, so that whoever opened it decides what that means. The second call does nothing.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const search = (shelf: number) => (shelf === 3 ? TaskGroup.cancel("found it") : Effect.never)
 * const program = TaskGroup.open(Effect.forEach([1, 2, 3], (shelf) => TaskGroup.spawn(search(shelf)))).pipe(
 *   Effect.catchTag("GroupCancelled", ({ reason }) => Effect.succeed(reason))
 * )
 *
 * await Effect.runPromise(program) // => "found it"
 * ```
 */
export const cancel = (message = "no longer needed"): Effect.Effect<void, never, TaskGroup<GroupCancelled>> =>
  Effect.withFiber((fiber) =>
    Effect.sync(() => {
      const group = Context.getUnsafe(fiber.context, CurrentGroup)
      group.request(asked(fiber, message), new GroupCancelled({ group: group.name, reason: message }))
    })
  )

/**
 * Asks everything in the innermost group to stop in an orderly way, nested groups included: what listens to
 * `Cancel.stopRequested` hears of it, such as pipelines, which finish what is in flight, and the rest goes on. Waits for nothing. The second call does
 * nothing.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Cancel, TaskGroup } from "skein"
 *
 * const poll = Effect.raceFirst(Effect.forever(Effect.sleep("1 millis")), Cancel.stopRequested)
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   yield* TaskGroup.spawn(poll)
 *   yield* TaskGroup.stop()
 *   return "ends when the last task has stopped"
 * }))
 *
 * await Effect.runPromise(program) // => "ends when the last task has stopped"
 * ```
 */
export const stop = (message = "asked to stop"): Effect.Effect<void, never, TaskGroup<never>> =>
  Effect.withFiber((fiber) =>
    Effect.sync(() => Context.getUnsafe(fiber.context, CurrentGroup).stopping.request(asked(fiber, message)))
  )

const asked = (fiber: Fiber.Fiber<unknown, unknown>, message: string): Reason => ({
  kind: "explicit",
  by: nameOf(fiber),
  message
})

/** A group in the hand: for code that spawns into a group it does not run in. `E` is what it may let fail. */
export interface Handle<in E> {
  readonly name: string
  readonly info: Effect.Effect<GroupInfo>
  /** As `TaskGroup.spawn`, into this group. */
  readonly spawn: <A, E1 extends E, R>(
    effect: Effect.Effect<A, E1, R>,
    options?: SpawnOptions
  ) => Effect.Effect<Task.Task<A>, never, R>
  /** As `TaskGroup.stop`, of this group. */
  readonly stop: (message?: string) => Effect.Effect<void>
}

/**
 * The innermost group, to be handed to code outside of it. Say what may fail through the handle, as in
 * `TaskGroup.current<HttpError>()`: it is part of the group's failures.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const group = yield* TaskGroup.current<string>()
 *   const later = TaskGroup.open(group.spawn(Effect.succeed("in the outer group")))
 *   return yield* (yield* later).join
 * }))
 *
 * await Effect.runPromise(program) // => "in the outer group"
 * ```
 */
export const current = <E = never>(): Effect.Effect<Handle<E>, never, TaskGroup<E>> =>
  Effect.withFiber((fiber) => {
    const group = Context.getUnsafe(fiber.context, CurrentGroup)
    return Effect.succeed({
      name: group.name,
      info: Effect.sync(() => infoOf([group])[0]!),
      spawn: <A, E1 extends E, R>(effect: Effect.Effect<A, E1, R>, options?: SpawnOptions) =>
        Effect.provideService(spawn(effect, options), CurrentGroup, group) as Effect.Effect<Task.Task<A>, never, R>,
      stop: (message?: string) => Effect.provideService(stop(message), CurrentGroup, group)
    })
  })

/**
 * Everything that runs under any group of the program, as JSON: groups, their tasks, and the groups those have open.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(
 *   Effect.gen(function*() {
 *     yield* TaskGroup.spawn(Effect.sleep("10 millis"), { name: "nap" })
 *     const { groups } = yield* TaskGroup.tree
 *     return groups[0]?.tasks.map((task) => `${task.kind} ${task.name}: ${task.state}`)
 *   }),
 *   { name: "main" }
 * )
 *
 * await Effect.runPromise(program) // => ["body main: running", "task nap: running"]
 * ```
 */
export const tree: Effect.Effect<Tree> = /* @__PURE__ */ Effect.map(Registry, treeOf)
