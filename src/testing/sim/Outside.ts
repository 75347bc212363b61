/**
 * Fibers that a program starts by `Effect.runFork`, `runPromise` and the like: they know nothing of the run that they are
 * started in, so Effect's own scheduler and clock have them, and no schedule decides about them. All that can be seen is
 * that they are there.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

export class Outside {
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  private turns = 0

  /** Notes the fibers that are begun or go on while this runs, which must not wait for anything. */
  during<A>(run: () => A): A {
    const scheduler = Context.get(Context.empty(), Scheduler.Scheduler)
    const { makeDispatcher, shouldYield } = scheduler
    scheduler.shouldYield = (fiber) => {
      this.fibers.add(fiber)
      return shouldYield.call(scheduler, fiber)
    }
    scheduler.makeDispatcher = () => this.counted(makeDispatcher.call(scheduler))
    try {
      return run()
    } finally {
      scheduler.shouldYield = shouldYield
      scheduler.makeDispatcher = makeDispatcher
    }
  }

  /** One of them waits for its turn and for nothing else; under `Effect.runSync` it waits for ever. */
  get isBusy(): boolean {
    return this.turns > 0
  }

  /** The names of those that have not ended, nor would by themselves. */
  get alive(): ReadonlyArray<string> {
    if (this.isBusy) return []
    return Array.from(this.fibers)
      .filter((fiber) => fiber.pollUnsafe() === undefined)
      .map(({ cache: { span, stackFrame } }) => {
        const name = span?._tag === "Span" ? span.name : (stackFrame?.name ?? "fiber")
        return `${name} (outside of the simulation)`
      })
  }

  private counted(dispatcher: Scheduler.SchedulerDispatcher): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task, priority) => {
        this.turns++
        dispatcher.scheduleTask(() => {
          this.turns--
          task()
        }, priority)
      },
      flush: () => dispatcher.flush()
    }
  }
}
