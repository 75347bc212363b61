/** The elements between the watermark and the reader (P2). */
import * as Option from "effect/Option"
import type { Position } from "../Source.ts"
import { Queue } from "./Queue.ts"
import { Unit } from "./Unit.ts"

export interface Limits {
  readonly items: number
  readonly bytes: number
}

/** What is settled: all up to the watermark, and some elements behind it. */
export interface Settled {
  readonly position: Option.Option<Position>
  /** Elements beyond the watermark that are settled, counted from it: 1 is the one just behind it. */
  readonly ahead: ReadonlyArray<number>
  /** The position of the last of those. */
  readonly reach: Option.Option<Position>
}

export class Window {
  /** Bytes held by elements that are not settled. */
  bytes = 0
  /** Elements taken in so far. */
  read = 0
  /** Elements whose fate is not known. */
  open = 0
  private readonly limits: Limits
  /** Elements from the watermark to the reader. */
  size = 0
  private readonly units = new Queue<Unit>()
  private watermark: Option.Option<Position>
  private readonly settledBefore: Set<number>
  private readonly reachBefore: Option.Option<Position>

  constructor(limits: Limits, resume: Settled) {
    this.limits = limits
    this.watermark = resume.position
    this.settledBefore = new Set(resume.ahead)
    this.reachBefore = resume.reach
  }

  get isHeavy(): boolean {
    return this.bytes >= this.limits.bytes
  }

  /** Half of the bytes are left for what the steps make. One element may always be in it, however large. */
  get isFull(): boolean {
    return this.size >= this.limits.items || (this.bytes >= this.limits.bytes / 2 && this.size > 0)
  }

  /** Whether an element may have been settled by an earlier run. */
  get isAhead(): boolean {
    return this.settledBefore.size > 0
  }

  /** How many elements there is room for, as long as they are light. */
  get left(): number {
    return this.limits.items - this.size
  }

  /** How many bytes there is room for; one element may always be taken in, however large. */
  get bytesLeft(): number {
    return this.limits.bytes / 2 - this.bytes
  }

  /** Takes in elements that settle together. */
  admitRun(run: Unit): void {
    this.units.push(run)
    this.size += run.span
    this.read += run.span
    this.bytes += run.bytes
    this.open += run.count
  }

  /** Takes an element in; none when an earlier run has settled it already. */
  admit(position: Position, bytes: number, letter?: number): Unit | undefined {
    const unit = new Unit(position, bytes, letter)
    this.units.push(unit)
    this.size += 1
    this.read += 1
    if (this.settledBefore.size > 0 && this.settledBefore.delete(this.read)) {
      unit.settled = true
      this.advance()
      return undefined
    }
    this.bytes += bytes
    this.open += 1
    return unit
  }

  grow(unit: Unit, bytes: number): void {
    unit.root.bytes += bytes
    this.bytes += bytes
  }

  settle(unit: Unit): void {
    unit.settle()
    this.bytes -= unit.bytes
    this.open -= unit.count
  }

  /** Moves the watermark over what is settled. */
  advance(): void {
    let last: Unit | undefined
    while (this.units.at(0)?.settled === true) {
      last = this.units.take()!
      this.size -= last.span
    }
    if (last !== undefined) this.watermark = Option.some(last.position)
  }

  /** What will be settled once the units that are taken are. */
  after(): Settled {
    const { units } = this
    let first = 0
    let passed = 0
    let last: Unit | undefined
    for (; first < units.length && willBe(units.at(first)!); first++) {
      last = units.at(first)!
      passed += last.span
    }
    const position = last === undefined ? this.watermark : Option.some(last.position)
    const ahead: Array<number> = []
    let furthest: Unit | undefined
    let beyond = 0
    for (let i = first; i < units.length; i++) {
      const unit = units.at(i)!
      if (willBe(unit)) {
        for (let each = 1; each <= unit.span; each++) ahead.push(beyond + each)
        furthest = unit
      }
      beyond += unit.span
    }
    const reach = Option.map(Option.fromUndefinedOr(furthest), ({ position }) => position)
    // What an earlier run settled and this one has not read yet is still true.
    const before = this.read - this.size + passed
    for (const index of this.settledBefore) ahead.push(index - before)
    return { position, ahead, reach: this.settledBefore.size > 0 ? this.reachBefore : reach }
  }
}

const willBe = (unit: Unit): boolean => unit.settled || unit.root.taken
