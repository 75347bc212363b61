/** The elements of one source between the watermark and the reader (P2). */
import * as Option from "effect/Option"
import type { Position } from "../Source.ts"
import type { Budget, Quota } from "./Budget.ts"
import { Queue } from "./Queue.ts"
import { type Home, Unit } from "./Unit.ts"

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

export interface WindowOptions {
  /** Which source it is, where there are several. */
  readonly name?: string | undefined
  readonly budget: Budget
  readonly quota: Quota
  readonly resume: Settled
}

export class Window implements Home {
  /** Elements from the watermark to the reader. */
  size = 0
  private read = 0
  private readonly name: string | undefined
  private readonly budget: Budget
  private readonly quota: Quota
  private readonly units = new Queue<Unit>()
  private watermark: Option.Option<Position>
  private readonly settledBefore: Set<number>
  private readonly reachBefore: Option.Option<Position>

  constructor({ budget, name, quota, resume }: WindowOptions) {
    this.name = name
    this.budget = budget
    this.quota = quota
    this.watermark = resume.position
    this.settledBefore = new Set(resume.ahead)
    this.reachBefore = resume.reach
  }

  /** One element may always be in it, however large, and whatever else is held. */
  get isFull(): boolean {
    return this.size > 0 && (this.quota.held >= this.quota.most || this.budget.left <= 0)
  }

  /** Whether an element may have been settled by an earlier run. */
  get isAhead(): boolean {
    return this.settledBefore.size > 0
  }

  /** How many elements there is room for, as long as they are light. */
  get left(): number {
    return this.quota.most - this.quota.held
  }

  nameOf(position: Position): Position {
    return this.name === undefined ? position : { [this.name]: position }
  }

  /** Takes in elements that settle together. */
  admitRun(values: ReadonlyArray<unknown>, places: ReadonlyArray<Position>, bytes: number): Unit {
    const run = Unit.run(values, places, bytes, this)
    this.enter(run)
    this.budget.bytes += bytes
    this.budget.open += run.count
    return run
  }

  /** Takes an element in; none when an earlier run has settled it already. */
  admit(position: Position, bytes: number, letter?: number): Unit | undefined {
    const unit = new Unit(position, bytes, letter, this)
    this.enter(unit)
    if (this.settledBefore.size > 0 && this.settledBefore.delete(this.read)) {
      unit.settled = true
      this.advance()
      return undefined
    }
    this.budget.bytes += bytes
    this.budget.open += 1
    return unit
  }

  /** Moves the watermark over what is settled. */
  advance(): void {
    let last: Unit | undefined
    let passed = 0
    while (this.units.at(0)?.settled === true) {
      last = this.units.take()!
      passed += last.span
    }
    if (last === undefined) return
    this.size -= passed
    this.quota.held -= passed
    this.watermark = Option.some(last.position)
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

  private enter(unit: Unit): void {
    const { span } = unit
    this.units.push(unit)
    this.size += span
    this.read += span
    this.quota.held += span
    this.budget.read += span
  }
}

const willBe = (unit: Unit): boolean => unit.settled || unit.root.taken
