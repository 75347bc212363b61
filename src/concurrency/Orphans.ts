/** Work that was given up while it still runs: nobody waits for it, but it is not forgotten. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Orphan {
  readonly name: string
  /** What gave it up: a cancelled `Offload.promise`, or a group that would not wait any longer. */
  readonly from: "promise" | "group"
  /** When, in milliseconds since the epoch. */
  readonly since: number
}

const all = new Set<Orphan>()

/** What was abandoned and has not ended yet, oldest first. */
export const orphans: Effect.Effect<ReadonlyArray<Orphan>> = Effect.sync(() => Array.from(all))

/** Lists an orphan; the function it gives takes it off the list. */
export const abandon = (name: string, from: Orphan["from"]): Effect.Effect<() => void> =>
  Effect.map(Clock.currentTimeMillis, (since) => {
    const orphan: Orphan = { name, from, since }
    all.add(orphan)
    return () => void all.delete(orphan)
  })
