/** One group for the whole path: what the promise code begins, ends with it. */
import * as Effect from "effect/Effect"
import { Offload, TaskGroup } from "skein"
import { cached, mapLimit } from "./before.ts"
import { getItem } from "./step1.ts"

export const total = (url: string, ids: ReadonlyArray<number>, signal: AbortSignal): Promise<number> =>
  TaskGroup.runPromise(
    Effect.gen(function* () {
      const bridge = yield* TaskGroup.bridge()
      const item = cached((id) => bridge.run(getItem(url, id), { name: `item ${id}` }))
      const items = yield* Offload.promise(() => mapLimit(8, ids, item))
      return items.reduce((sum, { price }) => sum + price, 0)
    }).pipe(Effect.mapError(({ cause }) => cause)),
    { signal, name: "total" }
  )
