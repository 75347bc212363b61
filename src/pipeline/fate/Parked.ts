/** The keys of a step that an element of failed: what follows becomes a dead letter too, until a replay has settled them all (P5). */
import type { Position } from "../Source.ts"
import type { Unit } from "./Unit.ts"

/** What is in the way of a key. */
export interface InTheWay {
  /** Where the first stands that is not settled, and when it was given up. */
  readonly position: Position
  readonly at: number
  /** When the last of the key was given up: dead letters of a key are in order by that. */
  last: number
  /** What the first belongs to, in the run in which it failed. */
  readonly unit: Unit | undefined
}

/** How many keys are remembered before it is looked which are not needed any more. */
const most = 1000

export class Parked {
  private readonly keys = new Map<unknown, InTheWay>()
  /** By its key, what has passed the step and is not settled. */
  private readonly passed = new Map<unknown, ReadonlyArray<Unit>>()
  private crowd = most

  /** What is in the way of an element; `since` is when it was given up, if it is run again. */
  find(key: unknown, since: number): InTheWay | undefined {
    const found = this.keys.get(key)
    return found !== undefined && found.at < since ? found : undefined
  }

  park(key: unknown, at: number, position: Position, unit?: Unit): void {
    const found = this.keys.get(key)
    if (found !== undefined && found.at <= at) found.last = Math.max(found.last, at)
    else this.keys.set(key, { position, at, last: Math.max(at, found?.last ?? at), unit })
  }

  /** An element has passed the step. */
  pass(key: unknown, unit: Unit): void {
    this.passed.set(key, [...this.before(key), unit])
    if (this.passed.size < this.crowd) return
    for (const key of this.passed.keys()) if (this.before(key).length === 0) this.passed.delete(key)
    this.crowd = Math.max(most, 2 * this.passed.size)
  }

  /**
   * What must be settled before a dead letter of the key is: a run that came to it again would take the letter for what is in its way.
   */
  before(key: unknown): ReadonlyArray<Unit> {
    return (this.passed.get(key) ?? []).filter((unit) => !unit.root.settled && unit.root.parts === undefined)
  }
}
