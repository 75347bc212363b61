import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { cycles } from "../../src/inspect/inspect/Cycles.ts"

/** The circles among fibers that wait as these pairs say, by their places. */
const found = (...pairs: ReadonlyArray<readonly [number, number | null]>) => {
  const fibers = Array.from({ length: 10 }, () => Effect.runFork(Effect.void) as Fiber.Fiber<unknown, unknown>)
  const seen = pairs.map(
    ([one, other]) => [fibers[one]!, { waitsForFiber: other === null ? null : fibers[other]! }] as const
  )
  return cycles(new Map(seen)).map((circle) => circle.map((fiber) => fibers.indexOf(fiber)))
}

it("are none where all ways end", () => {
  expect(found()).toEqual([])
  expect(found([0, 1], [1, 2], [2, null], [3, 1], [4, 9])).toEqual([])
})

it("are found once, without those who only wait for one of them", () => {
  expect(found([0, 1], [1, 2], [2, 3], [3, 1], [4, 2])).toEqual([[1, 2, 3]])
  expect(found([0, 1], [1, 0], [2, 2], [3, 2], [4, null])).toEqual([[0, 1], [2]])
})

it("are found where all are in one", () => {
  const { length } = Array.from({ length: 10 })
  expect(found(...Array.from({ length }, (_, i) => [i, (i + 1) % length] as const))).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  ])
})
