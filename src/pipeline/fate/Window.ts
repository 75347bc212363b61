/** The elements of one source, or the parts of one element, between the watermark and the reader (P2). */
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Inside, Place } from "../Journal.ts"
import type { Position } from "../Source.ts"
import type { Budget, Quota } from "./Budget.ts"
import { Queue } from "./Queue.ts"
import { type Home, noParts, Unit } from "./Unit.ts"

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
  /** Of elements that are not settled, what is settled inside of them. */
  readonly inside?: ReadonlyArray<Open | Inside> | undefined
}

/** What is settled inside of an element. */
export interface Open extends Omit<Inside, "place"> {
  /** The dead letter that the element is the replay of. */
  readonly letter: number | undefined
  readonly settled: Settled
  readonly keep: Keep
}

/** What is kept of what is settled inside of an element. */
export type Keep = (settled: Settled) => Effect.Effect<Place, unknown, unknown>

/** Where parts of an element come from. */
export interface Within {
  readonly step: string
  readonly path: string
  /** Parts that an earlier run has settled, up to where this one goes on. */
  readonly count: number
  readonly keep: Keep
}

export interface WindowOptions {
  /** Which source it is, where there are several. */
  readonly name?: string | undefined
  readonly budget: Budget
  readonly quota: Quota
  readonly resume: Settled
  /** Default false. */
  readonly isWhole?: boolean | undefined
  readonly parent?: Unit | undefined
  readonly within?: Within | undefined
}

export class Window implements Home {
  /** Elements from the watermark to the reader. */
  size = 0
  /** Units that are in no commit yet. */
  pending = 0
  /** Nothing more is read into it. */
  ended = false
  readonly isWhole: boolean
  readonly parent: Unit | undefined
  readonly within: Within | undefined
  private read = 0
  private readonly name: string | undefined
  private readonly budget: Budget
  private readonly quota: Quota
  private readonly units = new Queue<Unit>()
  private watermark: Option.Option<Position>
  private readonly settledBefore: Set<number>
  private readonly reachBefore: Option.Option<Position>
  private readonly insideBefore: Map<number, ReadonlyArray<Inside>>

  constructor({ budget, isWhole = false, name, parent, quota, resume, within }: WindowOptions) {
    this.name = name
    this.budget = budget
    this.quota = quota
    this.isWhole = isWhole
    this.parent = parent
    this.within = within
    this.watermark = resume.position
    this.settledBefore = new Set(resume.ahead)
    this.reachBefore = resume.reach
    this.insideBefore = new Map()
    for (const one of (resume.inside ?? []) as ReadonlyArray<Inside>) {
      this.insideBefore.set(one.index, [...(this.insideBefore.get(one.index) ?? []), one])
    }
  }

  /** One element may always be in it, however large, and whatever else is held. */
  get isFull(): boolean {
    return this.size > 0 && (this.quota.held >= this.quota.most || this.budget.left <= 0)
  }

  /** Whether an element may have been settled by an earlier run, all of it or some. */
  get isAhead(): boolean {
    return this.settledBefore.size > 0 || this.insideBefore.size > 0
  }

  /** How many elements there is room for, as long as they are light. */
  get left(): number {
    return this.quota.most - this.quota.held
  }

  /** How many parts of its element came before the one that is taken in next. */
  get place(): number {
    return this.within!.count + this.read
  }

  nameOf(position: Position): Position {
    if (this.parent !== undefined) return this.parent.name
    return this.name === undefined ? position : { [this.name]: position }
  }

  /** Takes in elements that settle together. */
  admitRun(values: ReadonlyArray<unknown>, places: ReadonlyArray<Position>, bytes: number): Unit {
    const run = Unit.run(values, places, bytes, this)
    this.enter(run)
    this.open(run, bytes)
    return run
  }

  /** Takes an element in; none when an earlier run has settled it already. */
  admit(position: Position, bytes: number, letter?: number, inside?: ReadonlyArray<Inside>): Unit | undefined {
    const unit = new Unit(position, bytes, letter, this)
    this.enter(unit)
    if (this.settledBefore.size > 0 && this.settledBefore.delete(this.read)) {
      unit.settled = true
      this.advance()
      return undefined
    }
    if (inside !== undefined) unit.parts = { ...noParts, before: inside }
    else if (this.insideBefore.size > 0) this.recall(unit)
    this.open(unit, bytes)
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
    const inside: Array<Open | Inside> = []
    let furthest: Unit | undefined
    let beyond = 0
    for (let i = first; i < units.length; i++) {
      const unit = units.at(i)!
      if (willBe(unit)) {
        for (let each = 1; each <= unit.span; each++) ahead.push(beyond + each)
        furthest = unit
      } else if (unit.parts !== undefined) inside.push(...insideOf(unit, beyond + 1))
      beyond += unit.span
    }
    const reach = Option.map(Option.fromUndefinedOr(furthest), ({ position }) => position)
    // What an earlier run settled and this one has not read yet is still true.
    const before = this.read - this.size + passed
    for (const index of this.settledBefore) ahead.push(index - before)
    for (const [index, all] of this.insideBefore) {
      for (const one of all) inside.push({ ...one, index: index - before })
    }
    const settled = { position, ahead, reach: this.settledBefore.size > 0 ? this.reachBefore : reach }
    return inside.length === 0 ? settled : { ...settled, inside }
  }

  /** Elements up to where the watermark will be. */
  get passed(): number {
    let passed = this.read - this.size
    for (let i = 0; i < this.units.length && willBe(this.units.at(i)!); i++) passed += this.units.at(i)!.span
    return passed
  }

  private enter(unit: Unit): void {
    const { span } = unit
    this.units.push(unit)
    this.size += span
    this.read += span
    this.quota.held += span
    this.budget.read += span
  }

  private open(unit: Unit, bytes: number): void {
    this.pending += 1
    this.budget.bytes += bytes
    this.budget.open += unit.count - unit.inner
  }

  private recall(unit: Unit): void {
    const before = this.insideBefore.get(this.read)
    if (before === undefined) return
    this.insideBefore.delete(this.read)
    unit.parts = { ...noParts, before }
  }
}

const willBe = (unit: Unit): boolean => unit.settled || unit.root.taken

const insideOf = (unit: Unit, index: number): ReadonlyArray<Open | Inside> => {
  const { before, windows } = unit.parts!
  const [letter] = unit.letters
  return [
    ...(windows as ReadonlyArray<Window>).map((window): Open => {
      const { count, ...within } = window.within!
      return { ...within, index, letter, count: count + window.passed, settled: window.after() }
    }),
    ...before.map((one) => ({ ...one, index, letter }))
  ]
}
