/** Where bytes come from: a file, one that is compressed or in another encoding, the body of an answer. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Element } from "../../../pipeline/Source.ts"
import type { Cutter, Problem } from "../Format.ts"

export interface Bytes<out E> {
  /**
   * Puts what follows at the start of `into`, one byte at least, and gives how many; 0 at the end, once it is known to be the end
   * of all that should come.
   */
  readonly read: (into: Uint8Array) => Effect.Effect<number, E>
}

export type Chunk<A> = readonly [Element<A, number>, ...Array<Element<A, number>>]

/** The elements that a cutter makes of bytes, as `Stream.fromPull` takes them; `refuse` makes the error of a problem. */
export const cut = <A, E>(
  bytes: Bytes<E>,
  cutter: Cutter<A>,
  refuse: (problem: Problem) => Effect.Effect<never, E>
): Effect.Effect<Chunk<A>, E | Cause.Done> => {
  const pull: Effect.Effect<Chunk<A>, E | Cause.Done> = Effect.suspend(() => {
    const elements = cutter.next()
    if (isNonEmpty(elements)) return Effect.succeed(elements)
    if (cutter.problem !== undefined) return refuse(cutter.problem)
    return cutter.ended ? Cause.done() : more
  })
  const more = Effect.suspend(() => bytes.read(cutter.space())).pipe(
    Effect.flatMap((count) => {
      cutter.add(count)
      return pull
    })
  )
  return pull
}

const isNonEmpty = <A>(elements: ReadonlyArray<Element<A, number>>): elements is Chunk<A> => elements.length > 0
