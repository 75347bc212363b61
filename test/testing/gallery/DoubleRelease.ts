/**
 * A cancelled job gives its permit back twice, once for being cancelled and once for having ended: from then on two may
 * work where there is room for one.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import { Limiter } from "skein"

type Guard = (work: Effect.Effect<void, string>) => Effect.Effect<void, string>

const jobs = (makeGuard: Effect.Effect<Guard>) =>
  Effect.gen(function* () {
    const guard = yield* makeGuard
    let inside = 0
    const work = Effect.suspend(() =>
      ++inside > 1 ? Effect.fail("two work where there is room for one") : Effect.yieldNow
    )
    const job = guard(
      Effect.ensuring(
        work,
        Effect.sync(() => inside--)
      )
    )
    const unwanted = yield* Effect.forkChild(Effect.withSpan(job, "unwanted"))
    const second = yield* Effect.forkChild(Effect.withSpan(job, "second"))
    const third = yield* Effect.forkChild(Effect.withSpan(job, "third"))
    yield* Fiber.interrupt(unwanted)
    yield* Fiber.joinAll([second, third])
  })

export const broken = jobs(
  Effect.map(Semaphore.make(1), (permits) => (work) => {
    const release = permits.release(1)
    return Effect.acquireUseRelease(
      permits.take(1),
      () => Effect.onInterrupt(work, () => release),
      () => release
    )
  })
)

/** A permit of a limiter belongs to one effect, and comes back once. */
export const fixed = jobs(Effect.map(Limiter.concurrency(1), (limiter) => limiter.withPermit))
