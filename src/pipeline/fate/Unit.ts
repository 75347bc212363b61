/** What is settled together. */
import type { Work } from "../context/Attempt.ts"
import type { DeadLetter, Inside, Seen } from "../Journal.ts"
import type { Position } from "../Source.ts"
import { later, type Turn } from "./Succession.ts"

/** What a unit knows of the window that it is in. */
export interface Home {
  /** Which source element stands there, as messages, dead letters and keys have it. */
  readonly nameOf: (position: Position) => Position
  /** What a step reads as its parts, where it is no source element. */
  readonly parent: Unit | undefined
  /** Whether what is in it settles as a whole, as nothing is kept of what is inside of it. */
  readonly isWhole: boolean
}

/** What a unit is that has parts of its own: those settle, and are kept, by themselves. */
export interface Parts {
  /** The windows whose parts are not all in a commit yet. */
  open: number
  /** All of them, until the unit is settled. */
  windows: ReadonlyArray<Home>
  /** What an earlier run has settled inside of it, where this one has not come to it. */
  before: ReadonlyArray<Inside>
}

/**
 * A source element with all it became; or several, where a batch brought them together. What it became is written in
 * one transaction, so that no crash can split it, whatever a step would give when it is run again. Only `Fate` writes to it.
 */
export class Unit {
  /** The elements still on their way, descendants of these source elements. */
  live = 1
  /** How many elements it is. */
  count = 1
  /** Those of them that are parts of others, and no source elements. */
  inner = 0
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
  bytes: number
  /** Bytes of its source elements, as the source measures them. */
  read: number
  readonly position: Position
  /** The window that it is in: what it absorbed may be in others. */
  readonly window: Home
  outputs: ReadonlyArray<unknown> = nothing
  dead: ReadonlyArray<DeadLetter> = nothing
  /** The dead letters that its source elements are the replays of. */
  letters: ReadonlyArray<number> = nothing
  /** What its steps have added to frontiers. */
  work: ReadonlyArray<Work> = nothing
  filtered = 0
  skipped = 0
  /** The keys that it was the first to have. */
  seen: ReadonlyArray<Seen> = nothing
  /** Where it stands in the successions of steps with a state. */
  turns: ReadonlyArray<Turn<Unit>> = nothing
  /** It must not settle before what is complete already. */
  inTurn = false
  private members: ReadonlyArray<Unit> = nothing
  /** Of a run: where each of its source elements is, which are its outputs as well. */
  private places: ReadonlyArray<Position> = nothing
  private merged: Unit | undefined

  constructor(position: Position, bytes: number, letter: number | undefined, window: Home) {
    this.position = position
    this.window = window
    this.bytes = bytes
    this.read = bytes
    if (window.parent !== undefined) this.isPart()
    if (letter !== undefined) this.letters = [letter]
  }

  /** Elements in a row that are written as they are: each of them settles with the others, and costs no unit of its own. */
  static run(values: ReadonlyArray<unknown>, places: ReadonlyArray<Position>, bytes: number, window: Home): Unit {
    const unit = new Unit(places.at(-1)!, bytes, undefined, window)
    unit.count = values.length
    if (unit.inner > 0) unit.inner = unit.count
    unit.outputs = values
    unit.places = places
    return unit
  }

  /** Whether something of it is on its way, or in no commit yet. */
  get isOpen(): boolean {
    return this.live > 0 || (this.parts !== undefined && this.parts.open > 0)
  }

  /** Whether a commit has something to keep of it. */
  get writes(): boolean {
    return this.outputs.length > 0 || this.dead.length > 0 || this.letters.length > 0 || this.work.length > 0
  }

  /** Those that it absorbed are at their own places. */
  get all(): ReadonlyArray<Unit> {
    return this.members === nothing ? [this] : [this, ...this.members]
  }

  /** How many elements it is on its way through the window: what it absorbed is there by itself. */
  get span(): number {
    return this.places === nothing ? 1 : this.places.length
  }

  /** Which source element it is, as messages, dead letters and keys have it. */
  get name(): Position {
    return this.window.nameOf(this.position)
  }

  /** The same of what became this output. */
  nameOf(output: number): Position {
    return this.places === nothing ? this.name : this.window.nameOf(this.places[output]!)
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

  mark(seen: Seen): void {
    this.seen = appended(this.seen, seen)
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
    for (const seen of other.seen) this.mark(seen)
    if (other.turns !== nothing) this.turns = later(this.turns, other.turns)
    this.inTurn ||= other.inTurn
    this.filtered += other.filtered
    this.skipped += other.skipped
    if (other.parts !== undefined) {
      const { before, open, windows } = this.parts ?? noParts
      // A step looks at the parts of the one that its element is of: only what is open matters to both.
      this.parts = { before, windows, open: open + other.parts.open }
    }
    this.members = appended(this.members, other)
    for (const member of other.members) this.members = appended(this.members, member)
    other.merged = this
  }

  /** Those of all its source elements, as their sources have them; or only of those that came by one window. */
  positionsIn(window?: Home): ReadonlyArray<Position> {
    const { parent } = this.window
    if (window === undefined && parent !== undefined) return parent.root.positionsIn()
    const isThere = (unit: Unit) => window === undefined || unit.window === window
    if (this.places !== nothing) return isThere(this) ? this.places : nothing
    return this.all.filter(isThere).map(({ position }) => position)
  }

  private isPart(): void {
    this.inner = 1
    this.read = 0
  }

  /** Its fate is known, and that of all it absorbed. */
  settle(): void {
    this.settled = true
    for (const member of this.members) member.settled = true
  }
}

/** Most units have one output and none of the rest: they share this array until there is something to keep. */
const nothing: ReadonlyArray<never> = []

export const noParts: Parts = { open: 0, windows: nothing, before: nothing }

const appended = <A>(list: ReadonlyArray<A>, item: A): ReadonlyArray<A> => {
  if (list === nothing) return [item]
  // Whatever is not `nothing` was made here and belongs to one unit.
  ;(list as Array<A>).push(item)
  return list
}
