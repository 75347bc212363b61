/** Elements that came in together: a column for each thing that is known of them, and no object for each of them. */
import type { Work } from "../context/Attempt.ts"
import type { Portion } from "../context/Portion.ts"
import type { Inside } from "../Journal.ts"
import type { Position } from "../Source.ts"
import type { Home, Parts } from "./Home.ts"

/** A dead letter that is run again, at the step it failed in. */
export interface Replay {
  readonly letter: number
  readonly step: string
  readonly path: string
  /** When it was given up. */
  readonly at: number
  readonly inside?: ReadonlyArray<Inside> | undefined
}

/** Elements on their way in. */
export interface Arrivals extends Portion<unknown, Position> {
  /** Of a portion of one. */
  readonly replays?: Replay | undefined
}

/** Elements of a block, one after the other. */
export interface Range {
  readonly block: Block
  readonly from: number
  readonly to: number
}

/**
 * The state of an element is how many stations it has passed that take ranges, as long as it is below `gone`; from there on no range
 * has it any more, though it may lie inside of one.
 */
export const gone = 250
/** It was filtered out, which is to be told once it is its turn. */
export const filtered = 250
/** A step failed on it, and what becomes of it ends once it is its turn. */
export const failed = 251
/** It goes on as a unit of its own, or not at all. */
export const apart = 252
/** It is in the commit that is under way. */
export const taken = 254
/** Its fate is durable. */
export const settled = 255

export class Block {
  readonly home: Home
  readonly n: number
  /** As they are now; none of those that are not on their way in the block any more. */
  readonly values: Array<unknown>
  readonly states: Uint8Array
  /** Bytes that are held for each of them, of what steps made of it as well. */
  readonly bytes: Array<number>
  readonly replays: Replay | undefined
  /** Up to here the watermark has come. */
  from = 0
  /** How many of them are in a commit, or settled; and how many are settled. */
  taken = 0
  settled = 0
  /** How many lie in ranges that do not have them any more. */
  gone = 0
  /** What is settled inside of some of them, by their index. */
  parts: Map<number, Parts> | undefined
  /** What steps have added to frontiers. */
  work: Map<number, Array<Work>> | undefined
  /** Of parts of another element: how many came before. */
  private readonly first: number
  private readonly offset: number
  private readonly read: ArrayLike<number>
  private readonly place: (index: number) => Position

  constructor(home: Home, { bytes, positionOf, replays, values }: Arrivals, offset: number, count: number, first = 0) {
    this.home = home
    this.first = first
    this.n = count
    this.values = values.slice(offset, offset + count)
    this.states = new Uint8Array(count)
    this.bytes = Array.prototype.slice.call(bytes, offset, offset + count)
    this.replays = replays
    this.offset = offset
    this.read = bytes
    this.place = positionOf
  }

  positionOf(index: number): Position {
    return this.place(this.offset + index)
  }

  /** Which source element it is, as messages, dead letters and keys have it. */
  nameOf(index: number): Position {
    return this.home.nameOf(this.positionOf(index))
  }

  /** Which of its parent's children it is, from the source element down: "" for the source element itself. */
  pathOf(index: number): string {
    const { path } = this.home
    return path === undefined ? (this.replays?.path ?? "") : `${path}/${this.first + index}`
  }

  /** Bytes as the source measures them; of parts of another element, those are counted there. */
  readOf(index: number): number {
    return this.home.parent === undefined ? this.read[this.offset + index]! : 0
  }

  /** Takes a value out. */
  takeOne(index: number): unknown {
    const value = this.values[index]
    this.values[index] = undefined
    return value
  }

  /** Takes values out. */
  take(from: number, to: number): Array<unknown> {
    const some = this.values.slice(from, to)
    this.values.fill(undefined, from, to)
    return some
  }

  /** An element that a range has is gone from it. */
  leave(index: number, state: number): void {
    this.states[index] = state
    this.gone += 1
  }

  /** The first from here on that ranges have; `to` where there is none. */
  live(from: number, to: number): number {
    if (this.gone > 0) while (from < to && this.states[from]! >= gone) from += 1
    return from
  }

  /** The first behind one that ranges have that they do not have. */
  liveUntil(from: number, to: number): number {
    if (this.gone === 0) return to
    while (from < to && this.states[from]! < gone) from += 1
    return from
  }

  countLive(from: number, to: number): number {
    if (this.gone === 0) return to - from
    let count = 0
    for (let i = from; i < to; i++) if (this.states[i]! < gone) count += 1
    return count
  }

  enter(from: number, to: number): void {
    this.taken += to - from
    this.mark(from, to, taken)
  }

  settle(from: number, to: number): void {
    this.settled += to - from
    this.mark(from, to, settled)
  }

  private mark(from: number, to: number, state: number): void {
    if (to - from === 1) this.states[from] = state
    else this.states.fill(state, from, to)
  }
}
