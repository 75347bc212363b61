/** The strategy of an exhaustive search: whatever can go one way or another is left to whoever goes all ways. */
import type { Stop } from "../Schedules.ts"
import type { Decider, Ready, Runner } from "./Decider.ts"

export interface Settings {
  /** Which of so many ways to go; 0 is the natural one. */
  readonly decide: (ways: number) => number
  /** How often a run may be preempted at most. */
  readonly preemptions: number
  /** Runs with so many preemptions, or fewer, have been there before. */
  readonly known: number
  /** Runs are stopped as well, before any of their steps; a `victim` has asked for it. */
  readonly stop: { readonly how: Stop["how"]; readonly victim: boolean } | undefined
}

/**
 * Leaves out only what makes no difference, whatever the program does: turns in which nothing happens, and a preemption after
 * which the same fiber goes on at once.
 */
export class Systematic implements Decider {
  /** There was a preemption to be had that was one too many. */
  held = false
  private readonly stop: Settings["stop"]
  private readonly decide: Settings["decide"]
  private readonly bound: number
  private readonly known: number
  private preemptions = 0
  /** Has just made room for others, and nothing else was on the stack. */
  private polite: Runner | undefined
  /** Has done so for nobody: to be stopped. */
  private forStop = false
  private stopped = false
  private asked = 0

  constructor({ decide, known, preemptions, stop }: Settings) {
    this.decide = decide
    this.bound = preemptions
    this.known = known
    this.stop = stop
  }

  /** True of a run that is over and was there before. */
  get isKnown(): boolean {
    return this.preemptions <= this.known
  }

  pick(ready: ReadonlyArray<Ready>, from: number): number {
    const { polite } = this
    this.polite = undefined
    const ways: Array<number> = []
    for (let i = from; i < ready.length; i++) {
      if (isLive(ready[i]!) && (polite === undefined || ready[i] !== polite.turn)) ways.push(i)
    }
    return ways.length === 0 ? from : ways[this.decide(ways.length)]!
  }

  /** It is asked before each operation. */
  slice(): number {
    this.polite = undefined
    return 1
  }

  preempts(runner: Runner, _: number, count: number, others: () => boolean): boolean {
    // One that another has resumed on its stack: either may go on, and neither is preempted.
    if (count === 1) return this.decide(2) === 1
    const forStop = runner.alone && !others()
    if (forStop && (this.stop === undefined || this.stopped)) return false
    if (this.preemptions >= this.bound) {
      this.held = true
      return false
    }
    if (this.decide(2) === 0) return false
    this.preemptions++
    this.forStop = forStop
    if (runner.alone) this.polite = runner
    return true
  }

  /** How the run is stopped before this step, if it is; `victim` is who would be interrupted. */
  stops(
    step: number,
    victim: { readonly number: number; readonly alive: boolean } | undefined
  ): Stop["how"] | undefined {
    const { stop } = this
    if (stop === undefined || this.stopped || step <= this.asked || victim?.alive !== true) return undefined
    if (stop.victim && victim.number === 0) return undefined
    this.asked = step
    if (!this.forStop && this.decide(2) === 0) return undefined
    this.stopped = true
    this.polite = undefined
    return stop.how
  }

  choose(options: number): number {
    return this.decide(options)
  }

  happens(probability: number): boolean {
    return probability >= 1 || (probability > 0 && this.decide(2) === 1)
  }
}

/** False for a turn in which nothing would happen: of a timer that is cancelled, of a fiber that has gone on without it. */
export const isLive = (entry: Ready): boolean =>
  entry.timer?.pending ?? (entry.runner === undefined || entry.runner.turn === entry)
