/** What all stations with steps share: what is around them, and what becomes of a step that fails. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Position } from "../context/Place.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import type { Fate } from "../fate/Fate.ts"
import type { Parked } from "../fate/Parked.ts"
import { explained } from "../RunError.ts"
import type { Each } from "../Step.ts"
import type { Trace } from "./Observer.ts"
import type { Parts } from "./Parts.ts"
import type { Room } from "./Room.ts"
import type { KeyPrefix } from "./Worker.ts"

export interface Surroundings {
  readonly pipeline: string
  readonly keys: KeyPrefix
  readonly fate: Fate
  readonly letters: DeadLetters
  /** What earlier runs have parked, by the name of the step. */
  readonly parked: ReadonlyMap<string, Parked>
  readonly room: Room
  readonly parts: Parts
  /** None where no element is looked at. */
  readonly trace?: Trace | undefined
}

export type Work = Effect.Effect<void, unknown, unknown>
export type Call = Effect.Effect<unknown, unknown, unknown>

/** What the effect of a step gives when it failed and the run goes on. */
export const gone: unique symbol = Symbol("gone")

/** Has the policy of a step, which is not "fail", deal with what it failed with. */
export const caught = (effect: Call, { onError }: Each, failed: (error: unknown) => Call): Call => {
  const takes = typeof onError === "object" && onError.defects === true ? isAnyFailure : Cause.isFailReason
  return Effect.catchCause(effect, (cause) => {
    const failure = cause.reasons.find(takes)
    if (failure === undefined || !cause.reasons.every(takes)) return Effect.failCause(cause)
    return failed(Cause.isFailReason(failure) ? failure.error : failure.defect)
  })
}

const isAnyFailure = (reason: Cause.Reason<unknown>): reason is Cause.Fail<unknown> | Cause.Die =>
  !Cause.isInterruptReason(reason)

/** Says of a defect which element it was, at which step. */
export const explainedBy = (
  cause: Cause.Cause<unknown>,
  { pipeline }: Surroundings,
  step: Each | undefined,
  position: Position,
  input: unknown
): Cause.Cause<unknown> =>
  step === undefined ? cause : explained(cause, { pipeline, step: step.name, position, input })
