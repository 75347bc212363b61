import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../support/child.ts"

const start = (...args: ReadonlyArray<string>) => Child.start([join(import.meta.dirname, "main-program.ts"), ...args])
const run = (...args: ReadonlyArray<string>) => Effect.scoped(Effect.flatMap(start(...args), ({ end }) => end))

describe("Main.run", () => {
  describe.concurrent("ends the process as its program ended", () => {
    it.effect("0 after success", () =>
      Effect.gen(function* () {
        expect(yield* run("succeed")).toEqual({ code: 0, signal: null, stdout: "done\n", stderr: "" })
      })
    )

    it.effect("with Node's services given", () =>
      Effect.gen(function* () {
        expect(yield* run("services")).toMatchObject({ code: 0, stdout: "main-program.ts true\n" })
      })
    )

    it.effect("1 after a typed error, told in its own words and without a stack", () =>
      Effect.gen(function* () {
        const stderr = "error: the disk is gone\n  plug it in\n"
        expect(yield* run("fails with an error")).toEqual({ code: 1, signal: null, stdout: "", stderr })
        expect(yield* run("fails with a string")).toMatchObject({ code: 1, stderr: "error: just text\n" })
        expect(yield* run("fails with a record")).toMatchObject({ code: 1, stderr: 'error: {"code":7}\n' })
      })
    )

    it.effect("with a message that holds no password and nothing that a terminal obeys", () =>
      Effect.gen(function* () {
        const { stderr } = yield* run("hostile", "debug")
        expect(stderr).toContain("error: http://***@127.0.0.1/\\u001B[2J answered \\u202Enothing\n")
        for (const hidden of ["\u001B", "\u202E", "pw@"]) expect(stderr).not.toContain(hidden)
      })
    )

    it.effect("with the exit code that the error has", () =>
      Effect.gen(function* () {
        expect(yield* run("fails with an exit code")).toMatchObject({ code: 42, stderr: "error: no such luck\n" })
      })
    )

    it.effect("1 after a defect, with a hint and no stack", () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run("dies")
        expect(code).toBe(1)
        expect(stderr.split("\n")).toEqual([
          "error: unexpected: TypeError: x is not a function",
          "This is a bug in the program: set `debug: true` in the options of Main.run to see where.",
          ""
        ])
      })
    )

    it.effect("with stacks when debug is on", () =>
      Effect.gen(function* () {
        const { stderr } = yield* run("dies", "debug")
        expect(stderr).toContain(
          "error: unexpected: TypeError: x is not a function\nTypeError: x is not a function\n    at "
        )
        expect(stderr).not.toContain("This is a bug")
      })
    )

    it.effect("1 after several failures of a group, each told with its task", () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run("fails in two tasks")
        expect(code).toBe(1)
        expect(stderr.split("\n").slice(0, 2)).toEqual([
          'error: task "users": no users',
          'error: task "posts": unexpected: no cleanup'
        ])
      })
    )

    for (const [name, line] of [
      ["symbolName", "error: odd"],
      [
        "deepCause",
        `error: ${Array.from({ length: 9 }, (_, i) => `cause ${19_999 - i}`).join("; caused by ")}; and what caused that`
      ],
      ["messageGetter", "error: TypeError"],
      ["proxy", "error: a value that cannot be shown"]
    ] as const) {
      it.effect(`S27 1 after an odd error, told in a line: ${name}`, () =>
        Effect.gen(function* () {
          expect(yield* run(name)).toEqual({ code: 1, signal: null, stdout: "", stderr: `${line}\n` })
        })
      )
    }

    it.effect("S27 1 after an odd defect, with the whole cause too when debug is on", () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run("circle of causes", "debug")
        expect(code).toBe(1)
        expect(stderr).toContain("error: unexpected: round\nError: round\n")
      })
    )

    it.effect("S27 0 when a cancelled or abandoned promise is rejected with a circle of causes", () =>
      Effect.gen(function* () {
        const { code, stdout, stderr } = yield* run("cancels promises with a circle of causes")
        expect({ code, stdout }).toEqual({ code: 0, stdout: "went on\n" })
        expect(stderr).toContain('Abandoned promise "late" failed')
      })
    )

    it.effect("S27 0, with a report of an odd failure that nobody handled", () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run("has an odd unhandled failure")
        expect(code).toBe(0)
        expect(stderr).toMatch(/Unhandled failure of supervised task "mailer".*Symbol\(odd\): lost/)
      })
    )

    it.effect("1 after a failure of a task, told with its name", () =>
      Effect.gen(function* () {
        expect(yield* run("fails in a task")).toMatchObject({ code: 1, stderr: 'error: task "fetch": no answer\n' })
      })
    )

    it.effect("130 when the program cancelled itself, and says so", () =>
      Effect.gen(function* () {
        expect(yield* run("cancels itself")).toMatchObject({ code: 130, stderr: "error: cancelled\n" })
      })
    )

    it.effect("0, with a report of failures that nobody handled, on stderr", () =>
      Effect.gen(function* () {
        const { code, stdout, stderr } = yield* run("has an unhandled failure")
        expect({ code, stdout }).toEqual({ code: 0, stdout: "" })
        expect(stderr).toMatch(/Unhandled failure of supervised task "mailer".*lost/)
      })
    )

    it.effect("only after all output was written", () =>
      Effect.gen(function* () {
        const { code, stdout, stderr } = yield* run("fails after much output")
        expect({ code, length: stdout.length, stderr }).toEqual({ code: 1, length: 1e6, stderr: "error: after it\n" })
      })
    )
  })

  describe.concurrent("turns signals into", () => {
    it.effect("a drain, where a pipeline runs", () =>
      Effect.gen(function* () {
        const child = yield* start("drains")
        yield* child.says("ready")
        child.kill("SIGTERM")
        const { code, stdout, stderr } = yield* child.end
        expect({ code, stdout }).toEqual({ code: 0, stdout: "ready\ndrained\n" })
        expect(stderr).toBe("stopping: finishing what is in flight; send SIGTERM again to cancel\n")
      })
    )

    it.effect("a cancel, where nothing would answer a drain, and waits for finalizers", () =>
      Effect.gen(function* () {
        const child = yield* start("waits")
        yield* child.says("ready")
        child.kill("SIGINT")
        const { code, stdout, stderr } = yield* child.end
        expect({ code, stdout }).toEqual({ code: 130, stdout: "ready\ncleaned up\n" })
        expect(stderr).toBe("cancelling: cleaning up; press Ctrl-C again to end at once\n")
      })
    )

    it.effect("a drain, then a cancel", () =>
      Effect.gen(function* () {
        const child = yield* start("drains for ever")
        yield* child.says("ready")
        child.kill("SIGINT")
        yield* child.says("stopping: finishing what is in flight; press Ctrl-C again to cancel")
        child.kill("SIGTERM")
        expect(yield* child.end).toMatchObject({ code: 130, stdout: "ready\ncleaned up\n" })
      })
    )

    it.effect("an end at once, when a cancel has no effect", () =>
      Effect.gen(function* () {
        const child = yield* start("cannot be cancelled")
        yield* child.says("ready")
        child.kill("SIGINT")
        yield* child.says("cancelling")
        child.kill("SIGTERM")
        expect((yield* child.end).code).toBe(130)
      })
    )

    it.effect("an end at once that names the tasks which held the process", () =>
      Effect.gen(function* () {
        const child = yield* start("has a task that cannot be cancelled")
        yield* child.says("ready")
        child.kill("SIGINT")
        yield* child.says("still cleaning up")
        child.kill("SIGTERM")
        const { code, stderr } = yield* child.end
        expect(code).toBe(130)
        expect(stderr).toMatch(/still cleaning up: "server \/ flush" \(cancelling for [1-9] s\)/)
        expect(stderr).toMatch(/ended before everything was cleaned up: "server \/ flush" \(cancelling/)
      })
    )

    it.effect("a drain only, when npm passes on the Ctrl-C that the program got as well", () =>
      Effect.gen(function* () {
        const child = yield* start("drains, and gets the signal again")
        yield* child.says("ready")
        child.kill("SIGINT")
        const { code, stdout, stderr } = yield* child.end
        expect({ code, stdout }).toEqual({ code: 0, stdout: "ready\ndrained\n" })
        expect(stderr).not.toContain("cancelling")
      })
    )
  })

  it.effect("goes on when the reader of its output leaves", () =>
    Effect.gen(function* () {
      const child = yield* start("prints to nobody")
      yield* child.says("x")
      child.process.stdout?.destroy()
      expect(yield* child.end).toMatchObject({ code: 0, stderr: "went on\n" })
    })
  )

  it.effect.runIf(existsSync("/dev/full"))("fails when its output cannot be written", () =>
    Effect.gen(function* () {
      const program = join(import.meta.dirname, "main-program.ts")
      const child = yield* Child.start([program, "succeed"], { sh: '"$@" > /dev/full' })
      const { code, stderr } = yield* child.end
      expect(code).toBe(1)
      expect(stderr).toMatch(/^error: could not write the output: ENOSPC.*\n$/)
    })
  )
})
