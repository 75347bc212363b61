/** What is put around the scheduler and the fiber metrics of a program: both hear all that they would hear without. */
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { FiberRuntimeMetricsService } from "effect/Metric"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import { CurrentTask } from "../../concurrency/base/TaskNode.ts"
import type { Meter } from "./Meter.ts"

/** A scheduler is asked at each operation of a fiber whether it should yield: the first one is the start of a slice. */
export class WatchedScheduler implements Scheduler {
  readonly executionMode: "sync" | "async"
  private readonly scheduler: Scheduler
  private readonly meter: Meter
  /** The last, as those that share one ask for it again and again. */
  private last: WatchedDispatcher | undefined

  constructor(scheduler: Scheduler, meter: Meter) {
    this.executionMode = scheduler.executionMode
    this.scheduler = scheduler
    this.meter = meter
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber !== this.meter.running || fiber.currentOpCount === 1) this.meter.begin(fiber)
    return this.scheduler.shouldYield(fiber)
  }

  makeDispatcher(): SchedulerDispatcher {
    const dispatcher = this.scheduler.makeDispatcher()
    if (this.last?.dispatcher !== dispatcher) this.last = new WatchedDispatcher(dispatcher, this.meter)
    return this.last
  }
}

class WatchedDispatcher implements SchedulerDispatcher {
  readonly dispatcher: SchedulerDispatcher
  private readonly meter: Meter

  constructor(dispatcher: SchedulerDispatcher, meter: Meter) {
    this.dispatcher = dispatcher
    this.meter = meter
  }

  scheduleTask(task: () => void, priority: number): void {
    this.dispatcher.scheduleTask(this.meter.queued(task), priority)
  }

  flush(): void {
    this.dispatcher.flush()
  }
}

export class WatchedMetrics implements FiberRuntimeMetricsService {
  private readonly metrics: FiberRuntimeMetricsService | undefined
  private readonly meter: Meter

  constructor(metrics: FiberRuntimeMetricsService | undefined, meter: Meter) {
    this.metrics = metrics
    this.meter = meter
  }

  recordFiberStart(context: Context.Context<never>): void {
    this.metrics?.recordFiberStart(context)
    const task = Context.get(context, CurrentTask)
    if (task !== undefined) this.meter.started(task)
  }

  recordFiberEnd(context: Context.Context<never>, exit: Exit.Exit<unknown, unknown>): void {
    this.metrics?.recordFiberEnd(context, exit)
    const task = Context.get(context, CurrentTask)
    if (task !== undefined) this.meter.ended(task)
  }
}
