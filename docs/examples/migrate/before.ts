/** The program as it was: promises, with retries, a time limit, a cache and a limit of its own. */
import { setTimeout } from "node:timers/promises"
import type { Item } from "./item.ts"

const fetchItem = async (url: string, id: number, signal: AbortSignal): Promise<Item> => {
  for (let attempt = 1; ; attempt++) {
    try {
      const limit = AbortSignal.timeout(5000)
      const response = await fetch(`${url}/items/${id}`, { signal: AbortSignal.any([signal, limit]) })
      if (!response.ok) throw new Error(`item ${id}: status ${response.status}`)
      return (await response.json()) as Item
    } catch (error) {
      if (signal.aborted || attempt === 3) throw error
      await setTimeout(5 * 2 ** attempt, undefined, { signal })
    }
  }
}

export const cached = <A>(get: (id: number) => Promise<A>): ((id: number) => Promise<A>) => {
  const cache = new Map<number, Promise<A>>()
  return (id) => {
    const known = cache.get(id) ?? get(id)
    cache.set(id, known)
    return known
  }
}

export const mapLimit = async <A>(
  limit: number,
  ids: ReadonlyArray<number>,
  f: (id: number) => Promise<A>
): Promise<Array<A>> => {
  const results: Array<A> = []
  let next = 0
  const worker = async () => {
    while (next < ids.length) {
      const index = next++
      results[index] = await f(ids[index]!)
    }
  }
  await Promise.all(Array.from({ length: limit }, worker))
  return results
}

export const total = async (url: string, ids: ReadonlyArray<number>, signal: AbortSignal): Promise<number> => {
  const item = cached((id) => fetchItem(url, id, signal))
  const items = await mapLimit(8, ids, item)
  return items.reduce((sum, { price }) => sum + price, 0)
}
