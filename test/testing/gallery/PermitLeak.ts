/** Takes a permit, then says that it has to come back: a cancellation between the two keeps it for ever. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { Leaks } from "skein/testing"

const job = (guarded: (permits: Semaphore.Semaphore, work: Effect.Effect<void>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const permits = yield* Semaphore.make(1)
    yield* Leaks.semaphore(permits, 1)
    yield* guarded(permits, Effect.yieldNow)
  }).pipe(Effect.withSpan("job"))

export const broken = job((permits, work) => Effect.andThen(permits.take(1), Effect.ensuring(work, permits.release(1))))

export const fixed = job((permits, work) => permits.withPermit(work))
