/** All of it moved: the cache is Effect's, the limit a joiner's, and promises are left at the edge alone. */
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import { Joiner, TaskGroup } from "skein"
import { getItem } from "./step1.ts"

export const totalOf = (url: string, ids: ReadonlyArray<number>): Effect.Effect<number, Error> =>
  Effect.gen(function* () {
    const cache = yield* Cache.make({ capacity: 1000, lookup: (id: number) => getItem(url, id) })
    const items = yield* Joiner.all(
      ids.map((id) => Cache.get(cache, id)),
      { limit: 8, name: "items" }
    )
    return items.reduce((sum, { price }) => sum + price, 0)
  })

export const total = (url: string, ids: ReadonlyArray<number>, signal: AbortSignal): Promise<number> =>
  TaskGroup.runPromise(totalOf(url, ids), { signal, name: "total" })
