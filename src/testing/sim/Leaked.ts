/** How a run has to end if nothing else is said, and what must not outlive it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Leaked } from "../LeaksError.ts"
import type { Run } from "./Run.ts"

export const leavesNothing = <A, E>({ killed, left }: Run<A, E>): Effect.Effect<void, Leaked> =>
  killed !== undefined || left.fibers.length + left.timers + left.scopes + left.lent.length === 0
    ? Effect.void
    : Effect.fail(new Leaked(left))

/**
 * A run succeeds, or fails as `fails` allows; only one that was stopped may end by interruption. What a type allows is not
 * known at run time, so no typed failure is allowed that nobody has allowed.
 */
export const endsWell = <A, E>(
  { exit, stopped }: Run<A, E>,
  fails: (error: E) => boolean = () => false
): Effect.Effect<unknown, unknown> => {
  if (Exit.isSuccess(exit)) return Effect.void
  const { reasons } = exit.cause
  const isAllowed = reasons.every((reason) =>
    reason._tag === "Fail" ? fails(reason.error) : reason._tag === "Interrupt" && stopped
  )
  return isAllowed && reasons.length > 0 ? Effect.void : Effect.failCause(exit.cause)
}
