/** The limiter behind `Limiter.rate`: a bucket of tokens that fills at an even pace; a permit is a token, spent for good. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import type * as Option from "effect/Option"
import type { Scheduler } from "effect/Scheduler"
import * as Alarm from "../base/Alarm.ts"
import { Bucket } from "../base/Bucket.ts"
import { checkWhole } from "../base/Options.ts"
import type { Stats } from "./Contract.ts"
import type { Spending } from "../base/Spending.ts"
import { OwnLimiter, type Use } from "./OwnLimiter.ts"
import { waiting } from "../base/TaskNode.ts"
import { Waiter, WaitList } from "../base/WaitList.ts"
import * as Wait from "../base/Wait.ts"
import { span } from "../base/Span.ts"
import * as Time from "../base/Time.ts"

export class RateLimiter extends OwnLimiter implements Spending {
  private readonly limit: number
  private readonly per: number
  private readonly bucket: Bucket
  private readonly waiting = new WaitList<Turn>()
  private readonly next = Alarm.appointment(() => this.grant())

  constructor(limit: number, per: number, burst: number) {
    super()
    this.limit = limit
    this.per = per
    this.bucket = new Bucket(limit, per, burst)
  }

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.withFiber((fiber) =>
        this.spend(fiber, permits) ? effect : Effect.andThen(this.wait(fiber, permits), effect)
      )
  }

  override attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    return use((fiber) =>
      this.spend(fiber, permits) ? { undo: () => this.restore(permits), end: constVoid } : undefined
    )
  }

  get stats(): Effect.Effect<Stats> {
    return Effect.withFiber((fiber) =>
      Effect.succeed({
        limit: this.limit,
        inUse: this.inUseNow(fiber),
        waiting: this.waiting.size,
        borrowers: new Map<string, number>()
      })
    )
  }

  override inUseNow(fiber: Fiber.Fiber<unknown, unknown>): number {
    return this.bucket.missing(Alarm.now(Time.of(fiber)))
  }

  spend(fiber: Fiber.Fiber<unknown, unknown>, permits: number): boolean {
    checkWhole("Limiter: permits", permits, 0)
    if (this.waiting.size > 0) return false
    const time = Alarm.now(Time.of(fiber))
    this.bucket.fill(time)
    if (this.bucket.due(permits) > time + nanos) return false
    this.bucket.spend(permits)
    return true
  }

  restore(permits: number): void {
    this.bucket.spend(-permits)
  }

  private wait(fiber: Fiber.Fiber<unknown, unknown>, permits: number): Effect.Effect<void> {
    return Wait.callback("permits of a limiter", (resume) => {
      if (this.spend(fiber, permits)) return resume(Effect.void)
      const woken = waiting(fiber, () => `${permits} of ${this.limit} permits in ${span(this.per)}`)
      const turn = new Turn(fiber, permits, (effect) => {
        woken()
        resume(effect)
      })
      this.waiting.add(turn)
      this.schedule()
      return Effect.sync(() => {
        woken()
        if (this.waiting.remove(turn)) this.schedule()
      })
    })
  }

  /** An appointment for the first in the list, and none when nobody waits. */
  private schedule(): void {
    const first = this.waiting.first
    if (first === undefined) return this.next.withdraw()
    const { clock, scheduler } = first
    Alarm.of(clock).set(this.next, this.bucket.due(first.permits), scheduler)
  }

  private grant(): void {
    // A timer that fired late is made up for; a machine that slept is not.
    const first = this.waiting.first
    if (first === undefined) return
    const time = Alarm.now(first.clock)
    const late = time - this.bucket.due(first.permits)
    if (late > maxLateness) this.bucket.delay(late - maxLateness)
    const due: Array<Turn> = []
    for (let first = this.waiting.first; first !== undefined && this.bucket.due(first.permits) <= time + nanos;) {
      this.waiting.remove(first)
      this.bucket.spend(first.permits)
      due.push(first)
      first = this.waiting.first
    }
    this.schedule()
    for (const turn of due) turn.resume(Effect.void)
  }
}

class Turn extends Waiter {
  readonly clock: Time.Time
  readonly scheduler: Scheduler
  readonly permits: number
  readonly resume: (effect: Effect.Effect<void>) => void

  constructor(fiber: Fiber.Fiber<unknown, unknown>, permits: number, resume: (effect: Effect.Effect<void>) => void) {
    super()
    this.clock = Time.of(fiber)
    this.scheduler = fiber.cache.scheduler
    this.permits = permits
    this.resume = resume
  }
}

/** Milliseconds. */
const maxLateness = 20

/** What clocks may differ by: they count whole nanoseconds. */
const nanos = 2e-6
