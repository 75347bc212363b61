/** The elements between the watermark and the reader: their fate, and the watermark it gives. */
import * as Option from "effect/Option"
import type { DeadLetter } from "./Journal.ts"
import type { Position } from "./Source.ts"

interface Entry {
  readonly position: Position
  readonly bytes: number
  /** The dead letter that this element is the replay of. */
  readonly letter: number | undefined
  settled: boolean
}

/**
 * Source elements that settle together: one, or those that a batch brought together. What they became is written in
 * one transaction, so that no crash can split it, whatever a step would give when it is run again.
 */
export class Unit {
  /** The elements still on their way, descendants of these source elements. */
  live = 1
  bytes: number
  readonly entries: Array<Entry>
  readonly outputs: Array<unknown> = []
  readonly dead: Array<DeadLetter> = []
  filtered = 0
  skipped = 0
  private merged: Unit | undefined

  constructor(entry: Entry) {
    this.entries = [entry]
    this.bytes = entry.bytes
  }

  /** The unit that this one became part of. */
  get root(): Unit {
    if (this.merged === undefined) return this
    this.merged = this.merged.root
    return this.merged
  }

  get position(): Position {
    return this.entries[0]!.position
  }

  /** The dead letters that settle with it. */
  get letters(): ReadonlyArray<number> {
    return this.entries.flatMap((entry) => entry.letter ?? [])
  }

  /** Makes both one; call on roots. */
  absorb(other: Unit): void {
    this.live += other.live
    this.bytes += other.bytes
    for (const entry of other.entries) this.entries.push(entry)
    for (const output of other.outputs) this.outputs.push(output)
    for (const letter of other.dead) this.dead.push(letter)
    this.filtered += other.filtered
    this.skipped += other.skipped
    other.merged = this
  }
}

export class Window {
  /** Bytes held by elements that are not settled. */
  bytes = 0
  private readonly maxItems: number
  private readonly maxBytes: number
  private readonly entries: Array<Entry> = []
  private head = 0
  /** Elements taken in so far. */
  read = 0
  private unsettled = 0
  private settledPosition: Option.Option<Position>
  private readonly settledBefore: Set<number>

  constructor(
    limits: { readonly items: number; readonly bytes: number },
    resume: { readonly position: Option.Option<Position>; readonly ahead: ReadonlyArray<number> }
  ) {
    this.maxItems = limits.items
    this.maxBytes = limits.bytes
    this.settledPosition = resume.position
    this.settledBefore = new Set(resume.ahead)
  }

  /** Elements from the watermark to the reader. */
  get size(): number {
    return this.entries.length - this.head
  }

  /** Elements whose fate is not known. */
  get open(): number {
    return this.unsettled
  }

  get isHeavy(): boolean {
    return this.bytes >= this.maxBytes
  }

  /** Half of the bytes are left for what the steps make. One element may always be in it, however large. */
  get isFull(): boolean {
    return this.size >= this.maxItems || (this.bytes >= this.maxBytes / 2 && this.size > 0)
  }

  /** Takes an element in; none when an earlier run has settled it already. */
  admit(position: Position, bytes: number, letter?: number): Unit | undefined {
    const entry: Entry = { position, bytes, letter, settled: false }
    this.entries.push(entry)
    this.read += 1
    if (this.settledBefore.delete(this.read)) {
      entry.settled = true
      this.advance()
      return undefined
    }
    this.bytes += bytes
    this.unsettled += 1
    return new Unit(entry)
  }

  grow(unit: Unit, bytes: number): void {
    unit.root.bytes += bytes
    this.bytes += bytes
  }

  settle(unit: Unit): void {
    for (const entry of unit.entries) entry.settled = true
    this.bytes -= unit.bytes
    this.unsettled -= unit.entries.length
    this.advance()
  }

  /** The watermark, and what is settled beyond it, counted from it. */
  snapshot(): { readonly position: Option.Option<Position>; readonly ahead: ReadonlyArray<number> } {
    const ahead: Array<number> = []
    for (let i = this.head; i < this.entries.length; i++) {
      if (this.entries[i]!.settled) ahead.push(i - this.head + 1)
    }
    // What an earlier run settled and this one has not read yet is still true.
    const passed = this.read - this.size
    for (const index of this.settledBefore) ahead.push(index - passed)
    return { position: this.settledPosition, ahead }
  }

  private advance(): void {
    const { entries } = this
    let { head } = this
    while (head < entries.length && entries[head]!.settled) head += 1
    if (head === this.head) return
    this.settledPosition = Option.some(entries[head - 1]!.position)
    if (head > 1024 && head > entries.length / 2) {
      entries.splice(0, head)
      head = 0
    }
    this.head = head
  }
}
