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
  /** How many runs would answer a request now. */
  listeners: number
}

/**
 * A drain of one's own, for programs that decide themselves when their runs should stop: provide it as `Drain.Drain`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Drain } from "skein"
 *
 * const drain = Drain.make()
 *
 * await Effect.runPromise(Effect.andThen(drain.request, drain.requested)) // => undefined
 * ```
 */
export const make = (): Drain => {
  const asked = Deferred.makeUnsafe<void>()
  return { requested: Deferred.await(asked), request: Effect.asVoid(Deferred.succeed(asked, undefined)), listeners: 0 }
}

/**
 * The drain of the program; without `Main.run`, one that nobody requests.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Drain, Journal, Pipeline, Sink, Source } from "skein"
 *
 * const drain = Drain.make()
 * const endless = Pipeline.from(Source.list([1, 2, 3], { name: "numbers" })).pipe(
 *   Pipeline.map((n) => Effect.as(drain.request, n)),
 *   Pipeline.map((n) => Effect.delay(Effect.succeed(n), "1 millis")),
 *   Pipeline.to(Sink.discard)
 * )
 * const program = Pipeline.run(endless, { name: "endless" }).pipe(
 *   Effect.provideService(Drain.Drain, drain),
 *   Effect.provide(Journal.memory)
 * )
 *
 * await Effect.runPromise(Effect.map(program, (summary) => summary.resumable || summary.outcome === "done")) // => true
 * ```
 */
export const Drain: Context.Reference<Drain> = Context.Reference("skein/Drain", { defaultValue: make })
