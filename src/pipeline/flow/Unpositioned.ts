/** What is read once, from its beginning. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
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
      Stream.mapArray(stream, (values) => Arr.of({ values, positionOf: () => nowhere, bytes: weights(values) }))
    )
})

/** How many elements are read at once. */
const portion = 1024

/** Closes a generator that is not read to its end, as `for … of` does. */
export const ofIterable = <A>(items: Iterable<A>): Stream.Stream<A> => {
  if (Array.isArray(items)) return slices<A>(items, 0)
  const begun = Effect.sync(() => {
    const iterator = items[Symbol.iterator]()
    let isOpen = true
    let isDone = false
    const read = (): Array<A> => {
      const some: Array<A> = []
      isOpen = false
      while (!isDone && some.length < portion) {
        const { done, value } = iterator.next()
        if (done === true) isDone = true
        else some.push(value)
      }
      isOpen = !isDone
      return some
    }
    const close = (): void => {
      if (isOpen) iterator.return?.()
    }
    return { close, read }
  })
  const closing = Effect.acquireRelease(begun, ({ close }) => Effect.sync(close))
  return Stream.unwrap(
    Effect.map(closing, ({ read }) => {
      const pull = Effect.suspend(() => {
        const some = read()
        return Arr.isArrayNonEmpty(some) ? Effect.succeed(some) : Cause.done()
      })
      return Stream.fromPull(Effect.succeed(pull))
    })
  )
}

const weights = (values: ReadonlyArray<unknown>): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  for (const value of values) bytes.push(weigh(value))
  return bytes
}

// The engine never keeps the position of a source that is not resumable.
const nowhere: NoPosition = { _tag: "NoPosition" }
