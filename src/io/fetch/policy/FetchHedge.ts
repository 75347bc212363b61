/** A request sent again while it is on its way: the answer that comes first counts, and the others are cancelled. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Hedge } from "./FetchPolicy.ts"

/**
 * A failure counts only when no other is on its way; what is given by one that lost goes to `lost`. `make` wraps what is
 * to happen no more once there is an answer in the function that it is given: who waits for a slot gets it from who has
 * answered.
 */
export const hedged = <A, E, R = never>(
  make: (unlessAnswered: (run: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  { after, copies = 1 }: Hedge,
  lost: (value: A) => Effect.Effect<void>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let running = 0
    let isAnswered = false
    let isOver = false
    const one = make((run) =>
      Effect.suspend(() =>
        isAnswered
          ? Effect.never
          : Effect.map(run, (value) => {
              isAnswered = true
              return value
            })
      )
    )
    const send = Effect.suspend(() => {
      running += 1
      return Effect.matchCauseEffect(one, {
        onFailure: (cause) => (--running > 0 ? Effect.never : Effect.failCause(cause)),
        onSuccess: (value) => {
          if (isOver) return Effect.andThen(lost(value), Effect.never)
          isOver = true
          return Effect.succeed(value)
        }
      })
    })
    const every = Duration.toMillis(after)
    const later = Array.from({ length: copies }, (_, i) => Effect.delay(send, Duration.millis((i + 1) * every)))
    return Effect.raceAllFirst([send, ...later])
  })
