/** One run for each place at which a run can be stopped. */
import * as Effect from "effect/Effect"
import * as Bug from "./Bug.ts"
import type { Granularity, Schedule, Stop } from "../Schedules.ts"
import type { BugFound, OutsideNondeterminism } from "../SimError.ts"
import type { Played } from "../sim/Played.ts"

/** Where to stop: where a fiber waits, starts or resumes another; or before each operation as well. */
export type At = "suspension" | "op"

export interface Options<A, E> {
  readonly how: Stop["how"]
  readonly at: At
  /** The fibers to stop, given the undisturbed run. */
  readonly targets: (played: Played<A, E>) => ReadonlyArray<number>
  readonly check: Bug.Check<A, E>
  readonly maxOperations: number | undefined
}

export interface Swept {
  /** How many runs were stopped, each at another place. */
  readonly places: number
  /** How many runs there were in all. */
  readonly runs: number
}

export const sweep: <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options<A, E>
) => Effect.Effect<Swept, BugFound | OutsideNondeterminism, R> = Effect.fnUntraced(function* (
  effect,
  { at, check, how, maxOperations, targets }
) {
  let places = 0
  let runs = 0
  const granularity: Granularity = at === "op" ? "op" : "boundary"
  const searchOf = (quantum: number) => ({
    check,
    shrinks: 200,
    settings: (schedule: Schedule) => ({ schedule, quantum, maxOperations, quiet: true })
  })
  // Slices of more than one operation bring the fibers into other relations to each other.
  for (const quantum of at === "op" ? [1, 2, 3] : [1]) {
    const schedule: Schedule = { seed: 0, strategy: "fifo", granularity }
    const search = searchOf(quantum)
    const undisturbed = yield* Bug.run(effect, search, schedule, ++runs)
    for (const fiber of targets(undisturbed)) {
      // Before step 1 nothing has begun, and what the check looks at would be the state of the run before.
      for (let step = Math.max(1, undisturbed.born[fiber]!); step < undisturbed.steps; step++) {
        const stop = { how, step, fiber }
        const { stopped } = yield* Bug.run(effect, search, { ...schedule, stop }, ++runs)
        // It ended before, so it has ended at every later step as well.
        if (!stopped) break
        places++
      }
    }
  }
  return { places, runs }
})
