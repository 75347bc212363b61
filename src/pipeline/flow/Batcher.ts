/** The station that collects items into batches. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Item, Signal } from "./Lane.ts"
import type { Downstream, Station } from "./Stage.ts"
import type { Batch } from "../Step.ts"

export class Batcher implements Station {
  /** Items in a partial batch are at rest: only more items, time or the end move them. */
  readonly isIdle = true
  private readonly step: Batch
  private readonly down: Downstream
  private items: Array<Item> = []
  private batches = 0
  private closed = false
  private readonly changed = new Signal()

  constructor(step: Batch, down: Downstream) {
    this.step = step
    this.down = down
  }

  crew(): ReadonlyArray<Effect.Effect<void>> {
    return this.step.within === undefined ? [] : [this.timer(this.step.within)]
  }

  accept(item: Item): void {
    this.items.push(item)
    if (this.items.length >= this.step.size) this.flush()
    else if (this.items.length === 1) this.changed.wakeAll()
  }

  close(): void {
    this.closed = true
    this.flush()
  }

  /** Sends on what there is. */
  flush(): void {
    const { items } = this
    this.items = []
    this.batches += 1
    this.changed.wakeAll()
    if (items.length === 0) return
    const unit = items[0]!.unit.root
    for (const item of items) {
      const other = item.unit.root
      if (other !== unit) unit.absorb(other)
    }
    unit.live -= items.length - 1
    const values = items.map((item) => item.value)
    this.down.emit(new Item(values, unit, `${items[0]!.path}+${items.length}`))
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
