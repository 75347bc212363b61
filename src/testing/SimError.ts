/** What is wrong with a program, as a simulation finds it: bugs with a schedule, and runs without an end. */
import * as Schema from "effect/Schema"
import type { TypedError } from "../concurrency/base/TypedError.ts"

type Fibers = Schema.$Array<Schema.Struct<{ readonly name: Schema.String; readonly waitsFor: Schema.String }>>
/** `waitsFor` is empty where a fiber does not wait. */
const Fibers: Fibers = Schema.Array(Schema.Struct({ name: Schema.String, waitsFor: Schema.String }))

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

const BugFoundBase: TypedError<
  BugFound,
  "BugFound",
  {
    readonly why: Schema.String
    readonly cause: Schema.Defect
    readonly schedule: Schema.Number
    readonly stopped: Schema.String
    readonly token: Schema.String
    readonly choices: Schema.Number
    readonly shrunk: Schema.Number
    readonly runs: Schema.Number
    readonly table: Schema.String
  }
> = Schema.TaggedError<BugFound>()("BugFound", {
  why: Schema.String,
  cause: Schema.Defect(),
  /** Which of the schedules it was, counted from 1. */
  schedule: Schema.Number,
  /** Where it was interrupted or killed; empty if it was not. */
  stopped: Schema.String,
  token: Schema.String,
  /** How many choices of the run were not the natural one; and in how many it has been possible to bring that down. */
  choices: Schema.Number,
  shrunk: Schema.Number,
  runs: Schema.Number,
  table: Schema.String
})

/** A schedule under which the effect does not do what it should, made as small as could be. */
export class BugFound extends BugFoundBase {
  override get message(): string {
    const where = this.stopped === "" ? "" : `, ${this.stopped},`
    const order =
      this.shrunk === 0
        ? "it fails in the natural order"
        : `${this.shrunk} of ${this.choices} choices out of the natural order were needed (${this.runs} runs to find out)`
    return `Schedule ${this.schedule}${where} fails: ${this.why}\n${replayLine(this.token)}\n  ${order}\n\n${this.table}`
  }
}

const OutsideNondeterminismBase: TypedError<
  OutsideNondeterminism,
  "OutsideNondeterminism",
  { readonly why: Schema.String; readonly difference: Schema.String; readonly token: Schema.String }
> = Schema.TaggedError<OutsideNondeterminism>()("OutsideNondeterminism", {
  why: Schema.String,
  difference: Schema.String,
  token: Schema.String
})

/** A run failed, and went another way when it was repeated with the same choices. */
export class OutsideNondeterminism extends OutsideNondeterminismBase {
  override get message(): string {
    const differs = this.why === "" ? "A run does not go" : `A run fails (${this.why}), but not in`
    return (
      `${differs} the same way twice: ${this.difference}. Something decides outside of the ` +
      "simulation: state that outlives a run, Date.now, Math.random, setTimeout or real I/O. Make state inside of the effect, " +
      `and use Clock, Random and simulated services\n${replayLine(this.token)}`
    )
  }
}

/** How to repeat a run: an option, or the argument of `Sim.replay`. */
export const replayLine = (token: string): string => `  replay: "${token}"`

const lines = (fibers: Fibers["Type"]): string => {
  const shown = fibers
    .slice(0, 20)
    .map(({ name, waitsFor }) => (waitsFor === "" ? `  ${name} runs on` : `  ${name} waits for ${waitsFor}`))
  return [...shown, ...(fibers.length > 20 ? [`  and ${fibers.length - 20} more`] : [])].join("\n")
}
