/** Looks at what a worker waits for: how long it takes, and, of some elements, as a span. */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import type { Latency } from "../context/Tally.ts"
import type { Unit } from "../fate/Unit.ts"
import type { Each } from "../Step.ts"

/** An element at a step. */
export interface Observed {
  readonly unit: Unit
  readonly path: string
  readonly step: Each
  readonly attempt: number
}

/** Makes a span of what a step does with an element, where that is one of those to be looked at. */
export type Trace = <A, E, R>(effect: Effect.Effect<A, E, R>, observed: Observed) => Effect.Effect<A, E, R>

/** What takes no longer is timed once in so many times, as looking at the time costs something. */
const short = 1
const sample = 16

export class Observer {
  private readonly clock: Clock.Clock
  private readonly latency: Latency
  private readonly trace: Trace | undefined
  /** How many are still to begin before one is timed, which then stands for `weight`. */
  private untilTimed = 0
  private weight = 1
  private startedAt = -1

  constructor(clock: Clock.Clock, latency: Latency, trace: Trace | undefined) {
    this.clock = clock
    this.latency = latency
    this.trace = trace
  }

  begin(
    effect: Effect.Effect<unknown, unknown, unknown>,
    observed: () => Observed
  ): Effect.Effect<unknown, unknown, unknown> {
    if (this.untilTimed === 0) this.startedAt = Alarm.now(this.clock)
    else this.untilTimed -= 1
    return this.trace === undefined ? effect : this.trace(effect, observed())
  }

  end(): void {
    if (this.startedAt < 0) return
    const millis = Alarm.now(this.clock) - this.startedAt
    this.startedAt = -1
    this.latency.add(millis, this.weight)
    this.weight = millis > short ? 1 : sample
    this.untilTimed = this.weight - 1
  }
}
