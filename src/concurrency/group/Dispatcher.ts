/**
 * One dispatcher for all tasks of a tree of groups. By itself each fiber that yields makes its own, with a timer of
 * its own, which costs more than the task.
 */
import type * as Fiber from "effect/Fiber"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"

class Shared implements Scheduler {
  readonly executionMode: "sync" | "async"
  private readonly scheduler: Scheduler
  private readonly dispatcher: SchedulerDispatcher

  constructor(scheduler: Scheduler) {
    this.executionMode = scheduler.executionMode
    this.scheduler = scheduler
    this.dispatcher = scheduler.makeDispatcher()
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.scheduler.shouldYield(fiber)
  }

  makeDispatcher(): SchedulerDispatcher {
    return this.dispatcher
  }
}

/** The scheduler with one dispatcher for all fibers that use it; itself when it is such a one already. */
export const shared = (scheduler: Scheduler): Scheduler =>
  scheduler instanceof Shared ? scheduler : new Shared(scheduler)
