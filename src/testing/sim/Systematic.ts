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
 * Leaves out what makes no difference to who does what after whom: turns in which nothing happens, and that a fiber makes
 * room and goes on with no other operation between.
 */
export class Systematic implements Decider {
  private readonly stop: Settings["stop"]
  private readonly decide: Settings["decide"]
  private readonly bound: number
  private readonly known: number
  private preemptions = 0
  /** Who has made room last, and after how many operations of the run. */
  private polite: { readonly runner: Runner; readonly operations: number } | undefined
  /** It went on straight after, as if it had not: another run has gone this way, and all from here. */
  private inVain = false
  private stopped = false
  private asked = 0

  constructor({ decide, known, preemptions, stop }: Settings) {
    this.decide = (ways) => (this.inVain ? 0 : decide(ways))
    this.bound = preemptions
    this.known = known
    this.stop = stop
  }

  /** True of a run that is over and was there before. */
  get isKnown(): boolean {
    return this.inVain || this.preemptions <= this.known
  }

  pick(ready: ReadonlyArray<Ready>, from: number, operations: number): number {
    const ways: Array<number> = []
    for (let i = from; i < ready.length; i++) {
      if (isLive(ready[i]!) && !this.isInVain(ready[i]!, operations)) ways.push(i)
    }
    return ways.length === 0 ? from : ways[this.decide(ways.length)]!
  }

  /** Tells whose turn it is. */
  takes(turn: Ready, operations: number): void {
    if (this.isInVain(turn, operations)) this.inVain = true
  }

  private isInVain(turn: Ready, operations: number): boolean {
    const { polite } = this
    return polite !== undefined && polite.runner.turn === turn && polite.operations === operations
  }

  /** It is asked before each operation. */
  slice(): number {
    return 1
  }

  preempts(runner: Runner, operations: number, count: number): boolean {
    // Where another has resumed it on its stack, either of them may go on: it is not preempted.
    const isPreempted = count > 1
    if ((isPreempted && this.preemptions >= this.bound) || this.decide(2) === 0) return false
    if (isPreempted) this.preemptions++
    this.polite = { runner, operations }
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
    if (this.decide(2) === 0) return undefined
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
const isLive = (entry: Ready): boolean =>
  entry.timer?.pending ?? (entry.runner === undefined || entry.runner.turn === entry)
