/** What a process does, look by look, as Server-Sent Events: it is asked only while somebody reads. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Inspected from "../../node/Inspected.ts"

/** Milliseconds between two looks at least; a look that takes long is followed by a longer pause. */
const pause = 1000
/** Of its time, a process gives to looks no more than one in so many. */
const share = 20

export interface Process extends Pick<Inspected.Found, "pid" | "title" | "snapshot"> {}

/** It ends when the process has. */
export const snapshots = (process: Process): Stream.Stream<Uint8Array> =>
  Stream.unfold<Wait, string, never, never>(0, (wait) =>
    Effect.gen(function* () {
      if (wait === "over") return undefined
      yield* Effect.sleep(wait)
      const began = yield* Clock.currentTimeMillis
      const seen = yield* Effect.result(process.snapshot)
      const took = (yield* Clock.currentTimeMillis) - began
      const next = Math.max(pause, took * share)
      if (Result.isSuccess(seen)) return [frame("snapshot", seen.success), next] as const
      const { isGone, message } = seen.failure
      return isGone ? ([frame("ended", message), "over"] as const) : ([frame("trouble", message), next] as const)
    })
  ).pipe(Stream.encodeText)

type Wait = number | "over"

/** JSON has no line breaks, so it is one line of data. */
const frame = (event: string, data: unknown): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
