/**
 * The order in which elements came to a step with a state. The state after one of them has all before it in it: it can only be kept
 * once those are settled as well.
 */
import type { Position } from "../Source.ts"
import { Queue } from "./Queue.ts"
import type { Unit } from "./Unit.ts"

/** How a step stands that has a state. */
export interface Stand {
  readonly state: unknown
  /** Of the last element that came to it. */
  readonly position: Position
}

/** The last place of a unit in a line, and how the step stands behind it. */
export interface Turn extends Stand {
  readonly line: Line
  readonly at: number
}

export class Line implements Stand {
  readonly name: string
  state: unknown
  position: Position
  private readonly units = new Queue<Unit>()
  /** Places that are settled, or are on their way to it. */
  private gone = 0

  constructor(name: string, { position, state }: Stand) {
    this.name = name
    this.state = state
    this.position = position
  }

  get head(): Unit | undefined {
    return this.units.at(0)?.root
  }

  /** Takes a unit in at its end. */
  join(unit: Unit): Turn {
    const { position, state, units } = this
    if (units.at(units.length - 1)?.root !== unit) units.push(unit)
    return { line: this, at: this.gone + units.length - 1, state, position }
  }

  /** Those in it up to a place. */
  *upTo(place: number): Iterable<Unit> {
    for (let i = 0; i <= place - this.gone; i++) yield this.units.at(i)!.root
  }

  /** Takes a unit from its head. */
  leave(unit: Unit): void {
    for (; this.head === unit; this.gone++) this.units.take()
  }
}

/** The turns of both, in each line the later one. */
export const later = (some: ReadonlyArray<Turn>, others: ReadonlyArray<Turn>): ReadonlyArray<Turn> => {
  const all = new Map(some.map((turn) => [turn.line, turn]))
  for (const turn of others) if (turn.at >= (all.get(turn.line)?.at ?? 0)) all.set(turn.line, turn)
  return [...all.values()]
}

/** A unit with all that settles with it or before it; none while some of it is on its way. */
export const blockOf = (unit: Unit): ReadonlySet<Unit> | undefined => {
  const block = new Set([unit])
  for (const { live, turns } of block) {
    if (live > 0) return undefined
    for (const { at, line } of turns) for (const before of line.upTo(at)) block.add(before)
  }
  return block
}
