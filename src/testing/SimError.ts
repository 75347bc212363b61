/** What is wrong with a program, as a simulation finds it: bugs with a schedule, and runs without an end. */
import * as Schema from "effect/Schema"
import type { Entry } from "../inspect/context/Entry.ts"

/** Beside the errors, as whoever prints one would print all of it. */
const timelines = new WeakMap<object, ReadonlyArray<Entry>>()

export const withTimeline = <E extends object>(error: E, timeline: ReadonlyArray<Entry>): E => {
  timelines.set(error, timeline)
  return error
}

type Fibers = Schema.$Array<Schema.Struct<{ readonly name: Schema.String; readonly waitsFor: Schema.String }>>
/** `waitsFor` is empty where a fiber does not wait. */
const Fibers: Fibers = Schema.Array(Schema.Struct({ name: Schema.String, waitsFor: Schema.String }))

/** Nothing can run, and no timer is set: everybody waits for somebody else, or for something outside of the simulation. */
export class Deadlock extends Schema.TaggedError<Deadlock>()("Deadlock", {
  waiting: Fibers,
  token: Schema.String,
  table: Schema.String
}) {
  /** What happened in the run, for `Timeline.html`. */
  get timeline(): ReadonlyArray<Entry> {
    return timelines.get(this) ?? []
  }

  override get message(): string {
    const reasons = new Set(this.waiting.map(({ waitsFor }) => waitsFor))
    const hints = hintsOfDeadlock.filter(([waits]) => waits.some((what) => reasons.has(what))).map(([, hint]) => hint)
    const told = [lines(this.waiting), ...hints, replayLine(this.token)].join("\n")
    return `nothing can run and no timer is set\n${told}\n\n${this.table}`
  }
}

/** What is not in the program: that a simulation does not wait for what is outside of it. */
const hintsOfDeadlock: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
  [
    ["a promise"],
    "A promise settles while the simulation runs under Effect.runPromise, unless it waits for real I/O or a real timer"
  ],
  [
    ["a real timer", "something outside"],
    "A simulation does not wait for setTimeout, for real I/O or for whoever else calls back from outside: use Effect.sleep and simulated services"
  ]
]

/** The run came to no end. */
export class Livelock extends Schema.TaggedError<Livelock>()("Livelock", {
  alive: Fibers,
  operations: Schema.Number,
  /** Virtual milliseconds. */
  time: Schema.Number,
  token: Schema.String,
  table: Schema.String
}) {
  /** What happened in the run, for `Timeline.html`. */
  get timeline(): ReadonlyArray<Entry> {
    return timelines.get(this) ?? []
  }

  override get message(): string {
    return (
      `no end after ${this.operations} operations and ${this.time} ms of virtual time. If the program is only long, raise ` +
      `\`maxOperations\`\n${lines(this.alive)}\n${replayLine(this.token)}\n\n${this.table}`
    )
  }
}

/** A schedule under which the effect does not do what it should, made as small as could be. */
export class BugFound extends Schema.TaggedError<BugFound>()("BugFound", {
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
  /** False where the runs for it were used up before no choice could be taken back. */
  minimal: Schema.Boolean,
  table: Schema.String
}) {
  /** What happened in the run, for `Timeline.html`. */
  get timeline(): ReadonlyArray<Entry> {
    return timelines.get(this) ?? []
  }

  override get message(): string {
    const where = this.stopped === "" ? "" : `, ${this.stopped},`
    return `Schedule ${this.schedule}${where} fails: ${this.why}\n${replayLine(this.token)}\n  ${this.order()}\n\n${this.table}`
  }

  private order(): string {
    const { choices, minimal, runs, shrunk, stopped } = this
    // Of a run that was stopped, the order is not to blame: it brings the fiber to where it is stopped.
    const [none, needed] =
      stopped === ""
        ? ["it fails in the natural order", "were needed"]
        : ["the natural order leads there", "were needed to get there"]
    if (shrunk === 0) return none
    const of = `${shrunk} of ${choices} choices out of the natural order`
    if (minimal) return `${of} ${needed} (${runs} runs to find out)`
    return runs === 0
      ? `${of} are left: it was not made smaller`
      : `${of} are left: making it smaller stopped after ${runs} runs, and fewer may do`
  }
}

/** A run failed, and went another way when it was repeated with the same choices. */
export class OutsideNondeterminism extends Schema.TaggedError<OutsideNondeterminism>()("OutsideNondeterminism", {
  why: Schema.String,
  difference: Schema.String,
  token: Schema.String
}) {
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
