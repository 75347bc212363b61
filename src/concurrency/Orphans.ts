/** Work that was given up while it still runs. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Orphan, Registry } from "./Registry.ts"

/** What was abandoned and has not ended yet, oldest first. */
export const orphans: Effect.Effect<ReadonlyArray<Orphan>> = Effect.map(Registry, (registry) =>
  Array.from(registry.orphans)
)

/** Lists an orphan; the function it gives takes it off the list. */
export const abandon = (name: string, from: Orphan["from"]): Effect.Effect<() => void> =>
  Effect.zipWith(Registry, Clock.currentTimeMillis, ({ orphans }, since) => {
    const orphan: Orphan = { name, from, since }
    orphans.add(orphan)
    return () => void orphans.delete(orphan)
  })
