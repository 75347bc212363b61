/** Two customers are both told that a seat is free, and both take it: there was one. */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"

const evening = (book: (seats: Ref.Ref<number>) => Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    const seats = yield* Ref.make(1)
    const customers = ["ann", "ben", "cem"].map((name) => book(seats).pipe(Effect.withSpan(name)))
    const booked = yield* Effect.all(customers, { concurrency: "unbounded" })
    const sold = booked.filter((success) => success).length
    if (sold !== 1) return yield* Effect.fail(`one seat has been sold ${sold} times`)
  })

export const broken = evening((seats) =>
  Effect.gen(function* () {
    if ((yield* Ref.get(seats)) === 0) return false
    yield* Ref.update(seats, (free) => free - 1)
    return true
  })
)

/** Looks and takes in one step. */
export const fixed = evening(Ref.modify((free) => (free === 0 ? [false, 0] : [true, free - 1])))
