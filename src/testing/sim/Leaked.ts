/** What must not outlive a run. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Leaked } from "../LeaksError.ts"
import type { Run } from "./Run.ts"

export const leavesNothing = <A, E>({ killed, left }: Run<A, E>): Effect.Effect<void, Leaked> =>
  killed !== undefined || left.fibers.length + left.timers + left.scopes + left.lent.length === 0
    ? Effect.void
    : Effect.fail(new Leaked(left))

/** What has to hold of a run that was interrupted, if nothing else is said: no defect, and nothing left. */
export const endsCleanly = <A, E>(run: Run<A, E>): Effect.Effect<unknown, unknown> =>
  Exit.isFailure(run.exit) && run.exit.cause.reasons.some((reason) => reason._tag === "Die")
    ? Effect.failCause(run.exit.cause)
    : leavesNothing(run)
