/** What the page of `skein watch` is tested with: one program for each name. It ends when it reads a line. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Limiter, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"
import { Main } from "skein/node"

export const hostile = {
  markup: `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`,
  control: "line\u0000one\u001B[31m\u202Eevil\u2066"
} as const

const forever = (waits: string) => Inspect.waiting(waits)(Effect.never)

const programs: Record<string, Effect.Effect<unknown, unknown, Main.Services>> = {
  names: TaskGroup.open(
    Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      yield* TaskGroup.spawn(limiter.withPermit(forever("the moon")), { name: "reader" })
      yield* TaskGroup.spawn(limiter.withPermit(Effect.never), { name: "writer" })
      yield* TaskGroup.spawn(forever(hostile.markup), { name: hostile.markup })
      yield* TaskGroup.spawn(Effect.never, { name: hostile.control })
      const inner = TaskGroup.open(TaskGroup.spawn(forever("an answer"), { name: "inner" }), { name: "nested" })
      yield* TaskGroup.spawn(inner, { name: "outer" })
      for (let i = 0; i < 5; i++) yield* TaskGroup.spawn(forever(`row ${i}`), { name: `worker ${i}` })
      yield* Console.log("ready")
    }),
    { name: "server" }
  ),
  many: TaskGroup.open(
    Effect.gen(function* () {
      for (let i = 0; i < 10_000; i++) {
        yield* TaskGroup.spawn(forever(`an answer of shard ${i % 16}`), { name: `request ${i}` })
      }
      yield* Console.log("ready")
    }),
    { name: "server" }
  )
}

if (process.argv[2] !== undefined) {
  process.stdin.once("data", () => process.exit(0))
  Main.run(programs[process.argv[2]] ?? Effect.die("There is no such program"))
}
