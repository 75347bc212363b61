/**
 * A task: an effect that runs in a fiber of its own under a group, with a name.
 */
/* oxlint-disable typescript/no-explicit-any -- a group holds tasks of every type */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Cancel from "./Cancel.ts"
import type { TypedError } from "./TypedError.ts"

export type State = "running" | "cancelling" | "succeeded" | "failed" | "cancelled"

/** `E` is what `join` can fail with: `never` when the group owns the failure, as it does after `TaskGroup.spawn`. */
export interface Task<out A, out E = never> {
  readonly id: number
  readonly name: string
  /** The task whose code spawned this one; none when that was no task. */
  readonly parent: Option.Option<Task<unknown, unknown>>
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
}

/** The task that runs this effect; none outside of a group. */
export const current: Effect.Effect<Option.Option<Task<unknown, unknown>>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(fiber.getRef(CurrentTask)))
)

const TaskCancelledBase: TypedError<
  TaskCancelled,
  "TaskCancelled",
  {
    readonly task: Schema.String
    readonly reason: Schema.String
  }
> = Schema.TaggedError<TaskCancelled>()("TaskCancelled", { task: Schema.String, reason: Schema.String })

/** The defect of a `join` on a task that was cancelled: there is no value to give. */
export class TaskCancelled extends TaskCancelledBase {
  override get message(): string {
    return `Task "${this.task}" has no value to join: it was cancelled (${this.reason}). Use \`task.exit\` to ask without failing`
  }
}

const TaskFailedBase: TypedError<
  TaskFailed,
  "TaskFailed",
  {
    readonly task: Schema.String
    readonly cause: Schema.Defect
  }
> = Schema.TaggedError<TaskFailed>()("TaskFailed", { task: Schema.String, cause: Schema.Defect() })

/** The defect of a `join` from outside the group that owns the task's failure. */
export class TaskFailed extends TaskFailedBase {
  override get message(): string {
    return `Task "${this.task}" failed; its group reports why. Use \`TaskGroup.supervise\` for a task whose failure you handle`
  }
}

/** What a group has to know of its tasks; users see `Task`. */
export class Node<A, E> implements Task<A, E> {
  readonly id: number
  readonly owner: Owner
  readonly spawner: Node<unknown, unknown> | undefined
  readonly supervised: boolean
  private readonly givenName: string | undefined
  fiber: Fiber.Fiber<A, E> | undefined
  cancelReason: Cancel.Reason | undefined
  /** Whether anyone took notice of how the task ended. */
  observed = false
  /** Where the owner keeps it. */
  slot = -1

  constructor(
    owner: Owner,
    spawner: Node<unknown, unknown> | undefined,
    name: string | undefined,
    supervised: boolean
  ) {
    this.id = nextId++
    this.owner = owner
    this.spawner = spawner
    this.givenName = name
    this.supervised = supervised
  }

  get name(): string {
    return this.givenName ?? `task-${this.id}`
  }

  get parent(): Option.Option<Task<unknown, unknown>> {
    return Option.fromUndefinedOr(this.spawner)
  }

  get state(): Effect.Effect<State> {
    return Effect.sync((): State => {
      const exit = this.fiber?.pollUnsafe()
      if (exit === undefined) return this.cancelReason === undefined ? "running" : "cancelling"
      return Exit.isSuccess(exit) ? "succeeded" : Cause.hasInterruptsOnly(exit.cause) ? "cancelled" : "failed"
    })
  }

  get join(): Effect.Effect<A, E> {
    return this.end((exit) => this.joined(exit))
  }

  get exit(): Effect.Effect<Exit.Exit<A, E>> {
    return this.end(Effect.succeed)
  }

  cancel(message = "cancelled by its handle"): Effect.Effect<void> {
    return Effect.andThen(
      Effect.withFiber((fiber) => {
        const by = fiber.getRef(CurrentTask)?.name ?? "its handle"
        this.interrupt({ kind: "explicit", by, message })
        return Effect.void
      }),
      this.end(() => Effect.void)
    )
  }

  interrupt(reason: Cancel.Reason, annotations: Context.Context<never> = Cancel.annotate(reason)): void {
    if (this.cancelReason === undefined) this.cancelReason = reason
    this.fiber?.interruptUnsafe(undefined, annotations)
  }

  private end<B, E2>(then: (exit: Exit.Exit<A, E>) => Effect.Effect<B, E2>): Effect.Effect<B, E2> {
    return Effect.callback<B, E2>((resume) => {
      this.observed = true
      const fiber = this.fiber!
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return resume(then(exit))
      const stop = fiber.addObserver((exit) => this.owner.whenSwept(() => resume(then(exit))))
      return Effect.sync(stop)
    })
  }

  private joined(exit: Exit.Exit<A, E>): Effect.Effect<A, E> {
    if (Exit.isSuccess(exit)) return exit
    if (Cause.hasInterruptsOnly(exit.cause)) {
      const reason = Option.getOrUndefined(Cancel.reasonOf(exit.cause))
      return Effect.die(new TaskCancelled({ task: this.name, reason: reason?.message ?? "it interrupted itself" }))
    }
    return this.supervised ? exit : Effect.die(new TaskFailed({ task: this.name, cause: Cause.squash(exit.cause) }))
  }
}

let nextId = 1

/** What a task asks of its group. */
export interface Owner {
  /** Runs `f` now, or at the end of the cancellation that is going through the tasks of the group. */
  readonly whenSwept: (f: () => void) => void
}

export const CurrentTask: Context.Reference<Node<any, any> | undefined> = Context.Reference("skein/Task/Current", {
  defaultValue: (): Node<any, any> | undefined => undefined
})
