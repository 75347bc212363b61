/** What a layer keeps does not grow with time. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Registry, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

/** Kilobytes. */
const heap = Effect.sync(() => {
  gc()
  gc()
  return process.memoryUsage().heapUsed / 1024
})

it.effect(
  "a day of tasks, waits and failures leaves no more behind than half of it",
  () =>
    Effect.gen(function* () {
      const job = Effect.andThen(Effect.sleep(1), Effect.die(new Error("x".repeat(450))))
      const round = Effect.exit(TaskGroup.open(TaskGroup.spawn(job, { name: "a job" })))
      yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.sleep("30 seconds"), round)))
      yield* TestClock.adjust("12 hours")
      const before = yield* heap
      const first = yield* Inspect.snapshot
      for (let hour = 12; hour < 24; hour++) yield* TestClock.adjust("1 hour")
      const { history } = yield* Inspect.snapshot
      expect(first.history.kept).toBe(1000)
      expect(history.kept).toBe(1000)
      expect(history.dropped).toBeGreaterThan(5000)
      // A quarter of what the events since would take.
      expect((yield* heap) - before).toBeLessThan(500)
    }).pipe(
      Effect.provide(Inspect.layer({ history: 1000 })),
      Effect.provideService(Registry.Registry, Registry.make())
    ),
  120_000
)
