/** Neighbouring steps with the same concurrency and order, run by the same long-lived workers. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Attempt } from "./Attempt.ts"
import { type Item, Lane } from "./Lane.ts"
import type { Each } from "./Step.ts"
import type { Unit } from "./Window.ts"
import { weigh } from "./Weigh.ts"

/** What the engine does with what comes out of a stage. */
export interface Downstream {
  readonly emit: (value: unknown, unit: Unit, path: string) => void
  /** An element became `children` elements. */
  readonly fanOut: (unit: Unit, children: number) => void
  /** An element ended here: filtered, skipped or dead. */
  readonly drop: (unit: Unit) => void
  readonly grow: (unit: Unit, bytes: number) => void
  readonly filtered: (unit: Unit) => void
  /** Decides the fate of an element whose step failed; fails where that ends the run. */
  readonly failed: (
    step: Each,
    input: unknown,
    unit: Unit,
    error: unknown,
    attempts: number
  ) => Effect.Effect<void, unknown, unknown>
  /** Whether a stage may take another item: what is held in memory is bounded. */
  readonly mayBegin: (stage: Stage) => boolean
  /** Waits for `mayBegin` to change, unless there is no need to. */
  readonly room: (ready: () => boolean) => Effect.Effect<void>
  /** An item was worked on to its end. */
  readonly ended: () => void
}

/** A place that items come to and are sent on from. */
export interface Station {
  /** Nothing is worked on here, and nothing waits for that. */
  readonly isIdle: boolean
  readonly accept: (item: Item) => void
  /** No more items will come. */
  readonly close: () => void
  /** What has to run for the station to work; ends after `close`. */
  readonly crew: (pipeline: string) => ReadonlyArray<Effect.Effect<void, unknown, unknown>>
}

/** What became of an item: nothing, one element, or several. */
type Outcome =
  | { readonly kind: "none" }
  | { readonly kind: "one"; readonly value: unknown }
  | {
      readonly kind: "many"
      readonly values: ReadonlyArray<unknown>
    }
const none: Outcome = { kind: "none" }

interface Slot {
  readonly item: Item
  outcome: Outcome | undefined
}

/** How many elements a worker takes in one go before it lets others run. */
const burst = 128

export class Stage implements Station {
  private readonly lane = new Lane()
  private running = 0
  private readonly concurrency: number
  private readonly steps: ReadonlyArray<Each>
  private readonly down: Downstream
  /** In the order of their inputs, the items whose results wait for one before them. */
  private readonly slots: Array<Slot> | undefined
  /** The worker of a stage that has only one: what needs no effect it does on the stack of who brings the item. */
  private readonly single: Worker | undefined
  /** What the single worker has to go on with. */
  private rest: Effect.Effect<void, unknown, unknown> | undefined

  constructor(pipeline: string, steps: ReadonlyArray<Each>, down: Downstream) {
    this.steps = steps
    this.down = down
    this.concurrency = steps[0]!.concurrency
    this.slots = this.concurrency > 1 && steps[0]!.order === "input" ? [] : undefined
    this.single = this.concurrency === 1 ? new Worker(pipeline) : undefined
  }

  get isIdle(): boolean {
    return this.running === 0 && this.lane.length === 0
  }

  /** Whether an item is being worked on. */
  get isRunning(): boolean {
    return this.running > 0
  }

  accept(item: Item): void {
    if (this.single === undefined || !this.isIdle || !this.down.mayBegin(this)) return this.lane.push(item)
    try {
      this.rest = this.begin(item, this.single)
    } catch (defect) {
      this.rest = Effect.die(defect)
    }
    if (this.rest !== undefined) this.lane.wake()
  }

  close(): void {
    this.lane.close()
  }

  /** Forgets the items that no worker has begun; tells whether there were any. */
  dropWaiting(): boolean {
    const some = this.lane.length > 0
    this.lane.clear()
    return some
  }

  crew(pipeline: string): ReadonlyArray<Effect.Effect<void, unknown, unknown>> {
    const workers =
      this.single === undefined ? Array.from({ length: this.concurrency }, () => new Worker(pipeline)) : [this.single]
    return workers.map((worker) => Effect.provideService(this.work(worker), Attempt, worker))
  }

  private work(worker: Worker): Effect.Effect<void, unknown, unknown> {
    const { lane } = this
    return Effect.whileLoop<void, unknown, unknown>({
      while: () => !lane.isDone || this.rest !== undefined,
      body: () => {
        const { rest } = this
        if (rest !== undefined) {
          this.rest = undefined
          return rest
        }
        for (let taken = 0; taken < burst; taken++) {
          // Who waits for room has an item: without one, `accept` would begin the next and find nobody to go on with it.
          if (lane.length === 0) return lane.wait(() => this.rest !== undefined)
          if (!this.down.mayBegin(this)) {
            return this.down.room(() => lane.length === 0 || this.down.mayBegin(this))
          }
          const item = lane.take()!
          const rest = this.begin(item, worker)
          if (rest !== undefined) return rest
        }
        return Effect.yieldNow
      },
      step: () => {}
    })
  }

  private begin(item: Item, attempt: Worker): Effect.Effect<void, unknown, unknown> | undefined {
    const slot: Slot = { item, outcome: undefined }
    this.slots?.push(slot)
    this.running += 1
    return this.advance(slot, item.value, item.from, attempt)
  }

  /** Runs the steps from `from` on, as far as they need no effect; gives the effect that goes on from there. */
  private advance(
    slot: Slot,
    input: unknown,
    from: number,
    attempt: Worker
  ): Effect.Effect<void, unknown, unknown> | undefined {
    let value = input
    for (let i = from; i < this.steps.length; i++) {
      const step = this.steps[i]!
      attempt.begin(slot.item)
      const given = step.f(value)
      if (isEffect(given)) return this.wait(slot, value, given, i, attempt)
      const next = this.apply(slot, step, value, given)
      if (next === undefined) return undefined
      value = next.value
    }
    this.end(slot, { kind: "one", value })
    return undefined
  }

  private wait(
    slot: Slot,
    input: unknown,
    effect: Effect.Effect<unknown, unknown, unknown>,
    index: number,
    attempt: Worker
  ): Effect.Effect<void, unknown, unknown> {
    const step = this.steps[index]!
    const { unit } = slot.item
    const goOn = (given: unknown): Effect.Effect<void, unknown, unknown> => {
      const next = this.apply(slot, step, input, given)
      return next === undefined ? Effect.void : (this.advance(slot, next.value, index + 1, attempt) ?? Effect.void)
    }
    if (step.onError === "fail") return Effect.flatMap(effect, goOn)
    return Effect.matchCauseEffect(effect, {
      onSuccess: goOn,
      onFailure: (cause) => {
        const failure = cause.reasons.find(Cause.isFailReason)
        return failure === undefined || cause.reasons.some((reason) => reason._tag !== "Fail")
          ? Effect.failCause(cause)
          : Effect.map(this.down.failed(step, input, unit, failure.error, attempt.count), () => this.end(slot, none))
      }
    })
  }

  /** Gives the value the next step goes on with, or ends the item. */
  private apply(slot: Slot, step: Each, input: unknown, given: unknown): { readonly value: unknown } | undefined {
    switch (step.kind) {
      case "map":
        this.down.grow(slot.item.unit, weigh(given))
        return { value: given }
      case "filter":
        if (given === true) return { value: input }
        this.down.filtered(slot.item.unit)
        this.end(slot, none)
        return undefined
      case "flatMap": {
        const values = Array.from(given as Iterable<unknown>)
        this.down.grow(slot.item.unit, weigh(values))
        this.end(slot, { kind: "many", values })
        return undefined
      }
    }
  }

  private end(slot: Slot, outcome: Outcome): void {
    if (this.slots === undefined) this.leave(slot.item, outcome)
    else {
      slot.outcome = outcome
      let done = 0
      for (const head of this.slots) {
        if (head.outcome === undefined) break
        done += 1
        this.leave(head.item, head.outcome)
      }
      if (done > 0) this.slots.splice(0, done)
    }
    // Only now that all is sent on: a partial batch must not go before the rest of its members.
    this.running -= 1
    this.down.ended()
  }

  private leave({ unit, path }: Item, outcome: Outcome): void {
    const { down } = this
    if (outcome.kind === "one") down.emit(outcome.value, unit, path)
    else if (outcome.kind === "none" || outcome.values.length === 0) down.drop(unit)
    else {
      down.fanOut(unit, outcome.values.length)
      outcome.values.forEach((value, i) => down.emit(value, unit, `${path}.${i}`))
    }
  }
}

/** What a worker tells the step it runs of the element: made once a worker, changed for each element. */
export class Worker implements Attempt {
  count = 1
  private item: Item | undefined
  private readonly pipeline: string

  constructor(pipeline: string) {
    this.pipeline = pipeline
  }

  get idempotencyKey(): string | undefined {
    return this.item === undefined
      ? undefined
      : `${this.pipeline}:${JSON.stringify(this.item.unit.position)}${this.item.path}`
  }

  begin(item: Item): void {
    this.item = item
    this.count = 1
  }
}

const isEffect = (given: unknown): given is Effect.Effect<unknown, unknown, unknown> =>
  typeof given === "object" && given !== null && Effect.isEffect(given)
