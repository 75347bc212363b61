/**
 * Works on a frontier of numbers that lead to each other in circles, and writes each to a table without a key; says how many it has
 * done. Killed by its test, with others beside it.
 *
 *     frontier-program.ts URL NAME COUNT
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Db, Pipeline } from "skein"
import { Drivers } from "skein/node"
import { writeSync } from "node:fs"
import { jobOf, numbersOf } from "./frontier.ts"

const [url = "", name = "", count = ""] = process.argv.slice(2)

let did = 0
const numbers = numbersOf({ atOnce: 20, lease: "5 seconds", poll: "50 millis" })
const job = jobOf(numbers, Number(count), () => {
  did += 1
  if (did % 10 === 0) writeSync(1, `did ${did}.\n`)
})

await Effect.runPromise(
  Pipeline.run(job, { name, maxRows: 5 }).pipe(
    Effect.tap(({ outcome }) => Console.log(outcome)),
    Effect.provide(Db.open(url).pipe(Layer.provide(Drivers.layer)))
  )
)
