/** One step of a pipeline takes so long that all others wait for it. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Journal, Pipeline, Sink } from "skein"
import { inspected } from "./inspected.ts"

let done = 0
const resize = (image: number) =>
  Effect.gen(function* () {
    yield* Effect.sleep("20 millis") // here
    if (++done === 40) yield* Console.log("sick")
    return image
  })

const job = Pipeline.from(Array.from({ length: 100_000 }, (_, i) => i)).pipe(
  Pipeline.map((image) => Effect.as(Effect.yieldNow, image), { name: "download", concurrency: 4 }),
  Pipeline.map(resize, { name: "resize", concurrency: 4 }),
  Pipeline.to(Sink.discard)
)

inspected(Pipeline.run(job, { name: "images" }).pipe(Effect.provide(Journal.memory)))
