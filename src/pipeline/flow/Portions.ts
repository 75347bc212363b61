/** Reads a list a little at a time, so that not all of it is there twice. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const portion = 1024

/** What `of` gives for the items from `start` on; those that are there when reading begins. */
export const portions = <A, B>(
  items: ReadonlyArray<A>,
  start: number,
  of: (item: A, index: number) => B
): Stream.Stream<B> =>
  Stream.suspend(() => {
    const { length } = items
    return Stream.paginate(start, (from) => {
      const end = Math.min(length, from + portion)
      const some: Array<B> = []
      for (let i = from; i < end; i++) some.push(of(items[i]!, i))
      return Effect.succeed([some, end < length ? Option.some(end) : Option.none<number>()])
    })
  })
