/** One function moved: `getItem` is an effect, and the rest does not know. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Deadline, Offload, TaskGroup } from "skein"
import { cached, mapLimit } from "./before.ts"
import type { Item } from "./item.ts"

/** It has lost its signal, its time limit and its loop: those are around it. */
export const getItem = (url: string, id: number): Effect.Effect<Item, Error> =>
  Offload.promise(async (signal) => {
    const response = await fetch(`${url}/items/${id}`, { signal })
    if (!response.ok) throw new Error(`item ${id}: status ${response.status}`)
    return (await response.json()) as Item
  }).pipe(
    Deadline.within("5 seconds", { name: `item ${id}` }),
    Effect.retry({ times: 2, schedule: Schedule.exponential("10 millis") }),
    // Those who call `fetchItem` get the error that they always got.
    Effect.mapError((error) => (error.cause instanceof Error ? error.cause : error))
  )

const fetchItem = (url: string, id: number, signal: AbortSignal): Promise<Item> =>
  TaskGroup.runPromise(getItem(url, id), { signal })

export const total = async (url: string, ids: ReadonlyArray<number>, signal: AbortSignal): Promise<number> => {
  const item = cached((id) => fetchItem(url, id, signal))
  const items = await mapLimit(8, ids, item)
  return items.reduce((sum, { price }) => sum + price, 0)
}
