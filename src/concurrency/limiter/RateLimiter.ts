/** The limiter behind `Limiter.rate`: a bucket of tokens that fills at an even pace; a permit is a token, spent for good. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import type * as Option from "effect/Option"
import { checkWhole } from "../base/Options.ts"
import type { Stats } from "./Contract.ts"
import { OwnLimiter, type Use } from "./OwnLimiter.ts"
import { waiting } from "../base/TaskNode.ts"
import { Waiter, WaitList } from "../base/WaitList.ts"
import * as Wait from "../base/Wait.ts"

export class RateLimiter extends OwnLimiter {
  private readonly limit: number
  private readonly per: number
  private readonly burst: number
  // The bucket was full at `start`, and is again once all that was spent since has come back. Multiplying instead of
  // adding up intervals keeps the spacing exact however many tokens that are.
  private start = 0
  private spent = 0
  private readonly waiting = new WaitList<Turn>()
  private timer: { readonly at: number; readonly fiber: Fiber.Fiber<void> } | undefined

  constructor(limit: number, per: number, burst: number) {
    super()
    this.limit = limit
    this.per = per
    this.burst = burst
  }

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.withFiber((fiber) =>
        this.spend(fiber, permits) ? effect : Effect.andThen(this.wait(fiber, permits), effect)
      )
  }

  override attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    return use((fiber) =>
      this.spend(fiber, permits) ? { undo: () => void (this.spent -= permits), end: constVoid } : undefined
    )
  }

  get stats(): Effect.Effect<Stats> {
    return Effect.clockWith((clock) =>
      Effect.sync(() => ({
        limit: this.limit,
        inUse: Math.max(0, Math.ceil(((this.full - now(clock)) * this.limit) / this.per - 1e-6)),
        waiting: this.waiting.size,
        borrowers: new Map<string, number>()
      }))
    )
  }

  /** Takes the tokens if they are there and nobody waits for them. */
  private spend(fiber: Fiber.Fiber<unknown, unknown>, permits: number): boolean {
    checkWhole("Limiter: permits", permits, 0)
    if (this.waiting.size > 0) return false
    const time = now(fiber.getRef(Clock.Clock))
    if (this.full < time) {
      this.start = time
      this.spent = 0
    }
    if (this.due(permits) > time + nanos) return false
    this.spent += permits
    return true
  }

  private wait(fiber: Fiber.Fiber<unknown, unknown>, permits: number): Effect.Effect<void> {
    return Wait.callback("permits of a limiter", (resume) => {
      if (this.spend(fiber, permits)) return resume(Effect.void)
      const woken = waiting(
        fiber,
        () => `${permits} of ${this.limit} permits in ${Duration.format(Duration.millis(this.per))}`
      )
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

  /** Keeps one timer: for the first in the list, and none when nobody waits. */
  private schedule(): void {
    const first = this.waiting.first
    const at = first === undefined ? undefined : this.due(first.permits)
    if (this.timer?.at === at) return
    this.timer?.fiber.interruptUnsafe()
    this.timer = undefined
    if (first === undefined || at === undefined) return
    const clock = first.fiber.getRef(Clock.Clock)
    const fiber = Effect.runForkWith(first.fiber.context)(clock.sleep(Duration.millis(at - now(clock))))
    this.timer = { at, fiber }
    fiber.addObserver((exit) => {
      if (Exit.isFailure(exit) || this.timer?.fiber !== fiber) return
      this.timer = undefined
      this.grant(now(clock))
    })
  }

  private grant(time: number): void {
    // A timer that fired late is made up for; a machine that slept is not.
    const first = this.waiting.first
    const late = first === undefined ? 0 : time - this.due(first.permits)
    if (late > maxLateness) this.start += late - maxLateness
    const due: Array<Turn> = []
    for (let first = this.waiting.first; first !== undefined && this.due(first.permits) <= time + nanos;) {
      this.waiting.remove(first)
      this.spent += first.permits
      due.push(first)
      first = this.waiting.first
    }
    this.schedule()
    for (const turn of due) turn.resume(Effect.void)
  }

  private get full(): number {
    return this.start + (this.spent * this.per) / this.limit
  }

  /** When there are so many tokens for whoever is next. */
  private due(permits: number): number {
    return this.start + ((this.spent + permits - this.burst) * this.per) / this.limit
  }
}

class Turn extends Waiter {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly permits: number
  readonly resume: (effect: Effect.Effect<void>) => void

  constructor(fiber: Fiber.Fiber<unknown, unknown>, permits: number, resume: (effect: Effect.Effect<void>) => void) {
    super()
    this.fiber = fiber
    this.permits = permits
    this.resume = resume
  }
}

/** Milliseconds. */
const maxLateness = 20

/** What clocks may differ by: they count whole nanoseconds. */
const nanos = 2e-6

const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
