/** A group is given tasks that never end, one after another. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const listen = Effect.gen(function* () {
  return yield* Effect.never // here
})

const program = Effect.gen(function* () {
  yield* Console.log("sick")
  for (let client = 0; ; client++) {
    yield* TaskGroup.spawn(listen, { name: `client ${client}` })
    yield* Effect.sleep("1 millis")
  }
})

inspected(TaskGroup.open(program, { name: "clients" }))
