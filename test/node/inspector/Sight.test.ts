import { expect, it } from "@effect/vitest"
import { NotSeen } from "../../../src/inspect/context/Deep.ts"
import * as Sight from "../../../src/node/inspector/Sight.ts"

it("is none, and says why, where a version of Effect has other fields", () => {
  const none = Sight.open(() => false)
  expect(none).toBeInstanceOf(NotSeen)
  expect(none).toMatchObject({ why: "this version of Effect keeps the generators of its fibers elsewhere" })
})
