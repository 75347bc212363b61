/** The elements of one source, or the parts of one element, between the watermark and the reader (P2). */
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Inside, Place, SeenBy } from "../Journal.ts"
import type { Position } from "../Source.ts"
import { type Arrivals, Block, settled, taken } from "./Block.ts"
import type { Budget, Quota } from "./Budget.ts"
import { type Home, type Mark, noParts, type Parts } from "./Home.ts"
import { Queue } from "./Queue.ts"
import type { Unit } from "./Unit.ts"

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
  readonly marks?: ReadonlyArray<Mark> | undefined
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
  /** The keys for which its element was let pass: they are kept with the first of its parts. */
  readonly marks: ReadonlyArray<Mark>
  private read = 0
  private readonly name: string | undefined
  private readonly budget: Budget
  private readonly quota: Quota
  private readonly blocks = new Queue<Block>()
  private watermark: Option.Option<Position>
  /** The element that was last asked for, as positions are compared by who they are. */
  private last:
    | { readonly block: Block; readonly index: number; readonly position: Option.Option<Position> }
    | undefined
  private readonly settledBefore: Set<number>
  private readonly reachBefore: Option.Option<Position>
  private readonly insideBefore: Map<number, ReadonlyArray<Inside>>

  constructor({ budget, isWhole = false, marks = [], name, parent, quota, resume, within }: WindowOptions) {
    this.name = name
    this.budget = budget
    this.quota = quota
    this.isWhole = isWhole
    this.parent = parent
    this.within = within
    this.marks = marks
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

  /** How many of these elements, from one on, there is room for; so many at the most. */
  fits({ bytes, values }: Arrivals, from: number, most: number): number {
    if (this.isFull) return 0
    const end = Math.min(values.length, from + Math.max(1, Math.min(most, this.quota.most - this.quota.held)))
    let { left } = this.budget
    let at = from
    do left -= bytes[at++]!
    while (at < end && left > 0)
    return at - from
  }

  /** How many parts of its element came before the one that is taken in next. */
  get place(): number {
    return this.within!.count + this.read
  }

  /** Of the elements that it holds at once, how many may come in as one block: several, so that no commit waits for one of them. */
  get portion(): number {
    return Math.max(1, Math.min(mostAtOnce, this.quota.most >> 2))
  }

  get path(): string | undefined {
    return this.within?.path
  }

  nameOf(position: Position): Position {
    if (this.parent !== undefined) return this.parent.name
    return this.name === undefined ? position : { [this.name]: position }
  }

  /** Takes elements in; what an earlier run has settled of them is settled. */
  admit(arrivals: Arrivals, from: number, count: number): Block {
    const block = new Block(this, arrivals, from, count, this.within === undefined ? 0 : this.within.count + this.read)
    const { replays } = arrivals
    if (replays?.inside !== undefined) block.parts = new Map([[0, { ...noParts, before: replays.inside }]])
    this.recall(block)
    const open = count - block.settled
    this.blocks.push(block)
    this.size += count
    this.read += count
    this.quota.held += count
    this.pending += open
    this.budget.read += count
    this.budget.open += this.parent === undefined ? open : 0
    let bytes = 0
    for (let i = 0; i < count; i++) if (block.states[i] !== settled) bytes += block.bytes[i]!
    this.budget.bytes += bytes
    if (open < count) this.advance()
    return block
  }

  /** Moves the watermark over what is settled. */
  advance(): void {
    const { blocks } = this
    let passed = 0
    for (let block = blocks.at(0); block !== undefined; block = blocks.at(0)) {
      const end = block.settled === block.n ? block.n : endOf(block, settled)
      if (end > block.from) this.watermark = this.at(block, end - 1)
      passed += end - block.from
      block.from = end
      if (end < block.n) break
      blocks.take()
    }
    this.size -= passed
    this.quota.held -= passed
  }

  /** What will be settled once the units that are taken are. */
  after(): Settled {
    const { blocks } = this
    let position = this.watermark
    let passed = 0
    let first = 0
    let from = 0
    for (; first < blocks.length; first++) {
      const block = blocks.at(first)!
      from = block.taken === block.n ? block.n : endOf(block, taken)
      passed += from - block.from
      if (from > block.from) position = this.at(block, from - 1)
      if (from < block.n) break
    }
    const ahead: Array<number> = []
    const inside: Array<Open | Inside> = []
    let furthest: Block | undefined
    let furthestAt = 0
    let beyond = 0
    for (let i = first; i < blocks.length; i++) {
      const block = blocks.at(i)!
      const start = i === first ? from : 0
      if (block.taken > start) {
        for (let at = start; at < block.n; at++) {
          if (block.states[at]! < taken) continue
          ahead.push(beyond + at - start + 1)
          furthest = block
          furthestAt = at
        }
      }
      if (block.parts !== undefined) {
        for (const [at, parts] of [...block.parts].sort(([one], [other]) => one - other)) {
          if (block.states[at]! < taken) inside.push(...insideOf(parts, block, beyond + at - start + 1))
        }
      }
      beyond += block.n - start
    }
    const reach = furthest === undefined ? Option.none() : Option.some(furthest.positionOf(furthestAt))
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
    for (let i = 0; i < this.blocks.length; i++) {
      const block = this.blocks.at(i)!
      const end = endOf(block, taken)
      passed += end - block.from
      if (end < block.n) break
    }
    return passed
  }

  private at(block: Block, index: number): Option.Option<Position> {
    if (this.last?.block !== block || this.last.index !== index) {
      this.last = { block, index, position: Option.some(block.positionOf(index)) }
    }
    return this.last.position
  }

  private recall(block: Block): void {
    const { insideBefore, settledBefore } = this
    if (settledBefore.size === 0 && insideBefore.size === 0) return
    for (let i = 0; i < block.n; i++) {
      const index = this.read + i + 1
      if (settledBefore.delete(index)) {
        block.enter(i, i + 1)
        block.settle(i, i + 1)
        block.gone += 1
      }
      const before = insideBefore.get(index)
      if (before === undefined) continue
      insideBefore.delete(index)
      block.parts ??= new Map()
      block.parts.set(i, { ...noParts, before })
    }
  }
}

/** Elements: what is known of a block is forgotten once all of it is settled. */
const mostAtOnce = 256

/** How far all elements from the watermark on are in this state, or further. */
const endOf = ({ from, n, states }: Block, state: number): number => {
  let end = from
  while (end < n && states[end]! >= state) end += 1
  return end
}

const insideOf = ({ before, windows }: Parts, { replays }: Block, index: number): ReadonlyArray<Open | Inside> => {
  const letter = replays?.letter
  return [
    ...(windows as ReadonlyArray<Window>).map((window): Open => {
      const { count, ...within } = window.within!
      const seen = window.marks.length === 0 ? {} : { seen: window.marks.map(seenBy) }
      return { ...within, index, letter, count: count + window.passed, settled: window.after(), ...seen }
    }),
    ...before.map((one) => ({ ...one, index, letter }))
  ]
}

const seenBy = ({ key, path, step }: Mark): SeenBy => ({ step, key, path })
