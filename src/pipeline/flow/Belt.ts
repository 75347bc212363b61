/**
 * Neighbouring steps that need nothing of an element but its value: they take ranges of blocks, and hands that go from one element to
 * the next. A plain value costs no more than a loop, and a promise no fiber.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Attempt } from "../context/Attempt.ts"
import { Meter } from "../context/Meter.ts"
import { Tally } from "../context/Tally.ts"
import { apart, type Block, failed, filtered, type Range as Elements } from "../fate/Block.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import type { Fate } from "../fate/Fate.ts"
import { Queue } from "../fate/Queue.ts"
import type { Unit } from "../fate/Unit.ts"
import { explained } from "../RunError.ts"
import type { Each, Range } from "../Step.ts"
import { Hand, type Stretch } from "./Hand.ts"
import { Observer, StepMeter } from "./Observer.ts"
import { Leaving } from "./Order.ts"
import { mostOf, Places } from "./Places.ts"
import { broken, isEffect, isPromise, promised } from "./Promised.ts"
import type { Room } from "./Room.ts"
import { isAnyFailure, type Surroundings } from "./Stage.ts"
import type { Station } from "./Station.ts"
import { weigh } from "./Weigh.ts"

type Work = Effect.Effect<void, unknown, unknown>
type Call = Effect.Effect<unknown, unknown, unknown>

/** How many elements a hand takes in one go before it lets others run. */
const burst = 128

/** How many that are done are passed on at once, or at the end of the turn: one by one would cost a fifth of the whole. */
const portion = 128

export class Belt implements Station {
  /** Elements that were begun and are not at their end. */
  working = 0
  readonly resting = 0
  readonly tallies: ReadonlyArray<Tally>
  private readonly steps: ReadonlyArray<Each>
  private readonly around: Surroundings
  private readonly fate: Fate
  private readonly letters: DeadLetters
  private readonly room: Room
  private readonly leaving: Leaving
  private readonly places: Places
  /** The state of an element that has passed. */
  private readonly number: number
  private readonly inOrder: boolean
  /** Of the elements that are not begun. */
  private readonly lane = new Queue<Stretch>()
  /** How many those are. */
  private left = 0
  /** Where the order is that of the input: what is not passed on, in order. */
  private readonly line = new Queue<Stretch>()
  /** Where it is that of completion: what is done. */
  private done: Array<{ readonly block: Block; readonly from: number; to: number }> = []
  private readonly hands: Array<Hand> = []
  private readonly free: Array<Hand> = []
  /** Elements that a step failed on, by their index: each of them ends once it is its turn. */
  private readonly failures = new WeakMap<Block, Map<number, Unit>>()
  private closed = false
  /** Whether the run is, and what promises give comes to nothing. */
  private over = false
  /** What a station behind died with on the stack of a promise. */
  private defect: { readonly reason: unknown } | undefined
  private dispatcher: Fiber.Fiber<unknown>["currentDispatcher"] | undefined
  private isTaking = false
  private isPassing = false
  private isLater = false

  constructor(steps: ReadonlyArray<Each>, next: Station, around: Surroundings, number: number) {
    const { concurrency, order } = steps[0]!
    this.steps = steps
    this.tallies = steps.map(() => new Tally())
    this.around = around
    this.fate = around.fate
    this.letters = around.letters
    this.room = around.room
    this.leaving = new Leaving(next, around.fate)
    this.number = number
    this.inOrder = order === "input"
    this.places = new Places(concurrency, () => this.pump())
    this.hire(mostOf(concurrency))
  }

  get isIdle(): boolean {
    return this.working === 0 && this.left === 0 && this.line.length === 0 && this.done.length === 0
  }

  get waiting(): number {
    return this.left
  }

  get concurrency(): number {
    return this.places.limit
  }

  workingAt(index: number): number {
    return this.steps.length === 1 ? this.working : this.hands.filter((hand) => hand.isAt(index)).length
  }

  accept(): void {
    throw new Error("A belt is only given ranges: this is a bug")
  }

  take(block: Block, from: number, to: number): void {
    const stretch: Stretch = { block, at: from, done: this.doneFrom(block, from, to), next: from, to }
    this.left += block.countLive(from, to)
    this.lane.push(stretch)
    if (this.inOrder) this.line.push(stretch)
    this.isTaking = true
    try {
      this.pump()
    } finally {
      this.isTaking = false
    }
    this.passOn()
  }

  flush(): void {
    this.passOn()
  }

  close(): void {
    this.closed = true
    this.tellAll()
  }

  /** Forgets the elements that no hand has begun; tells whether there were any. */
  dropWaiting(): boolean {
    const some = this.left > 0
    for (let stretch = this.lane.take(); stretch !== undefined; stretch = this.lane.take()) {
      stretch.to = Math.max(stretch.next, stretch.done)
    }
    this.left = 0
    this.passOn()
    this.tellAll()
    return some
  }

  crew(): ReadonlyArray<Work> {
    return this.hands.map((hand) => this.crewOf(hand))
  }

  /** From now on so many may work at once; gives the work of those who have to be hired for it. */
  set(concurrency: number | Range): ReadonlyArray<Work> {
    const hired = this.hire(mostOf(concurrency))
    this.places.change(concurrency)
    return hired.map((hand) => this.crewOf(hand))
  }

  private hire(most: number): ReadonlyArray<Hand> {
    const hired: Array<Hand> = []
    const fulfilled = (hand: Hand, value: unknown) => this.fulfilled(hand, value)
    const rejected = (hand: Hand, reason: unknown) => this.rejected(hand, reason)
    while (this.hands.length + hired.length < most) hired.push(new Hand(this.around.keys, fulfilled, rejected))
    this.hands.push(...hired)
    this.free.push(...hired.toReversed())
    return hired
  }

  private crewOf(hand: Hand): Work {
    const begun = Effect.withFiber((fiber) => {
      this.dispatcher ??= fiber.currentDispatcher
      return Effect.clockWith((clock) => {
        hand.observer = new Observer(clock, this.tallies, undefined)
        return this.work(hand)
      })
    })
    return begun.pipe(
      Effect.catchCause((cause) => Effect.failCause(this.explained(cause, hand))),
      // A hand that does not come to its end is one of a run that is over: what is done by then is still written.
      Effect.onError(() => Effect.sync(() => this.endAll())),
      Effect.provideService(Attempt, hand),
      Effect.provideService(Meter, new StepMeter(hand, this.tallies))
    )
  }

  private endAll(): void {
    if (this.over) return
    this.over = true
    if (this.defect === undefined) this.passOn()
  }

  private tellAll(): void {
    for (const hand of this.hands) hand.told.wakeAll()
  }

  /** No element is there that no hand has begun, and none will come. */
  private get isDone(): boolean {
    return this.closed && this.left === 0
  }

  private get mayTake(): boolean {
    return this.left > 0 && this.working < this.places.limit
  }

  /** What the fiber of a hand does: it waits for effects. */
  private work(hand: Hand): Work {
    const { room } = this
    const isToldSo = () =>
      hand.next !== undefined || this.defect !== undefined || (!hand.holds && (!hand.isFree || this.isDone))
    return Effect.whileLoop<unknown, unknown, unknown>({
      while: () => hand.next !== undefined || !hand.isFree || !this.isDone,
      body: () => {
        if (this.defect !== undefined) return Effect.die(this.defect.reason)
        if (hand.next !== undefined) return hand.start(hand.next)
        if (hand.isFree || hand.holds) return hand.told.wait(isToldSo)
        for (let taken = 0; taken < burst; taken++) {
          if (!this.mayTake) {
            this.rest(hand)
            return Effect.void
          }
          if (!room.mayBegin(this)) return room.wait(() => !this.mayTake || room.mayBegin(this))
          this.begin(hand)
          if (!this.advance(hand, 0)) return hand.next === undefined ? Effect.void : hand.start(hand.next)
        }
        return Effect.yieldNow
      },
      step: (given) => {
        if (hand.waits) this.goOn(hand, given)
      }
    })
  }

  /** Has free hands work, on the stack of who brings something for them. */
  private pump(): void {
    while (this.free.length > 0 && this.mayTake) {
      const hand = this.free.pop()!
      hand.isFree = false
      // Its fiber waits until it may.
      if (!this.room.mayBegin(this)) return hand.told.wakeAll()
      this.drive(hand)
    }
  }

  /** Has a hand work as long as it need not wait. */
  private drive(hand: Hand): void {
    while (this.mayTake) {
      if (!this.room.mayBegin(this)) return hand.told.wakeAll()
      this.begin(hand)
      if (!this.advance(hand, 0)) return
    }
    this.rest(hand)
  }

  private rest(hand: Hand): void {
    hand.isFree = true
    this.free.push(hand)
    if (this.closed) hand.told.wakeAll()
  }

  private begin(hand: Hand): void {
    const { lane } = this
    let stretch = lane.at(0)!
    let at = stretch.block.live(stretch.next, stretch.to)
    while (at === stretch.to) {
      lane.take()
      stretch = lane.at(0)!
      at = stretch.block.live(stretch.next, stretch.to)
    }
    stretch.next = at + 1
    if (stretch.next === stretch.to) lane.take()
    this.left -= 1
    // Some may rest though there was more to do, as fewer may work than there are.
    if (this.isDone) this.tellAll()
    this.working += 1
    this.tallies[0]!.taken += 1
    hand.take(stretch, at)
  }

  /** Runs the steps from `from` on, as far as they need not wait; tells whether the element is at its end here. */
  private advance(hand: Hand, from: number): boolean {
    const { steps } = this
    for (let i = from; i < steps.length; i++) {
      const step = steps[i]!
      let given: unknown
      try {
        given = step.f(hand.value)
        if (typeof given === "object" && given !== null) {
          if (isEffect(given)) return this.leave(hand, i, given)
          if (isPromise(given)) return this.hold(hand, i, given)
        }
      } catch (thrown) {
        return this.leave(hand, i, broken(step, thrown))
      }
      if (!this.apply(hand, i, given)) return true
    }
    hand.stretch!.block.states[hand.at] = this.number
    this.end(hand)
    return true
  }

  /** Leaves an effect to the fiber of the hand. */
  private leave(hand: Hand, index: number, effect: Call): false {
    const step = this.steps[index]!
    const watched = this.places.watch(effect, step, () => this.working >= this.places.limit)
    hand.leave(step, index, this.caught(watched, step, hand))
    return false
  }

  private hold(hand: Hand, index: number, promise: PromiseLike<unknown>): false {
    const step = this.steps[index]!
    // Others may settle twice, or throw.
    const isPlain = promise instanceof Promise && promise.constructor === Promise && !Object.hasOwn(promise, "then")
    if (!isPlain || this.places.learns) return this.leave(hand, index, promised(step, promise))
    hand.holds = true
    hand.step = step
    hand.index = index
    hand.observer?.begin(index)
    promise.then(hand.fulfilled, hand.rejected)
    return false
  }

  private fulfilled(hand: Hand, value: unknown): void {
    if (this.over) return
    hand.holds = false
    hand.observer?.end()
    try {
      if (!this.apply(hand, hand.index, value) || this.advance(hand, hand.index + 1)) this.drive(hand)
    } catch (reason) {
      this.die(reason)
    }
  }

  private rejected(hand: Hand, reason: unknown): void {
    if (this.over) return
    hand.holds = false
    hand.observer?.end()
    hand.leave(hand.step!, hand.index, this.caught(broken(hand.step!, reason), hand.step!, hand))
  }

  private goOn(hand: Hand, given: unknown): void {
    const index = hand.resume()
    const { block } = hand.stretch!
    if (given === gone) {
      block.leave(hand.at, failed)
      return this.end(hand)
    }
    if (hand.work !== undefined) {
      this.fate.addWorkIn(block, hand.at, hand.work)
      hand.work = undefined
    }
    if (this.apply(hand, index, given)) this.advance(hand, index + 1)
  }

  /** Whether the element goes on to the next step; it ended here otherwise. */
  private apply(hand: Hand, index: number, given: unknown): boolean {
    const { kind } = this.steps[index]!
    const { block } = hand.stretch!
    if (kind === "map") {
      hand.value = given
      block.values[hand.at] = given
      this.fate.growIn(block, hand.at, weigh(given))
    } else if (kind === "filter" && given !== true) {
      block.leave(hand.at, filtered)
      this.end(hand)
      return false
    }
    this.tallies[index]!.given += 1
    const next = this.tallies[index + 1]
    if (next !== undefined) next.taken += 1
    return true
  }

  private end(hand: Hand): void {
    const { at, stretch } = hand
    hand.stretch = undefined
    this.working -= 1
    if (this.inOrder) {
      if (at !== stretch!.done) return
      stretch!.done = this.doneFrom(stretch!.block, at + 1, stretch!.to)
    } else this.note(stretch!.block, at)
    // What is done with a whole range goes on at once, unless its memory is needed.
    if (this.isTaking && !this.fate.isHeavy) return
    const isDone = this.working === 0 && this.left === 0
    if (isDone || this.fate.isHeavy || this.ready(stretch!) >= portion) this.passOn()
    else this.passLater()
  }

  /** How many are done and can be passed on. */
  private ready(stretch: Stretch): number {
    if (this.inOrder) return this.line.at(0) === stretch ? stretch.done - stretch.at : 0
    return this.done.length
  }

  private note(block: Block, at: number): void {
    const last = this.done.at(-1)
    if (last?.block === block && last.to === at) last.to += 1
    else this.done.push({ block, from: at, to: at + 1 })
  }

  private doneFrom({ states }: Block, from: number, to: number): number {
    let end = from
    while (end < to && states[end]! >= this.number) end += 1
    return end
  }

  private passLater(): void {
    if (this.isLater) return
    if (this.dispatcher === undefined) return this.passOn()
    this.isLater = true
    this.dispatcher.scheduleTask(this.atTurnsEnd, 0)
  }

  private readonly atTurnsEnd = (): void => {
    this.isLater = false
    if (this.over) return
    try {
      this.passOn()
    } catch (reason) {
      this.die(reason)
    }
  }

  private passOn(): void {
    if (this.isPassing || (this.line.length === 0 && this.done.length === 0)) return
    this.isPassing = true
    try {
      for (let head = this.line.at(0); head !== undefined; head = this.line.at(0)) {
        const { at, block, done } = head
        head.at = done
        if (at < done) this.pass({ block, from: at, to: done })
        if (done < head.to) break
        this.line.take()
      }
      while (this.done.length > 0) {
        const { done } = this
        for (const range of done) this.pass(range)
        this.done = []
      }
    } finally {
      this.isPassing = false
    }
    this.room.ended()
  }

  private pass({ block, from, to }: Elements): void {
    const { fate } = this
    if (block.gone > 0) {
      for (let at = from; at < to; at++) {
        if (block.states[at] === filtered) {
          const start = at
          while (at + 1 < to && block.states[at + 1] === filtered) at += 1
          fate.drop(block, start, at + 1)
        } else if (block.states[at] === failed) {
          block.states[at] = apart
          fate.end(this.failures.get(block)!.get(at)!)
        }
      }
    }
    this.leaving.pass(block, from, to)
  }

  /** On no stack that could tell of it. */
  private die(reason: unknown): void {
    this.defect = { reason }
    this.tellAll()
  }

  /** Gives `gone` where the policy of the step has dealt with its failure. */
  private caught(effect: Call, step: Each, hand: Hand): Call {
    const { onError } = step
    if (onError === "fail") return effect
    const takes = typeof onError === "object" && onError.defects === true ? isAnyFailure : Cause.isFailReason
    return Effect.catchCause(effect, (cause) => {
      const failure = cause.reasons.find(takes)
      if (failure === undefined || !cause.reasons.every(takes)) return Effect.failCause(cause)
      const { at, count, stretch, value } = hand
      const { block } = stretch!
      const unit = this.fate.unitOf(block, at)
      const error = Cause.isFailReason(failure) ? failure.error : failure.defect
      const { name, path } = hand.element!
      return Effect.map(
        this.letters.failed(step, unit, { input: value, position: name, path, error, attempts: count }),
        () => {
          const failures = this.failures.get(block) ?? new Map<number, Unit>()
          this.failures.set(block, failures.set(at, unit))
          return gone
        }
      )
    })
  }

  private explained(cause: Cause.Cause<unknown>, { element, step, value }: Hand): Cause.Cause<unknown> {
    if (element === undefined || step === undefined) return cause
    const { pipeline } = this.around
    return explained(cause, { pipeline, step: step.name, position: element.name, input: value })
  }
}

/** What the effect of a step gives when it failed and the run goes on. */
const gone = Symbol("gone")
