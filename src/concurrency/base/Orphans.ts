/** Work that was given up while it still runs. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type Orphan, Registry } from "../Registry.ts"
import * as Time from "./Time.ts"

/**
 * What was abandoned and has not ended yet, oldest first.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Deadline, Offload, TaskGroup } from "skein"
 *
 * const slow = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))
 * const program = Effect.gen(function*() {
 *   yield* Offload.promise(slow, { name: "upload", onCancel: "abandon" }).pipe(Deadline.moveOn("1 millis"))
 *   return (yield* TaskGroup.orphans).map(({ from, name }) => `${from} ${name}`)
 * })
 *
 * await Effect.runPromise(program) // => ["promise upload"]
 * ```
 */
export const orphans: Effect.Effect<ReadonlyArray<Orphan>> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Effect.succeed(Array.from(fiber.getRef(Registry)["~skein/Registry"].orphans))
)

/** Lists an orphan; the function it gives takes it off the list. */
export const abandon = (name: string, from: Orphan["from"]): Effect.Effect<() => void> =>
  Effect.withFiber((fiber) => Effect.succeed(list(fiber, name, from)))

/** As `abandon`, at once, by code that runs in this fiber. */
export const list = (fiber: Fiber.Fiber<unknown, unknown>, name: string, from: Orphan["from"]): (() => void) => {
  const { orphans } = fiber.getRef(Registry)["~skein/Registry"]
  const orphan: Orphan = { name, from, since: Time.of(fiber).currentTimeMillisUnsafe() }
  orphans.add(orphan)
  return () => void orphans.delete(orphan)
}
