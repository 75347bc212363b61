/**
 * A task as its group and the registry see it, and what any code can know of the task it runs in.
 */
/* oxlint-disable typescript/no-explicit-any -- a group holds tasks of every type */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as Alarm from "./Alarm.ts"
import { type Interrupt, interrupting } from "./Interruption.ts"
import { type Reason, reasonIn } from "./Reason.ts"
import { type Entries, type Known, type Listed, nameFor } from "./Entries.ts"
import * as Stack from "./Stack.ts"
import { StopSignal } from "./Stop.ts"
import { TaskCancelled, TaskFailed, TurnDeadlock } from "../TaskError.ts"
import type { Event, Kind, State, TaskInfo } from "./TaskInfo.ts"
import type { Time } from "./Time.ts"
import * as Wait from "./Wait.ts"
import { Waiter, WaitList } from "./WaitList.ts"

/** What a task has to know of its group. */
export interface Owner {
  readonly name: string
  readonly entries: Entries
  readonly clock: Time
  /** What its tasks are asked to stop by. */
  readonly stopping: StopSignal
  /** Runs `f` now, or at the end of the cancellation that is going through the tasks of the group. */
  readonly whenSwept: (f: () => void) => void
  /** Called when a task was cancelled by its handle and has not ended at once. */
  readonly watchCleanup: () => void
  /** Called when somebody has taken notice of how a supervised task ended. */
  readonly noticed: (task: Node<unknown, unknown>) => void
  /** The task that opened the group. */
  readonly opener: Node<any, any> | undefined
  /**
   * S29: notes that a fiber waits for a task; the function it gives takes that back. Gives none where the wait has no end but
   * that of the fiber's own task.
   */
  readonly awaits: (waiter: Fiber.Fiber<unknown, unknown>, task: Node<any, any>) => (() => void) | undefined
  /** Logs what a listener has thrown. */
  readonly complain: (thrown: unknown) => void
}

/** Why and since when a task is being cancelled; one for all tasks that are cancelled together. */
export interface Cancellation {
  readonly reason: Reason
  readonly interrupt: Interrupt
  /** In milliseconds since the epoch, to be shown. */
  readonly at: number
  /** The same moment by `Alarm.now`, to be measured from. */
  readonly moment: number
}

export const cancellation = (reason: Reason, clock: Time): Cancellation => ({
  reason,
  interrupt: interrupting(reason),
  at: clock.currentTimeMillisUnsafe(),
  moment: Alarm.now(clock)
})

/** What `Task` is the public side of. There may be very many: each field counts. */
export class Node<A, E> {
  readonly id: number
  readonly owner: Owner
  readonly spawner: Node<any, any> | undefined
  readonly kind: Kind
  readonly startedAt: number
  readonly givenName: string | number | undefined
  /** Whether the holder of the handle, and not the group, owns the failure. */
  supervised: boolean
  /** Whether anyone took notice of how the task ended, or will. */
  observed = false
  fiber: Fiber.Fiber<A, E> | undefined
  cancelled: Cancellation | undefined
  /** What its fibers wait for, where that is known; made for the first. */
  waits: WaitList<Known> | undefined
  /** Where its group keeps it. */
  slot = -1
  /** The groups this task has open; made for the first. */
  groups: Set<Listed> | undefined
  /** What a watcher keeps of it. */
  work: object | undefined

  constructor(
    owner: Owner,
    spawner: Node<any, any> | undefined,
    kind: Kind,
    name: string | number | undefined,
    supervised: boolean
  ) {
    this.id = ++owner.entries.tasks
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
    return nameFor(this.givenName, this.id, this.kind === "body")
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
      this.notice()
      return this.joined(exit)
    }, "the end of")
  }

  get exit(): Effect.Effect<Exit.Exit<A, E>> {
    return this.end((exit) => {
      this.notice()
      return Effect.succeed(exit)
    }, "the end of")
  }

  /** S17: how it ended, or will end, is no secret to whoever holds it. */
  notice(): void {
    if (this.observed) return
    this.observed = true
    if (this.supervised) this.owner.noticed(this)
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
      waitsFor: this.waitsFor
    }
  }

  /** S31: of everything that its fibers wait for. */
  private get waitsFor(): string | null {
    if (this.waits === undefined || this.waits.size === 0) return null
    const all = new Set<string>()
    for (let one = this.waits.first; one !== undefined; one = one.after as Known | undefined) all.add(one.what())
    const told = Array.from(all).slice(0, most).join(" and ")
    return all.size > most ? `${told} and ${all.size - most} more` : told
  }

  /** Notes that one of its fibers waits. */
  suspended(by: Known): void {
    this.waits ??= new WaitList()
    this.waits.add(by)
    this.tell("suspended")
  }

  resumed(by: Known): void {
    if (!by.waits) return
    this.waits!.remove(by)
    this.tell("resumed")
  }

  /** What this task is asked to stop by: for a body that is what its group is asked by. */
  get stopping(): StopSignal {
    if (this.kind === "body") return this.owner.stopping
    let signal = signals.get(this)
    if (signal === undefined) signals.set(this, (signal = new StopSignal(this.owner.stopping)))
    return signal
  }

  stop(message = "asked to stop by its handle"): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      this.stopping.request({ kind: "explicit", by: fiber.getRef(CurrentTask)?.name ?? "its handle", message })
      return Effect.void
    })
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
    Stack.shallow(fiber, cancellation.interrupt)
  }

  /** Tells whoever watches what happens. */
  tell(kind: Event["kind"], exit?: Exit.Exit<A, E>): void {
    for (const watcher of this.owner.entries.watchers) watcher(kind, this, exit)
  }

  private end<B, E2>(then: (exit: Exit.Exit<A, E>) => Effect.Effect<B, E2>, wait: string): Effect.Effect<B, E2> {
    return Effect.withFiber((waiter) =>
      Wait.callback<B, E2>("a task", (resume) => {
        const fiber = this.fiber!
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return resume(then(exit))
        const released = this.owner.awaits(waiter, this)
        if (released === undefined) return resume(Effect.die(this.deadlock))
        const waits = waiting(waiter, () => `${wait} task "${this.name}"`, this)
        const woken = () => {
          released()
          waits()
        }
        const stop = fiber.addObserver((exit) =>
          this.owner.whenSwept(() => {
            woken()
            // A task that ends by this may be what another waits for, and so on.
            Stack.shallow(waiter, () => resume(then(exit)))
          })
        )
        return Effect.sync(() => {
          woken()
          stop()
        })
      })
    )
  }

  get deadlock(): TurnDeadlock {
    return new TurnDeadlock({ group: this.owner.name, task: this.name })
  }

  /** S7, S18: what `join` gives for a task that ended this way. */
  joined(exit: Exit.Exit<A, E>): Exit.Exit<A, E> {
    if (Exit.isSuccess(exit)) return exit
    if (Cause.hasInterruptsOnly(exit.cause)) {
      const reason = reasonIn(exit.cause.reasons)
      return Exit.die(new TaskCancelled({ task: this.name, reason: reason?.message ?? "it interrupted itself" }))
    }
    return this.supervised ? exit : Exit.die(new TaskFailed({ task: this.name, cause: Cause.squash(exit.cause) }))
  }
}

export const CurrentTask: Context.Reference<Node<any, any> | undefined> = /* @__PURE__ */ Context.Reference(
  "skein/Task/Current",
  {
    defaultValue: (): Node<any, any> | undefined => undefined
  }
)

/** The name of the task a fiber runs, for messages. */
export const nameOf = (fiber: Fiber.Fiber<unknown, unknown>): string =>
  fiber.getRef(CurrentTask)?.name ?? `fiber ${fiber.id}`

/** Notes what the task of this fiber waits for; the function it gives says that it waits no more. */
export const waiting = (
  fiber: Fiber.Fiber<unknown, unknown>,
  what: () => string,
  whom?: Node<any, any>
): (() => void) => {
  const task = fiber.getRef(CurrentTask)
  if (task === undefined) return constVoid
  const known = new Told(what, fiber, whom)
  task.suspended(known)
  return () => task.resumed(known)
}

class Told extends Waiter implements Known {
  readonly what: () => string
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly whom: Node<any, any> | undefined
  since: number | undefined

  constructor(what: () => string, fiber: Fiber.Fiber<unknown, unknown>, whom: Node<any, any> | undefined) {
    super()
    this.what = what
    this.fiber = fiber
    this.whom = whom
  }
}

/** How many waits of one task are told. */
const most = 3

// Beside the tasks, as most have none: each field is one in every task.
const signals = new WeakMap<object, StopSignal>()
