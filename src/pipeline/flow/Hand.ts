/** One of those who do the work of a belt. */
import type * as Effect from "effect/Effect"
import type { Position } from "../context/Place.ts"
import type { Block } from "../fate/Block.ts"
import { Signal } from "../fate/Signal.ts"
import type { Each } from "../Step.ts"
import { type KeyPrefix, Worker } from "./Worker.ts"

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

export class Hand extends Worker {
  /** Whether it has nothing to do until it is told. */
  isFree = true
  /** Whether it holds a promise, which tells it itself. */
  holds = false
  stretch: Stretch | undefined
  /** Which element of the block it works on, and what that is for the step it is at. */
  at = 0
  value: unknown
  readonly told = new Signal()
  /** For a promise that it holds. */
  readonly fulfilled: (value: unknown) => void
  readonly rejected: (reason: unknown) => void

  constructor(
    prefix: KeyPrefix,
    fulfilled: (hand: Hand, value: unknown) => void,
    rejected: (hand: Hand, reason: unknown) => void
  ) {
    super(prefix)
    // Made once, for no closure an element.
    this.fulfilled = (value) => fulfilled(this, value)
    this.rejected = (reason) => rejected(this, reason)
  }

  override get element(): { readonly name: Position; readonly path: string } | undefined {
    const { at, stretch } = this
    return stretch && { name: stretch.block.nameOf(at), path: stretch.block.pathOf(at) }
  }

  override get positions(): ReadonlyArray<Position> | undefined {
    const { at, stretch } = this
    if (stretch === undefined) return undefined
    const { home } = stretch.block
    return home.parent === undefined ? [stretch.block.positionOf(at)] : home.parent.root.positionsIn()
  }

  override isAt(index: number): boolean {
    return (this.waits || this.holds) && this.index === index
  }

  take(stretch: Stretch, at: number): void {
    this.stretch = stretch
    this.at = at
    this.value = stretch.block.values[at]
  }

  /** Leaves the effect of a step to its fiber. */
  leave(step: Each, index: number, effect: Effect.Effect<unknown, unknown, unknown>): void {
    this.step = step
    this.count = 1
    this.work = undefined
    this.wait(index, effect)
    this.told.wakeAll()
  }
}
