/** Reads a list a little at a time, so that not all of it is there twice. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type Element, elementsOf, type Portion } from "../context/Portion.ts"
import { weigh } from "./Weigh.ts"

const portion = 1024

/** The items from `start` on, in slices; those that are there when reading begins. */
export const slices = <A>(items: ReadonlyArray<A>, start: number): Stream.Stream<A> =>
  Stream.suspend(() => {
    const { length } = items
    return Stream.paginate(start, (from) => {
      const end = Math.min(length, from + portion)
      return Effect.succeed([items.slice(from, end), end < length ? Option.some(end) : Option.none<number>()])
    })
  })

/** The same with their positions, which are how many there are up to each. */
export const positioned = <A>(items: ReadonlyArray<A>, start: number): Stream.Stream<Element<A, number>> =>
  elementsOf(
    Stream.suspend(() => {
      let at = start
      return Stream.mapArray(slices(items, start), (values) => {
        const from = at + 1
        at += values.length
        const some: Portion<A, number> = { values, positionOf: (index) => from + index, bytes: values.map(weigh) }
        return Arr.of(some)
      })
    })
  )
