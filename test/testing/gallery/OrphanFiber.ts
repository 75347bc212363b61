/** The heartbeat of a request is stopped when the request has been answered; when it fails, the heart beats on. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { TaskGroup } from "skein"
import { Choices } from "skein/testing"

const heartbeat = Effect.void.pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.withSpan("heartbeat"))

const answer = Effect.gen(function* () {
  yield* Effect.sleep("3 seconds")
  if (yield* Choices.happens(0.1)) return yield* Effect.fail("the database is gone")
})

export const broken = Effect.gen(function* () {
  const heart = yield* Effect.forkDetach(heartbeat)
  yield* answer
  yield* Fiber.interrupt(heart)
})

/** The heart belongs to the request and ends with it, in every way. */
export const fixed = TaskGroup.open(
  Effect.andThen(TaskGroup.spawn(heartbeat, { name: "heartbeat", kind: "daemon" }), answer)
)
