/** A task keeps a permit while it waits for something that does not come; others stand in line. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Limiter, TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const program = Effect.gen(function* () {
  const connections = yield* Limiter.concurrency(1)
  const hoard = Effect.gen(function* () {
    yield* Console.log("sick")
    return yield* Effect.never // here
  })
  yield* TaskGroup.spawn(connections.withPermit(hoard), { name: "hoarder" })
  for (const name of ["first", "second"]) {
    yield* TaskGroup.spawn(connections.withPermit(Effect.void), { name })
  }
})

inspected(TaskGroup.open(program, { name: "pool" }))
