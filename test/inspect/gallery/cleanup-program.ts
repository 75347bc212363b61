/** A task was cancelled, and its finalizer does not come to its end. */
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const program = Effect.gen(function* () {
  const open = yield* Deferred.make<void>()
  const flush = Effect.gen(function* () {
    yield* Console.log("sick")
    return yield* Effect.never // here
  })
  const upload = Effect.ensuring(Effect.andThen(Deferred.succeed(open, undefined), Effect.never), flush)
  const task = yield* TaskGroup.spawn(upload, { name: "upload" })
  yield* Deferred.await(open)
  yield* task.cancel()
})

inspected(TaskGroup.open(program, { name: "uploads" }))
