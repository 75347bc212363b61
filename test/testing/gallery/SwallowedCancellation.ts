/** A payment is cancelled, and so says the fiber; the promise inside of it was never told, and takes the money. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

type Charge = (signal?: AbortSignal) => Promise<void>

const shop = (pay: (charge: Charge) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    let cancelled = false
    let tooLate = false
    const charge: Charge = async (signal) => {
      await Promise.resolve("connected to the bank")
      signal?.throwIfAborted()
      tooLate = cancelled
    }
    const payment = yield* Effect.forkChild(pay(charge).pipe(Effect.withSpan("payment")))
    yield* Fiber.interrupt(payment)
    cancelled = true
    yield* Effect.sleep("1 minute")
    if (tooLate) return yield* Effect.fail("charged after the cancellation was confirmed")
  })

export const broken = shop((charge) => Effect.promise(() => charge()))

export const fixed = shop((charge) => Effect.promise((signal) => charge(signal)))
