/** Finding out that a run fails, whether it is the schedule's fault, and how little of the schedule it takes. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Predicate from "effect/Predicate"
import { resultOf, type Run, tokenOf } from "../sim/Run.ts"
import { BugFound, Deadlock, Livelock, OutsideNondeterminism, withTimeline } from "../SimError.ts"
import type * as Schedules from "../Schedules.ts"
import { shrink } from "./Shrink.ts"
import { table } from "../sim/Trace.ts"
import type { Played } from "../sim/Played.ts"
import type { Systematic } from "../sim/Systematic.ts"
import * as World from "../sim/World.ts"

/** What has to hold of a run: throws, gives `false`, or gives an effect that fails, where it does not. */
export type Check<A, E> = (run: Run<A, E>) => unknown

export interface Search<A, E> {
  readonly check: Check<A, E>
  /** How many runs may be spent on shrinking. */
  readonly shrinks: number
  readonly settings: (schedule: Schedules.Schedule) => World.Settings
  /** The first schedule that was passed: it has to pass again, or something outlives the runs. */
  passed?: Schedules.Schedule | undefined
}

interface Failure {
  readonly why: string
  /** Two failures of one kind are taken for the same bug. */
  readonly kind: string
  readonly cause: unknown
}

/** Runs the effect under a schedule, the `nth` of a search, or as `systematic` decides; fails with what it finds. */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  search: Search<A, E>,
  schedule: Schedules.Schedule,
  nth: number,
  systematic?: Systematic
): Effect.Effect<Played<A, E>, BugFound | OutsideNondeterminism, R> =>
  Effect.flatMap(World.play(effect, { ...search.settings(schedule), systematic }), (played) => {
    if (systematic?.isKnown === true) return Effect.succeed(played)
    return Effect.flatMap(judge(played, search.check), (failure) => {
      const again = systematic === undefined ? schedule : played.schedule
      if (failure !== undefined) return report(effect, search, again, nth, played, failure)
      search.passed ??= again
      return Effect.succeed(played)
    })
  })

const judge = <A, E>(played: Played<A, E>, check: Check<A, E>): Effect.Effect<Failure | undefined> =>
  Effect.suspend(() => {
    const result = resultOf(played)
    if (!("exit" in result)) return Effect.succeed(failureOf(result))
    const verdict = Effect.suspend(() => {
      const verdict = check(result)
      if (Effect.isEffect(verdict)) return verdict as Effect.Effect<unknown, unknown>
      if (verdict !== false) return Effect.void
      return Effect.fail(`the check says false of a run that ended with ${Formatter.format(result.exit)}`)
    })
    return Effect.match(Effect.sandbox(verdict), {
      onSuccess: () => undefined,
      onFailure: (cause) => failureOf(Cause.squash(cause))
    })
  })

/** Shrinking a run that comes to no end must not outlast the patience of a test runner. */
const maxShrinkOperations = 1_500_000

const report = Effect.fnUntraced(function* <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  { check, passed, settings, shrinks }: Search<A, E>,
  schedule: Schedules.Schedule,
  nth: number,
  played: Played<A, E>,
  failure: Failure
): Effect.fn.Return<never, BugFound | OutsideNondeterminism, R> {
  const again = yield* World.play(effect, { ...settings(schedule), detail: true })
  const why = yield* judge(again, check)
  const difference =
    differenceOf(played, again) ??
    (why?.kind === failure.kind ? undefined : `the second time ${why?.why ?? "it passes"}`)
  if (difference !== undefined) {
    // Only the run in detail knows who waits for what.
    return yield* new OutsideNondeterminism({ why: (why ?? failure).why, difference, token: tokenOf(played) })
  }
  // After a kill, what the run has left outside of itself is what the check is about.
  if (passed !== undefined && schedule.stop?.how !== "kill") {
    const before = yield* judge(yield* World.play(effect, settings(passed)), check)
    if (before !== undefined) {
      const difference = `the first schedule passed, and fails when it is repeated (${before.why})`
      return yield* new OutsideNondeterminism({ why: failure.why, difference, token: tokenOf(played) })
    }
  }
  let operations = 0
  const more = (runs: number) => runs < shrinks && operations <= maxShrinkOperations
  const smallest = yield* shrink(played.schedule, more, (schedule) =>
    Effect.flatMap(World.play(effect, settings(schedule)), (played) => {
      operations += played.operations
      return Effect.map(judge(played, check), (found) => (found?.kind === failure.kind ? played.schedule : undefined))
    })
  )
  const told = yield* World.play(effect, { ...settings(smallest.schedule), detail: true })
  const { cause, why: reason } = (yield* judge(told, check)) ?? failure
  const bug = new BugFound({
    why: reason,
    cause,
    schedule: nth,
    stopped: stopOf(told),
    token: tokenOf(told),
    choices: unnatural(played.schedule),
    shrunk: unnatural(told.schedule),
    runs: smallest.runs,
    minimal: smallest.minimal,
    table: table(told.trace, told.names)
  })
  return yield* withTimeline(bug, told.timeline)
})

const stopOf = <A, E>({ names, schedule: { stop }, stopped }: Played<A, E>): string => {
  if (stop === undefined || !stopped) return ""
  return stop.how === "kill"
    ? `killed before step ${stop.step}`
    : `"${names[stop.fiber]}" interrupted before step ${stop.step}`
}

const unnatural = (schedule: Schedules.Schedule): number =>
  (schedule.choices ?? []).filter((choice) => choice !== 0).length

const differenceOf = <A, E>(first: Played<A, E>, second: Played<A, E>): string | undefined => {
  if (first.end._tag !== second.end._tag) return `first ${first.end._tag}, then ${second.end._tag}`
  const at = first.order.findIndex((fiber, index) => second.order[index] !== fiber)
  if (at >= 0) {
    const then = second.order[at]
    const name = (fiber: number) => second.names[fiber] ?? `fiber ${fiber}`
    return `turn ${at + 1} was that of ${name(first.order[at]!)}, then ${then === undefined ? "there was none" : `that of ${name(then)}`}`
  }
  if (second.order.length > first.order.length) return `the second time it went on after turn ${first.order.length}`
  return String(first.schedule.choices) === String(second.schedule.choices) ? undefined : "other choices were offered"
}

const failureOf = (error: unknown): Failure => {
  // They bring a token and a table of their own, of a run that is not yet shrunk.
  if (error instanceof Deadlock || error instanceof Livelock) {
    return { why: `${error._tag}: ${error.message.split("\n  replay: ")[0]}`, kind: error._tag, cause: error }
  }
  const tag = Predicate.hasProperty(error, "_tag") ? String(error._tag) : undefined
  return error instanceof Error
    ? { why: reasonOf(error), kind: tag ?? error.name, cause: error }
    : { why: typeof error === "string" ? error : Formatter.format(error), kind: tag ?? typeof error, cause: error }
}

/** What `Effect.try` makes of an error says nothing; the error does. And some errors have no message at all. */
const reasonOf = (error: Error): string =>
  Cause.isUnknownError(error) && error.cause instanceof Error ? error.cause.message : error.message || error.name
