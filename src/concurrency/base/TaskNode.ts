/**
 * A task as its group and the registry see it, and what any code can know of the task it runs in.
 */
/* oxlint-disable typescript/no-explicit-any -- a group holds tasks of every type */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { annotate, type Reason, reasonOf } from "./Reason.ts"
import type { Event, GroupInfo, Kind, Registry, State, TaskInfo, TaskTree } from "../Registry.ts"
import * as Stack from "./Stack.ts"
import { TaskCancelled, TaskFailed } from "../TaskError.ts"
import * as Wait from "./Wait.ts"

/** What a task has to know of its group. */
export interface Owner {
  readonly name: string
  readonly registry: Registry
  readonly clock: Clock.Clock
  /** Runs `f` now, or at the end of the cancellation that is going through the tasks of the group. */
  readonly whenSwept: (f: () => void) => void
  /** Called when a task was cancelled by its handle and has not ended at once. */
  readonly watchCleanup: () => void
}

/** Why and since when a task is being cancelled; one for all tasks that are cancelled together. */
export interface Cancellation {
  readonly reason: Reason
  readonly annotations: Context.Context<never>
  readonly at: number
}

export const cancellation = (reason: Reason, clock: Clock.Clock): Cancellation => ({
  reason,
  annotations: annotate(reason),
  at: clock.currentTimeMillisUnsafe()
})

/** What `Task` is the public side of. There may be very many: each field counts. */
export class Node<A, E> {
  readonly id: number
  readonly owner: Owner
  readonly spawner: Node<any, any> | undefined
  readonly kind: Kind
  readonly startedAt: number
  private readonly givenName: string | undefined
  /** Whether the holder of the handle, and not the group, owns the failure. */
  supervised: boolean
  /** Whether anyone took notice of how the task ended. */
  observed = false
  fiber: Fiber.Fiber<A, E> | undefined
  cancelled: Cancellation | undefined
  /** What it waits for, where that is known. */
  waitsFor: string | undefined
  /** Where its group keeps it. */
  slot = -1
  /** The groups this task has open; made for the first. */
  groups: Set<{ readonly info: GroupInfo }> | undefined

  constructor(
    owner: Owner,
    spawner: Node<any, any> | undefined,
    kind: Kind,
    name: string | undefined,
    supervised: boolean
  ) {
    this.id = ++owner.registry.tasks
    this.owner = owner
    this.spawner = spawner
    this.kind = kind
    this.givenName = name
    this.supervised = supervised
    this.startedAt = owner.clock.currentTimeMillisUnsafe()
  }

  get reason(): Reason | undefined {
    return this.cancelled?.reason
  }

  get name(): string {
    return this.givenName ?? (this.kind === "body" ? `group-${this.id}` : `task-${this.id}`)
  }

  get parent(): Option.Option<Node<unknown, unknown>> {
    return Option.fromUndefinedOr(this.spawner)
  }

  get state(): Effect.Effect<State> {
    return Effect.sync(() => this.stateNow)
  }

  get stateNow(): State {
    const exit = this.fiber?.pollUnsafe()
    if (exit === undefined) return this.cancelled === undefined ? "running" : "cancelling"
    return Exit.isSuccess(exit) ? "succeeded" : Cause.hasInterruptsOnly(exit.cause) ? "cancelled" : "failed"
  }

  get join(): Effect.Effect<A, E> {
    return this.end((exit) => {
      this.observed = true
      return this.joined(exit)
    }, "the end of")
  }

  get exit(): Effect.Effect<Exit.Exit<A, E>> {
    return this.end((exit) => {
      this.observed = true
      return Effect.succeed(exit)
    }, "the end of")
  }

  notice(): void {
    this.observed = true
  }

  get info(): TaskInfo {
    return {
      id: this.id,
      name: this.name,
      kind: this.kind,
      parent: this.spawner?.id ?? null,
      group: this.owner.name,
      state: this.stateNow,
      since: this.cancelled?.at ?? this.startedAt,
      waitsFor: this.waitsFor ?? null
    }
  }

  get tree(): TaskTree {
    return { ...this.info, groups: Array.from(this.groups ?? [], (group) => group.info) }
  }

  cancel(message = "cancelled by its handle"): Effect.Effect<void> {
    return Effect.andThen(
      Effect.withFiber((fiber) => {
        const by = fiber.getRef(CurrentTask)?.name ?? "its handle"
        this.interrupt(cancellation({ kind: "explicit", by, message }, this.owner.clock))
        if (this.fiber?.pollUnsafe() === undefined) this.owner.watchCleanup()
        return Effect.void
      }),
      this.end(() => Effect.void, "the cleanup of")
    )
  }

  interrupt(cancellation: Cancellation): void {
    const { fiber } = this
    if (fiber === undefined || fiber.pollUnsafe() !== undefined) return
    if (this.cancelled === undefined) {
      this.cancelled = cancellation
      this.tell("cancelling")
    }
    Stack.shallow(fiber, () => fiber.interruptUnsafe(undefined, cancellation.annotations))
  }

  /** Tells whoever listens what happens. */
  tell(kind: Event["kind"]): void {
    const { clock, registry } = this.owner
    registry.listener?.({ kind, task: this.info, at: clock.currentTimeMillisUnsafe() })
  }

  private end<B, E2>(then: (exit: Exit.Exit<A, E>) => Effect.Effect<B, E2>, wait: string): Effect.Effect<B, E2> {
    return Effect.withFiber((waiter) =>
      Wait.callback<B, E2>("a task", (resume) => {
        const fiber = this.fiber!
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return resume(then(exit))
        const woken = waiting(waiter, () => `${wait} task "${this.name}"`)
        const stop = fiber.addObserver((exit) =>
          this.owner.whenSwept(() => {
            woken()
            resume(then(exit))
          })
        )
        return Effect.sync(() => {
          woken()
          stop()
        })
      })
    )
  }

  /** S7, S18: what `join` gives for a task that ended this way. */
  joined(exit: Exit.Exit<A, E>): Exit.Exit<A, E> {
    if (Exit.isSuccess(exit)) return exit
    if (Cause.hasInterruptsOnly(exit.cause)) {
      const reason = Option.getOrUndefined(reasonOf(exit.cause))
      return Exit.die(new TaskCancelled({ task: this.name, reason: reason?.message ?? "it interrupted itself" }))
    }
    return this.supervised ? exit : Exit.die(new TaskFailed({ task: this.name, cause: Cause.squash(exit.cause) }))
  }
}

export const CurrentTask: Context.Reference<Node<any, any> | undefined> = Context.Reference("skein/Task/Current", {
  defaultValue: (): Node<any, any> | undefined => undefined
})

/** The name of the task a fiber runs, for messages. */
export const nameOf = (fiber: Fiber.Fiber<unknown, unknown>): string =>
  fiber.getRef(CurrentTask)?.name ?? `fiber ${fiber.id}`

/** Notes what the task of this fiber waits for; the function it gives says that it waits no more. */
export const waiting = (fiber: Fiber.Fiber<unknown, unknown>, what: () => string): (() => void) => {
  const task = fiber.getRef(CurrentTask)
  if (task === undefined) return done
  const before = task.waitsFor
  task.waitsFor = what()
  task.tell("suspended")
  return () => void (task.waitsFor = before)
}

const done = (): void => {}
