/** A promise that cannot be stopped was given up with its deadline, and still runs. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Deadline, Offload, TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const legacy = Offload.promise(() => new Promise<void>(() => {}), { onCancel: "abandon", name: "legacy export" })

const program = Effect.gen(function* () {
  yield* Effect.ignore(Deadline.within("1 millis")(legacy))
  yield* Console.log("sick")
  return yield* Effect.never
})

inspected(TaskGroup.open(program, { name: "exports" }))
