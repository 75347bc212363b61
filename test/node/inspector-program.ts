/** What `Inspector.test.ts` runs in processes of their own, as Vitest changes the lines of what it loads: one program for each name. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Inspector, Main } from "skein/node"
import { Deep } from "../../src/inspect/context/Deep.ts"

const look = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  Effect.flatMap(Deep, (deep) => deep!.look(fibers))

/** What is seen of one fiber, as a line of JSON. */
const tell = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.flatMap(look([fiber]), (seen) => Console.log(JSON.stringify(seen.get(fiber))))

const inner = Effect.fn("inner")(function* () {
  yield* Effect.void
  yield* Effect.asVoid(Effect.never) // innermost
})

const outer = Effect.gen(function* () {
  const before = yield* Effect.succeed(1)
  for (let i = 0; i < before; i++) yield* inner() // around it
})

const deep: (times: number) => Effect.Effect<never> = Effect.fnUntraced(function* (times) {
  if (times === 0) return yield* Effect.never
  return yield* deep(times - 1)
})

const started = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.tap(Effect.forkChild(effect), () => Effect.repeat(Effect.yieldNow, { times: 3 }))

const programs: Record<string, Effect.Effect<unknown, unknown, never>> = {
  places: Effect.gen(function* () {
    yield* tell(yield* started(outer))
  }),
  "a file that was loaded later": Effect.gen(function* () {
    yield* tell(yield* started(outer))
    const code = `import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
      export const late = Effect.gen(function* () { yield* Effect.never })`
    const { late } = yield* Effect.promise(() => import(`data:text/javascript,${encodeURIComponent(code)}`))
    yield* tell(yield* started(late))
  }),
  "no generator": Effect.gen(function* () {
    yield* tell(yield* started(Effect.never))
  }),
  "a recursion": Effect.gen(function* () {
    yield* tell(yield* started(deep(1000)))
  }),
  "very many": Effect.gen(function* () {
    const fibers = yield* Effect.forEach(Array.from({ length: 600 }), () => Effect.forkChild(outer))
    yield* Effect.yieldNow
    const seen = yield* look(fibers)
    yield* Console.log(
      [...seen.keys()].every((fiber, i) => fiber === fibers[i]),
      seen.size > 0 && seen.size <= 500
    )
  }),
  "after it is closed": Effect.gen(function* () {
    const deep = yield* Effect.provide(Deep, Layer.fresh(Inspector.deep))
    yield* Console.log((yield* Effect.flip(deep!.look([]))).why)
  })
}

Main.run(Effect.provide(programs[process.argv[2]!]!, Inspector.deep))
