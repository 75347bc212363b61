/** The contract with Effect: when this fails, a version of Effect has other fields, and `FiberParts.ts` has to follow. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberParts from "../../../src/node/inspector/FiberParts.ts"

const suspended = (effect: Effect.Effect<unknown>) =>
  Effect.acquireRelease(
    Effect.sync(() => Effect.runFork(effect)),
    (fiber) => Effect.sync(() => fiber.interruptUnsafe())
  )

function* generator(): Generator<Effect.Effect<never>, void, never> {
  yield* Effect.never
}

const traced = Effect.fn(() => generator())
const named = Effect.fn("named")(() => generator())
const untraced = Effect.fnUntraced(() => generator())

it("knows the fields of the fibers of this version of Effect", () => {
  expect(FiberParts.isRight()).toBe(true)
})

it.effect.each<readonly [string, Effect.Effect<unknown>]>([
  ["Effect.gen", Effect.gen(() => generator())],
  ["Effect.gen of an object", Effect.gen({ self: {} }, () => generator())],
  ["Effect.fn", traced()],
  ["Effect.fn with a name", named()],
  ["Effect.fnUntraced", untraced()]
])("finds the generator of %s", ([, effect]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const fiber = yield* suspended(Effect.asVoid(effect))
      expect(FiberParts.generatorsOf(fiber).map(String)).toEqual(["[object Generator]"])
    })
  )
)

it.effect("finds none in a fiber that has ended", () =>
  Effect.sync(() => {
    expect(FiberParts.generatorsOf(Effect.runFork(Effect.gen(function* () {})))).toEqual([])
  })
)

it.effect("finds what cancels a wait, where something does and the fiber waits", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const cancelled = yield* suspended(Effect.callback(() => Effect.sync(() => {})))
      expect(FiberParts.finalizerOf(cancelled)).toBeTypeOf("function")
      expect(FiberParts.finalizerOf(yield* suspended(Effect.never))).toBeUndefined()
      expect(FiberParts.finalizerOf(Effect.runFork(Effect.void))).toBeUndefined()
    })
  )
)

it("finds the function an operation was made of", () => {
  const f = () => {}
  expect(FiberParts.functionIn(Effect.sync(f))).toBe(f)
  for (const none of [Effect.void, undefined, null, 1]) expect(FiberParts.functionIn(none)).toBeUndefined()
})

it.effect("finds who is called at the end of a fiber", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const fiber = yield* suspended(Effect.never)
      expect(FiberParts.observersOf(fiber)).toEqual([])
      const observer = () => {}
      fiber.addObserver(observer)
      expect(FiberParts.observersOf(fiber)).toEqual([observer])
    })
  )
)
