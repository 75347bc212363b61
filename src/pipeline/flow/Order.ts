/** When an item that is done leaves its stage (P4). */
import { Queue } from "../fate/Queue.ts"
import type { Fate } from "../fate/Fate.ts"
import type { Block } from "../fate/Block.ts"
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

  /** Sends on what is left of a range: each element by itself to a station that takes no ranges. */
  pass(block: Block, from: number, to: number): void {
    const { fate, next } = this
    if (next.take !== undefined) {
      if (block.live(from, to) < to) next.take(block, from, to)
      return
    }
    for (let at = block.live(from, to); at < to; at = block.live(at + 1, to)) {
      const path = block.pathOf(at)
      next.accept(new Item(block.takeOne(at), fate.single(block, at), path))
    }
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
