/** The strategies: who is next, how long it may run, and what chance brings. */
import type { Choices } from "../Choices.ts"
import type { Schedule } from "../Schedules.ts"

/** A fiber as strategies see it. */
export interface Runner {
  /** In the order in which the fibers of a run were first seen; 0 is the root. */
  readonly number: number
  /** For `pct`: the highest goes first. */
  rank: number | undefined
  /** The turn that it waits for since it has made room; none once it goes on, in whatever way. */
  readonly turn: Ready | undefined
}

/** Something that waits for its turn: a fiber, or a callback that will start or resume some. */
export interface Ready {
  /** The fiber, if it is known to be one. */
  readonly runner: Runner | undefined
  rank: number | undefined
  /** The timer that is rung, if it is that. */
  readonly timer: { readonly pending: boolean } | undefined
}

/** `operations` is how many the run has performed so far. */
export interface Decider extends Choices {
  /** Which of these is next, an index from `from` on. */
  readonly pick: (ready: ReadonlyArray<Ready>, from: number, operations: number) => number
  /**
   * After how many operations the fiber has to make room; 0: never. `by` is the fiber on whose stack it was resumed or
   * started, if it was: then it may also have to make room before its first operation, which is 1.
   */
  readonly slice: (runner: Runner, by: Runner | undefined, operations: number) => number
  /** Whether the fiber makes room before operation `count` of its slice: asked once the slice is over, until it does. */
  readonly preempts: (runner: Runner, operations: number, count: number) => boolean
}

/** Mulberry32: numbers from 0 up to 1. */
export const chance = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export const make = ({ choices, granularity, seed, strategy }: Schedule, quantum: number): Decider => {
  if (choices !== undefined) return replay(choices)
  const next = chance(seed)
  switch (strategy) {
    case "random":
      return granularity === "op" ? random(next, densities[Math.floor(next() * densities.length)]!) : random(next, 0)
    case "pct":
      return pct(next, granularity === "op")
    case "fifo":
      return fifo(granularity === "op" ? quantum : 0)
  }
}

const replay = (choices: ReadonlyArray<number>): Decider => {
  let at = 0
  const next = () => choices[at++] ?? 0
  const below = (options: number) => {
    const choice = next()
    return choice < options ? choice : 0
  }
  return {
    pick: (ready, from) => from + below(ready.length - from),
    slice: next,
    preempts: always,
    choose: below,
    happens: () => below(2) === 1
  }
}

const drawing = (next: () => number): Choices => ({
  choose: (options) => Math.floor(next() * options),
  happens: (probability) => next() < probability
})

/** How likely a preemption is at an operation: a run in which it is rare gets further than one in which it is not. */
const densities = [1 / 2, 1 / 4, 1 / 16]

const random = (next: () => number, density: number): Decider => {
  const length = Math.log(1 - density)
  return {
    ...drawing(next),
    pick: (ready, from) => from + Math.floor(next() * (ready.length - from)),
    slice: (_, by) => {
      if (by !== undefined && next() < 0.5) return 1
      return density === 0 ? 0 : 1 + Math.floor(Math.log(1 - next()) / length)
    },
    preempts: always
  }
}

/** The depth of the bugs that it aims at: one switch fewer than this many is put where chance wants it. */
const depth = 4

const pct = (next: () => number, byOperation: boolean): Decider => {
  const rankOf = (one: { rank: number | undefined }) => (one.rank ??= next())
  const rank = (ready: Ready) => rankOf(ready.runner ?? ready)
  // How long the program is is not known beforehand: one seed aims at short ones and another at long ones.
  const reach = 2 ** (2 + Math.floor(next() * 9))
  let changes = depth
  let change = 0
  let lowest = 0
  const plan = (operations: number) => {
    change = --changes > 0 ? operations + 1 + Math.floor(next() * reach) : Infinity
  }
  const demote = (one: { rank: number | undefined }, operations: number) => {
    if (operations < change) return
    one.rank = --lowest
    plan(operations)
  }
  plan(0)
  const highest = (ready: ReadonlyArray<Ready>, from: number) => {
    let best = from
    for (let i = from + 1; i < ready.length; i++) if (rank(ready[i]!) > rank(ready[best]!)) best = i
    return best
  }
  return {
    ...drawing(next),
    pick: (ready, from, operations) => {
      if (!byOperation) {
        const first = ready[highest(ready, from)]!
        demote(first.runner ?? first, operations)
      }
      return highest(ready, from)
    },
    slice: (runner, by, operations) => {
      if (by !== undefined && rankOf(runner) < rankOf(by)) return 1
      return byOperation && change < Infinity ? Math.max(1, change - operations) : 0
    },
    preempts: (runner, operations) => {
      demote(runner, operations)
      return true
    }
  }
}

const fifo = (quantum: number): Decider => ({
  pick: (_, from) => from,
  slice: (_, by) => (quantum === 0 ? 0 : by === undefined ? quantum : quantum + 2),
  preempts: always,
  choose: () => 0,
  happens: () => false
})

const always = () => true
