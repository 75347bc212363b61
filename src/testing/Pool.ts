/** What waits for its turn in a run. */
import type { SchedulerDispatcher } from "effect/Scheduler"
import type { Ready } from "./Decider.ts"

export interface Entry extends Ready {
  readonly run: () => void
  readonly priority: number
  readonly dispatcher: SchedulerDispatcher
}

export class Pool {
  /** In the order in which Effect would give them their turns; those before `first` are gone. */
  private entries: Array<Entry> = []
  private first = 0
  /** Some entry has a priority of its own. */
  private prioritised = false
  /** Dispatchers of whose entries none has had its turn: as in Effect, what they get meanwhile has its turn with those. */
  private readonly gathering = new Set<SchedulerDispatcher>()

  get size(): number {
    return this.entries.length - this.first
  }

  push(entry: Entry): void {
    if (entry.priority !== 0) this.prioritised = true
    const { dispatcher } = entry
    if (this.gathering.has(dispatcher) && this.entries.at(-1)?.dispatcher !== dispatcher) {
      const last = this.entries.findLastIndex((other) => other.dispatcher === dispatcher)
      this.entries.splice(last + 1, 0, entry)
    } else this.entries.push(entry)
    this.gathering.add(dispatcher)
  }

  /** Takes out an entry; of several, the one whose index `pick` gives, from `from` on. */
  take(pick: (entries: ReadonlyArray<Entry>, from: number) => number): Entry {
    const index = this.prioritised
      ? this.pickByPriority(pick)
      : this.size === 1
        ? this.first
        : pick(this.entries, this.first)
    const entry = this.entries[index]!
    this.gathering.delete(entry.dispatcher)
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
