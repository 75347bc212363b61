/** Two clerks read the balance before either of them writes it: who writes last wipes out what the other has added. */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"

const day = (book: (balance: Ref.Ref<number>, amount: number) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const balance = yield* Ref.make(100)
    const alice = book(balance, 10).pipe(Effect.withSpan("alice"))
    const bob = book(balance, 20).pipe(Effect.withSpan("bob"))
    yield* Effect.all([alice, bob], { concurrency: 2 })
    const total = yield* Ref.get(balance)
    if (total !== 130) return yield* Effect.fail(`130 should be there, but it is ${total}`)
  })

export const broken = day((balance, amount) =>
  Effect.flatMap(Ref.get(balance), (before) => Ref.set(balance, before + amount))
)

export const fixed = day((balance, amount) => Ref.update(balance, (before) => before + amount))
