/**
 * What a page shows of a timeline: a bar a task, in rows, with what it waited for. This file and those beside it are the script of the
 * page, which takes them by their source: each exports one function that names nothing outside of itself.
 */
import type { Entry, TaskEntry } from "../../context/Entry.ts"

/** Times are milliseconds since the first entry. */
export interface Layout {
  /** The moment of the first entry, in milliseconds since the epoch. */
  readonly origin: number
  readonly end: number
  /** One a row: whoever spawned others stands above them. */
  readonly bars: ReadonlyArray<Bar>
  /** By time. */
  readonly wakes: ReadonlyArray<Wake>
  readonly marks: ReadonlyArray<Mark>
  readonly counts: Readonly<Record<Outcome, number>>
}

export type Outcome = "running" | "succeeded" | "failed" | "cancelled"

export interface Bar {
  readonly task: number
  readonly name: string
  readonly group: string
  /** The row of the task that spawned it, where that is known. */
  parent: number | undefined
  /** How many stand above it. */
  depth: number
  readonly start: number
  /** Its end, or the end of the timeline. */
  end: number
  outcome: Outcome
  error: string | undefined
  /** When its cancellation began. */
  cancelled: number | undefined
  reason: string | undefined
  /** By time, none into another. */
  readonly waits: Array<Waited>
}

export interface Waited {
  readonly from: number
  to: number
  readonly what: string
  /** The row of the task that woke it. */
  by: number | undefined
}

export interface Wake {
  readonly at: number
  readonly from: number
  readonly to: number
}

/** What is of no task alone: a commit, an event loop that did not turn, or a place where entries are missing. */
export interface Mark {
  readonly kind: "committed" | "blocked" | "lost"
  readonly from: number
  readonly to: number
  readonly text: string
  readonly stack: ReadonlyArray<string>
}

export const layout = (entries: ReadonlyArray<Entry>): Layout => {
  const sorted = entries.toSorted((a, b) => a.at - b.at)
  // What took its time is told when it is over.
  const beginOf = (entry: Entry): number =>
    entry.kind === "exited" ? entry.at - entry.duration : "took" in entry ? entry.at - entry.took : entry.at
  const origin = sorted.reduce((first, entry) => Math.min(first, beginOf(entry)), sorted[0]?.at ?? 0)
  const end = (sorted.at(-1)?.at ?? origin) - origin
  const text = (given: string): string => given.slice(0, 500).replace(/[\p{Cc}\u2028-\u202E\u2066-\u2069]/gu, "·")

  const known = new Map<number, Bar>()
  const order: Array<Bar> = []
  const spawners = new Map<Bar, number>()
  /** What each waits for at the moment, the last on top: its fibers may wait for several things. */
  const open = new Map<Bar, Array<string>>()
  const wokenBy = new Map<Waited, number>()
  const marks: Array<Mark> = []

  const barOf = (entry: Exclude<Entry, { readonly kind: Mark["kind"] }>): Bar => {
    const found = known.get(entry.task)
    if (found !== undefined) return found
    const bar: Bar = {
      task: entry.task,
      name: text(entry.name),
      group: text(entry.group),
      parent: undefined,
      depth: 0,
      start: beginOf(entry) - origin,
      end,
      outcome: "running",
      error: undefined,
      cancelled: undefined,
      reason: undefined,
      waits: []
    }
    known.set(entry.task, bar)
    order.push(bar)
    if (entry.parent !== null) spawners.set(bar, entry.parent)
    return bar
  }
  const begin = (bar: Bar, at: number, what: string) =>
    bar.waits.push({ from: at, to: end, what: text(what), by: undefined })
  /** Ends the wait that is drawn; the task may wait for something else behind it. */
  const close = (bar: Bar, at: number): Waited | undefined => {
    const last = bar.waits.at(-1)
    if (last !== undefined) last.to = at
    return last
  }
  const wait = (bar: Bar, entry: TaskEntry, at: number): void => {
    const waits = open.get(bar) ?? []
    open.set(bar, waits)
    if (entry.kind === "suspended") {
      if (waits.length > 0) close(bar, at)
      const what = entry.what ?? "something"
      waits.push(what)
      begin(bar, at, what)
    } else if (waits.pop() !== undefined) {
      const closed = close(bar, at)
      if (closed !== undefined && entry.by !== undefined) wokenBy.set(closed, entry.by)
      const before = waits.at(-1)
      if (before !== undefined) begin(bar, at, before)
    }
  }

  for (const entry of sorted) {
    const at = entry.at - origin
    if (entry.kind === "committed") {
      const said = `${text(entry.run)}: ${entry.rows} rows committed`
      marks.push({ kind: entry.kind, from: at - entry.took, to: at, text: said, stack: [] })
    } else if (entry.kind === "blocked") {
      const said = `the event loop did not turn${entry.name === null ? "" : ` in ${text(entry.name)}`}`
      marks.push({ kind: entry.kind, from: at - entry.took, to: at, text: said, stack: entry.stack.map(text) })
    } else if (entry.kind === "lost") {
      marks.push({ kind: entry.kind, from: at, to: at, text: `${entry.count} entries before this are lost`, stack: [] })
    } else {
      const bar = barOf(entry)
      if (entry.kind === "suspended" || entry.kind === "resumed") wait(bar, entry, at)
      if (entry.kind === "cancelling") {
        bar.cancelled = at
        bar.reason = entry.what === undefined ? undefined : text(entry.what)
      }
      if (entry.kind === "exited") {
        if ((open.get(bar)?.length ?? 0) > 0) close(bar, at)
        open.delete(bar)
        bar.end = at
        bar.outcome = entry.outcome
        bar.error = entry.error === undefined ? undefined : text(entry.error)
      }
    }
  }

  const children = new Map<Bar, Array<Bar>>()
  const roots: Array<Bar> = []
  for (const bar of order) {
    const parent = known.get(spawners.get(bar) ?? Number.NaN)
    if (parent === undefined || parent === bar) roots.push(bar)
    else if (children.get(parent)?.push(bar) === undefined) children.set(parent, [bar])
  }
  const bars: Array<Bar> = []
  const rows = new Map<number, number>()
  const place = (from: ReadonlyArray<Bar>): void => {
    const next = from.toReversed()
    for (let bar = next.pop(); bar !== undefined; bar = next.pop()) {
      if (rows.has(bar.task)) continue
      const parent = rows.get(spawners.get(bar) ?? Number.NaN)
      bar.parent = parent
      bar.depth = parent === undefined ? 0 : bars[parent]!.depth + 1
      rows.set(bar.task, bars.length)
      bars.push(bar)
      for (const child of (children.get(bar) ?? []).toReversed()) next.push(child)
    }
  }
  place(roots)
  // Those whose spawners lead back to themselves, in a timeline that somebody made up.
  place(order)

  const wakes: Array<Wake> = []
  for (const [to, bar] of bars.entries()) {
    for (const wait of bar.waits) {
      wait.by = rows.get(wokenBy.get(wait) ?? Number.NaN)
      if (wait.by !== undefined) wakes.push({ at: wait.to, from: wait.by, to })
    }
  }
  wakes.sort((a, b) => a.at - b.at)
  const counts = { running: 0, succeeded: 0, failed: 0, cancelled: 0 }
  for (const bar of bars) counts[bar.outcome] += 1
  return { origin, end, bars, wakes, marks, counts }
}
