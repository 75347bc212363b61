/** Windows one behind the other, as a step with a state: the windows that are open, each with what its elements come to. */
/* oxlint-disable typescript/no-explicit-any -- a description has lost the types of its steps */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { checkDuration, checkWhole } from "../../concurrency/base/Options.ts"
import type { Aggregate, Scan, StepOptions, WindowOf, WindowOptions } from "../Step.ts"
import { eachOf } from "./Described.ts"

/** What a step does that has a state. */
export type Stateful = Pick<Scan, "initial" | "state" | "f" | "end">

/** As a step that takes one element at a time. */
export const scanOf = (stateful: Stateful, options: Pick<StepOptions<any>, "name" | "catch" | "onError">): Scan => {
  const { catch: made, name, onError } = options
  const { kind: _, ...step } = eachOf("map", stateful.f as never, 0, { name, onError, catch: made })
  return { ...step, ...stateful, _tag: "Scan" }
}

interface Open {
  readonly from: number
  readonly count: number
  readonly value: unknown
}

interface State {
  /** Elements that came. */
  readonly came: number
  /** Windows that end up to here are closed. None before the first element. */
  readonly closed: number | null
  /** In their order. */
  readonly open: ReadonlyArray<Open>
  /** Whether those were given as they are, as there was no more. */
  readonly given: boolean
}

export const windowsOf = (
  of: WindowOf<any>,
  { add, initial, state }: Pick<WindowOptions<any, any>, "add" | "initial" | "state">
): Stateful => {
  const { at, closes, size } = spanOf(of)
  const aggregate = ({ count, from, value }: Open): Aggregate<unknown> => ({ from, to: from + size, count, value })
  const first: State = { came: 0, closed: null, open: [], given: true }
  return {
    initial: first,
    state: Schema.Struct({
      came: Schema.Number,
      closed: Schema.NullOr(Schema.Number),
      open: Schema.Array(Schema.Struct({ from: Schema.Number, count: Schema.Number, value: state })),
      given: Schema.Boolean
    }),
    f: (was: State, element): readonly [State, ReadonlyArray<unknown> | undefined] => {
      const place = at(element, was.came)
      const from = Math.floor(place / size) * size
      if (was.closed !== null && from + size <= was.closed) return [was, undefined]
      const closed = Math.max(was.closed ?? -Infinity, closes(place))
      const others = was.open.filter((window) => window.from !== from)
      const { count, value } = was.open.find((window) => window.from === from) ?? { count: 0, value: initial }
      const now = { from, count: count + 1, value: add(value, element) }
      const all = [...others, now].sort((a, b) => a.from - b.from)
      const open = all.filter((window) => window.from + size > closed)
      const outputs = all.slice(0, all.length - open.length)
      return [{ came: was.came + 1, closed, open, given: open.length === 0 }, outputs.map(aggregate)]
    },
    end: (was: State) => (was.given ? undefined : [{ ...was, given: true }, was.open.map(aggregate)])
  }
}

interface Span {
  /** How long a window is. */
  readonly size: number
  /** Where an element stands, of which so many came before. */
  readonly at: (element: unknown, before: number) => number
  /** Up to where nothing comes any more once an element has stood there. */
  readonly closes: (at: number) => number
}

const spanOf = (of: WindowOf<any>): Span => {
  if ("count" in of) {
    if ("every" in of) throw new TypeError("Pipeline.window takes `count`, or `every` and `at`, not both")
    checkWhole("The window count of a pipeline", of.count, 1)
    return { size: of.count, at: (_, before) => before, closes: (at) => at + 1 }
  }
  checkDuration("every", of.every)
  checkDuration("late", of.late)
  const size = Duration.toMillis(Duration.fromInputUnsafe(of.every))
  if (!(size > 0 && size < Infinity)) {
    const shown = Duration.format(Duration.fromInputUnsafe(of.every))
    throw new RangeError(`every must be a duration, more than zero and finite, as "10 seconds"; got ${shown}`)
  }
  const late = Duration.toMillis(Duration.fromInputUnsafe(of.late ?? 0))
  return { size, at: (element) => millisOf(of.at(element)), closes: (at) => at - late }
}

const millisOf = (at: number | Date | DateTime.DateTime): number => {
  const millis = typeof at === "number" ? at : DateTime.isDateTime(at) ? DateTime.toEpochMillis(at) : at.getTime()
  if (!Number.isFinite(millis)) throw new RangeError(`Pipeline.window: the time of an element is ${millis}`)
  return millis
}
