/** Where a job keeps its place and its dead letters, and whether it has any to keep. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Journal } from "../Journal.ts"
import { type Each, type Failing, type Scan, type Step, stepsOf } from "../Step.ts"
import type { Description } from "./Running.ts"

/** The journal of a job; none where there is nothing to keep, as `Needs` says of its type. */
export const journalOf = (description: Description): Effect.Effect<Journal | undefined, unknown, unknown> =>
  Effect.gen(function* () {
    const { sink } = description
    const own = Option.getOrUndefined(yield* sink.journal)
    if (own !== undefined) return own
    if (sink.home === undefined) return keeps(description) ? yield* Journal : undefined
    return Option.getOrUndefined(yield* Effect.serviceOption(Journal)) ?? (yield* sink.home)
  })

/** Whether a journal is of use to it. */
export const keeps = (description: Description): boolean =>
  description.source.resumable || isKeeping(description.sinkStep) || stepsOf(description).some(isOfUse)

const isOfUse = (step: Step): boolean => step._tag === "Unique" || keepsLetters(step)

export const keepsLetters = (step: Step): boolean => isEach(step) && isKeeping(step)

export const isEach = (step: Step): step is Each | Scan => "onError" in step

const isKeeping = ({ onError }: Failing): boolean => typeof onError !== "string"
