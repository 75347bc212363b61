/** What waits for its turn in a run. */
import type { SchedulerDispatcher } from "effect/Scheduler"
import type { Ready } from "./Decider.ts"
import type { Member } from "./Member.ts"

/** What gets entries. As in Effect, those of one batch have their turns one after the other. */
export interface Dispatcher extends SchedulerDispatcher {
  /** The batch that is being filled, of which nothing has had its turn; 0 if there is none. */
  batch: number
}

export interface Entry extends Ready {
  readonly run: () => void
  readonly priority: number
  readonly dispatcher: Dispatcher
  /** The fiber that asked for it; none where nobody wants to know. */
  readonly asker: Member | undefined
  batch: number
}

export class Pool {
  /** In the order in which Effect would give them their turns; those before `first` are gone. */
  private entries: Array<Entry> = []
  private first = 0
  /** Some entry has a priority of its own. */
  private prioritised = false
  private lastBatch = 0

  get size(): number {
    return this.entries.length - this.first
  }

  push(entry: Entry): void {
    if (entry.priority !== 0) this.prioritised = true
    const { dispatcher } = entry
    if (dispatcher.batch === 0) dispatcher.batch = ++this.lastBatch
    entry.batch = dispatcher.batch
    if (entry.batch === this.lastBatch) this.entries.push(entry)
    else this.entries.splice(this.entries.findLastIndex((other) => other.batch === entry.batch) + 1, 0, entry)
  }

  /** Takes out an entry; of several, the one whose index `pick` gives, from `from` on. */
  take(pick: (entries: ReadonlyArray<Entry>, from: number) => number): Entry {
    const index = this.prioritised
      ? this.pickByPriority(pick)
      : this.size === 1
        ? this.first
        : pick(this.entries, this.first)
    const entry = this.entries[index]!
    if (entry.dispatcher.batch === entry.batch) entry.dispatcher.batch = 0
    if (index === this.first) this.first++
    else this.entries.splice(index, 1)
    if (this.first > 64 && this.first * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.first)
      this.first = 0
    }
    return entry
  }

  /** Effect keeps to priorities among the entries of one dispatcher. */
  private pickByPriority(pick: (entries: ReadonlyArray<Entry>, from: number) => number): number {
    const entries = this.entries.slice(this.first)
    const open = entries.filter(
      (entry) => !entries.some((other) => other.dispatcher === entry.dispatcher && other.priority < entry.priority)
    )
    return this.entries.indexOf(open[open.length === 1 ? 0 : pick(open, 0)]!, this.first)
  }
}
