/** Two requests find that there is no client yet, and each makes one. */
import * as Effect from "effect/Effect"

const server = (shared: (connect: Effect.Effect<string>) => Effect.Effect<Effect.Effect<string>>) =>
  Effect.gen(function* () {
    let clients = 0
    const client = yield* shared(Effect.sync(() => `client ${++clients}`))
    const request = (name: string) => Effect.asVoid(client).pipe(Effect.withSpan(name))
    yield* Effect.all([request("first"), request("second")], { concurrency: 2 })
    if (clients !== 1) return yield* Effect.fail(`${clients} clients were made for one server`)
  })

export const broken = server((connect) =>
  Effect.sync(() => {
    let made: string | undefined
    return Effect.gen(function* () {
      made ??= yield* connect
      return made
    })
  })
)

/** The second request waits for the client that the first one makes. */
export const fixed = server(Effect.cached)
