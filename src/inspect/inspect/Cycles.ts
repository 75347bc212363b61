/** Who waits for whom in a circle, so that none of them can ever go on. */
import type * as Fiber from "effect/Fiber"
import type { Seen } from "../context/Deep.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Each fiber waits for the one after it in its list, and the last for the first; who only waits for one of them is in none. */
export const cycles = (
  seen: ReadonlyMap<AnyFiber, Pick<Seen, "waitsForFiber">>
): ReadonlyArray<ReadonlyArray<AnyFiber>> => {
  const found: Array<ReadonlyArray<AnyFiber>> = []
  const done = new Set<AnyFiber>()
  for (const start of seen.keys()) {
    const way = new Set<AnyFiber>()
    let one: AnyFiber | null = start
    while (one !== null && !done.has(one) && !way.has(one)) {
      way.add(one)
      one = seen.get(one)?.waitsForFiber ?? null
    }
    // Back on the way that was begun here, and not on that of another.
    if (one !== null && way.has(one)) {
      const all = [...way]
      found.push(all.slice(all.indexOf(one)))
    }
    for (const passed of way) done.add(passed)
  }
  return found
}
