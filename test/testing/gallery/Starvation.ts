/**
 * The visitor looks every now and then whether the desk is free. The worker leaves it for a moment only, and may always be
 * back before the visitor looks again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { Limiter } from "skein"

const patience = 30

const office = (visit: (desk: Limiter.Limiter) => Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const desk = yield* Limiter.concurrency(1)
    const worker = Effect.sleep("9 millis").pipe(
      desk.withPermit,
      Effect.andThen(Effect.sleep("1 millis")),
      Effect.repeat({ times: 6 }),
      Effect.withSpan("worker")
    )
    const visitor = Effect.gen(function* () {
      yield* visit(desk)
      const waited = yield* Clock.currentTimeMillis
      if (waited > patience) return yield* Effect.fail(`the visitor has waited for ${waited} ms`)
    }).pipe(Effect.withSpan("visitor"))
    yield* Effect.all([worker, visitor], { concurrency: 2 })
  })

export const broken = office((desk) =>
  Effect.repeat(desk.tryWithPermits(1)(Effect.void), { until: Option.isSome, schedule: Schedule.spaced("10 millis") })
)

/** Waits in line. */
export const fixed = office((desk) => desk.withPermit(Effect.void))
