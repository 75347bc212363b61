/** Pipelines to measure: what they read, where they write, and how they are run. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, type Source } from "skein"

/** A sink that gives all elements to `take` and keeps none. */
export const into = <A>(take: (element: A) => void): Sink.Sink<A, never, never, "at-least-once"> =>
  Sink.make({
    name: "benchmark",
    guarantee: "at-least-once",
    open: () =>
      Effect.succeed({
        write: (elements: ReadonlyArray<A>) =>
          Effect.sync(() => {
            for (const element of elements) take(element)
            return null
          })
      })
  })

/** A source that resumes by index, of elements that are made as they are read, a thousand at a time. */
export const indexed = <A>(
  count: number,
  element: (i: number) => A,
  bytes: number
): Source.Source<A, never, never, number> => ({
  name: "benchmark",
  resumable: true,
  size: Effect.succeed(Option.some(count * bytes)),
  fingerprint: () => Effect.succeed({ count } satisfies Schema.JsonObject),
  read: (after) =>
    Stream.paginate(
      Option.getOrElse(after, () => 0),
      (start) => {
        const size = Math.min(1000, count - start)
        const elements = Array.from({ length: size }, (_, i) => ({
          value: element(start + i),
          position: start + i + 1,
          bytes
        }))
        return Effect.succeed([elements, start + size < count ? Option.some(start + size) : Option.none<number>()])
      }
    )
})

/** Runs a job that needs nothing else, with a journal in memory. */
export const run = <E, G extends Pipeline.Delivery>(
  job: Pipeline.Job<E, Journal.Journal, G>
): Promise<Pipeline.Summary> =>
  Effect.runPromise(Effect.provide(Pipeline.run(job, { name: "benchmark" }), Journal.memory))
