/** What the tests of the inspector's socket and of `skein ps`, `tree` and `top` look into: one program for each name. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Journal, Limiter, Pipeline, Sink, TaskGroup } from "skein"
import { Inspector, Main } from "skein/node"

const ready = Console.log("ready")

const job = Pipeline.from(Array.from({ length: 1_000_000 }, (_, i) => i)).pipe(
  Pipeline.map((n) => Effect.as(Effect.sleep("1 millis"), n * 2), { name: "double", concurrency: 4 }),
  Pipeline.to(Sink.discard)
)

const programs: Record<string, Effect.Effect<unknown, unknown, Main.Services>> = {
  waits: TaskGroup.open(
    Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const never = limiter.withPermit(Effect.never)
      yield* TaskGroup.spawn(never, { name: "reader" })
      yield* TaskGroup.spawn(never, { name: "writer" })
      yield* TaskGroup.spawn(TaskGroup.open(TaskGroup.spawn(Effect.never, { name: "inner" }), { name: "nested" }), {
        name: "outer"
      })
      yield* ready
    }),
    { name: "server" }
  ),
  many: TaskGroup.open(
    Effect.gen(function* () {
      for (let i = 0; i < 10_000; i++) yield* TaskGroup.spawn(Effect.never, { name: `request ${i}` })
      yield* ready
    }),
    { name: "server" }
  ),
  ends: ready,
  // Ends when it is drained.
  run: Effect.andThen(ready, Pipeline.run(job, { name: "numbers" })).pipe(
    Effect.provide([Journal.memory, Inspector.socket({ allowControl: true })])
  )
}

Main.run(programs[process.argv[2] ?? ""] ?? Effect.die("There is no such program"))
