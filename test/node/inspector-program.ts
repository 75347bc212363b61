/** What `Inspector.test.ts` runs in processes of their own, as Vitest changes the lines of what it loads: one program for each name. */
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import { type Task, TaskGroup } from "skein"
import { Inspector, Main } from "skein/node"
import { Deep } from "../../src/inspect/context/Deep.ts"
import { cycles } from "../../src/inspect/inspect/Cycles.ts"

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
  waits: Effect.gen(function* () {
    const other = yield* started(Effect.never)
    const queue = yield* Queue.bounded<number>(1)
    const kinds = {
      sleep: Effect.sleep("1 hour"),
      deferred: Deferred.await(Deferred.makeUnsafe<void>()),
      latch: Latch.makeUnsafe(false).await,
      take: Effect.flatMap(Queue.unbounded<number>(), Queue.take),
      offer: Effect.andThen(Queue.offer(queue, 1), Queue.offer(queue, 2)),
      pubsub: Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.unbounded<number>(), PubSub.subscribe), PubSub.take)),
      all: Effect.all([Effect.never, Effect.never], { concurrency: 2 }),
      promise: Effect.promise((signal) => new Promise(() => signal)),
      join: Fiber.join(other),
      await: Fiber.await(other),
      "one that is not asked for": Effect.flatMap(Effect.forkDetach(Effect.never), Fiber.await),
      callback: Effect.callback(() => Effect.void),
      never: Effect.never
    }
    for (const [name, effect] of Object.entries(kinds)) {
      const fiber = yield* started(effect)
      const { waitsFor, waitsForFiber } = (yield* look([fiber, other])).get(fiber)!
      const words = waitsFor?.replace(`fiber ${other.id}`, "the other")
      yield* Console.log(`${name}: ${words ?? null}, ${waitsForFiber === null ? null : waitsForFiber === other}`)
    }
  }),
  "a deadlock": TaskGroup.open(
    Effect.gen(function* () {
      const second = yield* Deferred.make<Task.Task<void>>()
      const waits = (task: Effect.Effect<Task.Task<void>>) => Effect.flatMap(task, (task) => Effect.asVoid(task.exit))
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      const noted = (effect: Effect.Effect<void>) =>
        Effect.withFiber<void>((fiber) => {
          fibers.push(fiber)
          return effect
        })
      const first = yield* TaskGroup.spawn(noted(waits(Deferred.await(second))))
      yield* Deferred.succeed(second, yield* TaskGroup.spawn(noted(waits(Effect.succeed(first)))))
      yield* Effect.repeat(Effect.yieldNow, { times: 3 })
      // On a loaded machine a look may have no time for both.
      const [one, other] = [yield* look(fibers), yield* look(fibers.toReversed())]
      const found = cycles(new Map([...one, ...other]))
      yield* Console.log(
        found.length,
        found[0]?.length,
        fibers.every((fiber) => found[0]?.includes(fiber))
      )
      yield* first.cancel()
    })
  ),
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
