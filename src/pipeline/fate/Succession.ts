/**
 * The order in which elements came to a step with a state. The state after one of them has all before it in it: it can only be kept
 * once those are settled as well.
 */
import type { Position } from "../Source.ts"
import { Queue } from "./Queue.ts"

/** How a step stands that has a state. */
export interface Stand {
  readonly state: unknown
  /** Of the last element that came to it. */
  readonly position: Position
}

/** The last place of a unit in a succession, and how the step stands behind it. */
export interface Turn<U> extends Stand {
  readonly succession: Succession<U>
  readonly at: number
}

/** What stands in successions: a unit, which may have become part of another. */
interface Standing<U> {
  readonly root: U
  /** Whether something of it is on its way. */
  readonly isOpen: boolean
  readonly turns: ReadonlyArray<Turn<U>>
}

export class Succession<U> implements Stand {
  readonly name: string
  /** Whether elements come in the same order in each run. */
  readonly isSteady: boolean
  state: unknown
  position: Position
  private readonly units = new Queue<Standing<U>>()
  /** Places that are settled, or are on their way to it. */
  private gone = 0

  constructor(name: string, { position, state }: Stand, isSteady: boolean) {
    this.name = name
    this.isSteady = isSteady
    this.state = state
    this.position = position
  }

  get head(): U | undefined {
    return this.units.at(0)?.root
  }

  /** Takes a unit in at its end. */
  join(unit: U & Standing<U>): Turn<U> {
    const { position, state, units } = this
    if (units.at(units.length - 1)?.root !== unit) units.push(unit)
    return { succession: this, at: this.gone + units.length - 1, state, position }
  }

  isFirst(place: number): boolean {
    return place === this.gone
  }

  /** Those in it up to a place. */
  *upTo(place: number): Iterable<U> {
    for (let i = 0; i <= place - this.gone; i++) yield this.units.at(i)!.root
  }

  /** Takes a unit from its head. */
  leave(unit: U): void {
    for (; this.head === unit; this.gone++) this.units.take()
  }
}

/** The turns of both, in each succession the later one. */
export const later = <U>(some: ReadonlyArray<Turn<U>>, others: ReadonlyArray<Turn<U>>): ReadonlyArray<Turn<U>> => {
  const all = new Map(some.map((turn) => [turn.succession, turn]))
  for (const turn of others) if (turn.at >= (all.get(turn.succession)?.at ?? 0)) all.set(turn.succession, turn)
  return [...all.values()]
}

/** A unit with all that settles with it or before it; none while some of it is on its way. */
export const blockOf = <U extends Standing<U>>(unit: U): Iterable<U> | undefined => {
  const { isOpen, turns } = unit
  if (isOpen) return undefined
  // As it is where elements come and go in one order.
  if (turns.length === 1 && turns[0]!.succession.isFirst(turns[0]!.at)) return [unit]
  const block = new Set([unit])
  for (const { isOpen, turns } of block) {
    if (isOpen) return undefined
    for (const { at, succession } of turns) for (const before of succession.upTo(at)) block.add(before)
  }
  return block
}
