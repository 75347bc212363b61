/**
 * The wish to stop in an orderly way: running pipelines stop pulling, finish what is in flight, commit and end.
 * `Main.run` turns the first signal into it.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export interface Drain {
  /** Completes when draining is asked for. */
  readonly requested: Effect.Effect<void>
  readonly request: Effect.Effect<void>
  /** How many pipelines would answer a request now. */
  listeners: number
}

export const make = (): Drain => {
  const asked = Deferred.makeUnsafe<void>()
  return { requested: Deferred.await(asked), request: Effect.asVoid(Deferred.succeed(asked, undefined)), listeners: 0 }
}

/** The drain of the program; without `Main.run`, one that nobody requests. */
export const Drain: Context.Reference<Drain> = Context.Reference("skein/Drain", { defaultValue: make })
