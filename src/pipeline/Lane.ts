/** What waits between two stages. Its length is bounded by the window, not by the lane. */
import * as Effect from "effect/Effect"
import type { Unit } from "./Window.ts"

export interface Item {
  readonly value: unknown
  readonly unit: Unit
  /** Which of its parent's children it is, from the source element down: "" for the source element itself. */
  readonly path: string
  /** The step it starts with, for dead letters that are run again; 0 is the first of the stage. */
  readonly from: number
}

/**
 * Lets fibers wait for something to change; whoever changes it wakes them. They go on from the scheduler and never on
 * the stack of who wakes them, which may be in the middle of sending on what it has.
 */
export class Signal {
  private waiting: Array<() => void> = []

  /** Waits for the next wake, unless `ready` says that there is no need to. */
  wait(ready: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (ready()) return resume(Effect.void)
      const wake = () => resume(Effect.yieldNow)
      this.waiting.push(wake)
      return Effect.sync(() => {
        const index = this.waiting.indexOf(wake)
        if (index >= 0) this.waiting.splice(index, 1)
      })
    })
  }

  wakeOne(): void {
    this.waiting.shift()?.()
  }

  wakeAll(): void {
    for (const wake of this.waiting.splice(0)) wake()
  }
}

export class Lane {
  private items: Array<Item | undefined> = []
  private head = 0
  private closed = false
  private readonly signal = new Signal()

  get length(): number {
    return this.items.length - this.head
  }

  /** No item is there and none will come. */
  get isDone(): boolean {
    return this.closed && this.length === 0
  }

  push(item: Item): void {
    this.items.push(item)
    this.signal.wakeOne()
  }

  take(): Item | undefined {
    if (this.head === this.items.length) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head += 1
    if (this.head >= 64 && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  clear(): void {
    this.items = []
    this.head = 0
  }

  close(): void {
    this.closed = true
    this.signal.wakeAll()
  }

  /** Wakes one who waits, to look again. */
  wake(): void {
    this.signal.wakeOne()
  }

  /** Waits until there is an item, or the end, or `other`. */
  wait(other: () => boolean): Effect.Effect<void> {
    return this.signal.wait(() => this.closed || this.length > 0 || other())
  }
}
