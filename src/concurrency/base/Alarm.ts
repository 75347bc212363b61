/**
 * One timer for all who wait on a clock: a heap of moments, of which only the earliest has a fiber that sleeps. While
 * nobody waits there is neither fiber nor timer.
 *
 * S28: the time is monotonic. While a test has replaced the timers it goes by those instead: each appointment has a timer
 * of its own then, which may be gone with the test, and when that fires the time has come.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { Scheduler } from "effect/Scheduler"
import { lasting } from "./Lasting.ts"
import * as Time from "./Time.ts"
import * as Timers from "./Timers.ts"

/** Something that is called at a moment, unless it is withdrawn before. */
export abstract class Appointment {
  /** The moment it has, or had last, by `now`. */
  due: number = Infinity
  /** Where the alarm keeps it: the alarm, its place in the heap with the clock's time for it, or the fiber of its own. */
  alarm: Alarm | undefined
  place: number = -1
  wakes: number = Infinity
  sleeper: Fiber.Fiber<void> | undefined

  abstract ring(): void

  withdraw(): void {
    this.alarm?.remove(this)
  }
}

/** An appointment that calls a function. */
export const appointment = (ring: () => void): Appointment => new Calling(ring)

class Calling extends Appointment {
  override readonly ring: () => void

  constructor(ring: () => void) {
    super()
    this.ring = ring
  }
}

/** The alarm of this clock. */
export const of = (given: Time.Time): Alarm => {
  const clock = Time.known(given)
  if (clock === ofProcess.clock) return ofProcess
  let alarm = alarms.get(clock)
  if (alarm === undefined) alarms.set(clock, (alarm = new Alarm(clock)))
  return alarm
}

const alarms = new WeakMap<Time.Time, Alarm>()

/** The time that appointments by this clock go by, in milliseconds. */
export const now = (clock: Time.Time): number => of(clock).now

/** The same as an effect: what durations are measured with. */
export const moment: Effect.Effect<number> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Effect.sync(() => now(Time.of(fiber)))
)

export class Alarm {
  readonly clock: Time.Time
  private readonly heap: Array<Appointment> = []
  private sleeper: { readonly until: number; readonly fiber: Fiber.Fiber<void> } | undefined
  /** Only the scheduler is taken from whoever comes first: the sleeper outlives it. */
  private context: Context.Context<never> = Context.empty()
  private scheduler: Scheduler | undefined
  /** How far the time is ahead of the clock's: what fake timers have gone through. */
  private lead = 0
  /** While timers are fake: the last time that was told, who told it, and how far that is ahead of the teller. */
  private fake: { told: number; by: Timers.Teller | undefined; ahead: number } | undefined

  constructor(clock: Time.Time) {
    this.clock = clock
  }

  get now(): number {
    const by = this.teller
    if (by !== undefined) return this.fakeTime(by, -Infinity)
    if (this.fake !== undefined) this.leaveFake(this.fake.told)
    return this.clockTime + this.lead
  }

  /** Makes an appointment, or moves it; one at `Infinity` is none. */
  set(one: Appointment, due: number, scheduler: Scheduler): void {
    if (one.place >= 0 && one.alarm === this) {
      if (one.due === due) return
      this.take(one)
    } else one.withdraw()
    one.alarm = undefined
    one.due = due
    if (due < Infinity) {
      one.alarm = this
      if (this.teller !== undefined) this.alone(one, scheduler)
      else this.together(one, scheduler)
    }
    this.rest()
  }

  remove(one: Appointment): void {
    const fiber = one.sleeper
    one.alarm = one.sleeper = undefined
    fiber?.interruptUnsafe()
    if (one.place < 0) return
    this.take(one)
    this.rest()
  }

  private together(one: Appointment, scheduler: Scheduler): void {
    if (this.fake !== undefined) this.leaveFake(this.fake.told)
    one.wakes = one.due - this.lead
    this.heap.push(one)
    this.up(one, this.heap.length - 1)
    if (one.place > 0) return
    this.use(scheduler)
    this.sleep()
  }

  private alone(one: Appointment, scheduler: Scheduler): void {
    this.use(scheduler)
    const fiber = this.sleepFor(one.due - this.now)
    one.sleeper = fiber
    fiber.addObserver((exit) => {
      if (Exit.isFailure(exit) || one.sleeper !== fiber) return
      one.sleeper = undefined
      this.call(one)
    })
  }

  private call(one: Appointment): void {
    one.alarm = undefined
    const by = this.teller
    if (by !== undefined) this.fakeTime(by, one.due)
    one.ring()
  }

  /** While others wait, waking up for nothing once is cheaper than a new timer for each that leaves. */
  private rest(): void {
    if (this.heap.length > 0 || this.sleeper === undefined) return
    const { fiber } = this.sleeper
    this.sleeper = undefined
    this.real(() => fiber.interruptUnsafe())
  }

  private sleep(): void {
    const first = this.heap[0]
    if (first === undefined || (this.sleeper !== undefined && this.sleeper.until <= first.wakes)) return
    const late = this.sleeper?.fiber
    this.sleeper = undefined
    this.real(() => {
      late?.interruptUnsafe()
      const fiber = this.sleepFor(first.wakes - this.clockTime)
      this.sleeper = { until: first.wakes, fiber }
      fiber.addObserver((exit) => {
        if (Exit.isFailure(exit) || this.sleeper?.fiber !== fiber) return
        this.sleeper = undefined
        this.wake()
      })
    })
  }

  /** Timers round down to whole milliseconds, so there may be nobody to call yet. */
  private wake(): void {
    const time = this.clockTime + 1 / nanos
    for (let due = this.heap[0]; due !== undefined && due.wakes <= time; due = this.heap[0]) {
      this.take(due)
      this.call(due)
    }
    this.sleep()
  }

  private use(scheduler: Scheduler): void {
    if (this.scheduler === scheduler) return
    this.scheduler = scheduler
    this.context = Context.make(Scheduler, scheduler)
  }

  /** Durations are rounded to nanoseconds, so that fake timers, which cut off fractions, do not fire a millisecond early. */
  private sleepFor(millis: number): Fiber.Fiber<void> {
    return Effect.runForkWith(this.context)(this.clock.sleep(lasting(millis)))
  }

  private real(f: () => void): void {
    if (this.teller === undefined) f()
    else Timers.withReal(f)
  }

  private get clockTime(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / nanos
  }

  /** Other clocks than that of the process have timers of their own. */
  private get teller(): Timers.Teller | undefined {
    return this === ofProcess ? Timers.teller() : undefined
  }

  /** The time by fake timers, which are at least so far. */
  private fakeTime(by: Timers.Teller, least: number): number {
    const fake = (this.fake ??= { told: this.clockTime + this.lead, by: undefined, ahead: 0 })
    const time = by.now()
    if (fake.by !== by) fake.ahead = fake.told - time
    fake.by = by
    fake.told = Math.max(fake.told, time + fake.ahead, least)
    fake.ahead = fake.told - time
    return fake.told
  }

  /** The time never goes back, so that whoever measures across the end of a test does not wait for what was skipped. */
  private leaveFake(told: number): void {
    this.lead = Math.max(this.lead, told - this.clockTime)
    this.fake = undefined
  }

  private take(one: Appointment): void {
    const { place } = one
    one.place = -1
    const last = this.heap.pop()!
    if (last === one) return
    this.up(last, place)
    this.down(last, last.place)
  }

  private up(one: Appointment, place: number): void {
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = this.heap[parent]!
      if (above.wakes <= one.wakes) break
      this.put(above, place)
      place = parent
    }
    this.put(one, place)
  }

  private down(one: Appointment, place: number): void {
    for (;;) {
      let child = 2 * place + 1
      if (child >= this.heap.length) break
      if (child + 1 < this.heap.length && this.heap[child + 1]!.wakes < this.heap[child]!.wakes) child++
      if (this.heap[child]!.wakes >= one.wakes) break
      this.put(this.heap[child]!, place)
      place = child
    }
    this.put(one, place)
  }

  private put(one: Appointment, place: number): void {
    one.place = place
    this.heap[place] = one
  }
}

/** In a millisecond. */
const nanos = 1_000_000

const ofProcess = /* @__PURE__ */ new Alarm(Time.ofProcess)
