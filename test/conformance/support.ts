/**
 * What every conformance case has in common. A case is a world, made anew for each run, and what has to come of it:
 *
 * - undisturbed, and in 200 orders of its ready fibers, `check` has to hold;
 * - cancelled before every operation, and somewhere in each of those orders, it ends as a cancellation, with none but
 *   the failures that it has undisturbed, or that `also` names;
 * - however it ends, nothing is left: no fiber, timer, scope, permit, resource, group, orphan, and nothing was logged.
 */
import { expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { Cancel, Limiter, Registry, TaskGroup } from "skein"
import { Interrupt, Sim } from "skein/testing"

/** What a case may use, and what it leaves to look at. */
export interface World {
  readonly log: ReadonlyArray<string>
  readonly say: (line: string) => Effect.Effect<void>
  /**
   * Holds a resource and a permit for so many milliseconds, or for ever; releasing them takes `cleanup`. Then logs that
   * `name` is done or was cancelled. Gives its name.
   */
  readonly works: (name: string, millis?: number, options?: { readonly cleanup: number }) => Effect.Effect<string>
}

export interface Seen<A, E> extends Pick<Sim.Run<A, E>, "exit" | "time"> {
  /** As `failuresOf` the exit. */
  readonly failures: ReadonlyArray<string>
  readonly log: ReadonlyArray<string>
}

export interface Case<A, E> {
  readonly world: (world: World) => Effect.Effect<A, E>
  readonly check: (seen: Seen<A, E>) => void
  /** Failures that come out only when it is cancelled at the wrong moment. */
  readonly also?: ReadonlyArray<string>
}

/** Registers a case as a test. */
export const conforms = <A, E>(
  name: string,
  world: Case<A, E>["world"],
  check: Case<A, E>["check"],
  options?: Pick<Case<A, E>, "also">
): void => it(name, () => withstands({ world, check, ...options }))

/** Runs a case in all the ways there are. */
export const withstands = <A, E>({ also = [], check, world }: Case<A, E>): void => {
  let stage = makeStage()
  const subject = Effect.suspend(() => {
    stage = makeStage()
    return stage.run(world)
  })
  const see = (run: Sim.Run<A, E>) => {
    expect({ ...run.left, ...stage.left() }).toEqual(nothing)
    return { exit: run.exit, time: run.time, failures: failuresOf(run.exit), log: stage.log }
  }
  const first = see(Effect.runSync(Sim.run(subject)))
  check(first)
  const expected = new Set([...first.failures, ...also])
  const verify = (run: Sim.Run<A, E>) => {
    const seen = see(run)
    if (!run.stopped) return check(seen)
    expect(interruptionsOf(run.exit)).toBe(1)
    expect(seen.failures.filter((failure) => !expected.has(failure))).toEqual([])
  }
  Effect.runSync(Interrupt.everywhere(subject, { check: verify }))
  Effect.runSync(Sim.explore(subject, { schedules: 200, check: verify, stop: "interrupt" }))
}

/** Lists the failures of a group as "task: error"; those with a class by its name. */
export const failuresOf = <A, E>(exit: Exit.Exit<A, E>): ReadonlyArray<string> =>
  Exit.isFailure(exit)
    ? TaskGroup.failures(exit.cause).map((failure) => {
        const error = "error" in failure ? failure.error : failure.defect
        return `${failure.task.name}: ${error instanceof Error ? error.name : String(error)}`
      })
    : []

/** How many cancellations there are in an exit. */
export const interruptionsOf = <A, E>(exit: Exit.Exit<A, E>): number =>
  Exit.isFailure(exit) ? exit.cause.reasons.filter(Cause.isInterruptReason).length : 0

/** The defect that an exit holds. */
export const defectOf = <A, E>(exit: Exit.Exit<A, E>): unknown =>
  Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined

export const failsAfter = <E>(millis: number, error: E): Effect.Effect<never, E> =>
  Effect.delay(Effect.fail(error), millis)

/** Fails although it is being cancelled, as what a driver does when it is closed halfway. */
export const failsRegardless = <E>(millis: number, error: E): Effect.Effect<never, E> =>
  Effect.uninterruptible(failsAfter(millis, error))

/** The effect with the environment it would have here, for running it elsewhere: in a group that is over, for one. */
export const leak = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Effect.Effect<A, E>, never, R> =>
  Effect.contextWith((context: Context.Context<R>) => Effect.succeed(Effect.provideContext(effect, context)))

/** The reason for which `cancelledAfter` cancels. */
export const tester: Cancel.Reason = { kind: "signal", by: "tester", message: "stop" }

/** Runs the effect in a fiber of its own, cancels that fiber at each of these moments, and tells how it ended. */
export const cancelledAfter = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  ...moments: ReadonlyArray<number>
): Effect.Effect<Exit.Exit<A, E>, never, R> =>
  Effect.acquireUseRelease(
    // Started at once: Effect forgets an interruption when a fiber that waits for its start is preempted by it.
    Effect.forkDetach(effect, { startImmediately: true }),
    (fiber) =>
      Effect.gen(function* () {
        let passed = 0
        for (const moment of moments) {
          yield* Effect.sleep(moment - passed)
          passed = moment
          fiber.interruptUnsafe(undefined, Cancel.annotate(tester))
        }
        return yield* Fiber.await(fiber)
      }),
    Fiber.interrupt
  )

const nothing = {
  fibers: [],
  timers: 0,
  scopes: 0,
  lent: [],
  held: 0,
  inUse: 0,
  waiting: 0,
  groups: [],
  orphans: [],
  logged: []
}

const makeStage = () => {
  const log: Array<string> = []
  const logged: Array<unknown> = []
  const logger = Logger.make(({ message }) => void logged.push(message))
  const limiter = Effect.runSync(Limiter.concurrency(1000))
  const registry = Registry.make()
  let held = 0
  // What a run that went wrong left behind is not to be blamed on the next.
  const orphansBefore = Effect.runSync(TaskGroup.orphans).length
  const world: World = {
    log,
    say: (line) => Effect.sync(() => void log.push(line)),
    works: (name, millis, options) =>
      limiter.withPermit(
        Effect.acquireUseRelease(
          Effect.sync(() => (held += 1)),
          () => Effect.as(millis === undefined ? Effect.never : Effect.sleep(millis), name),
          (_, exit) =>
            Effect.andThen(
              Effect.sleep(options?.cleanup ?? 0),
              Effect.sync(() => {
                held -= 1
                log.push(`${name} ${Exit.isSuccess(exit) ? "done" : "cancelled"}`)
              })
            )
        )
      )
  }
  return {
    log,
    run: <A, E>(of: (world: World) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => of(world)).pipe(
        Effect.provideService(Registry.Registry, registry),
        Effect.provideService(Logger.CurrentLoggers, new Set([logger]))
      ),
    left: () => {
      const { inUse, waiting } = Effect.runSync(limiter.stats)
      const orphans = Effect.runSync(TaskGroup.orphans).slice(orphansBefore)
      return { held, inUse, waiting, groups: Registry.treeOf(registry).groups, orphans, logged }
    }
  }
}
