/** Where bytes come from: a file, one that is compressed or in another encoding, the body of an answer. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Portion } from "../../../pipeline/context/Portion.ts"
import type { Cutter, Problem } from "../Format.ts"

export interface Bytes<out E> {
  /**
   * Puts what follows at the start of `into`, one byte at least, and gives how many; 0 at the end, once it is known to be the end
   * of all that should come.
   */
  readonly read: (into: Uint8Array) => Effect.Effect<number, E>
}

export type Portions<A, P> = readonly [Portion<A, P>]

/** The portions that a cutter makes of bytes, as `Stream.fromPull` takes them; `refuse` makes the error of a problem. */
export const cut = <A, E>(
  bytes: Bytes<E>,
  cutter: Cutter<A>,
  refuse: (problem: Problem) => Effect.Effect<never, E>
): Effect.Effect<Portions<A, number>, E | Cause.Done> => {
  const pull: Effect.Effect<Portions<A, number>, E | Cause.Done> = Effect.suspend(() => {
    const portion = cutter.next()
    if (portion.values.length > 0) return Effect.succeed([portion] as const)
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
