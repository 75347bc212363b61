/** S13, S22: watches how long the cancelled tasks of a group take to clean up; names the slow ones, or gives them up. */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Orphans from "../base/Orphans.ts"
import type { Node } from "../base/TaskNode.ts"

/** What is watched. */
export interface Watched {
  readonly name: string
  readonly clock: Clock.Clock
  /** The tasks that were cancelled and have not ended. */
  readonly stuck: () => ReadonlyArray<Node<unknown, unknown>>
  /** Stops waiting for a task; absent where the group waits for all of them, however long they take. */
  readonly abandon: ((task: Node<unknown, unknown>) => void) | undefined
}

export class CleanupWatch {
  private readonly group: Watched
  private readonly patience: number
  private readonly context: Context.Context<never>
  private fiber: Fiber.Fiber<void> | undefined
  /** Those cancelled up to this moment have been named. */
  private named = -Infinity

  constructor(group: Watched, patience: Duration.Input, context: Context.Context<never>) {
    this.group = group
    this.patience = Duration.toMillis(patience)
    this.context = context
  }

  /** Call when a task was cancelled and has not ended at once. */
  start(): void {
    if (this.fiber !== undefined || this.unnamed().length === 0) return
    this.fiber = Effect.runForkWith(this.context)(this.watch)
  }

  stop(): void {
    this.fiber?.interruptUnsafe()
  }

  private unnamed(): ReadonlyArray<Node<unknown, unknown>> {
    return this.group.stuck().filter((task) => task.cancelled!.at > this.named)
  }

  private readonly watch: Effect.Effect<void> = Effect.suspend(() => {
    const first = this.unnamed().reduce((first, task) => Math.min(first, task.cancelled!.at), Infinity)
    const now = this.group.clock.currentTimeMillisUnsafe()
    const left = first + this.patience - now
    if (left === Infinity) {
      this.fiber = undefined
      return Effect.void
    }
    return Effect.andThen(left > 0 ? Effect.sleep(left) : this.report(now), this.watch)
  })

  private report(now: number): Effect.Effect<void> {
    const late = this.unnamed().filter((task) => task.cancelled!.at + this.patience <= now)
    this.named = now - this.patience
    const names = late.map((task) => `"${task.name}" for ${Duration.format(Duration.millis(now - task.cancelled!.at))}`)
    const message = `Group "${this.group.name}" waits for cancelled tasks to clean up: ${names.join(", ")}`
    const { abandon } = this.group
    return abandon === undefined
      ? Effect.logWarning(message)
      : Effect.andThen(
          Effect.logWarning(`${message}. It stops waiting and leaves them as orphans`),
          Effect.forEach(late, (task) => this.giveUp(task, abandon), { discard: true })
        )
  }

  private giveUp(task: Node<unknown, unknown>, abandon: (task: Node<unknown, unknown>) => void): Effect.Effect<void> {
    return Effect.suspend(() =>
      task.fiber!.pollUnsafe() !== undefined
        ? Effect.void
        : Effect.map(Orphans.abandon(`${this.group.name} / ${task.name}`, "group"), (ended) => {
            task.fiber!.addObserver(ended)
            abandon(task)
          })
    )
  }
}
