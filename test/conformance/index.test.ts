import { expect, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { resolve } from "node:path"

/** The cases there are. The numbers have gaps. */
const sections: ReadonlyArray<ReadonlyArray<number>> = [
  // Group outcome
  [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19],
  // Outer cancellation, nesting
  [21, 22, 23, 25, 26, 28, 29, 30, 32, 34, 35, 36, 37, 40],
  // Spawning
  [41, 42, 43, 44, 45, 46, 47, 48, 50, 51, 52],
  // start handshake
  [53, 55, 56, 57, 58, 61, 62, 64, 65],
  // Cancellation mechanics and shield
  [66, 67, 68, 69, 70, 72, 73, 75, 76, 77, 78, 79, 81, 82, 83, 84, 85, 86, 88],
  // Deadlines
  [89, 90, 91, 93, 95, 96, 97, 98, 100, 102, 104, 105, 106, 107, 109, 110, 112, 113, 114],
  // Joiners, supervision, results
  [115, 116, 118, 120, 121, 123, 124, 125, 128, 129, 130],
  // Limiters, queues, offload, tooling
  [131, 133, 135, 136, 138, 139, 140, 142, 143, 146, 147, 149, 150, 152, 154, 155]
]

it("every case is the name of tests, all of them in one file", () => {
  const named = globSync("*.test.ts", { cwd: import.meta.dirname }).flatMap((file) => [
    // A case may take more than one test.
    ...new Set(
      Array.from(readFileSync(resolve(import.meta.dirname, file), "utf8").matchAll(/["'`]C(\d+) /g), ([, number]) =>
        Number(number)
      )
    )
  ])
  expect(sections.flat().length).toBe(117)
  expect(named.toSorted((a, b) => a - b)).toEqual(sections.flat())
})
