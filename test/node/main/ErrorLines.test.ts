import * as Cause from "effect/Cause"
import { expect, it } from "vitest"
import * as ErrorLines from "../../../src/node/main/ErrorLines.ts"

const linesOf = (message: string): ReadonlyArray<string> =>
  ErrorLines.make(Cause.fail(new Error(message)), { debug: false, hint: "" })

it("indents the further lines of a message, without blank ones and without space around them", () => {
  expect(linesOf("\n one  \r\n\t\n   two\n\n\nthree \n")).toEqual(["error: one\n  two\n  three"])
})

it("tells a message with 100,000 spaces in it in milliseconds", () => {
  const message = `from${" ".repeat(100_000)}to`
  const start = performance.now()
  expect(linesOf(message)).toEqual([`error: ${message}`])
  expect(performance.now() - start).toBeLessThan(1000)
})
