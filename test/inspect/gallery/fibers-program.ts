/** Two tasks wait for the end of each other's fibers, which only the look below the program can tell. */
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const program = Effect.gen(function* () {
  const hens = yield* Deferred.make<Fiber.Fiber<unknown, unknown>>()
  const eggs = yield* Deferred.make<Fiber.Fiber<unknown, unknown>>()
  const after = (mine: typeof hens, other: typeof hens) =>
    Effect.gen(function* () {
      yield* Deferred.succeed(mine, Fiber.getCurrent()!)
      const fiber = yield* Deferred.await(other)
      yield* Fiber.await(fiber) // here
    })
  yield* TaskGroup.spawn(after(hens, eggs), { name: "hen" })
  yield* TaskGroup.spawn(after(eggs, hens), { name: "egg" })
  yield* Console.log("sick")
})

inspected(TaskGroup.open(program, { name: "farm" }))
