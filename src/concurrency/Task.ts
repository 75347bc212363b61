/**
 * A task: an effect that runs in a fiber of its own under a group, with a name.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Rejection from "./base/Rejection.ts"
import { CurrentTask, type Node } from "./base/TaskNode.ts"
import type { Kind, State } from "./Registry.ts"

export type { Kind, State } from "./Registry.ts"
export { TaskCancelled, TaskFailed, TurnDeadlock } from "./TaskError.ts"

/** `E` is what `join` can fail with: `never` when the group owns the failure, as it does after `TaskGroup.spawn`. */
export interface Task<out A, out E = never> {
  readonly id: number
  readonly name: string
  readonly kind: Kind
  /** The task whose code spawned this one; none when that was no task. */
  readonly parent: Option.Option<Task<unknown, unknown>>
  /** When it was spawned, in milliseconds since the epoch. */
  readonly startedAt: number
  readonly state: Effect.Effect<State>
  /**
   * Waits for the value. Dies with `TaskCancelled` when the task was cancelled, and, outside the reach of the group
   * that owns the failure, with `TaskFailed` when it failed; with `TurnDeadlock` where this very wait keeps it from beginning.
   */
  readonly join: Effect.Effect<A, E>
  /** Waits for the end and tells how it ended; never fails. */
  readonly exit: Effect.Effect<Exit.Exit<A, E>>
  /** Cancels the task and waits until its finalizers have run. Cancelling twice, or after the end, does nothing. */
  readonly cancel: (message?: string) => Effect.Effect<void>
  /**
   * Asks the task, and the groups it has open, to stop in an orderly way, and waits for nothing: what they do about it is
   * up to them, see `Cancel.stopRequested`. Asking twice, or after the end, does nothing.
   */
  readonly stop: (message?: string) => Effect.Effect<void>
}

/**
 * The task that runs this effect; none outside of a group. In the body of a group it is the body, under the group's name.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Task, TaskGroup } from "skein"
 *
 * const name = Effect.map(Task.current, Option.map((task) => task.name))
 * const program = TaskGroup.open(
 *   Effect.flatMap(TaskGroup.spawn(name, { name: "worker" }), (task) => task.join)
 * )
 *
 * await Effect.runPromise(program) // => Option.some("worker")
 * await Effect.runPromise(name) // => Option.none()
 * ```
 */
export const current: Effect.Effect<Option.Option<Task<unknown, unknown>>> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(fiber.getRef(CurrentTask)))
)

/**
 * A promise of the value of a task, for code that knows only promises. Rejects with what the task fails with, as it is, or with
 * an `AbortError` that has the reason where it was cancelled. It only looks on: a failure that a group owns stays the group's.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Offload, Task, TaskGroup } from "skein"
 *
 * const log = async (value: Promise<number>) => `the answer is ${await value}`
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const task = yield* TaskGroup.spawn(Effect.delay(Effect.succeed(42), "1 millis"))
 *   return yield* Offload.promise(() => log(Task.toPromise(task)))
 * }))
 *
 * await Effect.runPromise(program) // => "the answer is 42"
 * ```
 */
export const toPromise = <A, E>(task: Task<A, E>): Promise<A> =>
  Rejection.promise<A, E>((end) => {
    // Every task is a node.
    const node = task as Node<A, E>
    node.notice()
    node.fiber!.addObserver(end)
  })
