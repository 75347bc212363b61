/** When an item that is done leaves its stage (P4). */
import { Queue } from "../fate/Queue.ts"
import type { Fate } from "../fate/Fate.ts"
import { Item } from "./Lane.ts"
import type { Station } from "./Station.ts"

export interface Order {
  readonly begin: (item: Item) => void
  readonly end: (item: Item) => void
  /** Whether all that leaves before an item that was begun has left. */
  readonly isNext: (item: Item) => boolean
}

/** The way out of a stage. */
export class Leaving {
  private readonly next: Station
  private readonly fate: Fate

  constructor(next: Station, fate: Fate) {
    this.next = next
    this.fate = fate
  }

  leave(item: Item): void {
    const { end, path, unit } = item
    item.end = "open"
    item.from = 0
    if (end === "one") return this.next.accept(item)
    const children = end === "many" ? (item.value as ReadonlyArray<unknown>) : []
    if (children.length === 0) return this.fate.end(unit)
    this.fate.fanOut(unit, children.length)
    children.forEach((value, i) => this.next.accept(new Item(value, unit, `${path}/${i}`)))
  }
}

/** As they complete. */
export class Completion implements Order {
  private readonly leaving: Leaving

  constructor(leaving: Leaving) {
    this.leaving = leaving
  }

  begin(): void {}

  end(item: Item): void {
    this.leaving.leave(item)
  }

  isNext(): boolean {
    return true
  }
}

/** In the order in which they came: what is done early waits for those before it. */
export class Input implements Order {
  private readonly leaving: Leaving
  private readonly begun = new Queue<Item>()

  constructor(leaving: Leaving) {
    this.leaving = leaving
  }

  begin(item: Item): void {
    this.begun.push(item)
  }

  end(): void {
    const { begun, leaving } = this
    while (begun.length > 0 && begun.at(0)!.end !== "open") leaving.leave(begun.take()!)
  }

  isNext(item: Item): boolean {
    return this.begun.at(0) === item
  }
}
