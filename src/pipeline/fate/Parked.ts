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

export class Parked {
  private readonly keys = new Map<unknown, InTheWay>()

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
}
