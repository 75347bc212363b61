/**
 * So many requests at once, where each brings the limit of its own policy: it starts as soon as fewer than that run, in
 * the order of coming. So no more run than the largest limit says, and limits that differ count each other's requests.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import { Gate, Pass } from "../../../concurrency/base/Gate.ts"
import { waiting } from "../../../concurrency/base/TaskNode.ts"
import * as Wait from "../../../concurrency/base/Wait.ts"

export class Slots extends Gate<Seat> {
  constructor() {
    super(Infinity)
  }

  /** Whether nobody is in or wants to be. */
  get isQuiet(): boolean {
    return this.used === 0 && this.waiting.size === 0
  }

  /** Runs the effect in a slot, which is given back when it ends, or else when `keeps` has taken over to do that. */
  hold<A, E, R>(
    limit: number,
    effect: Effect.Effect<A, E, R>,
    keeps: (value: A, leave: () => void) => boolean = leaves
  ): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const seat = new Seat(limit)
      const leave = () => {
        seat.woken()
        this.leave(seat, fiber)
      }
      // What gives the slot back is in place before it is asked for, so that no cancellation comes in between.
      return Effect.onExitPrimitive(
        Effect.suspend(() => (this.enter(seat) ? effect : this.wait(seat, fiber, effect))),
        (exit) => {
          if (exit._tag === "Failure" || !keeps(exit.value, leave)) leave()
          return undefined
        }
      )
    })
  }

  /** Whether one with this limit would be let in at once. */
  isOpen(limit: number): boolean {
    return this.waiting.size === 0 && this.used < limit
  }

  /** Takes a slot that is open; gives what gives it back. */
  take(limit: number, fiber: Fiber.Fiber<unknown, unknown>): () => void {
    const seat = new Seat(limit)
    this.enter(seat)
    return () => this.leave(seat, fiber)
  }

  protected override hasRoom(seat: Seat): boolean {
    return this.used < seat.limit
  }

  private wait<A, E, R>(
    seat: Seat,
    fiber: Fiber.Fiber<unknown, unknown>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Wait.callback<A, E, R>("a slot for its request", (resume) => {
      if (this.enter(seat)) return resume(effect)
      seat.woken = waiting(fiber, () => `one of ${seat.limit} slots for requests`)
      seat.resume = () => resume(effect)
      this.waiting.add(seat)
    })
  }
}

class Seat extends Pass {
  readonly limit: number
  resume: () => void = constVoid
  woken: () => void = constVoid

  constructor(limit: number) {
    super(1)
    this.limit = limit
  }

  override entered(): void {
    this.woken()
    this.resume()
  }
}

const leaves = (): boolean => false
