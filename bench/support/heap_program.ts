/** Ten million numbers through three steps, one of them with a key, and batches: run by `heap.ts` with little memory. */
import * as Effect from "effect/Effect"
import { Pipeline } from "skein"
import { indexed, into, run } from "./jobs.ts"

let sum = 0
const { settled } = await Pipeline.from(indexed(Number(process.argv[2]), (i) => i, 8)).pipe(
  Pipeline.map((i) => i + 1),
  Pipeline.map((i) => Effect.promise(async () => i), { concurrency: 16, key: (i) => i % 100_003 }),
  Pipeline.map((i) => i - 1),
  Pipeline.batch(100),
  Pipeline.to(
    into((batch) => {
      for (const i of batch) sum += i
    })
  ),
  run
)
console.log(JSON.stringify({ sum, settled, megabytes: process.resourceUsage().maxRSS / 1024 }))
