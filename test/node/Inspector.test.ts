import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../support/child.ts"

const program = join(import.meta.dirname, "inspector-program.ts")
const run = (name: string) =>
  Effect.map(Effect.scoped(Effect.flatMap(Child.start([program, name]), ({ end }) => end)), ({ stderr, stdout }) => {
    expect(stderr).toBe("")
    return stdout.trim().split("\n")
  })

const lines = readFileSync(program, "utf8").split("\n")

/** Of the `yield*` in the line that ends with these words. */
const marked = (words: string) => {
  const line = lines.findIndex((text) => text.endsWith(`// ${words}`))
  return { file: program, line: line + 1, column: lines[line]!.indexOf("yield*") + 1 }
}

describe.concurrent("Inspector.deep", () => {
  it.effect("tells file, line and column of each yield* that a fiber waits at, the innermost first", () =>
    Effect.gen(function* () {
      const [seen] = yield* run("places")
      expect(JSON.parse(seen!).places).toEqual([marked("innermost"), marked("around it")])
    })
  )

  it.effect("knows files that were loaded since it has looked, and shows no code in the place of an address", () =>
    Effect.gen(function* () {
      const [, seen] = yield* run("a file that was loaded later")
      expect(JSON.parse(seen!).places).toEqual([{ file: "data:text/javascript,", line: 2, column: 53 }])
    })
  )

  it.effect("has no places of a fiber that is in no generator", () =>
    Effect.gen(function* () {
      const [seen] = yield* run("no generator")
      expect(JSON.parse(seen!).places).toEqual([])
    })
  )

  it.effect("tells so many places of a fiber and no more, and so many fibers of those it is asked for", () =>
    Effect.gen(function* () {
      const [seen] = yield* run("a recursion")
      expect(JSON.parse(seen!).places).toHaveLength(20)
      expect(yield* run("very many")).toEqual(["true true"])
    })
  )

  it.effect("tells what a fiber waits for, and for which fiber", () =>
    Effect.gen(function* () {
      expect(yield* run("waits")).toEqual([
        "sleep: time to pass, null",
        "deferred: a Deferred, null",
        "latch: a Latch, null",
        "take: a message in a Queue, null",
        "offer: room in a Queue, null",
        "pubsub: a message of a PubSub, null",
        "all: effects that run concurrently, null",
        "promise: a promise, null",
        "join: the end of the other, true",
        "await: the end of the other, true",
        "one that is not asked for: the end of a fiber, null",
        "callback: null, null",
        "never: null, null"
      ])
    })
  )

  it.effect("shows tasks that wait for one another as a circle", () =>
    Effect.gen(function* () {
      expect(yield* run("a deadlock")).toEqual(["1 2 true"])
    })
  )

  it.effect("says so when it is closed", () =>
    Effect.gen(function* () {
      expect(yield* run("after it is closed")).toEqual(["it is closed"])
    })
  )
})
