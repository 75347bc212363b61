/** More asks for permits than they are given back: the queue only grows. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Limiter, TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const program = Effect.gen(function* () {
  const mail = yield* Limiter.concurrency(1)
  const send = mail.withPermit(Effect.sleep("1 minute"))
  yield* Console.log("sick")
  for (let letter = 0; ; letter++) {
    yield* TaskGroup.spawn(send, { name: `letter ${letter}` })
    yield* Effect.sleep("1 millis")
  }
})

inspected(TaskGroup.open(program, { name: "post" }))
