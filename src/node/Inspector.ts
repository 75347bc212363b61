/** A look into a program while it runs: for others, by its socket; and what V8 knows of it, where its fibers wait. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Deep, NotSeen } from "../inspect/context/Deep.ts"
import * as Sight from "./inspector/Sight.ts"

export { socket, type SocketOptions } from "./inspector/Opened.ts"

/**
 * Lets the inspector tell file, line and column of each `yield*` that a task waits at. Nothing is done for it until somebody looks:
 * the first look takes some 100 ms, as V8 has to tell which scripts there are, and then each `yield*` 0.3 ms. The program stands still
 * meanwhile, so a look takes 500 fibers at most, and a quarter of a second.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 * import { Inspector, Main } from "skein/node"
 *
 * const program = TaskGroup.open(TaskGroup.spawn(Effect.sleep("10 millis"), { name: "nap" }))
 *
 * Main.run(Effect.provide(program, Inspector.deep))
 * ```
 */
export const deep: Layer.Layer<never> = Layer.effect(
  Deep,
  Effect.gen(function* () {
    let sight: Sight.Sight | NotSeen | undefined
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (sight instanceof Sight.Sight) sight.close()
        sight = new NotSeen("it is closed")
      })
    )
    return {
      look: (fibers) =>
        Effect.suspend(() => {
          sight ??= Sight.open()
          if (sight instanceof NotSeen) return Effect.fail(sight)
          return Effect.succeed(sight.look(fibers))
        })
    }
  })
)
