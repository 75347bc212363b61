/** The station that lets pass only the first item of each key. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Tally } from "../context/Tally.ts"
import type { Fate } from "../fate/Fate.ts"
import type { Unit } from "../fate/Unit.ts"
import { explained } from "../RunError.ts"
import type { Unique as Step } from "../Step.ts"
import { nameOf } from "./KeyName.ts"
import { Queue } from "../fate/Queue.ts"
import { Signal } from "../fate/Signal.ts"
import type { Item } from "./Lane.ts"
import type { Room } from "./Room.ts"
import type { Station } from "./Station.ts"

/** Those of the keys that had come to a step before what is on its way now. */
export type Known = (step: string, keys: ReadonlyArray<string>) => Effect.Effect<ReadonlySet<string>, unknown>

export interface Around {
  readonly pipeline: string
  readonly fate: Fate
  readonly room: Room
  readonly known: Known
}

/** How many keys are asked for at once. */
const most = 1000

export class Unique implements Station {
  working = 0
  readonly resting = 0
  readonly concurrency = 1
  readonly tallies: readonly [Tally] = [new Tally()]
  private readonly step: Step
  private readonly next: Station
  private readonly around: Around
  private readonly items = new Queue<Item>()
  private closed = false
  private readonly changed = new Signal()
  /** By its key, what has passed and may not be kept yet. */
  private readonly passed = new Map<string, Unit>()
  private crowd = most

  constructor(step: Step, next: Station, around: Around) {
    this.step = step
    this.next = next
    this.around = around
  }

  get isIdle(): boolean {
    return this.working === 0 && this.items.length === 0
  }

  get waiting(): number {
    return this.items.length
  }

  accept(item: Item): void {
    this.tallies[0].taken += 1
    this.items.push(item)
    if (this.items.length === 1) this.changed.wakeAll()
  }

  flush(): void {}

  close(): void {
    this.closed = true
    this.changed.wakeAll()
  }

  crew(): ReadonlyArray<Effect.Effect<void, unknown, unknown>> {
    const { items } = this
    return [
      Effect.whileLoop<unknown, unknown, unknown>({
        while: () => !this.closed || items.length > 0,
        body: () =>
          items.length > 0
            ? Effect.andThen(this.some, Effect.yieldNow)
            : this.changed.wait(() => this.closed || items.length > 0),
        step: () => {}
      })
    ]
  }

  /** What waits, as far as it is asked for at once. */
  private get some(): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      this.forget()
      const items: Array<readonly [key: string, item: Item]> = []
      const asked = new Set<string>()
      while (items.length < most && this.items.length > 0) {
        const item = this.items.take()!
        this.working += 1
        try {
          const key = nameOf(this.step.key(item.value))
          items.push([key, item])
          if (!this.passed.has(key)) asked.add(key)
        } catch (thrown) {
          return Effect.failCause(this.explained(Cause.die(thrown), item))
        }
      }
      const known = asked.size === 0 ? nothing : this.around.known(this.step.name, [...asked])
      return Effect.map(known, (known) => {
        for (const [key, item] of items) this.pass(key, item, known.has(key))
        this.working = 0
        this.around.room.ended()
      })
    })
  }

  private pass(key: string, item: Item, isKnown: boolean): void {
    const { fate } = this.around
    const { path, unit } = item
    const earlier = this.passed.get(key)
    const seen = { step: this.step.name, key, path }
    if (earlier === undefined && (!isKnown || fate.isOwn(unit, seen))) {
      this.passed.set(key, unit)
      fate.mark(unit, seen, isKnown)
      this.tallies[0].given += 1
      return this.next.accept(item)
    }
    fate.filter(unit)
    if (earlier !== undefined) fate.tie(earlier, unit)
    fate.end(unit)
  }

  /** What is kept need not be remembered. */
  private forget(): void {
    const { passed } = this
    if (passed.size < this.crowd) return
    for (const [key, unit] of passed) if (unit.root.settled) passed.delete(key)
    this.crowd = Math.max(most, 2 * passed.size)
  }

  private explained(cause: Cause.Cause<unknown>, { unit, value }: Item): Cause.Cause<unknown> {
    const { pipeline } = this.around
    return explained(cause, { pipeline, step: this.step.name, position: unit.name, input: value })
  }
}

const nothing: Effect.Effect<ReadonlySet<string>> = Effect.succeed(new Set())
