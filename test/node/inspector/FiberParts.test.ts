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
