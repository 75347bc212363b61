/**
 * S17, S18: failures that belong to whoever holds the handle of the task. One that nobody has looked at in time is reported,
 * as the group may never close, and forgotten.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Scheduler } from "effect/Scheduler"
import * as Alarm from "../base/Alarm.ts"
import * as FailureLog from "../base/FailureLog.ts"
import * as Log from "../base/Log.ts"
import type { Unseen } from "../base/Entries.ts"
import type { Node } from "../base/TaskNode.ts"
import type { Time } from "../base/Time.ts"

/** A group whose tasks are supervised. */
interface Supervised {
  readonly clock: Time
  readonly context: Context.Context<never>
  readonly log: (report: Effect.Effect<void>) => void
  unhandled: Unhandled | undefined
}

/** Call before something is supervised in this group: a program that does not has none of this, in a browser not even loaded. */
export const supervising = <G extends Supervised>(group: G): G => {
  group.unhandled ??= new Unhandled(group.clock, Context.get(group.context, Scheduler), (report) => group.log(report))
  return group
}

export class Unhandled implements Unseen {
  private readonly clock: Time
  private readonly scheduler: Scheduler
  private readonly report: (effect: Effect.Effect<void>) => void
  private readonly next = Alarm.appointment(() => this.reportLate())
  /** When each has failed, the first in front. */
  readonly failed: Map<Node<unknown, unknown>, number> = new Map()
  late = 0
  lastLate: Node<unknown, unknown> | undefined

  constructor(clock: Time, scheduler: Scheduler, report: (effect: Effect.Effect<void>) => void) {
    this.clock = clock
    this.scheduler = scheduler
    this.report = report
  }

  add(task: Node<unknown, unknown>): void {
    const now = Alarm.now(this.clock)
    this.failed.set(task, now)
    // Most are looked at soon: who rings finds out.
    if (this.next.alarm === undefined) this.wait(now)
  }

  delete(task: Node<unknown, unknown>): void {
    this.failed.delete(task)
  }

  private reportLate(): void {
    const late: Array<Node<unknown, unknown>> = []
    for (const [task, at] of this.failed) {
      if (at + patience > this.next.due) {
        this.wait(at)
        break
      }
      this.failed.delete(task)
      late.push(task)
    }
    this.late += late.length
    this.lastLate = late.at(-1) ?? this.lastLate
    if (late.length > 0) this.report(reportAll(late))
  }

  /** What nobody has looked at by the end of the group. */
  close(): Effect.Effect<void> | undefined {
    this.next.withdraw()
    if (this.failed.size === 0) return undefined
    const rest = Array.from(this.failed.keys())
    this.failed.clear()
    return reportAll(rest)
  }

  private wait(since: number): void {
    Alarm.of(this.clock).set(this.next, since + patience, this.scheduler)
  }
}

/** Milliseconds. */
const patience = 10_000

/** As many at once are told one by one; more of them would say nothing new. */
const most = 100

const reportAll = (tasks: ReadonlyArray<Node<unknown, unknown>>): Effect.Effect<void> => {
  const each = tasks.slice(0, most).reduce((before, task) => Effect.andThen(before, report(task)), Effect.void)
  if (tasks.length <= most) return each
  return Effect.andThen(each, Log.error(`${tasks.length - most} more supervised tasks failed unhandled`))
}

const report = (task: Node<unknown, unknown>): Effect.Effect<void> => {
  const exit = task.fiber!.pollUnsafe()
  return exit !== undefined && Exit.isFailure(exit)
    ? FailureLog.error(`Unhandled failure of supervised task "${task.name}"`, exit.cause)
    : Effect.void
}
