/** The pool hands a connection to a waiting user at the very moment at which that one gives up: it comes back from nobody. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Leaks } from "skein/testing"

interface Pool {
  /** Who waits for a connection. */
  readonly waiter: Deferred.Deferred<void>
  readonly lend: Effect.Effect<void>
  readonly giveBack: Effect.Effect<void>
}

interface Hands {
  readonly handOver: (pool: Pool) => Effect.Effect<void>
  /** True if the user is given a connection. */
  readonly wait: (pool: Pool) => Effect.Effect<boolean>
}

const session = ({ handOver, wait }: Hands) =>
  Effect.gen(function* () {
    let lent = 0
    yield* Leaks.watch("connection", () => lent)
    const pool: Pool = {
      waiter: yield* Deferred.make<void>(),
      lend: Effect.sync(() => void lent++),
      giveBack: Effect.sync(() => void lent--)
    }
    const owner = Effect.delay(handOver(pool), "1 second").pipe(Effect.withSpan("pool"))
    const user = Effect.gen(function* () {
      if (yield* wait(pool)) yield* Effect.ensuring(Effect.yieldNow, pool.giveBack)
    }).pipe(Effect.withSpan("user"))
    yield* Effect.all([owner, user], { concurrency: 2 })
  })

const waitASecond = ({ waiter }: Pool) =>
  Effect.map(Effect.timeoutOption(Deferred.await(waiter), "1 second"), Option.isSome)

export const broken = session({
  handOver: ({ lend, waiter }) => Effect.andThen(lend, Deferred.succeed(waiter, undefined)),
  wait: waitASecond
})

/** Handing over and giving up complete the same `Deferred`: only one of them can, and the other one learns it. */
export const fixed = session({
  handOver: ({ giveBack, lend, waiter }) =>
    Effect.gen(function* () {
      yield* lend
      if (!(yield* Deferred.succeed(waiter, undefined))) yield* giveBack
    }),
  wait: (pool) =>
    Effect.gen(function* () {
      if (yield* waitASecond(pool)) return true
      const hasGivenUp = yield* Deferred.interrupt(pool.waiter)
      return !hasGivenUp
    })
})
