/** What is read once, from its beginning. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { NoPosition, Source } from "../Source.ts"
import { weigh } from "./Weigh.ts"

/** A source without positions, of any stream. */
export const unpositioned = <A, E, R>(stream: Stream.Stream<A, E, R>): Source<A, E, R, NoPosition> => ({
  name: "stream",
  resumable: false,
  size: Effect.succeed(Option.none()),
  fingerprint: () => Effect.succeed({}),
  read: () => Stream.map(stream, (value) => ({ value, position: nowhere, bytes: weigh(value) }))
})

// The engine never keeps the position of a source that is not resumable.
const nowhere: NoPosition = { _tag: "NoPosition" }
