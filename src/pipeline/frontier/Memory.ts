/** Frontiers in memory: gone with the process, and as long as it lives what a commit keeps or does not keep. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { FrontierStore, KeptItem, NewItem } from "../context/FrontierStore.ts"

/** What a commit that is under way does once it is kept; none outside of one. */
const Pending: Context.Reference<Array<() => void> | undefined> = Context.Reference("skein/frontier/Pending", {
  defaultValue: (): Array<() => void> | undefined => undefined
})

/** Runs a commit; what it does to frontiers happens when `kept` says that it is. */
export const commit = <A, E, R, E2>(
  work: Effect.Effect<A, E, R>,
  keep: (value: A) => Effect.Effect<void, E2>
): Effect.Effect<void, E | E2, R> =>
  Effect.suspend(() => {
    const pending: Array<() => void> = []
    return Effect.flatMap(Effect.provideService(work, Pending, pending), (value) =>
      Effect.map(keep(value), () => {
        for (const change of pending) change()
      })
    )
  })

interface Entry extends KeptItem {
  owner: string | undefined
  isDone: boolean
}

const byPlace = (a: KeptItem, b: KeptItem): number => b.priority - a.priority || a.place - b.place

class MemoryFrontier implements FrontierStore {
  private readonly entries = new Map<string, Entry>()
  private readonly lanesInOrder: Array<string> = []
  private readonly free = new Map<string, Heap>()
  private readonly owners = new Map<string, Set<Entry>>()
  private left = 0
  private place = 0

  readonly add: FrontierStore["add"] = (items) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      whenKept(() => {
        for (const item of items) this.put(item, now * 1000)
      })
    )

  readonly lanes: FrontierStore["lanes"] = (after, count) =>
    Effect.sync(() => {
      const all = this.lanesInOrder
      const from = after === undefined ? 0 : indexBehind(all, after)
      const behind = all.slice(from, from + count)
      return behind.length === count ? behind : [...behind, ...all.slice(0, Math.min(from, count - behind.length))]
    })

  readonly take: FrontierStore["take"] = (owner, wanted) =>
    Effect.sync(() => {
      const taken: Array<Entry> = []
      for (const { count, lane } of wanted) {
        const heap = this.free.get(lane)
        if (heap === undefined) continue
        for (let some = Math.min(count, heap.length); some > 0; some--) taken.push(heap.take())
        if (heap.length === 0) this.close(lane)
      }
      const all = this.owners.get(owner) ?? new Set()
      if (taken.length > 0) this.owners.set(owner, all)
      for (const entry of taken) {
        entry.owner = owner
        all.add(entry)
      }
      return taken
    })

  readonly held: FrontierStore["held"] = (owner) => Effect.sync(() => [...(this.owners.get(owner) ?? [])].sort(byPlace))

  /** It lasts as long as the process. */
  readonly renew: FrontierStore["renew"] = () => Effect.void

  readonly release: FrontierStore["release"] = (owner, what) =>
    Effect.sync(() => {
      if (what === "over") return
      for (const entry of this.owners.get(owner) ?? []) {
        entry.owner = undefined
        this.open(entry)
      }
      this.owners.delete(owner)
    })

  readonly holders: FrontierStore["holders"] = Effect.sync(() =>
    [...this.owners.keys()].map((owner) => ({ owner, isOver: false }))
  )

  readonly settle: FrontierStore["settle"] = (owner, keys) => {
    const mine = keys.map((key) => this.entries.get(key)).filter((entry) => entry?.owner === owner)
    return Effect.as(
      whenKept(() => {
        for (const entry of mine as ReadonlyArray<Entry>) {
          entry.isDone = true
          entry.owner = undefined
          this.owners.get(owner)?.delete(entry)
          this.left -= 1
        }
        if (this.owners.get(owner)?.size === 0) this.owners.delete(owner)
      }),
      mine.length
    )
  }

  readonly isLeft: FrontierStore["isLeft"] = Effect.sync(() => this.left > 0)

  readonly read: FrontierStore["read"] = (after) =>
    Effect.sync(() =>
      after === undefined
        ? [...this.entries.values()]
            .filter(({ isDone }) => !isDone)
            .sort((a, b) => (a.lane < b.lane ? -1 : a.lane > b.lane ? 1 : byPlace(a, b)))
        : []
    )

  private put(item: NewItem, now: number): void {
    if (this.entries.has(item.key)) return
    this.place = Math.max(now, this.place + 1)
    const entry: Entry = { ...item, place: this.place, owner: undefined, isDone: false }
    this.entries.set(item.key, entry)
    this.left += 1
    this.open(entry)
  }

  private open(entry: Entry): void {
    const { lane } = entry
    let heap = this.free.get(lane)
    if (heap === undefined) {
      heap = new Heap()
      this.free.set(lane, heap)
      this.lanesInOrder.splice(indexBehind(this.lanesInOrder, lane), 0, lane)
    }
    heap.add(entry)
  }

  private close(lane: string): void {
    this.free.delete(lane)
    this.lanesInOrder.splice(indexBehind(this.lanesInOrder, lane) - 1, 1)
  }
}

/** Now, or once the commit that is under way is kept. */
const whenKept = (change: () => void): Effect.Effect<void> =>
  Effect.map(Pending, (pending) => {
    if (pending === undefined) change()
    else pending.push(change)
  })

const indexBehind = (sorted: ReadonlyArray<string>, text: string): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! <= text) low = middle + 1
    else high = middle
  }
  return low
}

/** Gives first what is to be taken first. */
class Heap {
  private readonly entries: Array<Entry> = []

  get length(): number {
    return this.entries.length
  }

  add(entry: Entry): void {
    const { entries } = this
    let at = entries.push(entry) - 1
    for (let up = (at - 1) >> 1; at > 0 && byPlace(entry, entries[up]!) < 0; up = (at - 1) >> 1) {
      entries[at] = entries[up]!
      entries[up] = entry
      at = up
    }
  }

  take(): Entry {
    const { entries } = this
    const first = entries[0]!
    const last = entries.pop()!
    if (entries.length === 0) return first
    entries[0] = last
    for (let at = 0; ;) {
      let least = at
      for (const down of [2 * at + 1, 2 * at + 2]) {
        if (down < entries.length && byPlace(entries[down]!, entries[least]!) < 0) least = down
      }
      if (least === at) return first
      ;[entries[at], entries[least]] = [entries[least]!, entries[at]!]
      at = least
    }
  }
}

/** Those of one journal, by their names. */
export const make = (): ((name: string) => FrontierStore) => {
  const all = new Map<string, FrontierStore>()
  return (name) => {
    const store = all.get(name) ?? new MemoryFrontier()
    all.set(name, store)
    return store
  }
}
