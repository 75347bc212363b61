/** Nothing outlives the effect that made it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Semaphore } from "effect/Semaphore"
import type { Limiter } from "../concurrency/Limiter.ts"
import type { BugFound, OutsideNondeterminism } from "./SimError.ts"
import { Probes } from "./sim/Control.ts"
import type { Leaked } from "./LeaksError.ts"
import { leavesNothing } from "./sim/Leaked.ts"
import type { Run } from "./sim/Run.ts"
import { explore, type Explored, type ExploreOptions } from "./Sim.ts"

export { Leaked } from "./LeaksError.ts"

/**
 * Explores the effect as `Sim.explore` does (50 schedules by default) and reports as `BugFound` when a fiber, a timer, an open
 * scope or anything that is watched outlives it, in whatever way it ends. A worker pool is known by its scope, and a fiber of
 * `Effect.runFork` if the effect itself started it, not a callback from outside.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Leaks } from "skein/testing"
 *
 * const careless = Effect.forkDetach(Effect.sleep("1 hour"))
 * const bug = await Effect.runPromise(Effect.flip(Leaks.none(careless)))
 *
 * bug.message.includes(`the fiber "fiber 1" is alive; 1 timer is pending`) // => true
 * ```
 */
export const none = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: Omit<ExploreOptions<A, E>, "check">
): Effect.Effect<Explored, BugFound | OutsideNondeterminism, R> => explore(effect, { schedules: 50, ...options, check })

/**
 * A `check` for `Sim.explore`, `Interrupt.everywhere` and your own: fails with `Leaked` where the run has left something behind.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Interrupt, Leaks } from "skein/testing"
 *
 * const careful = Effect.scoped(Effect.acquireRelease(Effect.succeed("file"), () => Effect.void))
 *
 * await Effect.runPromise(Effect.as(Interrupt.everywhere(careful, { check: Leaks.check }), "clean")) // => "clean"
 * ```
 */
export const check: <A, E>(run: Run<A, E>) => Effect.Effect<void, Leaked> = leavesNothing

/**
 * Has the end of the run ask how much of something is still held: a leak, unless it is 0. Does nothing outside of
 * simulations.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Leaks, Sim } from "skein/testing"
 *
 * const program = Effect.gen(function* () {
 *   let open = 0
 *   yield* Leaks.watch("connection of the pool", () => open)
 *   open++
 * })
 * const run = await Effect.runPromise(Sim.run(program))
 *
 * run.left.lent // => ["1 × connection of the pool"]
 * ```
 */
export const watch = (what: string, held: () => number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(Probes)?.push(() => {
      const count = held()
      return count === 0 ? undefined : `${count} × ${what}`
    })
    return Effect.void
  })

/**
 * Watches a semaphore of so many permits: all of them have to be back at the end of the run.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Semaphore from "effect/Semaphore"
 * import { Leaks, Sim } from "skein/testing"
 *
 * const program = Effect.gen(function* () {
 *   const semaphore = yield* Semaphore.make(3)
 *   yield* Leaks.semaphore(semaphore, 3)
 *   yield* semaphore.take(2)
 * })
 * const run = await Effect.runPromise(Sim.run(program))
 *
 * run.left.lent // => ["2 × permit of a semaphore"]
 * ```
 */
export const semaphore = (semaphore: Semaphore, permits: number): Effect.Effect<void> =>
  watch("permit of a semaphore", () => {
    for (let held = 0; held < permits; held++) {
      if (Option.isSome(Effect.runSync(semaphore.withPermitsIfAvailable(permits - held)(Effect.void)))) return held
    }
    return permits
  })

/**
 * Watches a limiter: all permits have to be back at the end of the run.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Limiter } from "skein"
 * import { Leaks, Sim } from "skein/testing"
 *
 * const program = Effect.gen(function* () {
 *   const limiter = yield* Limiter.concurrency(1)
 *   yield* Leaks.limiter(limiter)
 *   yield* limiter.withPermit(Effect.void)
 * })
 * const run = await Effect.runPromise(Sim.run(program))
 *
 * run.left.lent // => []
 * ```
 */
export const limiter = (limiter: Limiter): Effect.Effect<void> =>
  watch("permit of a limiter", () => Effect.runSync(limiter.stats).inUse)
