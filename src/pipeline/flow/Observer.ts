/** Looks at what a worker waits for: how long it takes, and, of some elements, as a span. */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import type { Meter } from "../context/Meter.ts"
import type { Tally } from "../context/Tally.ts"
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
  private readonly tallies: ReadonlyArray<Tally>
  readonly trace: Trace | undefined
  /** How many are still to begin before one is timed, which then stands for `weight`. */
  private untilTimed = 0
  private weight = 1
  private startedAt = -1
  private step = 0

  constructor(clock: Clock.Clock, tallies: ReadonlyArray<Tally>, trace: Trace | undefined) {
    this.clock = clock
    this.tallies = tallies
    this.trace = trace
  }

  begin(step: number): void {
    this.step = step
    if (this.untilTimed === 0) this.startedAt = Alarm.now(this.clock)
    else this.untilTimed -= 1
  }

  end(): void {
    if (this.startedAt < 0) return
    const millis = Alarm.now(this.clock) - this.startedAt
    this.startedAt = -1
    this.tallies[this.step]!.latency.add(millis, this.weight)
    this.weight = millis > short ? 1 : sample
    this.untilTimed = this.weight - 1
  }
}

/** What the step that a worker is at counts, of those of its stage. */
export class StepMeter implements Meter {
  private readonly worker: { readonly index: number }
  private readonly tallies: ReadonlyArray<Tally>

  constructor(worker: { readonly index: number }, tallies: ReadonlyArray<Tally>) {
    this.worker = worker
    this.tallies = tallies
  }

  private get meter(): Meter {
    return this.tallies[this.worker.index]!.meter
  }

  get retries(): number {
    return this.meter.retries
  }

  set retries(retries: number) {
    this.meter.retries = retries
  }

  get bytes(): number {
    return this.meter.bytes
  }

  set bytes(bytes: number) {
    this.meter.bytes = bytes
  }
}
