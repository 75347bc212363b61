/** When a planned failure strikes. */
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Choices from "../Choices.ts"
import { note } from "../sim/Control.ts"

/** All that is given has to hold; a rule that says nothing strikes at every call. */
export interface When<Call> {
  /** The probability of striking at a call, 0 to 1. */
  readonly rate?: number | undefined
  /** Only at the n-th call that `on` lets pass, counted from 1; of several, at each. */
  readonly nth?: number | ReadonlyArray<number> | undefined
  /** Only at calls like this. */
  readonly on?: ((call: Call) => boolean) | undefined
  /** At most so many times in all. */
  readonly times?: number | undefined
}

/** A rule of a plan; what it does besides waiting is a matter of the plan. */
export interface Planned<Call> extends When<Call> {
  readonly fault?: unknown
}

/**
 * Follows a plan from its first call on: the first rule that strikes at a call, if any does. Made anew for each run, it
 * starts to count anew. `describe` names a call in the trace of the run.
 */
export const follow = <Call, Rule extends Planned<Call>>(
  plan: ReadonlyArray<Rule>,
  describe: (call: Call) => string
): ((call: Call) => Effect.Effect<Rule | undefined>) => {
  const counts = plan.map(() => ({ calls: 0, strikes: 0 }))
  const strikes = (rule: Rule, index: number, call: Call): Effect.Effect<boolean> => {
    const count = counts[index]!
    if (rule.on?.(call) === false) return Effect.succeed(false)
    count.calls++
    if (rule.nth !== undefined && ![rule.nth].flat().includes(count.calls)) return Effect.succeed(false)
    if (count.strikes >= (rule.times ?? Infinity)) return Effect.succeed(false)
    return Effect.map(rule.rate === undefined ? Effect.succeed(true) : Choices.happens(rule.rate), (struck) => {
      if (struck) count.strikes++
      return struck
    })
  }
  return Effect.fnUntraced(function* (call: Call) {
    let first: Rule | undefined
    // Every rule counts every call, also one at which another has struck.
    for (const [index, rule] of plan.entries()) {
      if ((yield* strikes(rule, index, call)) && first === undefined) first = rule
    }
    if (first !== undefined) yield* note(`${tell(first.fault)}: ${describe(call)}`)
    return first
  })
}

const tell = (fault: unknown): string => {
  if (fault === undefined) return "delayed"
  return `fault ${typeof fault === "string" ? fault : fault instanceof Error ? fault.message : Formatter.format(fault)}`
}
