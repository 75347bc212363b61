/** The customer gets the confirmation of an order that the process, killed before it was stored, knows nothing of. */
import * as Effect from "effect/Effect"

/** What outlives the process: a database, and mails that have been sent. */
const world = { orders: new Set<string>(), outbox: new Set<string>(), mails: new Set<string>() }

const shop = (order: Effect.Effect<void>) =>
  Effect.andThen(
    Effect.sync(() => Object.values(world).forEach((table) => table.clear())),
    order
  ).pipe(Effect.withSpan("shop"))

const send = (order: string) => Effect.sync(() => void world.mails.add(order))

export const broken = shop(
  Effect.andThen(
    send("order 1"),
    Effect.sync(() => void world.orders.add("order 1"))
  )
)

/** What the next process does first: it sends what has been stored for sending. */
const sendAll = Effect.gen(function* () {
  for (const order of world.outbox) {
    yield* send(order)
    world.outbox.delete(order)
  }
})

/** One transaction stores the order and that a mail is due. */
export const fixed = shop(
  Effect.andThen(
    Effect.sync(() => void (world.orders.add("order 1"), world.outbox.add("order 1"))),
    sendAll
  )
)

/** After the next start, each order that is stored has been confirmed, and no other. */
export const check = () =>
  Effect.gen(function* () {
    yield* sendAll
    const ghosts = world.mails.symmetricDifference(world.orders)
    if (ghosts.size > 0) return yield* Effect.fail(`stored or confirmed, but not both: ${[...ghosts].join(", ")}`)
  })
