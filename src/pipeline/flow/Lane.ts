/** What waits between two stages. Its length is bounded by the window, not by the lane. */
import type * as Effect from "effect/Effect"
import { Queue } from "../fate/Queue.ts"
import { Signal } from "../fate/Signal.ts"
import type { Unit } from "../fate/Unit.ts"

/** An element on its way through the stages: changed by each of them, never in two of them at once. */
export class Item {
  value: unknown
  readonly unit: Unit
  /** Which of its parent's children it is, from the source element down: "" for the source element itself. */
  readonly path: string
  /** The step it starts with, for dead letters that are run again; 0 is the first of the stage. */
  from: number
  /** What became of it in the stage it is in; "many" when its value is an array of its children. */
  end: "open" | "one" | "many" | "none" = "open"

  constructor(value: unknown, unit: Unit, path: string, from = 0) {
    this.value = value
    this.unit = unit
    this.path = path
    this.from = from
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
