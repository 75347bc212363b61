/** Reads one element of a million parts. Its test gives it little memory. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source } from "skein"

const job = Pipeline.from(Source.list([1_000_000], { name: "sizes" })).pipe(
  Pipeline.flatMap((size) => Stream.range(1, size)),
  Pipeline.filter((n) => n % 4 === 0),
  Pipeline.batch(10),
  Pipeline.flatMap((some) => some),
  Pipeline.to(Sink.discard)
)

const { filtered, settled, written } = await Effect.runPromise(
  Pipeline.run(job, { name: "parts" }).pipe(Effect.provide(Journal.memory))
)
console.log(`${settled} settled, ${written} written, ${filtered} filtered`)
