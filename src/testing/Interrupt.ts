/** Cancellation at every point in turn: the test that finds gaps between acquiring and releasing. */
import * as Effect from "effect/Effect"
import type { Check } from "./search/Bug.ts"
import type { BugFound, OutsideNondeterminism } from "./SimError.ts"
import { endsWell, leavesNothing } from "./sim/Leaked.ts"
import { type At, sweep, type Swept } from "./search/Sweep.ts"
import { Victim } from "./sim/Control.ts"

export interface Options<A, E> {
  /**
   * `"op"`, the default: before each operation, as a fiber can be preempted at any; `"suspension"`: where one waits, starts or
   * resumes another.
   */
  readonly at?: At | undefined
  /** `"root"`, the default: the effect, or the `victim` in it if it has one; `"any"`: each of its fibers in turn. */
  readonly target?: "root" | "any" | undefined
  /**
   * What has to hold of each run, the undisturbed ones included. By default nothing outlives it, and it succeeds or ends by
   * the interruption.
   */
  readonly check?: Check<A, E> | undefined
  /** The typed failures with which a run may end where no `check` is given; none by default. */
  readonly fails?: ((error: E) => boolean) | undefined
  /** A run that performs more operations is a `Livelock`: one million by default. */
  readonly maxOperations?: number | undefined
}

/**
 * Runs the effect undisturbed, then once for each point that it passes, interrupted there; with slices of one, two and
 * three operations. The first run that does not pass `check`, deadlocks or does not end is reported as `BugFound` with a
 * token for `Sim.replay`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Semaphore from "effect/Semaphore"
 * import { Interrupt, Leaks } from "skein/testing"
 *
 * const careless = Effect.gen(function* () {
 *   const semaphore = yield* Semaphore.make(1)
 *   yield* Leaks.semaphore(semaphore, 1)
 *   yield* semaphore.take(1)
 *   yield* Effect.ensuring(Effect.yieldNow, semaphore.release(1))
 * })
 * const bug = await Effect.runPromise(Effect.flip(Interrupt.everywhere(careless)))
 *
 * bug.message.includes("1 × permit of a semaphore is not given back") // => true
 * ```
 */
export const everywhere = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options<A, E> = {}
): Effect.Effect<Swept, BugFound | OutsideNondeterminism, R> =>
  sweep(effect, {
    how: "interrupt",
    at: options.at ?? "op",
    targets: ({ names, victim }) => (options.target === "any" ? names.map((_, fiber) => fiber) : [victim]),
    check: options.check ?? ((run) => Effect.andThen(endsWell(run, options.fails), leavesNothing(run))),
    maxOperations: options.maxOperations
  })

/**
 * Makes the fiber that runs this effect the one to interrupt, where otherwise the whole effect is.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Interrupt } from "skein/testing"
 *
 * const program = Effect.exit(Effect.raceFirst(Interrupt.victim(Effect.sleep("1 second")), Effect.sleep("2 seconds")))
 * const survives = Interrupt.everywhere(program, { check: (run) => Exit.isSuccess(run.exit) })
 *
 * await Effect.runPromise(Effect.map(survives, ({ places }) => places > 0)) // => true
 * ```
 */
export const victim = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(Victim)?.(fiber)
    return effect
  })
