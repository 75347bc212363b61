/**
 * One timer for all who wait on a clock: a heap of moments, of which only the earliest has a fiber that sleeps. While
 * nobody waits there is neither fiber nor timer.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { Scheduler } from "effect/Scheduler"

/** Something that is called at a moment, unless it is withdrawn before. */
export abstract class Appointment {
  /** By the clock's monotonic time, in milliseconds. */
  abstract readonly due: number
  /** Its place in the heap; -1 when it is in none. */
  place = -1
  abstract ring(): void
}

/** The alarm of this clock. */
export const of = (clock: Clock.Clock): Alarm => {
  let alarm = alarms.get(clock)
  if (alarm === undefined) alarms.set(clock, (alarm = new Alarm(clock)))
  return alarm
}

const alarms = new WeakMap<Clock.Clock, Alarm>()

/** The clock's monotonic time in milliseconds. */
export const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

export class Alarm {
  private readonly clock: Clock.Clock
  private readonly heap: Array<Appointment> = []
  private sleeper: { readonly until: number; readonly fiber: Fiber.Fiber<void> } | undefined
  /** Only the scheduler is taken from whoever comes first: the sleeper outlives it. */
  private context: Context.Context<never> = Context.empty()
  private scheduler: Scheduler | undefined

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  add(one: Appointment, scheduler: Scheduler): void {
    this.heap.push(one)
    this.up(one, this.heap.length - 1)
    if (one.place > 0) return
    if (this.scheduler !== scheduler) {
      this.scheduler = scheduler
      this.context = Context.make(Scheduler, scheduler)
    }
    this.sleep()
  }

  remove(one: Appointment): void {
    const { place } = one
    if (place < 0) return
    one.place = -1
    const last = this.heap.pop()!
    if (last !== one) {
      this.up(last, place)
      this.down(last, last.place)
    }
    // While others wait, waking up for nothing once is cheaper than a new timer for each that leaves.
    if (this.heap.length > 0) return
    const fiber = this.sleeper?.fiber
    this.sleeper = undefined
    fiber?.interruptUnsafe()
  }

  private sleep(): void {
    const first = this.heap[0]
    if (first === undefined || (this.sleeper !== undefined && this.sleeper.until <= first.due)) return
    const late = this.sleeper?.fiber
    this.sleeper = undefined
    late?.interruptUnsafe()
    const left = Duration.millis(first.due - now(this.clock))
    const fiber = Effect.runForkWith(this.context)(this.clock.sleep(left))
    this.sleeper = { until: first.due, fiber }
    fiber.addObserver((exit) => {
      if (Exit.isFailure(exit) || this.sleeper?.fiber !== fiber) return
      this.sleeper = undefined
      this.wake()
    })
  }

  /** Timers round down to whole milliseconds, so there may be nobody to call yet. */
  private wake(): void {
    const time = now(this.clock) + nanosecond
    for (let due = this.heap[0]; due !== undefined && due.due <= time; due = this.heap[0]) {
      this.remove(due)
      due.ring()
    }
    this.sleep()
  }

  private up(one: Appointment, place: number): void {
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = this.heap[parent]!
      if (above.due <= one.due) break
      this.put(above, place)
      place = parent
    }
    this.put(one, place)
  }

  private down(one: Appointment, place: number): void {
    for (;;) {
      let child = 2 * place + 1
      if (child >= this.heap.length) break
      if (child + 1 < this.heap.length && this.heap[child + 1]!.due < this.heap[child]!.due) child++
      if (this.heap[child]!.due >= one.due) break
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

const nanosecond = 1e-6
