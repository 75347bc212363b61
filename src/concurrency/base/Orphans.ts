/** Work that was given up while it still runs. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Orphan, Registry } from "../Registry.ts"

/** What was abandoned and has not ended yet, oldest first. */
export const orphans: Effect.Effect<ReadonlyArray<Orphan>> = Effect.withFiber((fiber) =>
  Effect.succeed(Array.from(fiber.getRef(Registry).orphans))
)

/** Lists an orphan; the function it gives takes it off the list. */
export const abandon = (name: string, from: Orphan["from"]): Effect.Effect<() => void> =>
  Effect.withFiber((fiber) => {
    const { orphans } = fiber.getRef(Registry)
    const orphan: Orphan = { name, from, since: fiber.getRef(Clock.Clock).currentTimeMillisUnsafe() }
    orphans.add(orphan)
    return Effect.succeed(() => void orphans.delete(orphan))
  })
