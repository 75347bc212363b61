/** A body that is sent as it is made. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** It is run again for each attempt, and for a redirect that keeps it: it has to give the same bytes each time. */
export type BodyStream = Stream.Stream<Uint8Array, unknown>

/**
 * Fails where it gives less when it is run again: a stream of something that can be read only once, as an open socket, is
 * empty then, and the half of a body would pass for the whole.
 */
export const repeatable = (body: BodyStream): BodyStream => {
  let most = 0
  return Stream.suspend(() => {
    let sent = 0
    const counted = Stream.mapArray(body, (pieces) => {
      for (const piece of pieces) sent += piece.length
      most = Math.max(most, sent)
      return pieces
    })
    const whole = Effect.suspend(() =>
      sent < most
        ? Effect.fail(
            new Cause.UnknownError(
              undefined,
              `the stream of its body gave ${most} bytes before, and ${sent} when it was run again`
            )
          )
        : Effect.void
    )
    return Stream.concat(counted, Stream.fromEffectDrain(whole))
  })
}
