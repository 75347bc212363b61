/** The death of a process at every step in turn, without a process. */
import type * as Effect from "effect/Effect"
import type { Check } from "./search/Bug.ts"
import type { BugFound, OutsideNondeterminism } from "./SimError.ts"
import { type At, sweep, type Swept } from "./search/Sweep.ts"

export interface Options<A, E> {
  /** `"op"`, the default: before each operation; `"suspension"`: where a fiber waits, starts or resumes another. */
  readonly at?: At | undefined
  /** What has to hold after each run, the undisturbed ones included: of what it changed outside of itself. */
  readonly check: Check<A, E>
  /** A run that performs more operations is a `Livelock`: one million by default. */
  readonly maxOperations?: number | undefined
}

/**
 * Runs the effect to its end, then up to each of its steps, where it is abandoned: no finalizer runs, and nothing of it
 * goes on. The first run that does not pass `check` is reported as `BugFound` with a token for `Sim.replay`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Kill } from "skein/testing"
 *
 * const table = new Map<string, number>()
 * const transfer = Effect.gen(function* () {
 *   table.set("a", 10).set("b", 0)
 *   yield* Effect.yieldNow
 *   table.set("a", 0)
 *   yield* Effect.yieldNow
 *   table.set("b", 10)
 * })
 * const check = () => [...table.values()].reduce((a, b) => a + b, 0) % 10 === 0 && table.get("a") !== table.get("b")
 * const bug = await Effect.runPromise(Effect.flip(Kill.everywhere(transfer, { check })))
 *
 * bug._tag // => "BugFound"
 * ```
 */
export const everywhere = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options<A, E>
): Effect.Effect<Swept, BugFound | OutsideNondeterminism, R> =>
  sweep(effect, {
    how: "kill",
    at: options.at ?? "op",
    targets: () => [0],
    check: options.check,
    maxOperations: options.maxOperations
  })
