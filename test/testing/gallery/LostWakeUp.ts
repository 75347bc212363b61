/**
 * The reader sees that there is no mail, and goes to sleep. Mail that comes between the two rings a bell that the reader,
 * about to sleep, resets: nobody rings it again.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

const office = (wait: (bell: Latch.Latch, isEmpty: Effect.Effect<boolean>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const mail: Array<string> = []
    const bell = yield* Latch.make()
    const isEmpty = Effect.sync(() => mail.length === 0)
    const postman = Effect.sync(() => mail.push("a letter")).pipe(Effect.andThen(bell.open), Effect.withSpan("postman"))
    const reader = wait(bell, isEmpty).pipe(Effect.withSpan("reader"))
    yield* Effect.all([reader, postman], { concurrency: 2 })
  })

export const broken = office((bell, isEmpty) =>
  Effect.gen(function* () {
    while (yield* isEmpty) {
      yield* bell.close
      yield* bell.await
    }
  })
)

/** Resets the bell first and looks afterwards: what comes in between rings it. */
export const fixed = office((bell, isEmpty) =>
  Effect.gen(function* () {
    yield* bell.close
    while (yield* isEmpty) {
      yield* bell.await
      yield* bell.close
    }
  })
)
