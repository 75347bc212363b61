/** S13, S22: watches how long the cancelled tasks of a group take to clean up; names the slow ones, or gives them up. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Scheduler } from "effect/Scheduler"
import * as Alarm from "../base/Alarm.ts"
import { millisOf } from "../base/Lasting.ts"
import * as Log from "../base/Log.ts"
import * as Orphans from "../base/Orphans.ts"
import { span } from "../base/Span.ts"
import type { Node } from "../base/TaskNode.ts"
import type { Time } from "../base/Time.ts"

/** What is watched. */
export interface Watched {
  readonly name: string
  readonly clock: Time
  /** The tasks that were cancelled and have not ended. */
  readonly stuck: () => ReadonlyArray<Node<unknown, unknown>>
  /** Stops waiting for a task. */
  readonly abandon: (task: Node<unknown, unknown>) => void
}

export class CleanupWatch {
  private readonly group: Watched
  private readonly patience: number
  /** Whether tasks are given up; else the group waits for all of them, however long they take. */
  private readonly gives: boolean
  private readonly context: Context.Context<never>
  private readonly next = Alarm.appointment(() => this.report())
  private naming: Fiber.Fiber<void> | undefined
  /** Those cancelled up to this moment have been named. */
  private named = -Infinity

  constructor(group: Watched, patience: Duration.Input, gives: boolean, context: Context.Context<never>) {
    this.group = group
    this.patience = millisOf(patience)
    this.gives = gives
    this.context = context
  }

  /** Call when tasks were cancelled and have not ended at once. */
  start(): void {
    if (this.next.place >= 0) return
    const first = this.unnamed().reduce((first, task) => Math.min(first, task.cancelled!.moment), Infinity)
    Alarm.of(this.group.clock).set(this.next, first + this.patience, Context.get(this.context, Scheduler))
  }

  stop(): void {
    this.next.withdraw()
    this.naming?.interruptUnsafe()
  }

  private unnamed(): ReadonlyArray<Node<unknown, unknown>> {
    return this.group.stuck().filter((task) => task.cancelled!.moment > this.named)
  }

  private report(): void {
    const now = Math.max(this.next.due, Alarm.now(this.group.clock))
    const late = this.unnamed().filter((task) => task.cancelled!.moment + this.patience <= now)
    for (const task of late) this.named = Math.max(this.named, task.cancelled!.moment)
    this.start()
    if (late.length > 0) this.naming = Effect.runForkWith(this.context)(this.name(late, now))
  }

  private name(late: ReadonlyArray<Node<unknown, unknown>>, now: number): Effect.Effect<void> {
    const names = late.map((task) => `"${task.name}" for ${span(Math.round(now - task.cancelled!.moment))}`)
    const message = `Group "${this.group.name}" waits for cancelled tasks to clean up: ${names.join(", ")}`
    if (!this.gives) return Log.warning(message)
    return Effect.andThen(
      Log.warning(`${message}. It stops waiting and leaves them as orphans`),
      Effect.withFiber((fiber) => {
        for (const task of late) if (task.fiber!.pollUnsafe() === undefined) this.giveUp(fiber, task)
        return Effect.void
      })
    )
  }

  private giveUp(fiber: Fiber.Fiber<unknown, unknown>, task: Node<unknown, unknown>): void {
    task.fiber!.addObserver(Orphans.list(fiber, `${this.group.name} / ${task.name}`, "group"))
    this.group.abandon(task)
  }
}
