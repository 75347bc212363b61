/** A task computes without a pause, and nothing else gets its turn; given up once a file is there. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { TaskGroup } from "skein"
import { existsSync } from "node:fs"
import { inspected } from "./inspected.ts"

const [done = ""] = process.argv.slice(2)

const primes = (): number => {
  let n = 0
  while (!existsSync(done)) n++ // here
  return n
}

const program = Effect.gen(function* () {
  yield* Console.log("sick")
  yield* TaskGroup.spawn(Effect.andThen(Effect.sync(primes), Effect.never), { name: "primes" })
})

inspected(TaskGroup.open(program, { name: "numbers" }))
