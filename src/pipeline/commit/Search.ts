/** Writes rows, and finds out which of them a sink refuses (P7). */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { Writer } from "../Sink.ts"

type AnyWriter = Writer<unknown, unknown, unknown>

/** A write that failed, and not for one of its rows. */
export class WriteFailed {
  readonly cause: Cause.Cause<unknown>
  /** Whether the sink says that it passes by itself. */
  readonly mayPass: boolean
  constructor(cause: Cause.Cause<unknown>, mayPass: boolean) {
    this.cause = cause
    this.mayPass = mayPass
  }
}

/** What a write makes of its failure, of a sink or of what a source keeps account in. */
export const failed =
  ({ mayPass }: Pick<AnyWriter, "mayPass">) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<never, WriteFailed> =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.fail(
          new WriteFailed(
            cause,
            cause.reasons.every((reason) => Cause.isFailReason(reason) && mayPass?.(reason.error) === true)
          )
        )

export interface Search {
  readonly writer: AnyWriter
  readonly refused: Map<number, unknown>
  /**
   * How rows that fail are looked for: only as the sink names them, by halves where it does not, or, as what is written now is
   * undone anyway, behind the one that it names as well.
   */
  readonly how: "named" | "halves" | "all"
  /** Whether all that is refused may be tried again. */
  mayAgain: boolean
  /** Told of rows that are written, whatever becomes of the others, and of the state after them. */
  readonly wrote: (rows: ReadonlyArray<unknown>, state: Option.Option<Schema.Json>) => void
}

/** Some of the rows of a commit. */
export interface Part {
  readonly rows: ReadonlyArray<unknown>
  /** Which of all rows one of these is. */
  readonly place: (index: number) => number
}

export const whole = (rows: ReadonlyArray<unknown>): Part => ({ rows, place: (index) => index })

const between = ({ place, rows }: Part, start: number, end: number): Part => ({
  rows: rows.slice(start, end),
  place: (index) => place(start + index)
})

const only = ({ place, rows }: Part, indexes: ReadonlyArray<number>): Part => ({
  rows: indexes.map((index) => rows[index]!),
  place: (index) => place(indexes[index]!)
})

/** The rows without those that were written already, each as often as it was. */
export const left = (rows: ReadonlyArray<unknown>, written: ReadonlyArray<ReadonlyArray<unknown>>): Part => {
  const counts = new Map<unknown, number>()
  for (const row of written.flat()) counts.set(row, (counts.get(row) ?? 0) + 1)
  const indexes: Array<number> = []
  for (const [index, row] of rows.entries()) {
    const count = counts.get(row) ?? 0
    if (count === 0) indexes.push(index)
    else counts.set(row, count - 1)
  }
  return only(whole(rows), indexes)
}

/** Writes rows; those that it fails on alone, or that the sink names, go to `refused` (P7). */
export const writePart = (
  search: Search,
  part: Part,
  since: Option.Option<Schema.Json>
): Effect.Effect<Option.Option<Schema.Json>, WriteFailed, unknown> => {
  const { how, refused, writer } = search
  const { place, rows } = part
  const written = Effect.map(writer.write(rows, since), (given) => {
    const state = Option.some(given)
    search.wrote(rows, state)
    return state
  })
  return Effect.catchCause(written, (cause) => {
    const failure = cause.reasons.find(Cause.isFailReason)
    if (failure === undefined || cause.reasons.length > 1) return failed(writer)(cause)
    const fault = writer.atFault === undefined && how === "named" ? "batch" : writer.atFault?.(failure.error)
    if (fault === "batch" || rows.length === 0) return failed(writer)(cause)
    const both = (one: Part, other: Part) =>
      Effect.flatMap(one.rows.length === 0 ? Effect.succeed(since) : writePart(search, one, since), (state) =>
        other.rows.length === 0 ? Effect.succeed(state) : writePart(search, other, state)
      )
    if (fault !== undefined && "written" in fault) {
      for (const [row, error] of fault.refused) refused.set(place(row), error)
      search.wrote(
        fault.written.map((row) => rows[row]!),
        since
      )
      const known = new Set([...fault.refused.keys(), ...fault.written])
      if (how === "named") return fault.refused.size > 0 ? Effect.succeed(since) : failed(writer)(cause)
      const rest = only(
        part,
        rows.flatMap((_, row) => (known.has(row) ? [] : [row]))
      )
      const middle = rest.rows.length === rows.length ? rows.length >> 1 : 0
      return both(between(rest, 0, middle), between(rest, middle, rest.rows.length))
    }
    search.mayAgain = false
    const named = fault ?? (rows.length === 1 ? [0] : [])
    for (const row of named) refused.set(place(row), failure.error)
    const around = (end: number, next: number) => both(between(part, 0, end), between(part, next, rows.length))
    if (named.length === 0) return around(rows.length >> 1, rows.length >> 1)
    // Who names one may have looked no further; a transaction for each of many would take forever.
    return how === "all" && named.length === 1 ? around(named[0]!, named[0]! + 1) : Effect.succeed(since)
  })
}
