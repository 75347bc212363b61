/** The station that collects items into batches. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Tally } from "../context/Tally.ts"
import type { Fate } from "../fate/Fate.ts"
import { Signal } from "../fate/Signal.ts"
import type { Batch } from "../Step.ts"
import { Item } from "./Lane.ts"
import type { Station } from "./Station.ts"

export class Batcher implements Station {
  readonly isEnd = false
  /** Items in a partial batch are at rest: only more items, time or the end move them. */
  readonly isIdle = true
  readonly working = 0
  readonly tally: Tally = new Tally()
  private readonly step: Batch
  private readonly next: Station
  private readonly fate: Fate
  private items: Array<Item> = []
  private batches = 0
  private closed = false
  private readonly changed = new Signal()

  constructor(step: Batch, next: Station, fate: Fate) {
    this.step = step
    this.next = next
    this.fate = fate
  }

  get waiting(): number {
    return this.items.length
  }

  crew(): ReadonlyArray<Effect.Effect<void>> {
    return this.step.within === undefined ? [] : [this.timer(this.step.within)]
  }

  accept(item: Item): void {
    this.tally.taken += 1
    this.items.push(item)
    if (this.items.length >= this.step.size) this.flush()
    else if (this.items.length === 1) this.changed.wakeAll()
  }

  close(): void {
    this.closed = true
    this.flush()
  }

  flush(): void {
    const { items } = this
    this.items = []
    this.batches += 1
    this.changed.wakeAll()
    if (items.length === 0) return
    this.tally.given += 1
    this.fate.merge(items.map((item) => item.unit))
    const values = items.map((item) => item.value)
    // It is called after its first member, which is in no other batch; the position of what they merged into may be in many.
    const { path, unit } = items[0]!
    this.next.accept(new Item(values, unit, `${path}+${items.length}`))
  }

  private timer(within: Duration.Duration): Effect.Effect<void> {
    return Effect.whileLoop({
      while: () => !this.closed,
      body: () => {
        if (this.items.length === 0) return this.changed.wait(() => this.closed || this.items.length > 0)
        const batch = this.batches
        return Effect.map(
          Effect.timeoutOption(
            this.changed.wait(() => this.batches !== batch),
            within
          ),
          () => {
            if (this.batches === batch) this.flush()
          }
        )
      },
      step: () => {}
    })
  }
}
