/** How a simulated run went, and the two ways in which one never ends. */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { TypedError } from "../../concurrency/base/TypedError.ts"
import * as Schedules from "../Schedules.ts"
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
  /** What outlives it. */
  readonly left: Left
}

type Fibers = Schema.$Array<Schema.Struct<{ readonly name: Schema.String; readonly waitsFor: Schema.String }>>
/** `waitsFor` is empty where a fiber does not wait. */
const Fibers: Fibers = Schema.Array(Schema.Struct({ name: Schema.String, waitsFor: Schema.String }))

const lines = (fibers: Fibers["Type"]): string => {
  const shown = fibers
    .slice(0, 20)
    .map(({ name, waitsFor }) => (waitsFor === "" ? `  ${name} runs on` : `  ${name} waits for ${waitsFor}`))
  return [...shown, ...(fibers.length > 20 ? [`  and ${fibers.length - 20} more`] : [])].join("\n")
}

const DeadlockBase: TypedError<
  Deadlock,
  "Deadlock",
  { readonly waiting: Fibers; readonly token: Schema.String; readonly table: Schema.String }
> = Schema.TaggedError<Deadlock>()("Deadlock", { waiting: Fibers, token: Schema.String, table: Schema.String })

/** Nothing can run, and no timer is set: everybody waits for somebody else, or for something outside of the simulation. */
export class Deadlock extends DeadlockBase {
  override get message(): string {
    const promise = this.waiting.some(({ waitsFor }) => waitsFor === "a promise")
      ? "\nA promise settles while the simulation runs under Effect.runPromise, unless it waits for real I/O or a real timer"
      : ""
    return `nothing can run and no timer is set\n${lines(this.waiting)}${promise}\n${replayLine(this.token)}\n\n${this.table}`
  }
}

const LivelockBase: TypedError<
  Livelock,
  "Livelock",
  {
    readonly alive: Fibers
    readonly operations: Schema.Number
    readonly time: Schema.Number
    readonly token: Schema.String
    readonly table: Schema.String
  }
> = Schema.TaggedError<Livelock>()("Livelock", {
  alive: Fibers,
  operations: Schema.Number,
  /** Virtual milliseconds. */
  time: Schema.Number,
  token: Schema.String,
  table: Schema.String
})

/** The run came to no end. */
export class Livelock extends LivelockBase {
  override get message(): string {
    return (
      `no end after ${this.operations} operations and ${this.time} ms of virtual time. If the program is only long, raise ` +
      `\`maxOperations\`\n${lines(this.alive)}\n${replayLine(this.token)}\n\n${this.table}`
    )
  }
}

/** How to repeat a run: an option, or the argument of `Sim.replay`. */
export const replayLine = (token: string): string => `  replay: "${token}"`

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
      return new Deadlock({ waiting: end.waiting, ...told(played) })
    case "Livelock":
      return new Livelock({ alive: end.alive, time: end.time, operations: played.operations, ...told(played) })
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
  left: played.left
})
