/** One of those who do the work of a stage, and what it tells the step it runs of the element. */
import type * as Effect from "effect/Effect"
import type { Attempt, Work } from "../context/Attempt.ts"
import type { Position } from "../context/Place.ts"
import type { Each } from "../Step.ts"
import type { Item } from "./Lane.ts"
import type { Observed, Observer } from "./Observer.ts"

/** Whose element it is: what its idempotency keys begin with; none where its source has no positions. */
export type KeyPrefix = (element: Position) => string | undefined

export class Worker implements Attempt {
  count = 1
  item: Item | undefined
  step: Each | undefined
  /** What it has to run before it takes the next item. */
  next: Effect.Effect<unknown, unknown, unknown> | undefined
  /** What the step has added to frontiers. */
  work: Array<Work> | undefined
  observer: Observer | undefined
  /** Whether a step waits for what now runs. */
  waits = false
  /** The step that waits, of those of the stage. */
  index = 0
  private readonly prefix: KeyPrefix

  constructor(prefix: KeyPrefix) {
    this.prefix = prefix
  }

  /** P15. No part can hold what separates it from the next one. */
  get key(): string | undefined {
    const { element } = this
    if (element === undefined) return undefined
    const { name, path } = element
    const prefix = this.prefix(name)
    if (prefix === undefined) return undefined
    const parts = [this.step!.name, JSON.stringify(name)].map(encodeURIComponent)
    return `${prefix}:${parts.join(":")}${path}`
  }

  /** What it works on. */
  protected get element(): { readonly name: Position; readonly path: string } | undefined {
    const { item } = this
    return item && { name: item.unit.name, path: item.path }
  }

  get positions(): ReadonlyArray<Position> | undefined {
    return this.item?.unit.root.positionsIn()
  }

  readonly add = (work: Work): void => {
    if (this.work === undefined) this.work = [work]
    else this.work.push(work)
  }

  begin(item: Item, step: Each): void {
    this.item = item
    this.step = step
    this.count = 1
    this.work = undefined
  }

  /** Leaves the effect of a step to be run next. */
  wait(index: number, effect: Effect.Effect<unknown, unknown, unknown>): void {
    this.index = index
    this.next = effect
  }

  isAt(index: number): boolean {
    return this.waits && this.index === index
  }

  start(next: Effect.Effect<unknown, unknown, unknown>): Effect.Effect<unknown, unknown, unknown> {
    this.next = undefined
    this.waits = true
    const { observer } = this
    if (observer === undefined) return next
    observer.begin(this.index)
    return observer.trace === undefined ? next : observer.trace(next, this.observed())
  }

  private observed(): Observed {
    const { path, unit } = this.item!
    return { unit, path, step: this.step!, attempt: this.count }
  }

  /** Ends the wait; gives the step that waited. */
  resume(): number {
    this.waits = false
    this.observer?.end()
    return this.index
  }
}
