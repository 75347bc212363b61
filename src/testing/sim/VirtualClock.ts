/** The time of a simulated run: it stands still while anything can run, and then jumps to the next timer. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

export interface Timer {
  /** In milliseconds since the start. */
  readonly at: number
  readonly owner: Fiber.Fiber<unknown, unknown> | undefined
  readonly ring: () => void
  /** It has neither rung nor been cancelled. */
  pending: boolean
}

export class VirtualClock implements Clock.Clock {
  /** Milliseconds since the start. */
  now = 0
  /** Sorted by time, and those of one moment in the order of setting; those before `first` have rung. */
  private timers: Array<Timer> = []
  private first = 0

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.currentTimeNanosUnsafe())

  currentTimeMillisUnsafe(): number {
    return Math.floor(this.now)
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.now * 1_000_000))
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    if (!Number.isFinite(millis)) return Effect.never
    return Effect.callback((resume) => {
      const at = Math.round((this.now + millis) * 1_000_000) / 1_000_000
      const timer: Timer = { at, owner: Fiber.getCurrent(), ring: () => resume(Effect.void), pending: true }
      this.timers.splice(this.after(at), 0, timer)
      return Effect.sync(() => this.remove(timer))
    })
  }

  get pending(): number {
    return this.timers.length - this.first
  }

  /** Jumps to the next moment and gives its timers, each to be rung by `ring`. */
  advance(): ReadonlyArray<Timer> {
    const next = this.timers[this.first]
    if (next === undefined) return []
    this.now = next.at
    return this.timers.slice(this.first, this.after(next.at))
  }

  /** Rings the timer unless it was cancelled meanwhile. */
  ring(timer: Timer): void {
    if (!timer.pending) return
    this.remove(timer)
    timer.ring()
  }

  /** The index after all timers up to that moment. */
  private after(at: number): number {
    let low = this.first
    let high = this.timers.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.timers[middle]!.at <= at) low = middle + 1
      else high = middle
    }
    return low
  }

  private remove(timer: Timer): void {
    timer.pending = false
    const index = this.timers.indexOf(timer, this.first)
    if (index === this.first) {
      this.first++
      if (this.first * 2 > this.timers.length) {
        this.timers = this.timers.slice(this.first)
        this.first = 0
      }
    } else if (index > 0) this.timers.splice(index, 1)
  }
}
