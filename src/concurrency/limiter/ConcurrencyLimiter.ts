/** The limiter behind `Limiter.concurrency`: so many permits, each held by a fiber until its effect has ended. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import type * as Option from "effect/Option"
import { nameOf, waiting } from "../base/TaskNode.ts"
import { AlreadyHeld, TooManyPermits } from "../LimiterError.ts"
import type { Resizable, Stats } from "./Contract.ts"
import { Waiter, WaitList } from "../base/WaitList.ts"
import * as Wait from "../base/Wait.ts"

export class ConcurrencyLimiter implements Resizable {
  private limit: number
  private used = 0
  private granting = false
  private readonly holders = new Map<number, Permit>()
  private readonly waiting = new WaitList<Permit>()

  constructor(limit: number) {
    this.limit = limit
  }

  readonly withPermit = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => this.run(effect, 1)

  withPermits(permits: number): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> {
    return (effect) => this.run(effect, permits)
  }

  tryWithPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
      Effect.withFiber((fiber) => {
        const permit = new Permit(fiber, permits)
        const refusal = permits > this.limit ? undefined : this.refusal(permit)
        if (refusal !== undefined) return Effect.die(refusal)
        return Effect.onExit(
          Effect.suspend(() => (this.enter(permit) ? Effect.asSome(effect) : Effect.succeedNone)),
          () => this.leave(permit)
        )
      })
  }

  resize(limit: number): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      if (!isCount(limit)) return Effect.die(notACount("limit", limit))
      this.limit = limit
      for (let permit = this.waiting.first; permit !== undefined;) {
        const next = permit.after as Permit | undefined
        if (this.isImpossible(permit.permits)) {
          this.unlist(permit)
          permit.resume(Effect.die(new TooManyPermits({ asked: permit.permits, limit })))
        }
        permit = next
      }
      this.grant(fiber)
      return Effect.void
    })
  }

  get stats(): Effect.Effect<Stats> {
    return Effect.sync(() => {
      const borrowers = new Map<string, number>()
      for (const { fiber, permits } of this.holders.values()) {
        borrowers.set(nameOf(fiber), (borrowers.get(nameOf(fiber)) ?? 0) + permits)
      }
      return { limit: this.limit, inUse: this.used, waiting: this.waiting.size, borrowers }
    })
  }

  // What gives the permit back is in place before the permit is asked for, so that no cancellation comes in between.
  private run<A, E, R>(effect: Effect.Effect<A, E, R>, permits: number): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const permit = new Permit(fiber, permits)
      const refusal = this.refusal(permit)
      if (refusal !== undefined) return Effect.die(refusal)
      return Effect.onExit(
        Wait.callback<A, E, R>("permits of a limiter", (resume) => {
          if (this.enter(permit)) return resume(effect)
          permit.resume = (refusal) => resume(refusal ?? effect)
          permit.woken = waiting(fiber, () => `${permits} of ${this.limit} permits`)
          this.waiting.add(permit)
        }),
        () => this.leave(permit)
      )
    })
  }

  /** Whether an effect that wants a permit has to wait now. */
  get isFull(): boolean {
    return this.waiting.size > 0 || this.used >= this.limit
  }

  private enter(permit: Permit): boolean {
    const fits = this.waiting.size === 0 && this.used + permit.permits <= this.limit
    if (fits) this.hold(permit)
    return fits
  }

  private hold(permit: Permit): void {
    permit.held = true
    this.used += permit.permits
    this.holders.set(permit.fiber.id, permit)
  }

  private leave(permit: Permit): Effect.Effect<void> {
    if (permit.held) {
      this.used -= permit.permits
      this.holders.delete(permit.fiber.id)
      this.grant(permit.fiber)
    } else if (this.unlist(permit)) {
      this.grant(permit.fiber)
    }
    return Effect.void
  }

  private unlist(permit: Permit): boolean {
    permit.woken()
    return this.waiting.remove(permit)
  }

  /** Lets in whom there is room for, on the stack of whoever made the room: a few, and the rest from the dispatcher. */
  private grant(fiber: Fiber.Fiber<unknown, unknown>): void {
    if (this.granting) return
    this.granting = true
    for (let count = 0; ; count++) {
      const first = this.waiting.first
      if (first === undefined || this.used + first.permits > this.limit) break
      if (count === maxStackedGrants) {
        return fiber.currentDispatcher.scheduleTask(() => {
          this.granting = false
          this.grant(fiber)
        }, 0)
      }
      this.unlist(first)
      this.hold(first)
      first.resume()
    }
    this.granting = false
  }

  private refusal({ fiber, permits }: Permit): Error | undefined {
    if (!isCount(permits)) return notACount("permits", permits)
    if (this.holders.has(fiber.id)) return new AlreadyHeld({ task: nameOf(fiber) })
    return this.isImpossible(permits) ? new TooManyPermits({ asked: permits, limit: this.limit }) : undefined
  }

  /** A limit of zero is a closed door: it says nothing of how many fit through when it opens. */
  private isImpossible(permits: number): boolean {
    return permits > this.limit && this.limit > 0
  }
}

class Permit extends Waiter {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly permits: number
  held = false
  resume: (refusal?: Effect.Effect<never>) => void = constVoid
  woken: () => void = constVoid

  constructor(fiber: Fiber.Fiber<unknown, unknown>, permits: number) {
    super()
    this.fiber = fiber
    this.permits = permits
  }
}

const maxStackedGrants = 64

export const isCount = (n: number): boolean => Number.isInteger(n) && n >= 0

export const notACount = (what: string, n: number): RangeError =>
  new RangeError(`Limiter: ${what} must be a whole number, zero or more; got ${n}`)
