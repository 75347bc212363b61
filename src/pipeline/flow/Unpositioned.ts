/** What is read once, from its beginning. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { elementsOf } from "../context/Portion.ts"
import type { NoPosition, Source } from "../Source.ts"
import { slices } from "./Portions.ts"
import { weigh } from "./Weigh.ts"

/** A source without positions, of any stream. */
export const unpositioned = <A, E, R>(stream: Stream.Stream<A, E, R>): Source<A, E, R, NoPosition> => ({
  name: "stream",
  resumable: false,
  size: Effect.succeed(Option.none()),
  fingerprint: () => Effect.succeed({}),
  read: () =>
    elementsOf(
      Stream.mapArray(stream, (values) => Arr.of({ values, positionOf: () => nowhere, bytes: values.map(weigh) }))
    )
})

/** Closes a generator that is not read to its end, as `for … of` does. */
export const ofIterable = <A>(items: Iterable<A>): Stream.Stream<A> => {
  if (Array.isArray(items)) return slices<A>(items, 0)
  const begun = Effect.sync(() => {
    const iterator = items[Symbol.iterator]()
    let isOpen = true
    const next = (): IteratorResult<A> => {
      isOpen = false
      const result = iterator.next()
      isOpen = result.done !== true
      return result
    }
    const close = (): void => {
      if (isOpen) iterator.return?.()
    }
    return { close, all: { [Symbol.iterator]: () => ({ next }) } }
  })
  const closing = Effect.acquireRelease(begun, ({ close }) => Effect.sync(close))
  return Stream.unwrap(Effect.map(closing, ({ all }) => Stream.fromIterable(all)))
}

// The engine never keeps the position of a source that is not resumable.
const nowhere: NoPosition = { _tag: "NoPosition" }
