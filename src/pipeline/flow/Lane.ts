/** What waits between two stages. Its length is bounded by the window, not by the lane. */
import * as Effect from "effect/Effect"
import * as Wait from "../../concurrency/base/Wait.ts"
import { Queue } from "./Queue.ts"
import type { Unit } from "../fate/Window.ts"

/** An element on its way through the stages: changed by each of them, never in two of them at once. */
export class Item {
  value: unknown
  readonly unit: Unit
  /** Which of its parent's children it is, from the source element down: "" for the source element itself. */
  readonly path: string
  /** The step it starts with, for dead letters that are run again; 0 is the first of the stage. */
  from: number
  /** What became of it in the stage it is in; "many" when its value is an array of its children. */
  fate: "open" | "one" | "many" | "none" = "open"

  constructor(value: unknown, unit: Unit, path: string, from = 0) {
    this.value = value
    this.unit = unit
    this.path = path
    this.from = from
  }
}

/**
 * Lets fibers wait for something to change; whoever changes it wakes them. They go on from the scheduler and never on
 * the stack of who wakes them, which may be in the middle of sending on what it has.
 */
export class Signal {
  private waiting: Array<() => void> = []

  /** Waits for the next wake, unless `ready` says that there is no need to. */
  wait(ready: () => boolean): Effect.Effect<void> {
    return Wait.callback<void>("its turn in the pipeline", (resume) => {
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
    if (this.waiting.length > 0) this.waiting.shift()!()
  }

  wakeAll(): void {
    if (this.waiting.length === 0) return
    for (const wake of this.waiting.splice(0)) wake()
  }
}

export class Lane {
  private readonly items = new Queue<Item>()
  private closed = false
  private readonly signal = new Signal()

  get length(): number {
    return this.items.length
  }

  /** No item is there and none will come. */
  get isDone(): boolean {
    return this.closed && this.items.length === 0
  }

  push(item: Item): void {
    this.items.push(item)
    this.signal.wakeOne()
  }

  take(): Item | undefined {
    return this.items.take()
  }

  clear(): void {
    this.items.clear()
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
