/** The station that collects items into batches. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Item, Lane } from "./Lane.ts"
import type { Downstream, Station } from "./Stage.ts"
import type { Batch } from "./Step.ts"

export class Batcher implements Station {
  readonly lane: Lane = new Lane()
  readonly concurrency = 1
  readonly running = 0
  private readonly step: Batch
  private readonly down: Downstream
  private items: Array<Item> = []

  constructor(step: Batch, down: Downstream) {
    this.step = step
    this.down = down
  }

  worker(): Effect.Effect<void> {
    const { lane, step } = this
    const within = step.within
    let fillBy = Infinity
    const waitUntilFull = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      fillBy = Math.min(fillBy, now + Duration.toMillis(within!))
      return Effect.flatMap(Effect.timeoutOption(lane.wait, Duration.millis(fillBy - now)), (arrived) => {
        if (arrived._tag === "None") this.flush()
        return Effect.void
      })
    })
    return Effect.andThen(
      Effect.whileLoop({
        while: () => !lane.isDone,
        body: () => {
          for (let item = lane.take(); item !== undefined; item = lane.take()) {
            this.items.push(item)
            if (this.items.length >= step.size) this.flush()
          }
          this.down.ended()
          if (this.items.length === 0) fillBy = Infinity
          return within === undefined || this.items.length === 0 ? lane.wait : waitUntilFull
        },
        step: () => {}
      }),
      Effect.sync(() => this.flush())
    )
  }

  /** Sends on what there is. */
  flush(): void {
    const { items } = this
    if (items.length === 0) return
    this.items = []
    const unit = items[0]!.unit.root
    for (const item of items) {
      const other = item.unit.root
      if (other !== unit) unit.absorb(other)
    }
    unit.live -= items.length - 1
    this.down.emit(
      items.map((item) => item.value),
      unit,
      `${items[0]!.path}+${items.length}`
    )
  }
}
