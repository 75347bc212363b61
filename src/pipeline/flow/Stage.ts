/** Neighbouring steps with the same concurrency and order, run by the same long-lived workers. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Wait from "../../concurrency/base/Wait.ts"
import { Attempt } from "../context/Attempt.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import type { Fate } from "../fate/Fate.ts"
import { explained } from "../RunError.ts"
import type { Each } from "../Step.ts"
import { type Item, Lane } from "./Lane.ts"
import { Completion, Input, Leaving, type Order } from "./Order.ts"
import type { Room } from "./Room.ts"
import type { Station } from "./Station.ts"
import { weigh } from "./Weigh.ts"
import { type KeyPrefix, Worker } from "./Worker.ts"

/** What all stages of a flow share. */
export interface Surroundings {
  readonly pipeline: string
  readonly keys: KeyPrefix
  readonly fate: Fate
  readonly letters: DeadLetters
  readonly room: Room
}

/** How many elements a worker takes in one go before it lets others run. */
const burst = 128

export class Stage implements Station {
  readonly isEnd = false
  working = 0
  private readonly lane = new Lane()
  private readonly steps: ReadonlyArray<Each>
  private readonly index: number
  private readonly pipeline: string
  private readonly fate: Fate
  private readonly letters: DeadLetters
  private readonly room: Room
  private readonly order: Order
  private readonly workers: ReadonlyArray<Worker>
  /** The worker of a stage that has only one: what needs no effect it does on the stack of who brings the item. */
  private readonly alone: Worker | undefined

  constructor(steps: ReadonlyArray<Each>, index: number, next: Station, around: Surroundings) {
    const { order } = steps[0]!
    const concurrency = mostOf(steps[0]!)
    const leaving = new Leaving(next, around.fate)
    this.steps = steps
    this.index = index
    this.pipeline = around.pipeline
    this.fate = around.fate
    this.letters = around.letters
    this.room = around.room
    this.order = concurrency > 1 && order === "input" ? new Input(leaving) : new Completion(leaving)
    this.workers = Array.from({ length: concurrency }, () => new Worker(around.keys))
    this.alone = concurrency === 1 ? this.workers[0] : undefined
  }

  get isIdle(): boolean {
    return this.working === 0 && this.lane.length === 0
  }

  get waiting(): number {
    return this.lane.length
  }

  accept(item: Item): void {
    const { alone } = this
    if (alone === undefined || !this.isIdle || !this.room.mayBegin(this, this.index)) return this.lane.push(item)
    try {
      this.begin(item, alone)
    } catch (defect) {
      alone.next = Effect.die(defect)
    }
    if (alone.next !== undefined) this.lane.wake()
  }

  flush(): void {}

  close(): void {
    this.lane.close()
  }

  /** Forgets the items that no worker has begun; tells whether there were any. */
  dropWaiting(): boolean {
    const some = this.lane.length > 0
    this.lane.clear()
    return some
  }

  crew(): ReadonlyArray<Effect.Effect<void, unknown, unknown>> {
    return this.workers.map((worker) =>
      this.work(worker).pipe(
        Effect.catchCause((cause) => Effect.failCause(this.explained(cause, worker))),
        Effect.provideService(Attempt, worker)
      )
    )
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
          if (!this.room.mayBegin(this, this.index)) {
            return this.room.wait(() => lane.length === 0 || this.room.mayBegin(this, this.index))
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
    this.order.begin(item)
    this.working += 1
    this.advance(item, item.from, worker)
  }

  /** Runs the steps from `from` on, as far as they need no effect; leaves the effect that is next with the worker. */
  private advance(item: Item, from: number, worker: Worker): void {
    for (let i = from; i < this.steps.length; i++) {
      const step = this.steps[i]!
      worker.begin(item, step)
      const given = called(step, item.value)
      const effect = effectOf(step, given)
      if (effect !== undefined) {
        return worker.wait(i, step.onError === "fail" ? effect : this.caught(effect, step, item, worker))
      }
      if (!this.apply(item, step, given)) return
    }
    this.end(item, "one")
  }

  private goOn(given: unknown, worker: Worker): void {
    const item = worker.item!
    const index = worker.resume()
    if (given === gone) return this.end(item, "none")
    if (worker.work !== undefined) this.fate.addWork(item.unit, worker.work)
    if (this.apply(item, this.steps[index]!, given)) this.advance(item, index + 1, worker)
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
      if (failure === undefined || cause.reasons.some((reason) => reason._tag !== "Fail"))
        return Effect.failCause(cause)
      const { path, unit, value } = item
      const failed = { input: value, position: unit.position, path, error: failure.error, attempts: worker.count }
      return Effect.as(this.letters.failed(step, unit, failed), gone)
    })
  }

  private explained(cause: Cause.Cause<unknown>, { item, step }: Worker): Cause.Cause<unknown> {
    if (item === undefined || step === undefined) return cause
    return explained(cause, {
      pipeline: this.pipeline,
      step: step.name,
      position: item.unit.position,
      input: item.value
    })
  }

  /** Whether the item goes on to the next step; it ended here otherwise. */
  private apply(item: Item, step: Each, given: unknown): boolean {
    switch (step.kind) {
      case "map":
        item.value = given
        this.fate.grow(item.unit, weigh(given))
        return true
      case "tap":
        return true
      case "filter":
        if (given === true) return true
        this.fate.filter(item.unit)
        this.end(item, "none")
        return false
      case "flatMap":
        item.value = Array.from(given as Iterable<unknown>)
        this.fate.grow(item.unit, weigh(item.value))
        this.end(item, "many")
        return false
    }
  }

  private end(item: Item, end: Item["end"]): void {
    item.end = end
    this.order.end(item)
    // Only now that all is sent on: a partial batch must not go before the rest of its members.
    this.working -= 1
    this.room.ended()
  }
}

/** The most elements that it may work on at once. */
export const mostOf = ({ concurrency }: Each): number =>
  typeof concurrency === "number" ? concurrency : concurrency.max

/** What the effect of a step gives when it failed and the run goes on. */
const gone = Symbol("gone")

/** What a step's function gives; one that throws gives the effect that fails as it did. */
const called = (step: Each, value: unknown): unknown => {
  try {
    return step.f(value)
  } catch (thrown) {
    return broken(step, thrown)
  }
}

/** What has to be waited for: an effect, or a promise as one. None for a value. */
const effectOf = (step: Each, given: unknown): Effect.Effect<unknown, unknown, unknown> | undefined => {
  if (typeof given !== "object" || given === null) return undefined
  // As `Effect.isEffect`, which costs as much as the rest of a step.
  if (Effect.TypeId in given) return given as Effect.Effect<unknown, unknown, unknown>
  return "then" in given && typeof given.then === "function" ? promised(step, given as PromiseLike<unknown>) : undefined
}

const promised = (step: Each, promise: PromiseLike<unknown>): Effect.Effect<unknown, unknown> =>
  Wait.callback("a promise that its step gave", (resume) => {
    Promise.resolve(promise).then(
      (value) => resume(Effect.succeed(value)),
      (reason) => resume(broken(step, reason))
    )
  })

/** An effect, so that a `catch` that throws is a defect of the step. */
const broken = ({ catch: make }: Each, reason: unknown): Effect.Effect<never, unknown> =>
  make === undefined ? Effect.die(reason) : Effect.suspend(() => Effect.fail(make(reason)))
