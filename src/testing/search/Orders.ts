/** All orders of a program, one after the other, where they are few. */
import * as Effect from "effect/Effect"
import * as Bug from "./Bug.ts"
import type { Explored } from "./Explored.ts"
import type { Schedule, Stop } from "../Schedules.ts"
import { type BugFound, OutsideNondeterminism } from "../SimError.ts"
import { Systematic } from "../sim/Systematic.ts"
import { tokenOf } from "../sim/Run.ts"
import { Walk } from "./Walk.ts"
import * as World from "../sim/World.ts"

export interface Options {
  readonly seed: number
  /** How often a run may be preempted at most. */
  readonly preemptions: number
  /** After how many schedules to give up. */
  readonly schedules: number
  readonly isTimeLeft: () => boolean
  readonly stop: Stop["how"] | undefined
}

/** The runs without a preemption come first, then those with one, then those with two: they find the simplest failure. */
export const all: <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  search: Bug.Search<A, E>,
  options: Options
) => Effect.Effect<Explored, BugFound | OutsideNondeterminism, R> = Effect.fnUntraced(function* (
  effect,
  search,
  { isTimeLeft, preemptions, schedules, seed, stop: how }
) {
  const seen = new Set<number>()
  let count = 0
  const end = (complete: boolean, bound: string): Explored => {
    const orders = `${seen.size.toLocaleString("en")} ${seen.size === 1 ? "order" : "orders"}${how ? ` and ${how}s` : ""}`
    const all = seen.size === 1 ? "the only order" : `all ${orders}`
    return { schedules: count, distinct: seen.size, complete, summary: `${complete ? all : orders}${bound}` }
  }
  const natural: Schedule = { seed, strategy: "fifo", granularity: "boundary" }
  // Whether there is a victim is not to be seen before it is there.
  const victim = how === "interrupt" && (yield* World.play(effect, search.settings(natural))).victim !== 0
  let known = -1
  for (const bound of [0, 1, 2].filter((bound) => bound < preemptions).concat(preemptions)) {
    const walk = new Walk()
    let found = false
    do {
      if (count >= schedules || (count > 0 && !isTimeLeft())) {
        return end(false, known < 0 ? " of more" : ` of more, among them all${atMost(known)}`)
      }
      const schedule: Schedule = bound === 0 ? natural : { ...natural, granularity: "op" }
      const stop = how && { how, victim }
      const systematic = new Systematic({ decide: walk.decide, preemptions: bound, known, stop })
      const played = yield* Bug.run(effect, search, schedule, ++count, systematic)
      if (walk.strayed) {
        const difference = "other choices were offered"
        return yield* new OutsideNondeterminism({ why: "", difference, token: tokenOf(played) })
      }
      if (systematic.isKnown) continue
      found = true
      seen.add(played.fingerprint)
    } while (walk.next())
    // Whoever can be preempted more often can be so once less often.
    if (!found || bound === Infinity) return end(true, "")
    known = bound
  }
  return end(true, atMost(preemptions))
})

const atMost = (preemptions: number) =>
  preemptions === 0 ? " without preemptions" : ` with at most ${preemptions} preemption${preemptions === 1 ? "" : "s"}`
