import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Inspector } from "../../src/node/index.ts"
import * as Child from "../support/child.ts"

const program = join(import.meta.dirname, "watchdog-program.ts")
const line =
  readFileSync(program, "utf8")
    .split("\n")
    .findIndex((text) => text.endsWith("// here")) + 1

/** What a program says: it blocks its loop until it has said the first of these words, and is killed after the last. */
const blocked = (name: string, words: ReadonlyArray<string>, flags: ReadonlyArray<string> = []) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = join(yield* Child.folder, "seen")
      const child = yield* Child.start([...flags, program, name, file])
      yield* child.says(words[0]!)
      writeFileSync(file, "")
      yield* Effect.forEach(words, child.says)
      child.kill("SIGKILL")
      const { stderr, stdout } = yield* child.end
      return { stderr, stdout }
    })
  )

const place = `busy (${program}:${line}:`

describe.concurrent("Inspector.watchdog", () => {
  it.effect("says which task blocks the loop, and at which line, while it still does", () =>
    Effect.gen(function* () {
      const words = [`The event loop is blocked by task "parse", at ${place}`, '"name":"parse"']
      const { stderr, stdout } = yield* blocked("a task", words)
      const told = stdout.split("\n").find((line) => line.includes('"name":"parse"'))
      const { stack, took, ...entry } = JSON.parse(told!)
      expect(entry).toEqual({ kind: "blocked", at: expect.any(Number), task: expect.any(Number), name: "parse" })
      expect(took).toBeGreaterThanOrEqual(100)
      expect(stack[0]).toContain(place)
      expect(stderr.match(/The event loop is blocked by task "parse"/g)).toHaveLength(1)
      expect(stderr.match(/The event loop was blocked for .*s by task "parse", at busy/g)).toHaveLength(1)
    })
  )

  it.effect("says it of code that is in no fiber", () =>
    blocked("a callback", [`The event loop is blocked outside of any fiber, at ${place}`, '"task":null,"name":null'])
  )

  it.effect("says that what blocks it is no JavaScript, and who has called that when it is over", () =>
    blocked("outside of JavaScript", ["blocked by what runs no JavaScript", `by task "parse", at block (${program}:`])
  )

  it.effect("counts blockages and how long they were", () =>
    blocked("metrics", [
      "The event loop is blocked",
      "skein_event_loop_blocked_total true, skein_event_loop_blocked_duration true"
    ])
  )

  it.effect("does not halt a program that a debugger may be attached to, and says so", () =>
    Effect.gen(function* () {
      const words = "The event loop is blocked; a debugger may be attached, so it was not halted to see where"
      const { stderr } = yield* blocked("a task", [words, '"stack":[]'], ["--inspect=127.0.0.1:0"])
      expect(stderr).not.toContain("blocked by task")
    })
  )

  it.effect("logs what a listener has thrown, and goes on", () =>
    blocked("a listener that throws", [
      "The event loop is blocked",
      "What listens to the watchdog has thrown",
      "Error: cannot hear"
    ])
  )

  it.effect("keeps no process alive", () =>
    Effect.gen(function* () {
      const child = yield* Child.start([program, "nothing to do"])
      expect(yield* child.end).toEqual({ code: 0, signal: null, stdout: "", stderr: "" })
    })
  )

  it("refuses a threshold that is none", () => {
    expect(() => Inspector.watchdog({ threshold: "soon" as "1 second" })).toThrow(
      'threshold must be a duration, zero or more, as "10 seconds"; got "soon"'
    )
  })
})
