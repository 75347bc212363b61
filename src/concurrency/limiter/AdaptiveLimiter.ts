/** The limiter behind `Limiter.adaptive`: finds out by itself how much at once is good for what is behind it. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import { now } from "../base/Alarm.ts"
import { TooManyPermits } from "../LimiterError.ts"
import { ConcurrencyLimiter } from "./ConcurrencyLimiter.ts"
import type { Stats } from "./Contract.ts"
import { type Call, Gradient, type Outcome, type Settings } from "../base/Gradient.ts"
import { OwnLimiter, type Use } from "./OwnLimiter.ts"
import * as Time from "../base/Time.ts"

export class AdaptiveLimiter extends OwnLimiter {
  private readonly min: number
  private readonly overloaded: (error: unknown) => boolean
  private readonly gradient: Gradient
  private readonly permits: ConcurrencyLimiter

  constructor(settings: Settings, overloaded: (error: unknown) => boolean) {
    super()
    this.min = settings.min
    this.overloaded = overloaded
    this.gradient = new Gradient(settings)
    this.permits = new ConcurrencyLimiter(settings.min)
  }

  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
      const watched = Effect.withFiber<A, E, R>((fiber) => {
        const call = this.begin(fiber)
        return Effect.onExitPrimitive(effect, (exit) => void this.end(call, exit, fiber))
      })
      return Effect.suspend(() => {
        this.check(permits)
        return this.permits.withPermits(permits)(watched)
      })
    }
  }

  override attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    return use((fiber) => {
      this.check(permits)
      const taken = this.permits.take(fiber, permits)
      if (taken === undefined) return undefined
      const call = this.begin(fiber)
      const undo = () => {
        this.gradient.undo(call)
        taken.undo()
      }
      const end = (exit: Exit.Exit<unknown, unknown>) => {
        try {
          this.end(call, exit, fiber)
        } finally {
          taken.end(exit)
        }
      }
      return { undo, end }
    })
  }

  get stats(): Effect.Effect<Stats> {
    return this.permits.stats
  }

  override inUseNow(): number {
    return this.permits.inUseNow()
  }

  /** Who waited for more than `min` might wait for ever: those behind, whose success would raise the limit, wait too. */
  private check(permits: number): void {
    if (permits > this.min) throw new TooManyPermits({ asked: permits, limit: this.min })
  }

  private begin(fiber: Fiber.Fiber<unknown, unknown>): Call {
    return this.gradient.start(nowOf(fiber), this.permits.isFull)
  }

  private end(call: Call, exit: Exit.Exit<unknown, unknown>, fiber: Fiber.Fiber<unknown, unknown>): void {
    const { limit } = this.gradient
    this.gradient.end(call, nowOf(fiber), this.judge(exit))
    if (this.gradient.limit !== limit) this.permits.change(this.gradient.limit, fiber)
  }

  private judge(exit: Exit.Exit<unknown, unknown>): Outcome {
    if (Exit.isSuccess(exit)) return "well"
    // How long something ran that was cancelled says nothing.
    return !Cause.hasInterrupts(exit.cause) && this.overloaded(Cause.squash(exit.cause)) ? "overload" : "unknown"
  }
}

const nowOf = (fiber: Fiber.Fiber<unknown, unknown>): number => now(Time.of(fiber))
