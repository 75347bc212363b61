/** One of those who do the work of a belt. */
import type * as Effect from "effect/Effect"
import type { Position } from "../context/Place.ts"
import { Signal } from "../fate/Signal.ts"
import type { Each } from "../Step.ts"
import type { Stretch } from "./Handover.ts"
import { type KeyPrefix, Worker } from "./Worker.ts"

export class Hand extends Worker {
  /** Whether it has nothing to do until it is told. */
  isFree = true
  /** Whether it holds a promise, which tells it itself. */
  holds = false
  stretch: Stretch | undefined
  /** Which element of the block it works on, and what that is for the step it is at. */
  at = 0
  value: unknown
  /** Whether its element goes on with what the step that it is at has given. */
  isBack = false
  given: unknown
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

  /** A step has given something for its element that has to be waited for. */
  stop(index: number, value: unknown, given: unknown): void {
    this.index = index
    this.value = value
    this.given = given
  }

  /** Its element goes on from a step, with what that gave. */
  giveBack(index: number, given: unknown): void {
    this.index = index
    this.given = given
    this.isBack = true
  }

  /** Its element is the business of who goes on with it. */
  leaveOff(): Stretch {
    const stretch = this.stretch!
    this.isBack = false
    this.stretch = undefined
    return stretch
  }

  /** Holds the promise of a step. */
  hold(step: Each, index: number): void {
    this.holds = true
    this.step = step
    this.index = index
    this.observer?.begin(index)
  }

  letGo(): void {
    this.holds = false
    this.observer?.end()
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
