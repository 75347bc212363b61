/**
 * A task: an effect that runs in a fiber of its own under a group, with a name.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { CurrentTask } from "./base/TaskNode.ts"
import type { Kind, State } from "./Registry.ts"

export type { Kind, State } from "./Registry.ts"
export { TaskCancelled, TaskFailed } from "./TaskError.ts"

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
   * that owns the failure, with `TaskFailed` when it failed.
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
export const current: Effect.Effect<Option.Option<Task<unknown, unknown>>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(fiber.getRef(CurrentTask)))
)
