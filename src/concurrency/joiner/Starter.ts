/** S20, S26: starts effects one after another, no more at once than the limit: an effect is not even asked for before its turn. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Wait from "../base/Wait.ts"

export interface Steps<X, L> {
  /** Whether anything may be started still. */
  readonly isOpen: () => boolean
  /**
   * Runs the effect as number `index`, on a lane that has become free if there is one; calls `hasEnded` of the starter when it has
   * ended, be it at once.
   */
  readonly run: (effect: X, index: number, free: L | undefined) => void
}

export class Starter<X, L> {
  private readonly effects: Iterator<X>
  private readonly limit: number
  private readonly steps: Steps<X, L>
  private started = 0
  private running = 0
  private wanted = 0
  /** Somebody is in the loop already, or will be. */
  private isBusy = false
  private isAsking = false
  /** Called when the iterator has answered, if it was left meanwhile. */
  private answered: ((then: Effect.Effect<void>) => void) | undefined
  private resume: (effect: Effect.Effect<void>) => void = constVoid

  constructor(effects: Iterator<X>, limit: number, steps: Steps<X, L>) {
    this.effects = effects
    this.limit = limit
    this.steps = steps
  }

  /** Completes when `count` more have been started, or all that there are. */
  start(by: Fiber.Fiber<unknown, unknown>, count: number): Effect.Effect<void> {
    return Wait.callback("the turns of its effects", (resume) => {
      this.wanted = count
      this.resume = resume
      this.next(by)
      return this.leave
    })
  }

  /** `free` is where the one that has ended ran, if the next may be run there. */
  hasEnded(by: Fiber.Fiber<unknown, unknown>, free?: L): void {
    this.running -= 1
    this.next(by, free)
  }

  /** Effects may end while they are started: that goes on in the loop that started them, and not deeper on the stack. */
  private next(by: Fiber.Fiber<unknown, unknown>, free?: L): void {
    if (this.isBusy) return
    this.isBusy = true
    for (let count = 0; this.wanted > 0 && this.running < this.limit && this.steps.isOpen(); count++) {
      if (count === maxInOneGo) {
        // Effects that are ready end as they start: timers and other tasks have to come in between.
        return by.currentDispatcher.scheduleTask(() => {
          this.isBusy = false
          this.next(by)
        }, 0)
      }
      this.startNext(count === 0 ? free : undefined)
    }
    this.isBusy = false
    if (this.wanted === 0) this.resume(Effect.void)
  }

  private startNext(free: L | undefined): void {
    let next: IteratorResult<X>
    this.isAsking = true
    try {
      next = this.effects.next()
    } catch (error) {
      this.wanted = 0
      return (this.answered ?? this.resume)(Effect.die(error))
    } finally {
      this.isAsking = false
    }
    if (this.answered !== undefined) return this.answered(this.leave)
    if (next.done === true) return void (this.wanted = 0)
    this.wanted -= 1
    this.running += 1
    this.steps.run(next.value, this.started++, free)
  }

  /** Tells the iterator that no more is wanted. One that has cancelled its joiner while it was asked has to answer first. */
  private readonly leave: Effect.Effect<void> = Effect.suspend(() =>
    this.isAsking
      ? Wait.callback<void>("its iterator to answer", (resume) => {
          this.answered = resume
        })
      : Effect.sync(() => void this.effects.return?.())
  )
}

const maxInOneGo = 1024
