/** The station that collects items into batches, of all items or of each key. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { Tally } from "../context/Tally.ts"
import type { Block, Range } from "../fate/Block.ts"
import type { Fate } from "../fate/Fate.ts"
import { Signal } from "../fate/Signal.ts"
import type { Unit } from "../fate/Unit.ts"
import { StepDefect } from "../RunError.ts"
import type { Batch } from "../Step.ts"
import { Item } from "./Lane.ts"
import type { Station } from "./Station.ts"
import { weigh } from "./Weigh.ts"

/** A batch that is not full. */
interface Partial {
  readonly key: unknown
  readonly values: Array<unknown>
  /** Of those that came by themselves. */
  readonly units: Array<Unit>
  /** Of those that came in ranges. */
  readonly ranges: Array<Range>
  /** Of the first of them, and whether that came in a range: of branches that meet, one may give those, and another not. */
  readonly path: string
  readonly inRange: boolean
  bytes: number
  /** When its first item came; none before anybody looks at the time. */
  since: number | undefined
}

export class Batcher implements Station {
  readonly take: Station["take"]
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
    const { bytes, key } = step
    // What has to be looked at comes one by one.
    if (key === undefined && bytes === Infinity) this.take = (block, from, to) => this.takeRange(block, from, to)
  }

  crew(): ReadonlyArray<Effect.Effect<void>> {
    return this.step.within === undefined ? [] : [this.timer(Duration.toMillis(this.step.within))]
  }

  accept(item: Item): void {
    const { bytes, key, size } = this.step
    this.tallies[0].taken += 1
    const batch = this.batchOf(key === undefined ? undefined : this.keyOf(item, key), item.path, false)
    batch.values.push(item.value)
    batch.units.push(item.unit)
    this.waiting += 1
    if (bytes < Infinity) batch.bytes += weigh(item.value)
    if (batch.values.length >= size || batch.bytes >= bytes) this.send(batch)
  }

  private takeRange(block: Block, from: number, to: number): void {
    const { size } = this.step
    for (let at = block.live(from, to); at < to;) {
      const batch = this.batchOf(undefined, block.pathOf(at), true)
      const end = Math.min(block.liveUntil(at, to), at + size - batch.values.length)
      this.tallies[0].taken += end - at
      this.waiting += end - at
      batch.ranges.push({ block, from: at, to: end })
      for (const value of block.take(at, end)) batch.values.push(value)
      at = block.live(end, to)
      if (batch.values.length >= size) this.send(batch)
    }
  }

  close(): void {
    this.closed = true
    this.flush()
    this.changed.wakeAll()
  }

  flush(): void {
    for (const batch of this.partial.values()) this.send(batch)
  }

  private batchOf(key: unknown, path: string, inRange: boolean): Partial {
    let batch = this.partial.get(key)
    if (batch === undefined) {
      const since = this.clock && Alarm.now(this.clock)
      batch = { key, values: [], units: [], ranges: [], path, inRange, bytes: 0, since }
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

  private send({ inRange, key, path, ranges, units, values }: Partial): void {
    this.partial.delete(key)
    this.waiting -= values.length
    this.tallies[0].given += 1
    this.changed.wakeAll()
    const joined = ranges.length === 0 ? [] : [this.fate.join(ranges)]
    const together = inRange ? [...joined, ...units] : [...units, ...joined]
    if (together.length > 1) this.fate.merge(together)
    // It is called after its first member, which is in no other batch; the position of what they merged into may be in many.
    this.next.accept(new Item(values, together[0]!, `${path}+${values.length}`))
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
