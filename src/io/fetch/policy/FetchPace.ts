/**
 * What a host has said of how it wants to be asked, for all who ask it. After an answer that says when to come back, nobody
 * starts before that; then they start one by one, at the pace that the host took until it refused, and faster as time goes.
 * Where it refuses again and has taken nothing in between, one alone tries, each time after twice as long.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Scheduler } from "effect/Scheduler"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import { waiting } from "../../../concurrency/base/TaskNode.ts"
import * as Wait from "../../../concurrency/base/Wait.ts"
import { Waiter, WaitList } from "../../../concurrency/base/WaitList.ts"
import * as Deadline from "../../../concurrency/Deadline.ts"
import type { FetchError } from "../../FetchError.ts"

/** Who wants to ask the host. */
export interface Asking {
  readonly isRetry: boolean
  /** The error of one that does not ask, as the host wants to be left alone for so many milliseconds. */
  readonly refusal: (status: number, millis: number) => FetchError
  /** The same, where its own time ends before. */
  readonly late: (status: number, millis: number, left: number) => FetchError
}

export class Pace {
  /** Changes whenever the host has said something new: who was let go before then has to wait again. */
  era = 0
  /** Nobody starts before this moment. */
  private until = -Infinity
  /** The status of the answer that said so. */
  private status = 0
  /** How many may start in a millisecond, at `from`; twice as many after each `doubling`. None: as many as want to. */
  private rate: number | undefined
  private from = 0
  private doubling = 0
  private next = -Infinity
  /** Since when it counts what the host took and what it refused. */
  private since: number
  private taken = 0
  private refused = 0
  private changed = -Infinity
  /** How often in a row it refused and took nothing in between; while that is so, the next tries so long after. */
  private fruitless = 0
  private apart = 0
  /** Those who have been refused before start before the others: they have fewer attempts left. */
  private readonly again = new WaitList<Turn>()
  private readonly first = new WaitList<Turn>()
  private readonly alarm = Alarm.appointment(() => this.grant())

  constructor(now: number) {
    this.since = now
  }

  /** Whether it has said nothing that still holds. */
  get isFree(): boolean {
    return this.rate === undefined && this.until === -Infinity
  }

  /** Whether there is nothing to remember. */
  isQuiet(now: number): boolean {
    return this.size === 0 && now >= this.until && (this.rate === undefined || this.rateAt(now) === undefined)
  }

  /** The host is asked; its past counts less the longer ago it is. */
  look(now: number): void {
    const elapsed = now - this.since
    if (elapsed < 2 * memory || this.fruitless > 0) return
    this.taken *= memory / elapsed
    this.refused *= memory / elapsed
    this.since = now - memory
  }

  /** The host has answered what was sent at `sent`, and not that it was too much. */
  took(clock: Clock.Clock, sent: number): void {
    if (sent <= this.changed) return
    this.taken += 1
    if (this.fruitless === 0) return
    const now = Alarm.now(clock)
    this.fruitless = 0
    this.next = now + 1 / (this.rateAt(now) ?? fastest)
    this.schedule()
  }

  /** The host has answered that it was too much, to what was sent at `sent`. */
  refuses(now: number, sent: number, status: number, retryAfter: number | undefined): void {
    let wait = Math.min(retryAfter ?? 0, longest)
    if (!(wait > 0)) {
      if (status !== tooMany || (++this.refused < most && this.rateAt(now) === undefined)) return
      wait = unsaid
    }
    // All that were under way together are one refusal.
    if (sent > this.changed) {
      const isAgain = this.taken === 0 && this.changed > -Infinity
      this.fruitless = isAgain ? this.fruitless + 1 : 0
      // Who asks for more than before is believed. Of few who wait, each try takes one of the few attempts that they have.
      if (isAgain && wait <= this.apart)
        wait = Math.max(wait, Math.min(patience, unsaid * 2 ** this.fruitless), patience / 2 ** (this.size + 1))
      this.apart = wait
      this.slow(now, wait)
      this.changed = now
      this.taken = this.refused = 0
    }
    const until = Math.max(this.until, now + wait)
    if (until !== this.until) {
      this.until = until
      this.status = status
      this.era += 1
    }
    this.from = this.next = until
    // What it takes after that is for the time as well in which it took nothing.
    if (this.fruitless === 0) this.since = until
    if (until - now > patience + nanos) this.refuseAll(now)
    this.schedule()
  }

  /** Runs the effect when the host may be asked. */
  before<A, E, R>(asking: Asking, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | FetchError, R> {
    return Effect.withFiber((fiber) => {
      if (this.isFree) return effect
      const now = Alarm.now(fiber.getRef(Clock.Clock))
      if ((asking.isRetry ? this.again.size : this.size) === 0 && this.start(now)) return effect
      const wait = this.until - now
      if (wait > patience + nanos) return Effect.fail(asking.refusal(this.status, wait))
      return Effect.flatMap(Deadline.remaining, (left) => {
        const millis = Option.match(left, { onNone: () => Infinity, onSome: Duration.toMillis })
        if (wait >= millis) return Effect.fail(asking.late(this.status, wait, millis))
        return Effect.andThen(this.wait(asking, fiber), effect)
      })
    })
  }

  /** What it took is known by now, or is not: then it starts low, and is soon higher. */
  private slow(now: number, wait: number): void {
    const paced = this.rateAt(now)
    const measured = (0.9 * this.taken) / (Math.max(0, now - this.since) + wait)
    if (measured > 0) {
      this.rate = paced === undefined ? measured : Math.min(Math.max(measured, paced / 2), 0.9 * paced)
      this.doubling = 60_000
    } else if (paced === undefined) {
      this.rate = unknown
      this.doubling = 1_000
    } else this.rate = paced
  }

  private get size(): number {
    return this.first.size + this.again.size
  }

  /** Starts one, if it may. */
  private start(now: number): boolean {
    if (now < this.until - nanos) return false
    this.until = -Infinity
    const rate = this.rateAt(now)
    this.rate = rate === undefined ? undefined : this.rate
    if (rate === undefined) return true
    if (now < this.next - nanos) return false
    this.next = this.fruitless > 0 ? now + this.apart : Math.max(this.next, now - lateness) + 1 / rate
    return true
  }

  private rateAt(now: number): number | undefined {
    if (this.rate === undefined) return undefined
    const rate = this.rate * 2 ** (Math.max(0, now - this.from) / this.doubling)
    return rate < fastest ? rate : undefined
  }

  private wait(asking: Asking, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void, FetchError> {
    const list = asking.isRetry ? this.again : this.first
    return Wait.callback<void, FetchError>("its host to be ready for more", (resume) => {
      const woken = waiting(fiber, () => "its host to be ready for more")
      const turn = new Turn(asking, fiber, (effect) => {
        woken()
        resume(effect)
      })
      list.add(turn)
      this.schedule()
      return Effect.sync(() => {
        woken()
        if (list.remove(turn)) this.schedule()
      })
    })
  }

  /** An appointment for the first, and none when nobody waits. */
  private schedule(): void {
    const turn = this.again.first ?? this.first.first
    if (turn === undefined) return this.alarm.withdraw()
    Alarm.of(turn.clock).set(this.alarm, Math.max(this.until, this.next), turn.scheduler)
  }

  private grant(): void {
    const started: Array<Turn> = []
    for (;;) {
      // Who tries whether the host takes anything at all has to have attempts left.
      const isTry = this.fruitless > 0 && this.first.size > 0
      const list = this.again.size > 0 && !isTry ? this.again : this.first
      const turn = list.first
      if (turn === undefined || !this.start(Alarm.now(turn.clock))) break
      list.remove(turn)
      started.push(turn)
    }
    this.schedule()
    for (const turn of started) turn.resume(Effect.void)
  }

  private refuseAll(now: number): void {
    const refused: Array<Turn> = []
    for (const list of [this.again, this.first]) {
      for (let turn = list.first; turn !== undefined; turn = list.first) {
        list.remove(turn)
        refused.push(turn)
      }
    }
    for (const turn of refused) turn.resume(Effect.fail(turn.asking.refusal(this.status, this.until - now)))
  }
}

class Turn extends Waiter {
  readonly asking: Asking
  readonly clock: Clock.Clock
  readonly scheduler: Scheduler
  readonly resume: (effect: Effect.Effect<void, FetchError>) => void

  constructor(asking: Asking, fiber: Fiber.Fiber<unknown, unknown>, resume: Turn["resume"]) {
    super()
    this.asking = asking
    this.clock = fiber.getRef(Clock.Clock)
    this.scheduler = fiber.cache.scheduler
    this.resume = resume
  }
}

const tooMany = 429

// In milliseconds, and starts in one.
/** P6: whoever would have to wait for longer fails instead. */
export const patience = 60_000
/** Nobody is believed for longer than that. */
const longest = 3_600_000
/** So much of the past is looked at. */
const memory = 10_000
/** A host that says that it was too much so many times, and not when to come back, is left alone for `unsaid`. */
const most = 5
const unsaid = 1_000
/** The pace after a wait for a host of which nothing is known. */
const unknown = 0.01
const fastest = 1
/** A timer that fired late is made up for so far. */
const lateness = 20
/** What clocks may differ by: they count whole nanoseconds. */
const nanos = 2e-6
