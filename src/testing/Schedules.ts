/**
 * Schedules as data: which way a simulated run went, so that it can be drawn, kept, replayed and shrunk.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { BadToken } from "./SchedulesError.ts"

export { BadToken }

/** How a run is scheduled. Whatever `choices` do not say is decided by the strategy, drawing from the seed. */
export interface Schedule {
  readonly seed: number
  readonly strategy: Strategy
  readonly granularity: Granularity
  /** Decides instead of the strategy; a choice after the last one is 0, which is the natural way. */
  readonly choices?: ReadonlyArray<number> | undefined
  /**
   * How many milliseconds a timer may ring late, as it can on a machine that is busy: those of several moments then ring
   * together. 0 by default.
   */
  readonly late?: number | undefined
  /** Stops the run, or one fiber of it, before a step; steps count from 0, and so do fibers, the first being the root. */
  readonly stop?: Stop | undefined
}

/**
 * - `"random"`: any ready fiber is next, and fibers are preempted at random;
 * - `"pct"`: fibers have priorities drawn at random, and a few points at which one loses its own (Burckhardt et al., 2010):
 *   finds bugs that need few but exact switches, and starvation;
 * - `"fifo"`: the first that is ready is next, as in Effect itself.
 */
export type Strategy = "random" | "pct" | "fifo"

/** Where another fiber may take over: where one waits, starts or resumes another; or before each operation as well. */
export type Granularity = "boundary" | "op"

export interface Stop {
  readonly how: "interrupt" | "kill"
  readonly step: number
  readonly fiber: number
}

/**
 * A schedule on one line, for a bug report or `Sim.replay`. It says the seed, the granularity, the choices (`3` is a
 * choice, `0*12` the same twelve times), how late timers may be and where the run was stopped.
 *
 * @example
 * ```ts
 * import { Schedules } from "skein/testing"
 *
 * const token = Schedules.token({ seed: 7, strategy: "random", granularity: "op", choices: [0, 0, 0, 2, 1] })
 *
 * token // => "sim1:7:op:0*3.2.1"
 * Schedules.parse(token).choices // => [0, 0, 0, 2, 1]
 * ```
 */
export const token = (schedule: Schedule): string => {
  const { choices, granularity, late = 0, seed, stop, strategy } = schedule
  const how = choices === undefined ? strategy : encode(choices)
  const parts = [version, seed, granularity, how]
  if (late > 0) parts.push(`late@${late}`)
  if (stop !== undefined) parts.push(`${stop.how}@${stop.step}/${stop.fiber}`)
  return parts.join(":")
}

/**
 * The schedule of a token; throws `BadToken`, which says what is wrong with it.
 *
 * @example
 * ```ts
 * import { Schedules } from "skein/testing"
 *
 * Schedules.parse("sim1:42:op:pct").strategy // => "pct"
 * ```
 */
export const parse = (token: string): Schedule => {
  const bad = (why: string) => new BadToken({ token, why })
  const [head, seed, granularity, how, ...more] = token.trim().split(":")
  const late = more[0]?.startsWith("late@") ? lateOf(more.shift()!, bad) : undefined
  const [stop, ...rest] = more
  if (head !== version) throw bad(`it does not begin with ${version}`)
  if (seed === undefined || !/^-?\d{1,16}$/.test(seed)) throw bad("its seed is not a whole number")
  if (granularity !== "boundary" && granularity !== "op") throw bad("its granularity is neither boundary nor op")
  if (how === undefined || rest.length > 0) throw bad("it has not four to six parts")
  const common = {
    seed: Number(seed),
    granularity,
    late,
    stop: stop === undefined ? undefined : stopOf(stop, bad)
  } as const
  return how === "random" || how === "pct" || how === "fifo"
    ? { ...common, strategy: how }
    : { ...common, strategy: "fifo", choices: decode(how, bad) }
}

/**
 * Schedules that are drawn choice by choice, for property tests of your own: an `Arbitrary` that shrinks with the input, towards
 * the natural order. `choices` is how many are drawn at most (100 by default); after them everything goes its natural way.
 *
 * @example
 * ```ts
 * import * as Arbitrary from "effect/Arbitrary"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Schedules, Sim } from "skein/testing"
 *
 * const property = Arbitrary.all([Arbitrary.schema(Schema.Literals([1, 2, 3])), Schedules.arbitrary()])
 * const program = (times: number) => Effect.repeat(Effect.yieldNow, { times })
 * const result = await Effect.runPromise(
 *   Arbitrary.checkEffect(property, ([times, schedule]) => Effect.as(Sim.run(program(times), schedule), true))
 * )
 *
 * result._tag // => "Passed"
 * ```
 */
export const arbitrary = (
  options: { readonly granularity?: Granularity; readonly choices?: number } = {}
): Arbitrary.Arbitrary<Schedule> =>
  Arbitrary.map(Arbitrary.array(choice, { maxLength: options.choices ?? 100 }), (choices) => ({
    seed: 0,
    strategy: "fifo",
    granularity: options.granularity ?? "op",
    choices
  }))

/** Small ones matter most, and the natural one most of all. */
const choice: Arbitrary.Arbitrary<number> = Arbitrary.map(
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 11 }))),
  (drawn) => [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 5][drawn]!
)

const version = "sim1"

const encode = (choices: ReadonlyArray<number>): string => {
  const parts: Array<string> = []
  for (let i = 0; i < choices.length;) {
    let end = i + 1
    while (end < choices.length && choices[end] === choices[i]) end++
    parts.push(end - i === 1 ? `${choices[i]}` : `${choices[i]}*${end - i}`)
    i = end
  }
  return parts.join(".")
}

/** What any run could take; a token comes from outside. */
const maxChoices = 10_000_000

const decode = (text: string, bad: (why: string) => BadToken): ReadonlyArray<number> => {
  const choices: Array<number> = []
  for (const part of text === "" ? [] : text.split(".")) {
    const match = /^(\d{1,15})(?:\*(\d{1,8}))?$/.exec(part)
    if (match === null) throw bad(`"${part}" is not a choice`)
    const times = Number(match[2] ?? 1)
    if (choices.length + times > maxChoices) throw bad(`it has more than ${maxChoices} choices`)
    for (let i = 0; i < times; i++) choices.push(Number(match[1]))
  }
  return choices
}

const lateOf = (text: string, bad: (why: string) => BadToken): number => {
  const match = /^late@(\d{1,15}(?:\.\d{1,6})?)$/.exec(text)
  if (match === null) throw bad(`"${text}" does not say how many milliseconds timers may be late`)
  return Number(match[1])
}

const stopOf = (text: string, bad: (why: string) => BadToken): Stop => {
  const match = /^(interrupt|kill)@(\d{1,15})\/(\d{1,15})$/.exec(text)
  if (match === null) throw bad(`"${text}" does not say where it was stopped`)
  return { how: match[1] as Stop["how"], step: Number(match[2]), fiber: Number(match[3]) }
}
