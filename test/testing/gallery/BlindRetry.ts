/** The bank has booked the payment but its reply is lost: the client takes that for a failure and pays again. */
import * as Effect from "effect/Effect"
import { Choices } from "skein/testing"

/** What the bank does with a request; the key is the same for each attempt at one payment. */
type Book = (booked: Array<string>, key: string) => void

const payment = (book: Book) =>
  Effect.gen(function* () {
    const booked: Array<string> = []
    const pay = Effect.gen(function* () {
      yield* Effect.sync(() => book(booked, "order 1"))
      if (yield* Choices.happens(0.1)) return yield* Effect.fail("no reply")
    })
    yield* Effect.retry(pay, { times: 3 }).pipe(Effect.ignore, Effect.withSpan("client"))
    if (booked.length !== 1) return yield* Effect.fail(`one order was paid ${booked.length} times`)
  })

export const broken = payment((booked, key) => booked.push(key))

/** Knows the payment again by its key. */
export const fixed = payment((booked, key) => booked.includes(key) || booked.push(key))
