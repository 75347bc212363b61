/**
 * The lane of a stage with keys (P4): the items of a key wait in a line of their own, and the lines whose next item may be begun
 * have their turn one after the other. A line that no item is in is forgotten, so that memory does not grow with the keys ever seen.
 */
import { Queue } from "../fate/Queue.ts"
import type { Item, Lane, Line } from "./Lane.ts"
import { Input, type Leaving, type Order } from "./Order.ts"

/** The key of an element for which the function that gives it threw: an element with a line to itself. */
export class NoKey {
  readonly defect: unknown

  constructor(defect: unknown) {
    this.defect = defect
  }
}

export class Keyed implements Lane {
  length = 0
  private readonly keyOf: (value: unknown) => unknown
  /** Items of one key that may be worked on at once. */
  private readonly perKey: number
  private readonly lines = new Map<unknown, OneKey>()
  /** Those whose next item may be begun. */
  private readonly ready = new Queue<OneKey>()

  constructor(keyOf: (value: unknown) => unknown, perKey: number) {
    this.keyOf = keyOf
    this.perKey = perKey
  }

  get hasNext(): boolean {
    return this.ready.length > 0
  }

  push(item: Item): boolean {
    const line = this.lineOf(this.read(item.value))
    item.line = line
    line.waiting.push(item)
    this.length += 1
    return this.offer(line)
  }

  take(): Item | undefined {
    const line = this.ready.take()
    if (line === undefined) return undefined
    line.isReady = false
    line.working += 1
    this.length -= 1
    const item = line.waiting.take()!
    this.offer(line)
    return item
  }

  /** An item of this line left the stage. */
  end(one: Line): void {
    const line = one as OneKey
    line.working -= 1
    if (line.waiting.length > 0) this.offer(line)
    else if (line.working === 0) this.lines.delete(line.key)
  }

  clear(): void {
    this.ready.clear()
    this.length = 0
    for (const line of this.lines.values()) {
      line.waiting.clear()
      line.isReady = false
      if (line.working === 0) this.lines.delete(line.key)
    }
  }

  private lineOf(key: unknown): OneKey {
    let line = this.lines.get(key)
    if (line === undefined) this.lines.set(key, (line = new OneKey(key)))
    return line
  }

  private read(value: unknown): unknown {
    try {
      return this.keyOf(value)
    } catch (defect) {
      return new NoKey(defect)
    }
  }

  /** Gives a line its turn, if it may have one; tells whether it may. */
  private offer(line: OneKey): boolean {
    if (line.working >= this.perKey || line.waiting.length === 0) return false
    if (!line.isReady) this.ready.push(line)
    line.isReady = true
    return true
  }
}

class OneKey implements Line {
  readonly key: unknown
  readonly waiting = new Queue<Item>()
  working = 0
  /** Whether it has a turn. */
  isReady = false
  /** Of several that are worked on at once, what leaves first. */
  order: Order | undefined

  constructor(key: unknown) {
    this.key = key
  }
}

/** In the order in which they came, of each key by itself. */
export class WithinKey implements Order {
  private readonly leaving: Leaving

  constructor(leaving: Leaving) {
    this.leaving = leaving
  }

  begin(item: Item): void {
    const line = item.line as OneKey
    line.order ??= new Input(this.leaving)
    line.order.begin(item)
  }

  end(item: Item): void {
    ;(item.line as OneKey).order!.end(item)
  }

  isNext(item: Item): boolean {
    return (item.line as OneKey).order!.isNext(item)
  }
}
