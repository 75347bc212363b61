/** Windows one behind the other, as a step with a state: the windows that are open, each with what its elements came to. */
import * as Schema from "effect/Schema"
import type { Aggregate, Scan, SchemaOfState } from "../Step.ts"

export interface Tumbling {
  /** How long a window is. */
  readonly size: number
  /** Where an element stands, of which so many came before. */
  readonly at: (element: unknown, before: number) => number
  /** Up to where nothing comes any more once an element has stood there. */
  readonly closes: (at: number) => number
  readonly initial: unknown
  readonly add: (value: any, element: any) => unknown
  readonly state: SchemaOfState<any>
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

export const tumbling = ({
  add,
  at,
  closes,
  initial,
  size,
  state
}: Tumbling): Pick<Scan, "initial" | "state" | "f" | "end"> => {
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
