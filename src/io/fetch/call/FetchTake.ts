/** What is made of the body of an answer: the whole, or a stream. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Body from "../body/FetchBody.ts"
import type { Arriving, Take } from "./FetchAttempt.ts"
import { span, within } from "./FetchTime.ts"

/** Reads it to the end. */
export const whole: Take<Uint8Array> = (attempt, _, response) => Body.read(response, attempt.limits)

/** Leaves it to whoever reads it, and lets go of it at its end. */
export const arriving: Take<Arriving> = (attempt, outgoing, response, scope) => {
  const { timeout } = attempt.limits
  const late = () => attempt.error(outgoing, "Timeout", `nothing more of its body came within ${span(timeout)}`)
  return Effect.map(Effect.provideService(Body.open(response, attempt.limits), Scope.Scope, scope!), (piece) => {
    const next = Effect.matchCauseEffect(piece, {
      onFailure: (cause) => Effect.andThen(Scope.close(scope!, Exit.void), Effect.failCause(cause)),
      onSuccess: (piece) => {
        if (piece === undefined) return Effect.andThen(Scope.close(scope!, Exit.void), Cause.done())
        attempt.arrived(piece.length)
        return Effect.succeed([piece] as const)
      }
    })
    return Stream.mapError(Stream.fromPull(Effect.succeed(within(next, timeout, late))), (error) =>
      error._tag === "FetchError" ? error : attempt.unread(outgoing, error)
    )
  })
}
