/** The station that collects items into batches, of all items or of each key. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { Tally } from "../context/Tally.ts"
import type { Fate } from "../fate/Fate.ts"
import { Signal } from "../fate/Signal.ts"
import { StepDefect } from "../RunError.ts"
import type { Batch } from "../Step.ts"
import { Item } from "./Lane.ts"
import type { Station } from "./Station.ts"
import { weigh } from "./Weigh.ts"

/** A batch that is not full. */
interface Partial {
  readonly key: unknown
  readonly items: Array<Item>
  bytes: number
  /** When its first item came; none before anybody looks at the time. */
  since: number | undefined
}

export class Batcher implements Station {
  readonly isEnd = false
  /** Items in a partial batch are at rest: only more items, time or the end move them. */
  readonly isIdle = true
  readonly working = 0
  readonly tallies: readonly [Tally] = [new Tally()]
  readonly resting = 0
  readonly concurrency = 1
  waiting = 0
  private readonly step: Batch
  private readonly pipeline: string
  private readonly next: Station
  private readonly fate: Fate
  /** By key, those that were begun first at the front. */
  private readonly partial = new Map<unknown, Partial>()
  private clock: Clock.Clock | undefined
  private closed = false
  private readonly changed = new Signal()

  constructor(step: Batch, next: Station, { fate, pipeline }: { readonly fate: Fate; readonly pipeline: string }) {
    this.step = step
    this.pipeline = pipeline
    this.next = next
    this.fate = fate
  }

  crew(): ReadonlyArray<Effect.Effect<void>> {
    return this.step.within === undefined ? [] : [this.timer(Duration.toMillis(this.step.within))]
  }

  accept(item: Item): void {
    const { bytes, key, size } = this.step
    this.tallies[0].taken += 1
    const batch = this.batchOf(key === undefined ? undefined : this.keyOf(item, key))
    batch.items.push(item)
    this.waiting += 1
    if (bytes < Infinity) batch.bytes += weigh(item.value)
    if (batch.items.length >= size || batch.bytes >= bytes) this.send(batch)
  }

  close(): void {
    this.closed = true
    this.flush()
    this.changed.wakeAll()
  }

  flush(): void {
    for (const batch of this.partial.values()) this.send(batch)
  }

  private batchOf(key: unknown): Partial {
    let batch = this.partial.get(key)
    if (batch === undefined) {
      batch = { key, items: [], bytes: 0, since: this.clock && Alarm.now(this.clock) }
      this.partial.set(key, batch)
      if (this.partial.size === 1) this.changed.wakeAll()
    }
    return batch
  }

  private keyOf({ unit, value }: Item, key: (value: unknown) => unknown): unknown {
    try {
      return key(value)
    } catch (defect) {
      const { name: step } = this.step
      throw new StepDefect(defect, { pipeline: this.pipeline, step, position: unit.name, input: value })
    }
  }

  private send({ items, key }: Partial): void {
    this.partial.delete(key)
    this.waiting -= items.length
    this.tallies[0].given += 1
    this.changed.wakeAll()
    this.fate.merge(items.map((item) => item.unit))
    const values = items.map((item) => item.value)
    // It is called after its first member, which is in no other batch; the position of what they merged into may be in many.
    const { path, unit } = items[0]!
    this.next.accept(new Item(values, unit, `${path}+${items.length}`))
  }

  /** Sends on what has waited so many milliseconds, the oldest first. */
  private timer(within: number): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const now = () => Alarm.now(clock)
      this.clock = clock
      for (const batch of this.partial.values()) batch.since = now()
      return Effect.whileLoop({
        while: () => !this.closed,
        body: () => {
          const [oldest] = this.partial.values()
          if (oldest === undefined) return this.changed.wait(() => this.closed || this.partial.size > 0)
          const isGone = () => this.partial.get(oldest.key) !== oldest
          return Effect.map(
            Effect.timeoutOption(this.changed.wait(isGone), Duration.millis(oldest.since! + within - now())),
            () => {
              // A timer may be a little early.
              if (!isGone()) this.send(oldest)
            }
          )
        },
        step: () => {}
      })
    })
  }
}
