/** Neighbouring steps with the same concurrency and order, run by the same long-lived workers. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Attempt } from "../context/Attempt.ts"
import { Meter } from "../context/Meter.ts"
import { Tally } from "../context/Tally.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import type { Fate } from "../fate/Fate.ts"
import { Parked } from "../fate/Parked.ts"
import { Queue } from "../fate/Queue.ts"
import { Signal } from "../fate/Signal.ts"
import type { Each, Range } from "../Step.ts"
import { away, Calls } from "./Calls.ts"
import { Keyed, NoKey, WithinKey } from "./Keyed.ts"
import { InTurn, type Item, type Lane } from "./Lane.ts"
import { Completion, Input, Leaving, type Order } from "./Order.ts"
import { Observer, StepMeter } from "./Observer.ts"
import { mostOf, Places } from "./Places.ts"
import { left, numbered, type Parts, sourceOf, valuesOf } from "./Parts.ts"
import { broken, effectOf } from "./Promised.ts"
import type { Room } from "./Room.ts"
import type { Station } from "./Station.ts"
import { type Call, caught, explainedBy, gone, type Surroundings, type Work } from "./Surroundings.ts"
import { weigh } from "./Weigh.ts"
import { Worker } from "./Worker.ts"

/** How many elements a worker takes in one go before it lets others run. */
const burst = 128

/** What an item that waits for its turn will read, and in which attempt the step gave it. */
interface Aside {
  readonly index: number
  readonly source: Parameters<Parts["read"]>[0]
  readonly count: number
}

export class Stage implements Station {
  /** Items that were begun and are not at their end. */
  working = 0
  /** Those of them that hold no worker: they wait for their next attempt. */
  resting = 0
  readonly tallies: ReadonlyArray<Tally>
  private readonly steps: ReadonlyArray<Each>
  private readonly around: Surroundings
  private readonly fate: Fate
  private readonly letters: DeadLetters
  private readonly room: Room
  private readonly leaving: Leaving
  private readonly lane: Lane
  private readonly keyed: Keyed | undefined
  /** Items that want a worker again: they go before all others. */
  private readonly back = new Queue<Item>()
  private order: Order
  private readonly places: Places
  private readonly calls: Calls | undefined
  private readonly parked = new Map<Each, Parked>()
  private readonly workers: Array<Worker>
  /** The worker of a stage that has only one: what needs no effect it does on the stack of who brings the item. */
  private alone: Worker | undefined
  private closed = false
  private readonly changed = new Signal()
  /** Of those who read parts of an item: what waits for room, or for its turn. */
  private readonly blocked = new Set<unknown>()
  /** What items are to read whose turn it is not; they hold no worker, as one before them may need it for its next attempt. */
  private readonly aside = new Map<Item, Aside>()
  private readonly turn = new Signal()
  private readonly next: Station

  constructor(steps: ReadonlyArray<Each>, next: Station, around: Surroundings) {
    const first = steps[0]!
    const { concurrency, key, order, perKey, policy } = first
    this.steps = steps
    this.tallies = steps.map(() => new Tally())
    this.around = around
    this.next = next
    this.fate = around.fate
    this.letters = around.letters
    this.room = around.room
    this.leaving = new Leaving(next, around.fate)
    this.keyed = key && new Keyed(key, perKey)
    this.lane = this.keyed ?? new InTurn()
    this.places = new Places(concurrency, () => this.changed.wakeAll())
    this.calls =
      policy &&
      new Calls(first, policy, {
        slot: (call) => this.watched(call, first),
        leave: () => void (this.resting += 1),
        comeBack: (item) => this.comeBack(item)
      })
    for (const step of steps) {
      if (typeof step.onError === "object" && step.onError.parkKey === true)
        this.parked.set(step, around.parked.get(step.name) ?? new Parked())
    }
    const isOne = concurrency === 1 && policy?.retry === undefined
    const inOrder = key === undefined ? order === "input" && !isOne : perKey > 1
    const Kept = key === undefined ? Input : WithinKey
    this.order = inOrder ? new Kept(this.leaving) : new Completion(this.leaving)
    this.workers = Array.from({ length: mostOf(concurrency) }, () => new Worker(around.keys))
    this.alone = concurrency === 1 && key === undefined ? this.workers[0] : undefined
  }

  get isIdle(): boolean {
    return this.working === 0 && this.lane.length === 0
  }

  get isBlocked(): boolean {
    const { size } = this.blocked
    return size > 0 && size === this.working && (!this.mayTake || this.fate.isHeavy)
  }

  get waiting(): number {
    return this.lane.length
  }

  get concurrency(): number {
    return this.places.limit
  }

  accept(item: Item): void {
    const { alone } = this
    if (alone === undefined || !this.isIdle || !this.room.mayBegin(this)) {
      if (this.lane.push(item)) this.changed.wakeOne()
      return
    }
    try {
      this.begin(item, alone)
    } catch (defect) {
      alone.next = Effect.die(defect)
    }
    if (alone.next !== undefined) this.changed.wakeOne()
  }

  flush(): void {}

  close(): void {
    this.closed = true
    this.changed.wakeAll()
  }

  /** Forgets the items that no worker has begun; tells whether there were any. */
  dropWaiting(): boolean {
    const some = this.lane.length > 0
    this.lane.clear()
    return some
  }

  crew(): ReadonlyArray<Work> {
    return this.workers.map((worker) => this.crewOf(worker))
  }

  /** From now on so many may work at once; gives the work of those who have to be hired for it. */
  set(concurrency: number | Range): ReadonlyArray<Work> {
    const { alone } = this
    if (alone !== undefined && this.order instanceof Completion && this.steps[0]!.order === "input") {
      // What one worker has in hand came before all that others will begin.
      this.order = new Input(this.leaving)
      if (this.working > 0) this.order.begin(alone.item!)
    }
    this.alone = undefined
    const hired: Array<Worker> = []
    while (this.workers.length + hired.length < mostOf(concurrency)) hired.push(new Worker(this.around.keys))
    this.workers.push(...hired)
    this.places.change(concurrency)
    return hired.map((worker) => this.crewOf(worker))
  }

  private crewOf(worker: Worker): Work {
    const { calls } = this
    const { trace } = this.around
    const observed = Effect.clockWith((clock) => {
      worker.observer = new Observer(clock, this.tallies, trace)
      return this.work(worker)
    })
    const work = observed.pipe(
      Effect.catchCause((cause) => Effect.failCause(this.explained(cause, worker))),
      Effect.provideService(Attempt, worker),
      Effect.provideService(Meter, new StepMeter(worker, this.tallies))
    )
    // A worker that does not come to its end is one of a run that is over.
    return calls === undefined ? work : Effect.onError(work, () => Effect.sync(() => calls.close()))
  }

  /** No item is there and none will come. */
  private get isDone(): boolean {
    return this.closed && this.lane.length === 0 && this.resting === 0
  }

  private get mayTake(): boolean {
    return (this.lane.hasNext || this.back.length > 0) && this.working - this.resting < this.places.limit
  }

  /** The effects of all items that this worker takes, one after the other: what each gives goes to `goOn`. */
  private work(worker: Worker): Work {
    const { back, lane, room } = this
    return Effect.whileLoop<unknown, unknown, unknown>({
      while: () => worker.next !== undefined || !this.isDone,
      body: () => {
        for (let taken = 0; taken < burst; taken++) {
          if (worker.next !== undefined) return worker.start(worker.next)
          // Who waits for room has an item: without one, `accept` would begin the next and find nobody to go on with it.
          if (!this.mayTake) {
            if (this.isDone) return Effect.void
            return this.changed.wait(() => worker.next !== undefined || this.isDone || this.mayTake)
          }
          if (back.length > 0) this.goBack(back.take()!, worker)
          else if (room.mayBegin(this)) this.begin(lane.take()!, worker)
          else return room.wait(() => !this.mayTake || back.length > 0 || room.mayBegin(this))
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
    this.tallies[item.from]!.taken += 1
    this.advance(item, item.from, worker)
  }

  private goBack(item: Item, worker: Worker): void {
    this.resting -= 1
    const aside = this.aside.get(item)
    if (aside === undefined) return this.advance(item, item.from, worker)
    this.aside.delete(item)
    const step = this.steps[aside.index]!
    worker.begin(item, step)
    worker.count = aside.count
    worker.wait(aside.index, this.reading(item, step, aside.source, worker))
  }

  private comeBack(item: Item): void {
    this.back.push(item)
    this.changed.wakeOne()
    // Those who have something to begin may all wait for room, which this item needs none of.
    this.fate.room.wakeAll()
  }

  /** Runs the steps from `from` on, as far as they need no effect; leaves the effect that is next with the worker. */
  private advance(item: Item, from: number, worker: Worker): void {
    for (let i = from; i < this.steps.length; i++) {
      const step = this.steps[i]!
      worker.begin(item, step)
      const barred = this.keyed && this.barred(item, step)
      if (barred !== undefined) return worker.wait(i, this.caught(barred, step, item, worker))
      if (this.calls !== undefined) {
        const call = this.calls.call(item, worker, callOf(step, item.value))
        return worker.wait(i, this.caught(call, step, item, worker))
      }
      const given = called(step, item.value)
      const effect = effectOf(step, given)
      if (effect !== undefined) return worker.wait(i, this.caught(this.watched(effect, step), step, item, worker))
      if (!this.apply(item, i, given, worker)) return
      this.passed(i)
    }
    this.end(item, "one")
  }

  private goOn(given: unknown, worker: Worker): void {
    const item = worker.item!
    const index = worker.resume()
    if (given === away) return
    if (given === gone) return this.end(item, "none")
    if (given === left) return this.leave(item)
    if (worker.work !== undefined) this.fate.addWork(item.unit, worker.work)
    if (!this.apply(item, index, given, worker)) return
    this.passed(index)
    this.advance(item, index + 1, worker)
  }

  private passed(index: number): void {
    this.tallies[index]!.given += 1
    const next = this.tallies[index + 1]
    if (next !== undefined) next.taken += 1
  }

  workingAt(index: number): number {
    if (this.steps.length === 1) return this.working - this.resting
    return this.workers.filter((worker) => worker.isAt(index)).length
  }

  /** What there is to do instead of the step, where the key of the item says so. */
  private barred(
    { line, path, since, unit, value }: Item,
    step: Each
  ): Effect.Effect<unknown, unknown, unknown> | undefined {
    const { key } = line!
    if (key instanceof NoKey) return Effect.die(key.defect)
    const first = this.parked.get(step)?.find(key, since)
    if (first === undefined) return undefined
    const failed = { input: value, position: unit.name, path, at: since === Infinity ? undefined : since }
    return Effect.as(this.letters.parked(step, unit, first, failed), gone)
  }

  private watched(
    effect: Effect.Effect<unknown, unknown, unknown>,
    step: Each
  ): Effect.Effect<unknown, unknown, unknown> {
    return this.places.watch(effect, step, () => this.working - this.resting >= this.places.limit)
  }

  /** Gives `gone` where the policy of the step has dealt with its failure. */
  private caught(
    effect: Effect.Effect<unknown, unknown, unknown>,
    step: Each,
    item: Item,
    worker: Worker,
    parts: () => number = none
  ): Effect.Effect<unknown, unknown, unknown> {
    if (step.onError === "fail") return effect
    return caught(effect, step, (error) => {
      const { line, path, since, unit, value } = item
      const parked = this.parked.get(step)
      const failed = {
        input: value,
        position: unit.name,
        // A replay reads on behind the parts that had come.
        path: parts() === 0 ? path : `${path}@${parts()}`,
        error,
        attempts: worker.count,
        // Of a key that is parked, they stay in the order in which they failed first.
        at: parked === undefined || since === Infinity ? undefined : since
      }
      return Effect.map(this.letters.failed(step, unit, failed), (letter) => {
        if (parked !== undefined) {
          for (const earlier of parked.before(line!.key)) this.fate.tie(earlier, unit)
          parked.park(line!.key, letter!.at, unit.name, unit)
        }
        return gone
      })
    })
  }

  private explained(cause: Cause.Cause<unknown>, { item, step }: Worker): Cause.Cause<unknown> {
    return item === undefined ? cause : explainedBy(cause, this.around, step, item.unit.name, item.value)
  }

  /** Whether the item goes on to the next step; it ended here otherwise. */
  private apply(item: Item, index: number, given: unknown, worker: Worker): boolean {
    const step = this.steps[index]!
    if (this.parked.size > 0) this.parked.get(step)?.pass(item.line!.key, item.unit)
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
        this.spread(item, index, given, worker)
        return false
    }
  }

  /** Has an item become several: at once where it has to be whole, or a part after the other. */
  private spread(item: Item, index: number, given: unknown, worker: Worker): void {
    const step = this.steps[index]!
    const { pipeline } = this.around
    const { path, unit } = item
    const source = Array.isArray(given) ? undefined : sourceOf(pipeline, given)
    const isSimple = source === undefined && path === "" && unit.parts === undefined
    if (!isSimple && !this.fate.isWhole(unit, step.name, path, source !== undefined)) {
      const parts = source ?? numbered(pipeline, Stream.fromIterable(given as Iterable<unknown>))
      if (this.calls !== undefined && !this.isTurn(item)) {
        this.aside.set(item, { index, source: parts, count: worker.count })
        this.blocked.add(item)
        this.resting += 1
        return this.room.unblock()
      }
      return worker.wait(index, this.reading(item, step, parts, worker))
    }
    if (source !== undefined) {
      return worker.wait(index, this.caught(Stream.runCollect(valuesOf(source)), step, item, worker))
    }
    item.value = Array.from(given as Iterable<unknown>)
    this.fate.grow(unit, weigh(item.value))
    this.end(item, "many")
  }

  /** Whether it may be read, or left to the next run. */
  private isTurn(item: Item): boolean {
    return this.around.parts.isStopped || this.order.isNext(item)
  }

  /** Sends on one part of an item after the other, once it is its turn. */
  private reading(item: Item, step: Each, source: Parameters<Parts["read"]>[0], worker: Worker): Call {
    const { parts } = this.around
    const { blocked } = this
    const isTurn = () => this.isTurn(item)
    const turn = Effect.whileLoop({
      while: () => !isTurn(),
      body: () => {
        blocked.add(item)
        this.room.unblock()
        return this.turn.wait(isTurn)
      },
      step: () => void blocked.delete(item)
    })
    const guard = (read: Call, count: () => number) =>
      this.caught(
        Effect.map(read, (given) => given ?? gone),
        step,
        item,
        worker,
        count
      )
    const read = parts.read(source, item, { step: step.name, next: this.next, blocked, guard })
    return Effect.andThen(
      turn,
      Effect.suspend(() => (parts.isStopped ? Effect.succeed(left) : read))
    )
  }

  /** Forgets an item whose rest is left to the next run. */
  private leave(item: Item): void {
    this.working -= 1
    this.ends(item, item.line)
  }

  private end(item: Item, end: Item["end"]): void {
    item.end = end
    // Only the last of its steps makes many of one.
    if (end === "many") this.tallies.at(-1)!.given += (item.value as ReadonlyArray<unknown>).length
    // The next stage has a line of its own for it.
    const { line } = item
    this.order.end(item)
    // Only now that all is sent on: a partial batch must not go before the rest of its members.
    this.working -= 1
    this.ends(item, line)
  }

  private ends(item: Item, line: Item["line"]): void {
    this.calls?.end(item)
    this.keyed?.end(line!)
    if (this.blocked.size > 0) this.turn.wakeAll()
    for (const one of this.aside.keys()) {
      if (this.blocked.has(one) && this.isTurn(one)) {
        this.blocked.delete(one)
        this.comeBack(one)
      }
    }
    if (this.closed && this.isDone) this.changed.wakeAll()
    this.room.ended()
  }
}

const none = (): number => 0

/** What a step's function gives; one that throws gives the effect that fails as it did. */
const called = (step: Each, value: unknown): unknown => {
  try {
    return step.f(value)
  } catch (thrown) {
    return broken(step, thrown)
  }
}

/** The call as an effect, made when that runs. */
const callOf = (step: Each, value: unknown): Effect.Effect<unknown, unknown, unknown> =>
  Effect.suspend(() => {
    const given = called(step, value)
    return effectOf(step, given) ?? Effect.succeed(given)
  })
