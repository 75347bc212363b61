/** Makes the list of choices of a failing run smaller for as long as it still fails. */
import * as Effect from "effect/Effect"
import type { Schedule } from "../Schedules.ts"

export interface Smallest {
  readonly schedule: Schedule
  /** How many runs that took. */
  readonly runs: number
  /** False if there was more to try when no more runs were allowed. */
  readonly minimal: boolean
}

/**
 * `fails` runs a schedule and gives it back with the choices that were made, if it fails as before; `more` says whether
 * another run may follow so many.
 */
export const shrink = <R>(
  failing: Schedule,
  more: (runs: number) => boolean,
  fails: (schedule: Schedule) => Effect.Effect<Schedule | undefined, never, R>
): Effect.Effect<Smallest, never, R> =>
  Effect.gen(function* () {
    let best = failing
    let runs = 0
    let minimal = true
    const choices = () => best.choices ?? []
    const attempt = function* (change: (choices: ReadonlyArray<number>) => ReadonlyArray<number>) {
      if (!more(runs)) return (minimal = false)
      runs++
      const found = yield* fails({ ...best, choices: change(choices()) })
      if (found === undefined || !isSmaller(found.choices ?? [], choices())) return false
      best = found
      return true
    }
    // Most bugs need one switch in the right place, which leaving out choices does not find: it moves all that follow.
    for (let sum = 0; sum < 16 && failing.stop === undefined && unnatural(choices()) > 1; sum++) {
      for (let at = 0; at <= sum && unnatural(choices()) > 1; at++) {
        yield* attempt(() => [...Array.from({ length: at }, () => 0), sum - at + 1])
      }
    }
    for (let before: Schedule | undefined; best !== before;) {
      before = best
      // What comes late matters least: all of it, then half of it, and so on.
      for (let keep = 0; keep < choices().length && !(yield* attempt((choices) => choices.slice(0, keep)));) {
        keep = Math.max(keep + 1, Math.ceil((keep + choices().length) / 2))
      }
      for (const change of [zeros, without]) {
        for (let size = choices().length >> 1; size >= 1; size >>= 1) {
          for (let at = choices().length - size; at > -size; at -= size) {
            yield* attempt((choices) => change(choices, at, size))
          }
        }
      }
      for (let at = 0; at < choices().length; at++) {
        while ((choices()[at] ?? 0) > 1) {
          const choice = choices()[at]!
          const less = (value: number) => (choices: ReadonlyArray<number>) => choices.with(at, value)
          if (
            !(yield* attempt(less(1))) &&
            !(yield* attempt(less(choice >> 1))) &&
            !(yield* attempt(less(choice - 1)))
          ) {
            break
          }
        }
      }
    }
    return { schedule: best, runs, minimal }
  })

/** Fewer choices out of the natural order; then a shorter run; then smaller ones. */
const isSmaller = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean => {
  const measures = [unnatural, length, sum]
  for (const measure of measures) {
    const difference = measure(a) - measure(b)
    if (difference !== 0) return difference < 0
  }
  return false
}

const unnatural = (list: ReadonlyArray<number>): number => list.filter((choice) => choice !== 0).length
const length = (list: ReadonlyArray<number>): number => list.length
const sum = (list: ReadonlyArray<number>): number => list.reduce((total, choice) => total + choice, 0)

const zeros = (list: ReadonlyArray<number>, at: number, size: number): ReadonlyArray<number> =>
  list.map((choice, index) => (index >= at && index < at + size ? 0 : choice))

const without = (list: ReadonlyArray<number>, at: number, size: number): ReadonlyArray<number> =>
  list.toSpliced(Math.max(0, at), at < 0 ? size + at : size)
