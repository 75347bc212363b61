/** What waits between two stages. Its length is bounded by the window, not by the lane. */
import { Queue } from "../fate/Queue.ts"
import type { Unit } from "../fate/Unit.ts"

/** An element on its way through the stages: changed by each of them, never in two of them at once. */
export class Item {
  value: unknown
  readonly unit: Unit
  /** Which of its parent's children it is, from the source element down: "" for the source element itself. */
  readonly path: string
  /** The step it starts with, for dead letters that are run again; 0 is the first of the stage. */
  from: number
  /** When it was given up, of a dead letter that is run again; never, of all others. */
  readonly since: number
  /** What became of it in the stage it is in; "many" when its value is an array of its children. */
  end: "open" | "one" | "many" | "none" = "open"
  /** Those of its key, in a stage that has keys. */
  line: Line | undefined

  constructor(value: unknown, unit: Unit, path: string, from = 0, since = Infinity) {
    this.value = value
    this.unit = unit
    this.path = path
    this.from = from
    this.since = since
    this.line = undefined
  }
}

/** The items of one key that are in a stage. */
export interface Line {
  readonly key: unknown
}

export interface Lane {
  /** Items that wait. */
  readonly length: number
  /** Whether `take` gives one. */
  readonly hasNext: boolean
  /** Tells whether one more than before can be taken. */
  readonly push: (item: Item) => boolean
  readonly take: () => Item | undefined
  readonly clear: () => void
}

/** First come, first served. */
export class InTurn implements Lane {
  private readonly items = new Queue<Item>()

  get length(): number {
    return this.items.length
  }

  get hasNext(): boolean {
    return this.items.length > 0
  }

  push(item: Item): boolean {
    this.items.push(item)
    return true
  }

  take(): Item | undefined {
    return this.items.take()
  }

  clear(): void {
    this.items.clear()
  }
}
