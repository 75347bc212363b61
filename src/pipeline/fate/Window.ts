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

  /** Elements from the watermark to the reader. */
  get size(): number {
    return this.units.length
  }

  get isHeavy(): boolean {
    return this.bytes >= this.limits.bytes
  }

  /** Half of the bytes are left for what the steps make. One element may always be in it, however large. */
  get isFull(): boolean {
    return this.size >= this.limits.items || (this.bytes >= this.limits.bytes / 2 && this.size > 0)
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
    while (this.units.at(0)?.settled === true) last = this.units.take()
    if (last !== undefined) this.watermark = Option.some(last.position)
  }

  /** What will be settled once the units that are taken are. */
  after(): Settled {
    const { units } = this
    let passed = 0
    let position = this.watermark
    for (; passed < units.length && willBe(units.at(passed)!); passed++)
      position = Option.some(units.at(passed)!.position)
    const ahead: Array<number> = []
    let reach: Option.Option<Position> = Option.none()
    for (let i = passed + 1; i < units.length; i++) {
      if (!willBe(units.at(i)!)) continue
      ahead.push(i - passed + 1)
      reach = Option.some(units.at(i)!.position)
    }
    // What an earlier run settled and this one has not read yet is still true.
    const before = this.read - this.size + passed
    for (const index of this.settledBefore) ahead.push(index - before)
    return { position, ahead, reach: this.settledBefore.size > 0 ? this.reachBefore : reach }
  }
}

const willBe = (unit: Unit): boolean => unit.settled || unit.root.taken
