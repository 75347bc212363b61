/**
 * Neighbouring steps that need nothing of an element but its value: they take ranges of blocks, and hands that go from one element to
 * the next. A plain value costs no more than a loop, and a promise no fiber.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Attempt } from "../context/Attempt.ts"
import { Meter } from "../context/Meter.ts"
import { Tally } from "../context/Tally.ts"
import { type Block, failed, filtered, gone as out } from "../fate/Block.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import type { Fate } from "../fate/Fate.ts"
import { Queue } from "../fate/Queue.ts"
import { explained } from "../RunError.ts"
import type { Each, Range } from "../Step.ts"
import { Hand } from "./Hand.ts"
import { Handover, type Stretch } from "./Handover.ts"
import { Observer, StepMeter } from "./Observer.ts"
import { Leaving } from "./Order.ts"
import { mostOf, Places } from "./Places.ts"
import { broken, isEffect, isOwn, isPromise, promised } from "./Promised.ts"
import type { Room } from "./Room.ts"
import { isAnyFailure, type Surroundings } from "./Stage.ts"
import type { Station } from "./Station.ts"
import { weigh } from "./Weigh.ts"

type Work = Effect.Effect<void, unknown, unknown>
type Call = Effect.Effect<unknown, unknown, unknown>

/** How many elements a hand takes in one go before it lets others run. */
const burst = 128

/** As many as there are. */
const all = 2 ** 30

/** Why a hand does not go on: there is nothing for it, a step has it wait, memory is short, or it had as many as it may. */
type Pause = "rests" | "waits" | "room" | "enough"

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
  private readonly places: Places
  /** The state of an element that has passed. */
  private readonly number: number
  private readonly handover: Handover
  /** Of the elements that are not begun. */
  private readonly lane = new Queue<Stretch>()
  /** How many those are. */
  private left = 0
  private readonly hands: Array<Hand> = []
  private readonly free: Array<Hand> = []
  private closed = false
  /** What a station behind died with on the stack of a promise. */
  private defect: { readonly reason: unknown } | undefined
  private isTaking = false

  constructor(steps: ReadonlyArray<Each>, next: Station, around: Surroundings, number: number) {
    const { concurrency, order } = steps[0]!
    this.steps = steps
    this.tallies = steps.map(() => new Tally())
    this.around = around
    this.fate = around.fate
    this.letters = around.letters
    this.room = around.room
    this.number = number
    this.handover = new Handover({
      leaving: new Leaving(next, around.fate),
      fate: around.fate,
      number,
      inOrder: order === "input",
      passed: () => this.room.ended(),
      died: (reason) => this.die(reason)
    })
    this.places = new Places(concurrency, () => this.pump())
    this.hire(mostOf(concurrency))
  }

  get isIdle(): boolean {
    return this.working === 0 && this.left === 0 && this.handover.isEmpty
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
    this.left += block.countLive(from, to)
    this.lane.push(this.handover.expect(block, from, to))
    this.isTaking = true
    try {
      this.pump()
    } finally {
      this.isTaking = false
    }
    this.handover.passOn()
  }

  flush(): void {
    this.handover.passOn()
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
    this.handover.passOn()
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
      this.handover.dispatcher ??= fiber.currentDispatcher
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
    const { handover } = this
    if (handover.isOver) return
    handover.isOver = true
    if (this.defect === undefined) handover.passOn()
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
        if (hand.next === undefined) {
          if (hand.isFree || hand.holds) return hand.told.wait(isToldSo)
          const pause = this.go(hand, burst)
          if (pause === "room") return room.wait(() => !this.mayTake || room.mayBegin(this))
          if (pause === "enough") return Effect.yieldNow
          if (hand.next === undefined) return Effect.void
        }
        return hand.start(hand.next)
      },
      step: (given) => {
        if (hand.waits) this.takeBack(hand, given)
      }
    })
  }

  /** What the effect of a step gave: the element goes on with it. */
  private takeBack(hand: Hand, given: unknown): void {
    const index = hand.resume()
    const { block } = hand.stretch!
    if (given === gone) {
      block.leave(hand.at, failed)
      return hand.giveBack(this.steps.length, undefined)
    }
    if (hand.work !== undefined) {
      this.fate.addWorkIn(block, hand.at, hand.work)
      hand.work = undefined
    }
    hand.giveBack(index, given)
  }

  /** Has free hands work, on the stack of who brings something for them. */
  private pump(): void {
    while (this.free.length > 0 && this.mayTake) {
      const hand = this.free.pop()!
      hand.isFree = false
      this.drive(hand)
    }
  }

  /** Has a hand work as long as it need not wait; for room, its fiber does. */
  private drive(hand: Hand): void {
    if (this.go(hand, all) === "room") hand.told.wakeAll()
  }

  private rest(hand: Hand): void {
    hand.isFree = true
    this.free.push(hand)
    if (this.closed) hand.told.wakeAll()
  }

  /** Goes on with the element that a hand has, and with so many others. What is counted is counted once for many. */
  private go(hand: Hand, most: number): Pause {
    const { fate, handover } = this
    let some = hand.isBack
    if (some) {
      const { at, index } = hand
      const stretch = hand.leaveOff()
      if (!this.advance(hand, stretch.block, at, index, true)) return this.wait(hand, stretch, at)
      this.working -= 1
      handover.end(stretch, at, at + 1)
    }
    for (let left = most; ;) {
      if (!this.mayTake) return this.pause(hand, "rests")
      if (left === 0) return this.pause(hand, "enough")
      if (fate.isHeavy) {
        // What is done must be seen behind.
        handover.passOn()
        if (!this.room.mayBegin(this)) return this.pause(hand, "room")
      }
      const stretch = this.next()
      const { block, next, to } = stretch
      const end = Math.min(to, next + left)
      let at = next
      let count = 0
      let ends = true
      this.working += 1
      while (at < end && ends) {
        const one = at++
        if (block.states[one]! >= out) continue
        count += 1
        ends = this.advance(hand, block, one, 0, false)
        if (fate.isHeavy) break
      }
      this.begun(stretch, at, count)
      left -= count
      if (!ends) {
        some ||= count > 1
        if (count > 1) handover.end(stretch, next, at - 1)
        if (some) this.offer()
        return this.wait(hand, stretch, at - 1)
      }
      this.working -= 1
      handover.end(stretch, next, at)
      some = true
    }
  }

  private begun(stretch: Stretch, upTo: number, count: number): void {
    stretch.next = upTo
    if (upTo === stretch.to) this.lane.take()
    this.left -= count
    this.tallies[0]!.taken += count
    // Some may rest though there was more to do, as fewer may work than there are.
    if (this.isDone) this.tellAll()
  }

  /** Runs the steps from one on, as far as they need not wait; tells whether the element is at its end here. */
  private advance(hand: Hand, block: Block, at: number, from: number, isBack: boolean): boolean {
    const { fate, steps, tallies } = this
    let value = isBack ? hand.value : block.values[at]
    let given = hand.given
    for (let index = from; index < steps.length; index++) {
      const step = steps[index]!
      if (!isBack || index > from) {
        let waits = false
        try {
          given = step.f(value)
          if (typeof given === "object" && given !== null) {
            if (isEffect(given)) waits = true
            else if (isPromise(given)) {
              waits = true
              // Others may settle twice, or throw.
              if (this.places.learns || !isOwn(given)) given = promised(step, given)
            }
          }
        } catch (thrown) {
          given = broken(step, thrown)
          waits = true
        }
        if (waits) {
          hand.stop(index, value, given)
          return false
        }
      }
      if (step.kind === "map") {
        value = given
        block.values[at] = given
        fate.growIn(block, at, weigh(given))
      } else if (step.kind === "filter" && given !== true) {
        block.leave(at, filtered)
        return true
      }
      tallies[index]!.given += 1
      if (index + 1 < tallies.length) tallies[index + 1]!.taken += 1
    }
    if (block.states[at]! < out) block.states[at] = this.number
    return true
  }

  /** What is begun next, of which there is some. */
  private next(): Stretch {
    const { lane } = this
    let stretch = lane.at(0)!
    while (stretch.block.gone > 0) {
      stretch.next = stretch.block.live(stretch.next, stretch.to)
      if (stretch.next < stretch.to) break
      lane.take()
      stretch = lane.at(0)!
    }
    return stretch
  }

  private pause(hand: Hand, why: Pause): Pause {
    if (why === "rests") this.rest(hand)
    this.offer()
    return why
  }

  /** What is done with a whole range goes on at once, unless its memory is needed. */
  private offer(): void {
    const { isHeavy } = this.fate
    if (!this.isTaking || isHeavy) this.handover.offer(isHeavy || (this.working === 0 && this.left === 0))
  }

  /** Has a hand wait for what a step gave. */
  private wait(hand: Hand, stretch: Stretch, at: number): Pause {
    hand.stretch = stretch
    hand.at = at
    const { given, index } = hand
    hand.given = undefined
    if (isEffect(given as object)) this.leave(hand, index, given as Call)
    else {
      hand.hold(this.steps[index]!, index)
      ;(given as Promise<unknown>).then(hand.fulfilled, hand.rejected)
    }
    return "waits"
  }

  /** Leaves an effect to the fiber of the hand. */
  private leave(hand: Hand, index: number, effect: Call): void {
    const { places } = this
    const step = this.steps[index]!
    const watched = places.learns ? places.watch(effect, step, () => this.working >= places.limit) : effect
    hand.leave(step, index, step.onError === "fail" ? watched : this.caught(watched, step, hand))
  }

  private fulfilled(hand: Hand, value: unknown): void {
    if (this.handover.isOver) return
    hand.letGo()
    hand.giveBack(hand.index, value)
    try {
      this.drive(hand)
    } catch (reason) {
      this.die(reason)
    }
  }

  private rejected(hand: Hand, reason: unknown): void {
    if (this.handover.isOver) return
    hand.letGo()
    this.leave(hand, hand.index, broken(hand.step!, reason))
  }

  /** On no stack that could tell of it. */
  private die(reason: unknown): void {
    this.defect = { reason }
    this.tellAll()
  }

  /** Gives `gone` where the policy of the step has dealt with its failure. */
  private caught(effect: Call, step: Each, hand: Hand): Call {
    const { onError } = step
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
          this.handover.fail(block, at, unit)
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
