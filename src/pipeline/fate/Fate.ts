/**
 * What becomes of each element (P1): the only place where that is written down. The flow says what happened to an element, the
 * commit takes what is complete and settles it once that is durable; nobody else changes a `Unit`.
 */
import type { Work } from "../context/Attempt.ts"
import type { Counts, DeadLetter, Inside, SeenBy } from "../Journal.ts"
import type { Position } from "../Source.ts"
import { apart, type Arrivals, Block, gone, type Range } from "./Block.ts"
import { Budget, Quota } from "./Budget.ts"
import { type Home, type Mark, noParts, type Parts } from "./Home.ts"
import { none, sum, type Tally, tally } from "./Counts.ts"
import { blockOf, type Succession, type Stand, type Turn } from "./Succession.ts"
import { Signal } from "./Signal.ts"
import { Unit } from "./Unit.ts"
import { type Limits, type Settled, Window, type Within } from "./Window.ts"

/** What one commit makes durable. */
export interface Batch {
  readonly units: ReadonlyArray<Unit>
  /** What is written, in order. */
  readonly rows: ReadonlyArray<unknown>
  /** The keys for which steps let pass what is in it, or what that is part of, where they are not kept yet. */
  readonly marks: ReadonlyArray<Mark>
}

/** A row that the sink would not take: what it became instead. */
export interface Refused {
  /** Its index in the rows of the batch. */
  readonly row: number
  /** None where it is only counted. */
  readonly letter: DeadLetter | undefined
}

/** Where things stand once a batch is settled. */
export interface Standing {
  /** Of each source. */
  readonly places: ReadonlyArray<Settled>
  readonly counts: Counts
}

/** A source, and what an earlier run has settled of it. */
export interface Begins {
  /** By which its elements are told from those of others; none where it is the only one. */
  readonly name?: string | undefined
  readonly resume: Settled
  /** Whether each of its elements settles as a whole. Default false. */
  readonly isWhole?: boolean | undefined
}

export interface FateOptions {
  /** The items are shared out among the sources, so that none keeps others from being read. */
  readonly window: Limits
  readonly sources: ReadonlyArray<Begins>
  /** The most rows in a batch; what one unit became is never split. */
  readonly maxRows: number
  /** Whether what has nothing to write is committed at once, as somebody waits for it to settle. Default false. */
  readonly eager?: boolean | undefined
  /** Of earlier runs. */
  readonly counts: Counts
}

export class Fate {
  /** Of what this run has settled. */
  readonly settled: Tally = { ...none }
  /** Wakes who waits for something to commit. */
  readonly due: Signal = new Signal()
  /** Wakes who waits for room in the window. */
  readonly room: Signal = new Signal()
  /** Wakes who waits for enough for a commit. */
  readonly enough: Signal = new Signal()
  /** Wakes who waits for that, or for a full window. */
  readonly pressed: Signal = new Signal()
  /** Of each source, in their order. */
  readonly windows: ReadonlyArray<Window>
  private readonly budget: Budget
  /** Of all parts of elements: as many as of elements, so that those cannot keep their own parts from being read. */
  private readonly parts: Quota
  private readonly flags = new Map<string, number>()
  private readonly maxRows: number
  private readonly eager: boolean
  private readonly share: number
  private readonly before: Counts
  private ready: Array<Unit> = []
  /** What is ready, in rows and in elements. */
  private readyRows = 0
  private readyCount = 0
  /** Elements in ranges, and units, that are not complete. */
  private underway = 0
  /** Complete units that have nothing to write: the next batch takes them along, at the latest when the window is full. */
  private quiet: Array<Unit> = []
  /** That of them which all elements are that were filtered out of ranges. */
  private dropped: Unit | undefined
  /** Those of the commit that is under way. */
  private quietTaken: ReadonlyArray<Unit> = []
  private committing = false
  private closed = false
  private replayed = 0
  private hasMarks = false

  constructor({ counts, eager = false, maxRows, sources, window }: FateOptions) {
    const budget = new Budget(window.bytes)
    const each = Math.max(1, Math.floor(window.items / sources.length))
    this.budget = budget
    this.parts = new Quota(window.items)
    this.windows = sources.map((begins) => new Window({ ...begins, budget, quota: new Quota(each) }))
    this.maxRows = maxRows
    this.eager = eager
    this.share = window.items / 2
    this.before = counts
  }

  /** Takes in elements of a source, as many as the window has room for; those are at once settled that an earlier run has settled. */
  admit(window: Window, arrivals: Arrivals, from: number, count: number): Block {
    const block = window.admit(arrivals, from, count)
    this.underway += block.n - block.settled
    return block
  }

  /** From now on an element that ranges have is a unit of its own. */
  single(block: Block, index: number): Unit {
    block.leave(index, apart)
    return this.unitOf(block, index)
  }

  /** The unit that it will be, of an element that a range still has. */
  unitOf(block: Block, index: number): Unit {
    return new Unit(block, index, index + 1)
  }

  /** These elements become one, which goes on. */
  join(ranges: ReadonlyArray<Range>): Unit {
    const unit = Unit.of(ranges)
    this.underway -= unit.count - 1
    return unit
  }

  /** Elements of a range are written as they are: so many of them as a batch has room for settle together. */
  write(block: Block, from: number, to: number): void {
    for (let at = block.live(from, to); at < to;) {
      // Never across the end of a batch, so that batches are as full as they would be of single elements.
      let room = this.maxRows - (this.readyRows % this.maxRows)
      const ranges: Array<Range> = []
      let values: Array<unknown> = []
      while (at < to && room > 0) {
        const end = Math.min(block.liveUntil(at, to), at + room)
        ranges.push({ block, from: at, to: end })
        const some = block.take(at, end)
        values = ranges.length === 1 ? some : values.concat(some)
        room -= end - at
        at = block.live(end, to)
      }
      this.underway -= values.length
      this.ready.push(Unit.run(ranges, values))
      this.readyRows += values.length
      this.readyCount += values.length
      this.wakeCommitter()
    }
  }

  /** Elements of a range are filtered out. */
  drop(block: Block, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      block.values[at] = undefined
      if (block.states[at]! < gone) block.leave(at, apart)
      else block.states[at] = apart
    }
    if (block.work !== undefined) return this.dropEach(block, from, to)
    const range = { block, from, to }
    if (this.dropped === undefined) {
      this.dropped = Unit.of([range])
      this.dropped.live = 0
      this.quiet.push(this.dropped)
    } else this.dropped.cover(range)
    this.dropped.filtered += to - from
    this.underway -= to - from
    this.wakeCommitter()
  }

  /** What they have added to frontiers is written with each. */
  private dropEach(block: Block, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const unit = new Unit(block, at, at + 1)
      this.filter(unit)
      this.end(unit)
    }
  }

  /** What an element of a range became takes so much more memory. */
  growIn(block: Block, index: number, bytes: number): void {
    block.bytes[index]! += bytes
    this.budget.bytes += bytes
  }

  /** A step that an element of a range has passed has added to frontiers. */
  addWorkIn(block: Block, index: number, work: ReadonlyArray<Work>): void {
    block.work ??= new Map()
    block.work.set(index, [...(block.work.get(index) ?? []), ...work])
    this.growIn(block, index, weightOf(work))
  }

  /** What has nothing to write is committed for the room that it takes, where there is none left. */
  press(): void {
    if (this.isFull) this.wakeCommitter()
  }

  /** One descendant of the unit became `children`, each of which ends by itself. */
  fanOut(unit: Unit, children: number): void {
    unit.root.live += children - 1
  }

  /** What an earlier run has settled inside of what a step is given; none where nothing is. */
  insideOf({ parts }: Unit, step: string, path: string): Inside | undefined {
    return parts?.before.find((one) => one.step === step && one.path === path)
  }

  /**
   * Whether several that a step makes of one descendant of the unit belong to it, and settle with it, or are parts that settle by
   * themselves: `may` says whether they can. All that one step makes of it is of one kind, or a batch could hold both, each of which
   * would wait for the other to settle.
   */
  isWhole(unit: Unit, step: string, path: string, may: boolean): boolean {
    const { apart, block, parts, root, whole } = unit
    const flag = this.flagOf(step)
    const isApart =
      (apart & flag) !== 0 || (may && (whole & flag) === 0) || parts?.before.some((one) => one.step === step) === true
    // Who is in a batch is another one in the next run, and so may be the state that it got of a step.
    const isOther = path.includes("+") || root.turns.some(({ succession }) => !succession.isSteady)
    if (isApart && !block.home.isWhole && !isOther) {
      // Said now, as what is to be read may have to wait for its turn.
      unit.apart |= flag
      return false
    }
    unit.whole |= flag
    return true
  }

  /** Two steps may share one: then what could be parts is whole. */
  private flagOf(step: string): number {
    let flag = this.flags.get(step)
    if (flag === undefined) this.flags.set(step, (flag = 1 << (this.flags.size % 31)))
    return flag
  }

  /** A step reads one descendant of the unit as parts, in a window of their own; the descendant itself ends later. */
  open(unit: Unit, within: Within, resume: Settled): Window {
    const parts = this.partsOf(unit)
    const { root } = unit
    const marks = root.seen.filter((mark) => mark.unit === unit && isBelow(within.path, mark.path))
    const window = new Window({ budget: this.budget, quota: this.parts, resume, parent: unit, within, marks })
    parts.windows = [...parts.windows, window]
    parts.before = parts.before.filter(({ path, step }) => step !== within.step || path !== within.path)
    this.partsOf(root).open += 1
    root.live -= 1
    if (root.live === 0) this.underway -= 1
    return window
  }

  /** No more parts will come into the window, and the descendant that they are of is at its end soon. */
  ended(window: Window): void {
    const { root } = window.parent!
    if (root.live === 0) this.underway += 1
    root.live += 1
    window.ended = true
    if (window.pending === 0) this.partsOf(root).open -= 1
  }

  /** What these became settles together from now on, and goes on as one. */
  merge(units: ReadonlyArray<Unit>): Unit {
    const unit = units[0]!.root
    for (const each of units) {
      const other = each.root
      if (other !== unit) this.absorb(unit, other)
    }
    unit.live -= units.length - 1
    return unit
  }

  /** The other settles no sooner than the unit: with it, where that is not complete. */
  tie(unit: Unit, other: Unit): void {
    const { root } = unit
    if (root.taken || root === other.root) return
    if (root.isOpen) this.absorb(root, other.root)
    else {
      other.root.inTurn = true
      for (const { succession } of root.turns) this.turn(other, succession)
    }
  }

  /** What the unit became takes so much more memory. */
  grow(unit: Unit, bytes: number): void {
    unit.root.bytes += bytes
    this.budget.bytes += bytes
    this.press()
  }

  filter(unit: Unit): void {
    unit.root.filtered += 1
  }

  skip(unit: Unit): void {
    unit.root.skipped += 1
  }

  bury(unit: Unit, letter: DeadLetter): void {
    unit.root.bury(letter)
  }

  /** A step that the unit has passed has added to frontiers. */
  addWork(unit: Unit, work: ReadonlyArray<Work>): void {
    for (const one of work) unit.root.addWork(one)
    this.grow(unit, weightOf(work))
  }

  /** One descendant is the first of its key: others of that key are dropped once the unit has settled, or a part of it. */
  mark(unit: Unit, seen: SeenBy, isKept: boolean): void {
    this.hasMarks = true
    unit.root.mark({ ...seen, unit, kept: isKept })
  }

  /** Whether it was this descendant that an earlier run let pass for the key, and wrote parts of. */
  isOwn({ parts }: Unit, { key, path, step }: SeenBy): boolean {
    const isThis = (one: SeenBy) => one.key === key && one.path === path && one.step === step
    return parts?.before.some(({ seen }) => seen?.some(isThis)) === true
  }

  /** One descendant went through the step that a succession is of. */
  turn(unit: Unit, succession: Succession<Unit>): void {
    const { root } = unit
    root.turn(succession.join(root))
  }

  /** A unit of no element of the source, for what a step gives when there are no more. */
  append(position: Position): Unit {
    this.underway += 1
    return new Unit(new Block(nowhere, { values: [], bytes: [], positionOf: () => position }, 0, 0), 0, 0)
  }

  /** One descendant has reached the sink. */
  output(unit: Unit, value: unknown): void {
    unit.root.add(value)
    this.end(unit)
  }

  /** One descendant is at its end: it gave its output, or was filtered, skipped or buried. */
  end(unit: Unit): void {
    const { root } = unit
    root.live -= 1
    if (root.live > 0) return
    this.underway -= 1
    if (!root.isOpen) this.leaves(root)
  }

  /** Nothing of the unit is on its way. */
  private leaves(root: Unit): void {
    if (root.turns.length === 0) this.complete(root)
    else this.release(root)
  }

  /** What is at the head of all its successions is complete, alone or with what it stands among. */
  private release(unit: Unit): void {
    const successions = successionsOf(unit)
    for (const succession of successions) {
      for (let { head } = succession; head !== undefined; { head } = succession) {
        const block = blockOf(head)
        if (block === undefined) break
        for (const other of block) if (other !== head) head.absorb(other)
        for (const { succession: one } of head.turns) {
          one.leave(head)
          if (one !== succession) successions.push(one)
        }
        this.complete(head)
      }
    }
  }

  private complete(root: Unit): void {
    if (root.writes || (root.inTurn && this.ready.length > 0)) {
      this.ready.push(root)
      this.readyRows += root.outputs.length
      this.readyCount += root.count
    } else this.quiet.push(root)
    this.wakeCommitter()
  }

  /** Nothing will become complete any more. */
  close(): void {
    this.closed = true
    this.due.wakeOne()
    this.enough.wakeOne()
    this.pressed.wakeOne()
  }

  get isClosed(): boolean {
    return this.closed
  }

  /** Whether one of the windows is. */
  get isFull(): boolean {
    for (const window of this.windows) if (window.isFull) return true
    return this.parts.held >= this.parts.most
  }

  get isHeavy(): boolean {
    return this.budget.isHeavy
  }

  /** Rows that wait to be written. */
  get waiting(): number {
    return this.readyRows
  }

  /** Whether there is something to commit. */
  get isDue(): boolean {
    return this.ready.length > 0 || this.hasQuiet
  }

  /** Whether a commit should wait for no more: half a window is left to be filled meanwhile, or nothing comes before there is room. */
  get isEnough(): boolean {
    if (this.closed || this.readyRows >= this.maxRows || this.readyCount >= this.share || this.isHeavy) return true
    // A full window whose elements are still worked on gives more yet.
    return this.underway === 0 && this.isFull
  }

  private get hasQuiet(): boolean {
    return this.quiet.length > 0 && (this.eager || this.closed || this.isFull)
  }

  get isCommitting(): boolean {
    return this.committing
  }

  /** Whether everything that could be committed is. */
  get isAtRest(): boolean {
    return !this.committing && this.ready.length === 0 && !this.hasQuiet
  }

  get read(): number {
    return this.budget.read
  }

  /** Elements from the watermarks to the readers. */
  get lag(): number {
    let size = 0
    for (const window of this.windows) size += window.size
    return size
  }

  /** Elements whose fate is not known yet. */
  get inFlight(): number {
    let quiet = 0
    for (const unit of this.quiet) quiet += unit.count - unit.inner
    for (const unit of this.quietTaken) quiet += unit.count - unit.inner
    return this.budget.open - quiet
  }

  /** The fates that are durable, and those that have nothing to write. */
  get known(): Counts {
    const counts = { ...this.settled }
    for (const unit of this.quiet) tally(counts, unit)
    for (const unit of this.quietTaken) tally(counts, unit)
    return counts
  }

  /** What the next commit writes. */
  take(): Batch {
    const { ready } = this
    let rows = 0
    let count = 0
    const fits = ({ outputs }: Unit) => rows === 0 || rows + outputs.length <= this.maxRows
    while (count < ready.length && fits(ready[count]!)) rows += ready[count++]!.outputs.length
    const complete = ready.splice(0, count)
    this.readyRows -= rows
    for (const unit of complete) this.readyCount -= unit.count
    const units: Array<Unit> = this.quiet.length === 0 ? complete : [...this.quiet, ...complete]
    this.quietTaken = this.quiet
    this.quiet = []
    this.dropped = undefined
    this.committing = true
    for (const unit of units) unit.take()
    if (this.parts.held > 0) for (const unit of units) this.leave(unit, units)
    const marks = this.hasMarks ? [...new Set(units.flatMap(marksOf))].filter(({ kept }) => !kept) : []
    return { units, rows: rowsOf(units, rows), marks }
  }

  /** What is true once the batch is durable; changes nothing, as a transaction may run again. */
  after({ units }: Batch, refused: ReadonlyArray<Refused> = []): Standing {
    const counts = { ...this.settled }
    let { replayed } = this
    for (const unit of units) {
      tally(counts, unit)
      replayed += unit.letters.length
    }
    retract(counts, refused)
    const both = sum(this.before, counts)
    // What is replayed settled before, as a dead letter.
    return {
      places: this.windows.map((window) => window.after()),
      counts: { ...both, settled: both.settled - replayed, dead: both.dead - replayed }
    }
  }

  /** The batch is durable (P13). */
  settle({ marks, units }: Batch, refused: ReadonlyArray<Refused> = []): void {
    const { budget, settled } = this
    for (const mark of marks) mark.kept = true
    for (const unit of units) {
      unit.settle()
      budget.bytes -= unit.bytes
      budget.open -= unit.count - unit.inner
      if (this.parts.held > 0) advanceParts(unit)
      this.replayed += unit.letters.length
      tally(settled, unit)
    }
    for (const window of this.windows) window.advance()
    retract(settled, refused)
    this.quietTaken = []
    this.committing = false
    this.room.wakeAll()
  }

  /** A unit is in a commit, and with it all that has no other parts than those that are. */
  private leave(unit: Unit, units: Array<Unit>): void {
    for (const { block, from, to } of unit.ranges) {
      const home = block.home as Window
      if (home.parent === undefined) continue
      home.pending -= to - from
      if (!home.ended || home.pending > 0) continue
      const { root } = home.parent
      this.partsOf(root).open -= 1
      if (root.isOpen) continue
      if (root.writes || root.turns.length > 0 || root.inTurn) this.leaves(root)
      else {
        root.take()
        units.push(root)
      }
    }
  }

  private absorb(unit: Unit, other: Unit): void {
    if (unit.live > 0 && other.live > 0) this.underway -= 1
    unit.absorb(other)
  }

  private partsOf(unit: Unit): Parts {
    const { block, from } = unit
    const parts = (unit.parts ??= { ...noParts })
    block.parts ??= new Map()
    block.parts.set(from, parts)
    return parts
  }

  private wakeCommitter(): void {
    if (this.isDue) this.due.wakeOne()
    if (this.isEnough) {
      this.enough.wakeOne()
      this.pressed.wakeOne()
    } else if (this.isFull) this.pressed.wakeOne()
  }
}

/** How much memory it takes to keep what is added to frontiers. */
const weightOf = (work: ReadonlyArray<Work>): number => {
  let bytes = 0
  for (const { items } of work) for (const { item } of items) bytes += 128 + item.length
  return bytes
}

/** Takes back what was to be written and was not. */
const retract = (counts: Tally, refused: ReadonlyArray<Refused>): void => {
  for (const { letter } of refused) {
    counts.written -= 1
    if (letter === undefined) counts.skipped += 1
    else counts.dead += 1
  }
}

/** Of units that are in no window. */
const nowhere: Home = { nameOf: (position) => position, isWhole: true, parent: undefined, path: undefined }

const advanceParts = (unit: Unit): void => {
  for (const { block } of unit.ranges) if (block.home.parent !== undefined) (block.home as Window).advance()
}

/** Of the unit, and of what its elements are parts of. */
const marksOf = (unit: Unit): ReadonlyArray<Mark> => {
  const marks = [...unit.seen]
  for (const { block } of unit.ranges) {
    for (let home: Home | undefined = block.home; home?.parent !== undefined;) {
      const window = home as Window
      marks.push(...window.marks)
      home = window.parent!.block.home
    }
  }
  return marks
}

/** Whether what has a path is a descendant of what has the other, or the same. */
const isBelow = (path: string, above: string): boolean => path === above || path.startsWith(`${above}/`)

const successionsOf = ({ turns }: Unit): Array<Succession<Unit>> => turns.map(({ succession }) => succession)

/** How each step with a state stands once the batch is settled, if something of it came there. */
export const standsOf = ({ units }: Batch): ReadonlyMap<string, Stand> => {
  const last = new Map<Succession<Unit>, Turn<Unit>>()
  for (const { turns } of units)
    for (const turn of turns) if (turn.at >= (last.get(turn.succession)?.at ?? 0)) last.set(turn.succession, turn)
  return new Map(Array.from(last.values(), (turn) => [turn.succession.name, turn]))
}

/** What the units became, which is so many rows. */
const rowsOf = (units: ReadonlyArray<Unit>, rows: number): ReadonlyArray<unknown> => {
  if (rows < units.length * 16) return gathered(units, (unit) => unit.outputs)
  // Of long lists, `concat` makes one by copying memory.
  return units.length === 1 ? units[0]!.outputs : nothing.concat(...units.map((unit) => unit.outputs))
}

const nothing: ReadonlyArray<unknown> = []

/** `flatMap`, which costs as much as all the rest of a commit. */
export const gathered = <A>(units: ReadonlyArray<Unit>, of: (unit: Unit) => ReadonlyArray<A>): ReadonlyArray<A> => {
  const all: Array<A> = []
  for (const unit of units) for (const one of of(unit)) all.push(one)
  return all
}
