/** The elements between the watermark and the reader: their fate, and the watermark it gives. */
import * as Option from "effect/Option"
import type { DeadLetter } from "../Journal.ts"
import { Queue } from "../flow/Queue.ts"
import type { Position } from "../Source.ts"

/**
 * A source element with all it became; or several, where a batch brought them together. What it became is written in
 * one transaction, so that no crash can split it, whatever a step would give when it is run again.
 */
export class Unit {
  /** The elements still on their way, descendants of these source elements. */
  live = 1
  /** How many source elements it is. */
  count = 1
  settled = false
  bytes: number
  /** Bytes of its source elements, as the source measures them. */
  read: number
  readonly position: Position
  outputs: ReadonlyArray<unknown> = nothing
  dead: ReadonlyArray<DeadLetter> = nothing
  /** The dead letters that its source elements are the replays of. */
  letters: ReadonlyArray<number> = nothing
  filtered = 0
  skipped = 0
  private members: ReadonlyArray<Unit> = nothing
  private merged: Unit | undefined

  constructor(position: Position, bytes: number, letter: number | undefined) {
    this.position = position
    this.bytes = bytes
    this.read = bytes
    if (letter !== undefined) this.letters = [letter]
  }

  /** The unit that this one became part of. */
  get root(): Unit {
    if (this.merged === undefined) return this
    this.merged = this.merged.root
    return this.merged
  }

  add(output: unknown): void {
    this.outputs = appended(this.outputs, output)
  }

  bury(letter: DeadLetter): void {
    this.dead = appended(this.dead, letter)
  }

  /** Makes both one; call on roots. */
  absorb(other: Unit): void {
    this.live += other.live
    this.count += other.count
    this.bytes += other.bytes
    this.read += other.read
    for (const output of other.outputs) this.add(output)
    for (const letter of other.dead) this.bury(letter)
    for (const letter of other.letters) this.letters = appended(this.letters, letter)
    this.filtered += other.filtered
    this.skipped += other.skipped
    this.members = appended(this.members, other)
    for (const member of other.members) this.members = appended(this.members, member)
    other.merged = this
  }

  /** Its fate is known, and that of all it absorbed. */
  settle(): void {
    this.settled = true
    for (const member of this.members) member.settled = true
  }
}

/** Most units have one output and none of the rest: they share this array until there is something to keep. */
const nothing: ReadonlyArray<never> = []

const appended = <A>(list: ReadonlyArray<A>, item: A): ReadonlyArray<A> => {
  if (list === nothing) return [item]
  // Whatever is not `nothing` was made here and belongs to one unit.
  ;(list as Array<A>).push(item)
  return list
}

export class Window {
  /** Bytes held by elements that are not settled. */
  bytes = 0
  private readonly maxItems: number
  private readonly maxBytes: number
  private readonly units = new Queue<Unit>()
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
    return this.units.length
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
    const unit = new Unit(position, bytes, letter)
    this.units.push(unit)
    this.read += 1
    if (this.settledBefore.size > 0 && this.settledBefore.delete(this.read)) {
      unit.settled = true
      this.advance()
      return undefined
    }
    this.bytes += bytes
    this.unsettled += 1
    return unit
  }

  grow(unit: Unit, bytes: number): void {
    unit.root.bytes += bytes
    this.bytes += bytes
  }

  settle(unit: Unit): void {
    unit.settle()
    this.bytes -= unit.bytes
    this.unsettled -= unit.count
    this.advance()
  }

  /** The watermark, and what is settled beyond it, counted from it. */
  snapshot(): { readonly position: Option.Option<Position>; readonly ahead: ReadonlyArray<number> } {
    const ahead: Array<number> = []
    for (let i = 0; i < this.units.length; i++) {
      if (this.units.at(i)!.settled) ahead.push(i + 1)
    }
    // What an earlier run settled and this one has not read yet is still true.
    const passed = this.read - this.size
    for (const index of this.settledBefore) ahead.push(index - passed)
    return { position: this.settledPosition, ahead }
  }

  private advance(): void {
    let last: Unit | undefined
    while (this.units.at(0)?.settled === true) last = this.units.take()
    if (last !== undefined) this.settledPosition = Option.some(last.position)
  }
}
