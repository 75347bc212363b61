/** How long something may take, and how that is said. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Deadline from "../../../concurrency/Deadline.ts"
import type { FetchError } from "../../FetchError.ts"

/** Fails with what `late` gives when there is no answer within so many milliseconds. */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  late: () => FetchError
): Effect.Effect<A, E | FetchError, R> =>
  millis === Infinity
    ? effect
    : Effect.catchIf(
        Deadline.within(effect, millis),
        (error) => error instanceof Deadline.DeadlineExceeded,
        () => Effect.fail(late())
      )

export const span = (millis: number): string => Duration.format(Duration.millis(Math.round(millis)))
