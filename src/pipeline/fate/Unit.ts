/** What is settled together. */
import type { Work } from "../context/Attempt.ts"
import type { DeadLetter } from "../Journal.ts"
import type { Position } from "../Source.ts"
import type { Block, Range } from "./Block.ts"
import { noParts, type Home, type Mark, type Parts } from "./Home.ts"
import { later, type Turn } from "./Succession.ts"

/**
 * A source element with all it became; or several, where they are written one after the other or a batch brought them together. What it
 * became is written in one transaction, so that no crash can split it, whatever a step would give when it is run again. Only `Fate`
 * writes to it.
 */
export class Unit implements Range {
  /** The elements still on their way, descendants of these source elements. */
  live = 1
  /** How many elements it is. */
  count: number
  /** Those of them that are parts of others, and no source elements. */
  inner: number
  /** Flags of the steps that made several whole elements of some of it, which settle with it. */
  whole = 0
  /** Flags of the steps that made parts of some of it, which settle by themselves. */
  apart = 0
  /** None for most. */
  parts: Parts | undefined = undefined
  /** Its fate is durable. */
  settled = false
  /** It is in the commit that is under way. */
  taken = false
  bytes = 0
  /** Bytes of its source elements, as the source measures them. */
  read = 0
  /** Its elements, or the first of them: others are its members. */
  readonly block: Block
  readonly from: number
  readonly to: number
  outputs: ReadonlyArray<unknown> = nothing
  dead: ReadonlyArray<DeadLetter> = nothing
  /** The dead letters that its source elements are the replays of. */
  letters: ReadonlyArray<number> = nothing
  /** What its steps have added to frontiers. */
  work: ReadonlyArray<Work> = nothing
  filtered = 0
  skipped = 0
  /** The keys that it was the first to have. */
  seen: ReadonlyArray<Mark> = nothing
  /** Where it stands in the successions of steps with a state. */
  turns: ReadonlyArray<Turn<Unit>> = nothing
  /** It must not settle before what is complete already. */
  inTurn = false
  private members: ReadonlyArray<Range> = nothing
  /** Whether each of its elements is one of its outputs. */
  private isRun = false
  private merged: Unit | undefined

  constructor(block: Block, from: number, to: number) {
    this.block = block
    this.from = from
    this.to = to
    this.count = to - from
    this.inner = block.home.parent === undefined ? 0 : this.count
    this.weigh(block, from, to)
    if (block.replays !== undefined) this.letters = [block.replays.letter]
    if (this.count === 1 && block.parts !== undefined) this.parts = block.parts.get(from)
  }

  /** What settles together of several ranges. */
  static of(ranges: ReadonlyArray<Range>): Unit {
    const { block, from, to } = ranges[0]!
    const unit = new Unit(block, from, to)
    for (let i = 1; i < ranges.length; i++) unit.cover(ranges[i]!)
    return unit
  }

  /** Elements that are written as they are: each of them settles with the others, and costs no unit of its own. */
  static run(ranges: ReadonlyArray<Range>, values: ReadonlyArray<unknown>): Unit {
    const unit = Unit.of(ranges)
    unit.live = 0
    unit.outputs = values
    unit.isRun = true
    return unit
  }

  /** It is these elements as well. */
  cover(range: Range): void {
    const { block, from, to } = range
    const count = to - from
    this.count += count
    if (block.home.parent !== undefined) this.inner += count
    this.weigh(block, from, to)
    this.members = appended(this.members, range)
  }

  private weigh(block: Block, from: number, to: number): void {
    let bytes = 0
    let read = 0
    for (let i = from; i < to; i++) {
      bytes += block.bytes[i]!
      read += block.readOf(i)
    }
    this.bytes += bytes
    this.read += read
    if (block.work === undefined) return
    for (let i = from; i < to; i++) for (const work of block.work.get(i) ?? nothing) this.addWork(work)
  }

  /** Whether something of it is on its way, or in no commit yet. */
  get isOpen(): boolean {
    return this.live > 0 || (this.parts !== undefined && this.parts.open > 0)
  }

  /** Whether a commit has something to keep of it. */
  get writes(): boolean {
    return this.outputs.length > 0 || this.dead.length > 0 || this.letters.length > 0 || this.work.length > 0
  }

  /** All its elements. */
  get ranges(): ReadonlyArray<Range> {
    return this.members === nothing ? [this] : [this, ...this.members]
  }

  /** Where the first of its elements is. */
  get position(): Position {
    return this.block.positionOf(this.from)
  }

  /** Which source element that is, as messages, dead letters and keys have it. */
  get name(): Position {
    return this.block.nameOf(this.from)
  }

  /** The same of what became this output. */
  nameOf(output: number): Position {
    let at = this.isRun ? output : 0
    for (const { block, from, to } of this.ranges) {
      if (at < to - from) return block.nameOf(from + at)
      at -= to - from
    }
    return this.name
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

  addWork(work: Work): void {
    this.work = appended(this.work, work)
    this.filtered += work.tooDeep
  }

  mark(mark: Mark): void {
    this.seen = appended(this.seen, mark)
  }

  turn(turn: Turn<Unit>): void {
    this.turns = this.turns === nothing ? [turn] : later(this.turns, [turn])
    this.inTurn = true
  }

  /** Makes both one; call on roots. */
  absorb(other: Unit): void {
    this.live += other.live
    this.count += other.count
    this.inner += other.inner
    this.bytes += other.bytes
    this.read += other.read
    for (const output of other.outputs) this.add(output)
    for (const letter of other.dead) this.bury(letter)
    for (const work of other.work) this.work = appended(this.work, work)
    for (const letter of other.letters) this.letters = appended(this.letters, letter)
    for (const mark of other.seen) this.mark(mark)
    if (other.turns !== nothing) this.turns = later(this.turns, other.turns)
    this.inTurn ||= other.inTurn
    this.filtered += other.filtered
    this.skipped += other.skipped
    if (other.parts !== undefined) {
      const { before, open, windows } = this.parts ?? noParts
      // A step looks at the parts of the one that its element is of: only what is open matters to both.
      this.parts = { before, windows, open: open + other.parts.open }
    }
    for (const range of other.ranges) this.members = appended(this.members, range)
    other.merged = this
  }

  /** Where all its source elements are, as their sources have them; or only those that came by one window. */
  positionsIn(window?: Home): ReadonlyArray<Position> {
    const { parent } = this.block.home
    if (window === undefined && parent !== undefined) return parent.root.positionsIn()
    const all: Array<Position> = []
    for (const { block, from, to } of this.ranges) {
      if (window !== undefined && block.home !== window) continue
      for (let i = from; i < to; i++) all.push(block.positionOf(i))
    }
    return all
  }

  /** It is in a commit, with all it absorbed. */
  take(): void {
    this.taken = true
    for (const { block, from, to } of this.ranges) block.enter(from, to)
  }

  /** Its fate is known, and that of all it absorbed. */
  settle(): void {
    this.settled = true
    for (const { block, from, to } of this.ranges) block.settle(from, to)
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
