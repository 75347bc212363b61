/** What a belt is done with: it goes on in ranges, in the order of the belt. */
import type * as Fiber from "effect/Fiber"
import { apart, type Block, failed, filtered, type Range as Elements } from "../fate/Block.ts"
import type { Fate } from "../fate/Fate.ts"
import { Queue } from "../fate/Queue.ts"
import type { Unit } from "../fate/Unit.ts"
import type { Leaving } from "./Order.ts"

/** A part of a range that no hand has begun, or that is not passed on. */
export interface Stretch {
  readonly block: Block
  /** Up to here it is passed on. */
  at: number
  /** Up to here it is done. */
  done: number
  /** What is begun next. */
  next: number
  to: number
}

/** How many that are done are passed on at once, or at the end of the turn: one by one would cost a fifth of the whole. */
const portion = 128

export interface HandoverOptions {
  readonly leaving: Leaving
  readonly fate: Fate
  /** The state of an element that has passed. */
  readonly number: number
  /** Whether the order is that of the input, and not of completion. */
  readonly inOrder: boolean
  /** Told when something was passed on. */
  readonly passed: () => void
  /** Told of what a station behind it died with, on no stack that could tell of it. */
  readonly died: (reason: unknown) => void
}

export class Handover {
  /** Of a hand: what is done at the end of the turn is passed on by it. */
  dispatcher: Fiber.Fiber<unknown>["currentDispatcher"] | undefined
  /** Whether the run is over, and what happens at the end of the turn comes to nothing. */
  isOver = false
  private readonly options: HandoverOptions
  private readonly number: number
  private readonly inOrder: boolean
  /** Where the order is that of the input: what is not passed on, in order. */
  private readonly line = new Queue<Stretch>()
  /** Where it is that of completion: what is done. */
  private done: Array<{ readonly block: Block; readonly from: number; to: number }> = []
  private doneCount = 0
  /** Elements that a step failed on, by their index: each of them ends once it is its turn. */
  private readonly failures = new WeakMap<Block, Map<number, Unit>>()
  private isPassing = false
  private isLater = false

  constructor(options: HandoverOptions) {
    this.options = options
    this.number = options.number
    this.inOrder = options.inOrder
  }

  get isEmpty(): boolean {
    return this.line.length === 0 && this.done.length === 0
  }

  /** A range of which some may have passed already, as they were settled before. */
  expect(block: Block, from: number, to: number): Stretch {
    const stretch: Stretch = { block, at: from, done: this.doneFrom(block, from, to), next: from, to }
    if (this.inOrder) this.line.push(stretch)
    return stretch
  }

  /** Elements of a stretch are at their end. */
  end(stretch: Stretch, from: number, to: number): void {
    const { block, done } = stretch
    if (this.inOrder) {
      if (from <= done && done < to) stretch.done = this.doneFrom(block, to, stretch.to)
      return
    }
    this.doneCount += to - from
    const last = this.done.at(-1)
    if (last !== undefined && last.to === from && last.block === block) last.to = to
    else this.done.push({ block, from, to })
  }

  fail(block: Block, at: number, unit: Unit): void {
    const failures = this.failures.get(block) ?? new Map<number, Unit>()
    this.failures.set(block, failures.set(at, unit))
  }

  /** Passes on what is done, at once where that is enough or `all` that came, or at the end of the turn. */
  offer(all: boolean): void {
    if (all || this.ready >= portion) this.passOn()
    else if (!this.isLater) {
      if (this.dispatcher === undefined) return this.passOn()
      this.isLater = true
      this.dispatcher.scheduleTask(this.atTurnsEnd, 0)
    }
  }

  /** How many can be passed on. */
  private get ready(): number {
    if (!this.inOrder) return this.doneCount
    const head = this.line.at(0)
    return head === undefined ? 0 : head.done - head.at
  }

  private doneFrom({ states }: Block, from: number, to: number): number {
    let end = from
    while (end < to && states[end]! >= this.number) end += 1
    return end
  }

  private readonly atTurnsEnd = (): void => {
    this.isLater = false
    if (this.isOver) return
    try {
      this.passOn()
    } catch (reason) {
      this.options.died(reason)
    }
  }

  passOn(): void {
    if (this.isPassing || this.isEmpty) return
    this.isPassing = true
    let some = this.done.length > 0
    try {
      for (let head = this.line.at(0); head !== undefined; head = this.line.at(0)) {
        const { at, block, done } = head
        head.at = done
        if (at < done) {
          some = true
          this.pass({ block, from: at, to: done })
        }
        if (done < head.to) break
        this.line.take()
      }
      while (this.done.length > 0) {
        const { done } = this
        for (const range of done) this.pass(range)
        this.done = []
        this.doneCount = 0
      }
    } finally {
      this.isPassing = false
    }
    // Who waits for room would wake one another for ever otherwise.
    if (some) this.options.passed()
  }

  private pass({ block, from, to }: Elements): void {
    const { fate, leaving } = this.options
    if (block.gone > 0) {
      for (let at = from; at < to; at++) {
        if (block.states[at] === filtered) {
          const start = at
          while (at + 1 < to && block.states[at + 1] === filtered) at += 1
          fate.drop(block, start, at + 1)
        } else if (block.states[at] === failed) {
          block.states[at] = apart
          fate.end(this.failures.get(block)!.get(at)!)
        }
      }
    }
    leaving.pass(block, from, to)
  }
}
