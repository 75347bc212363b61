/** A process inside of this one: an effect with all of its fibers, which can be ended as a kill ends a real one. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { Host, newId } from "../../pipeline/context/Host.ts"

/** A process among those of a machine, which know of each other whether they have ended. */
export interface Process {
  readonly host: Host
  ended: boolean
}

export const make = (others: ReadonlyArray<Process> = []): Effect.Effect<Process> =>
  Effect.map(newId, (id) => {
    const process: Process = {
      ended: false,
      host: {
        id,
        label: "a process that is played",
        runs: (id) => {
          const known = [process, ...others].find(({ host }) => host.id === id)
          return known === undefined ? undefined : !known.ended
        }
      }
    }
    return process
  })

/** Runs an effect as what a process does. */
export const within = <A, E, R>({ host }: Process, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(Effect.provideService(Host, host), Effect.provideService(Played, host))

/** Who the process is that is played; a `Host` may have been replaced since by that of the real one. */
export const Played: Context.Reference<Host | undefined> = Context.Reference("skein/testing/Played", {
  defaultValue: (): Host | undefined => undefined
})

/**
 * Runs the effect until its end, or until `end`, given to whoever makes the services it runs with, is run by one of its
 * fibers: then none of them does anything any more, finalizers included, and the exit is undefined.
 */
export const run = <A, E, R>(
  process: Process,
  effect: Effect.Effect<A, E, R>,
  services: (end: Effect.Effect<never>) => Context.Context<never>
): Effect.Effect<Exit.Exit<A, E> | undefined, never, R> =>
  Effect.contextWith((context: Context.Context<R>) =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.callback<Exit.Exit<A, E> | undefined>((resume) => {
        const scheduler = Context.get(context, Scheduler.Scheduler)
        const fibers = new Fibers(scheduler)
        const end = Effect.suspend(() => {
          fibers.ended = true
          process.ended = true
          resume(Effect.undefined)
          return Effect.never
        })
        const own = services(end).pipe(
          Context.add(Scheduler.Scheduler, fibers),
          Context.add(System, { scheduler, scope })
        )
        const root = Effect.runForkWith(Context.merge(context, own))(within(process, effect))
        root.addObserver((exit) => {
          process.ended = true
          resume(Effect.succeed(exit))
        })
        return Fiber.interrupt(root)
      }).pipe(
        // What comes next must not run on the stack of a fiber that has been ended.
        Effect.tap(() => Effect.yieldNow),
        Effect.ensuring(Scope.close(scope, Exit.void))
      )
    )
  )

/** What goes on when the process has ended. */
interface System {
  readonly scheduler: Scheduler.Scheduler
  readonly scope: Scope.Scope
}

const System: Context.Reference<System | undefined> = Context.Reference("skein/testing/System", {
  defaultValue: (): System | undefined => undefined
})

/** Acquires something that is released with its scope, or when the process is ended. */
export const released = <A, E, R>(
  acquire: Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.flatMap(System, (system) => {
    if (system === undefined) return acquire
    return Effect.flatMap(Scope.fork(system.scope), (scope) =>
      Effect.andThen(
        Effect.addFinalizer((exit) => Scope.close(scope, exit)),
        acquire.pipe(
          Effect.provideService(Scope.Scope, scope),
          // The finalizers keep it, and nothing runs on that of a process that has been ended.
          Effect.provideService(Scheduler.Scheduler, system.scheduler)
        )
      )
    )
  })

/** The scheduler that is there already, for as long as they live; then each yields at its next operation, for ever. */
class Fibers implements Scheduler.Scheduler {
  ended = false
  readonly executionMode: "sync" | "async"
  private readonly scheduler: Scheduler.Scheduler

  constructor(scheduler: Scheduler.Scheduler) {
    this.scheduler = scheduler
    this.executionMode = scheduler.executionMode
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.ended || this.scheduler.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const dispatcher = this.scheduler.makeDispatcher()
    return {
      scheduleTask: (task, priority) => {
        if (!this.ended) dispatcher.scheduleTask(() => this.ended || task(), priority)
      },
      flush: () => dispatcher.flush()
    }
  }
}
