/** Neighbouring steps with the same concurrency and order, run by the same long-lived workers. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Attempt } from "../context/Attempt.ts"
import { Item, Lane } from "./Lane.ts"
import { Queue } from "./Queue.ts"
import type { Each } from "../Step.ts"
import type { Unit } from "../fate/Window.ts"
import { weigh } from "./Weigh.ts"

/** What the engine does with what comes out of a stage. */
export interface Downstream {
  readonly emit: (item: Item) => void
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

/** How many elements a worker takes in one go before it lets others run. */
const burst = 128

export class Stage implements Station {
  private readonly lane = new Lane()
  private running = 0
  private readonly concurrency: number
  private readonly steps: ReadonlyArray<Each>
  private readonly down: Downstream
  /** In the order of their inputs, the items whose results wait for one before them. */
  private readonly begun: Queue<Item> | undefined
  /** The worker of a stage that has only one: what needs no effect it does on the stack of who brings the item. */
  private readonly single: Worker | undefined

  constructor(pipeline: string, steps: ReadonlyArray<Each>, down: Downstream) {
    this.steps = steps
    this.down = down
    this.concurrency = steps[0]!.concurrency
    this.begun = this.concurrency > 1 && steps[0]!.order === "input" ? new Queue() : undefined
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
    const { single } = this
    if (single === undefined || !this.isIdle || !this.down.mayBegin(this)) return this.lane.push(item)
    try {
      this.begin(item, single)
    } catch (defect) {
      single.next = Effect.die(defect)
    }
    if (single.next !== undefined) this.lane.wake()
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

  /** The effects of all items that this worker takes, one after the other: what each gives goes to `goOn`. */
  private work(worker: Worker): Effect.Effect<void, unknown, unknown> {
    const { lane } = this
    return Effect.whileLoop<unknown, unknown, unknown>({
      while: () => worker.next !== undefined || !lane.isDone,
      body: () => {
        for (let taken = 0; taken < burst; taken++) {
          if (worker.next !== undefined) return worker.start(worker.next)
          // Who waits for room has an item: without one, `accept` would begin the next and find nobody to go on with it.
          if (lane.length === 0) return lane.wait(() => worker.next !== undefined)
          if (!this.down.mayBegin(this)) {
            return this.down.room(() => lane.length === 0 || this.down.mayBegin(this))
          }
          this.begin(lane.take()!, worker)
        }
        return Effect.yieldNow
      },
      step: (given) => {
        if (worker.waits) this.goOn(given, worker)
      }
    })
  }

  private begin(item: Item, worker: Worker): void {
    this.begun?.push(item)
    this.running += 1
    this.advance(item, item.from, worker)
  }

  /** Runs the steps from `from` on, as far as they need no effect; leaves the effect that is next with the worker. */
  private advance(item: Item, from: number, worker: Worker): void {
    for (let i = from; i < this.steps.length; i++) {
      const step = this.steps[i]!
      worker.begin(item)
      const given = step.f(item.value)
      if (isEffect(given))
        return worker.wait(i, step.onError === "fail" ? given : this.caught(given, step, item, worker))
      if (!this.apply(item, step, given)) return
    }
    this.end(item, "one")
  }

  private goOn(given: unknown, worker: Worker): void {
    const item = worker.item!
    const index = worker.resume()
    if (given === gone) this.end(item, "none")
    else if (this.apply(item, this.steps[index]!, given)) this.advance(item, index + 1, worker)
  }

  /** Gives `gone` where the policy of the step has dealt with its failure. */
  private caught(
    effect: Effect.Effect<unknown, unknown, unknown>,
    step: Each,
    item: Item,
    worker: Worker
  ): Effect.Effect<unknown, unknown, unknown> {
    return Effect.catchCause(effect, (cause) => {
      const failure = cause.reasons.find(Cause.isFailReason)
      return failure === undefined || cause.reasons.some((reason) => reason._tag !== "Fail")
        ? Effect.failCause(cause)
        : Effect.as(this.down.failed(step, item.value, item.unit, failure.error, worker.count), gone)
    })
  }

  /** Whether the item goes on to the next step; it ended here otherwise. */
  private apply(item: Item, step: Each, given: unknown): boolean {
    switch (step.kind) {
      case "map":
        item.value = given
        this.down.grow(item.unit, weigh(given))
        return true
      case "filter":
        if (given === true) return true
        this.down.filtered(item.unit)
        this.end(item, "none")
        return false
      case "flatMap":
        item.value = Array.from(given as Iterable<unknown>)
        this.down.grow(item.unit, weigh(item.value))
        this.end(item, "many")
        return false
    }
  }

  private end(item: Item, fate: Item["fate"]): void {
    const { begun } = this
    item.fate = fate
    if (begun === undefined) this.leave(item)
    else while (begun.length > 0 && begun.at(0)!.fate !== "open") this.leave(begun.take()!)
    // Only now that all is sent on: a partial batch must not go before the rest of its members.
    this.running -= 1
    this.down.ended()
  }

  private leave(item: Item): void {
    const { down } = this
    const { fate, path, unit } = item
    item.fate = "open"
    item.from = 0
    if (fate === "one") return down.emit(item)
    const children = fate === "many" ? (item.value as ReadonlyArray<unknown>) : []
    if (children.length === 0) return down.drop(unit)
    down.fanOut(unit, children.length)
    children.forEach((value, i) => down.emit(new Item(value, unit, `${path}.${i}`)))
  }
}

/** What the effect of a step gives when it failed and the run goes on. */
const gone = Symbol("gone")

/** One of those who do the work of a stage, and what it tells the step it runs of the element. */
export class Worker implements Attempt {
  count = 1
  item: Item | undefined
  /** What it has to run before it takes the next item. */
  next: Effect.Effect<unknown, unknown, unknown> | undefined
  /** Whether a step waits for what now runs. */
  waits = false
  private index = 0
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

  /** Leaves the effect of a step to be run next. */
  wait(index: number, effect: Effect.Effect<unknown, unknown, unknown>): void {
    this.index = index
    this.next = effect
  }

  start(next: Effect.Effect<unknown, unknown, unknown>): Effect.Effect<unknown, unknown, unknown> {
    this.next = undefined
    this.waits = true
    return next
  }

  /** Ends the wait; gives the step that waited. */
  resume(): number {
    this.waits = false
    return this.index
  }
}

const isEffect = (given: unknown): given is Effect.Effect<unknown, unknown, unknown> =>
  // As `Effect.isEffect`, which costs as much as the rest of a step.
  typeof given === "object" && given !== null && Effect.TypeId in given
