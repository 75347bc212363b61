/** How a simulated run went. */
import * as Exit from "effect/Exit"
import type { Entry } from "../../inspect/context/Entry.ts"
import * as Schedules from "../Schedules.ts"
import { Deadlock, Livelock, withTimeline } from "../SimError.ts"
import { type Slice, table } from "./Trace.ts"
import type { Left, Played } from "./Played.ts"

export interface Run<A, E> {
  /** An interruption for a run that was killed. */
  readonly exit: Exit.Exit<A, E>
  /** Where the run was killed, if it was. */
  readonly killed: string | undefined
  /** True if the interruption or the kill that the schedule asked for took place. */
  readonly stopped: boolean
  /** How it was scheduled, every choice included. */
  readonly schedule: Schedules.Schedule
  /** The same on one line, for `Sim.replay`. */
  readonly token: string
  /** Virtual milliseconds that passed. */
  readonly time: number
  /** Turns of fibers and rings of timers. */
  readonly steps: number
  /** Operations of Effect. */
  readonly operations: number
  /** The names of the fibers, by their numbers: in the order in which they were first seen. */
  readonly fibers: ReadonlyArray<string>
  /** The numbers of the fibers in the order in which they had their turns. */
  readonly order: ReadonlyArray<number>
  /** What each did; only replayed runs know. */
  readonly trace: ReadonlyArray<Slice>
  /** The same for `Timeline.html`: when each fiber ran, what it waited for and who woke it; only replayed runs know. */
  readonly timeline: ReadonlyArray<Entry>
  /** What outlives it. */
  readonly left: Left
}

export const tokenOf = <A, E>(played: Played<A, E>): string => Schedules.token(played.schedule)

/** The run, or why there is none: then played with `detail`, so that there is a table. */
export const resultOf = <A, E>(played: Played<A, E>): Run<A, E> | Deadlock | Livelock => {
  const { end } = played
  switch (end._tag) {
    case "Exit":
      return runOf(played, end.exit, undefined)
    case "Killed":
      return runOf(played, Exit.interrupt(), end.where)
    case "Deadlock":
      return withTimeline(new Deadlock({ waiting: end.waiting, ...told(played) }), played.timeline)
    case "Livelock":
      return withTimeline(
        new Livelock({ alive: end.alive, time: end.time, operations: played.operations, ...told(played) }),
        played.timeline
      )
  }
}

const told = <A, E>(played: Played<A, E>) => ({
  token: tokenOf(played),
  table: table(played.trace, played.names)
})

const runOf = <A, E>(played: Played<A, E>, exit: Exit.Exit<A, E>, killed: string | undefined): Run<A, E> => ({
  exit,
  killed,
  stopped: played.stopped,
  schedule: played.schedule,
  get token() {
    return tokenOf(played)
  },
  time: played.time,
  steps: played.steps,
  operations: played.operations,
  fibers: played.names,
  order: played.order,
  trace: played.trace,
  timeline: played.timeline,
  left: played.left
})
