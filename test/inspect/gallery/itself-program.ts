/** A task waits for the end of a group in which another waits for the end of that task. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Task, TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const snake = Effect.gen(function* () {
  const me = Option.getOrThrow(yield* Task.current)
  const tail = Effect.gen(function* () {
    yield* Console.log("sick")
    yield* me.exit // here
  })
  yield* TaskGroup.open(TaskGroup.spawn(tail, { name: "tail" }), { name: "body of the snake" })
})

inspected(TaskGroup.open(TaskGroup.spawn(snake, { name: "ouroboros" }), { name: "garden" }))
