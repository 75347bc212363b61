/**
 * The last events, in as many places as it was made with: arrays of numbers and words that are written over, so that nothing is
 * allocated for an event and nothing that a task held is kept by it.
 */
import { type Entered, nameFor } from "../../concurrency/base/Entries.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type { Entry, TaskEntry } from "../context/Entry.ts"

/** What an event of a task is kept as: the places of `kinds`. */
export const kinds = [
  "spawned",
  "started",
  "suspended",
  "resumed",
  "cancelling",
  "succeeded",
  "failed",
  "cancelled"
] as const

/** The place of an event that is no task's. */
const other = kinds.length
/** Beside the kind: of the body of a group. */
const body = 16

type Told = Pick<Entered, "givenName" | "id" | "kind"> & {
  readonly spawner: { readonly id: number } | undefined
  readonly owner: { readonly name: string }
}

export class History {
  readonly capacity: number
  /** How many events there were; the last `capacity` of them are kept. */
  count = 0
  private readonly ats: Float64Array
  private readonly kinds: Uint8Array
  private readonly tasks: Float64Array
  /** 0 for none. */
  private readonly parents: Float64Array
  private readonly durations: Float64Array
  private readonly names: Array<string | number | undefined> = []
  private readonly groups: Array<string> = []
  /** What more there is to say, in words; the whole of an event that is no task's. */
  private readonly more: Array<string | Entry | undefined> = []
  private readonly readers = new Set<() => void>()
  isClosed = false

  constructor(capacity: number) {
    this.capacity = capacity
    this.ats = new Float64Array(capacity)
    this.kinds = new Uint8Array(capacity)
    this.tasks = new Float64Array(capacity)
    this.parents = new Float64Array(capacity)
    this.durations = new Float64Array(capacity)
  }

  get kept(): number {
    return Math.min(this.count, this.capacity)
  }

  get dropped(): number {
    return this.count - this.kept
  }

  add(kind: number, at: number, task: Told, more?: string, duration = 0): void {
    if (this.capacity === 0) return
    const place = this.count++ % this.capacity
    this.ats[place] = at
    this.kinds[place] = task.kind === "body" ? kind | body : kind
    this.tasks[place] = task.id
    this.parents[place] = task.spawner?.id ?? 0
    this.durations[place] = duration
    this.names[place] = task.givenName
    this.groups[place] = task.owner.name
    this.more[place] = more
    if (this.readers.size > 0) this.wake()
  }

  /** An event that is no task's. */
  note(entry: Entry): void {
    if (this.capacity === 0) return
    const place = this.count++ % this.capacity
    this.ats[place] = entry.at
    this.kinds[place] = other
    this.names[place] = undefined
    this.groups[place] = ""
    this.more[place] = entry
    this.wake()
  }

  /** Those that are still kept of the events from a number on, at most so many. */
  from(first: number, most = Infinity): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    const end = Math.min(this.count, first + most)
    for (let one = Math.max(first, this.dropped); one < end; one++) entries.push(this.at(one % this.capacity))
    return entries
  }

  /** Calls `f` once, at the next event; the function it gives takes that back. */
  next(f: () => void): () => void {
    this.readers.add(f)
    return () => void this.readers.delete(f)
  }

  /** Nothing comes any more. */
  close(): void {
    this.isClosed = true
    this.wake()
  }

  private wake(): void {
    const readers = Array.from(this.readers)
    this.readers.clear()
    for (const reader of readers) reader()
  }

  private at(place: number): Entry {
    const more = this.more[place]
    if (typeof more === "object") return more
    const kept = this.kinds[place]!
    const kind = kinds[kept & ~body]!
    const id = this.tasks[place]!
    const of = {
      at: this.ats[place]!,
      task: id,
      // Most names are never read, and put into words when they are.
      name: Secrets.hidden(nameFor(this.names[place], id, (kept & body) !== 0)),
      group: Secrets.hidden(this.groups[place]!),
      parent: this.parents[place]! || null
    }
    if (kind === "succeeded" || kind === "failed" || kind === "cancelled") {
      const duration = this.durations[place]!
      return { kind: "exited", ...of, outcome: kind, duration, ...(more !== undefined && { error: more }) }
    }
    const entry: TaskEntry = { kind, ...of }
    return more === undefined ? entry : { ...entry, what: Secrets.hidden(more) }
  }
}
