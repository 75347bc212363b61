import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as UrlParams from "effect/http/UrlParams"
import * as Redacted from "effect/Redacted"
import { expect, it } from "vitest"
import { TaskGroup } from "skein"
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

const linesOfGroup = <E>(group: Effect.Effect<unknown, E>): ReadonlyArray<string> => {
  const exit = Effect.runSyncExit(group)
  return Exit.isFailure(exit) ? ErrorLines.make(exit.cause, { debug: false, hint: "" }) : []
}
const fails = Effect.fail("no")

it("names the task that failed, with those it is in, and no body", () => {
  const spawned = TaskGroup.open(TaskGroup.spawn(fails, { name: "fetch" }), { name: "load" })
  expect(linesOfGroup(spawned)).toEqual(['error: task "fetch": no'])
  const outer = (inner: typeof spawned) => TaskGroup.open(TaskGroup.spawn(inner, { name: "outer" }), { name: "main" })
  expect(linesOfGroup(outer(spawned))).toEqual(['error: task "outer / fetch": no'])
  expect(linesOfGroup(outer(TaskGroup.open(fails)))).toEqual(['error: task "outer": no'])
  const bySibling = TaskGroup.spawn(TaskGroup.spawn(fails, { name: "fetch" }), { name: "starter" })
  expect(linesOfGroup(TaskGroup.open(bySibling))).toEqual(['error: task "fetch": no'])
  expect(linesOfGroup(TaskGroup.open(fails, { name: "load" }))).toEqual(["error: no"])
  expect(linesOfGroup(fails)).toEqual(["error: no"])
})

it("S27 says something of every value", () => {
  const lineOf = (error: unknown) => ErrorLines.make(Cause.fail(error), { debug: false, hint: "" })[0]
  const circle: Record<string, unknown> = { code: 7n }
  circle["self"] = circle
  expect(lineOf(undefined)).toBe("error: no reason given")
  expect(lineOf("")).toBe("error: no reason given")
  expect(lineOf(0)).toBe("error: 0")
  expect(lineOf(Symbol("why"))).toBe("error: Symbol(why)")
  expect(lineOf(Object.create(null))).toBe("error: {}")
  expect(lineOf(circle)).toBe('error: {"code":"7n"}')
  expect(lineOf({ token: Redacted.make("secret") })).not.toContain("secret")
  expect(lineOf({ url: UrlParams.fromInput({ token: "secret" }) })).not.toContain("secret")
  expect(lineOf(new AggregateError([new Error("a")], "all of them"))).toBe("error: AggregateError: all of them: (1) a")
})
