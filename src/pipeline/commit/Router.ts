/** Elements that become rows of several sinks. */
/* oxlint-disable typescript/no-explicit-any -- what goes where has lost its types */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { Guarantee } from "../Guarantee.ts"
import type { Sink, Writer } from "../Sink.ts"

type Any = Sink<any, any, any, Guarantee>

/** What some elements become for one sink. */
interface Share {
  readonly rows: Array<unknown>
  /** For each element, how many rows are there once its own are. */
  readonly ends: Array<number>
}

export class Router<A> {
  private readonly names: ReadonlyArray<string>
  private readonly rows: (element: A) => { readonly [name: string]: ReadonlyArray<unknown> | undefined }
  /** All sinks are given one and the same batch, one after the other. */
  private readonly known = new WeakMap<ReadonlyArray<A>, ReadonlyMap<string, Share>>()

  constructor(names: ReadonlyArray<string>, rows: Router<A>["rows"]) {
    this.names = names
    this.rows = rows
  }

  share(elements: ReadonlyArray<A>, name: string): Share {
    let shares = this.known.get(elements)
    if (shares === undefined) {
      shares = this.split(elements)
      this.known.set(elements, shares)
    }
    return shares.get(name)!
  }

  private split(elements: ReadonlyArray<A>): ReadonlyMap<string, Share> {
    const shares = new Map(this.names.map((name): readonly [string, Share] => [name, { rows: [], ends: [] }]))
    for (const element of elements) {
      const given = this.rows(element)
      for (const name in given) {
        if (!shares.has(name)) {
          throw new TypeError(
            `Sink.route has no sink "${name}" for what an element became; it has ${this.names.join(", ")}`
          )
        }
      }
      for (const [name, { ends, rows }] of shares) {
        for (const row of given[name] ?? []) rows.push(row)
        ends.push(rows.length)
      }
    }
    return shares
  }
}

/** The sink that writes its share of what elements become; what it refuses are elements. */
export const routed = <A>(sink: Any, name: string, router: Router<A>): Any => ({
  ...sink,
  open: (opening) =>
    Effect.map(sink.open(opening), (writer): Writer<A, any, any> => {
      const isUndone = sink.guarantee !== "at-least-once"
      let ends: ReadonlyArray<number> = []
      return {
        ...writer,
        write: (elements, since) =>
          Effect.suspend(() => {
            const { ends: last, rows } = router.share(elements, name)
            ends = last
            if (rows.length === 0 && Option.isSome(since)) return Effect.succeed(since.value)
            const written = writer.write(rows, since)
            // Nobody cuts the rows of one element into halves.
            return isUndone && elements.length === 1 && rows.length > 1
              ? Effect.catchIf(
                  written,
                  (error) => writer.atFault !== undefined && writer.atFault(error) === undefined,
                  () => oneByOne(writer, rows, since)
                )
              : written
          }),
        atFault:
          writer.atFault &&
          ((error) => {
            const fault = writer.atFault!(error)
            if (fault === undefined || fault === "batch") return fault
            return [...new Set(fault.map((row) => owner(ends, row)))]
          })
      }
    })
})

/** Fails as the row does that is refused. */
const oneByOne = (
  writer: Writer<any, any, any>,
  rows: ReadonlyArray<unknown>,
  since: Option.Option<Schema.Json>
): Effect.Effect<Schema.Json, any, any> =>
  Effect.map(
    Effect.reduce(
      rows,
      () => since,
      (state, row) => Effect.asSome(writer.write([row], state))
    ),
    Option.getOrThrow
  )

/** The first element whose rows end behind `row`. */
const owner = (ends: ReadonlyArray<number>, row: number): number => {
  let [low, high] = [0, ends.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle]! > row) high = middle
    else low = middle + 1
  }
  return low
}
