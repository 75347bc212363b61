/** `skein ps` and `skein tree`: which processes there are to look into, what one does, and why not. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { join } from "node:path"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import { runtimeFolder } from "../support/runtimeFolder.ts"

const onUnix = process.platform === "win32" ? describe.skip : describe

const program = join(import.meta.dirname, "../node/inspected-program.ts")

/** A runtime folder of its own for this process, and a way to start programs in it. */
const machine = Effect.gen(function* () {
  const folder = yield* runtimeFolder
  const inside = join(folder, "skein")
  mkdirSync(inside, { mode: 0o700 })
  return {
    inside,
    start: (name: string) =>
      Effect.tap(Child.start([program, name], { env: { SKEIN_INSPECT: "1" } }), (child) => child.says("ready")),
    skein: (...args: ReadonlyArray<string>) => Command.run(folder, ...args),
    /** A card as a process of this number leaves it. */
    card: (pid: number, fields: object = {}) =>
      writeFileSync(
        join(inside, `${pid}.json`),
        JSON.stringify({ formatVersion: 1, pid, process: "", startedAt: 0, title: "a", pipe: null, ...fields })
      )
  }
})

/** Listens in the place of a process, and does with each connection what is told. */
const impostor = (path: string, answer: (socket: Socket) => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.callback<() => void>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          answer(socket)
        }).listen(path, () =>
          resume(
            Effect.succeed(() => {
              server.close()
              sockets.forEach((socket) => socket.destroy())
            })
          )
        )
      }),
      (close) => Effect.sync(close)
    )
  )

/** As fast as the clock can be turned. */
const impatient = <A>(effect: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.raceFirst(
    effect,
    Effect.forever(
      Effect.andThen(
        Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
        TestClock.adjust("100 millis")
      )
    )
  )

onUnix("skein ps", () => {
  it.effect("lists what can be looked into, and takes away what is left of processes that are gone", () =>
    Effect.gen(function* () {
      const { card, inside, skein, start } = yield* machine
      expect((yield* skein("ps")).stdout).toMatch(/^There is no process to look into\. Start it with SKEIN_INSPECT=1/)
      const child = yield* start("waits")
      const killed = yield* start("waits")
      killed.kill("SIGKILL")
      yield* killed.end
      // One whose number somebody else has now, and one that nobody knows more of.
      card(process.ppid, { process: "another machine 1@2" })
      card(2 ** 22 + 1)
      const { pid } = child.process
      const { code, stderr, stdout } = yield* skein("ps")
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout.split("\n").map((line) => line.trim().split(/\s{2,}/))).toEqual([
        ["PID", "UP", "TASKS", "RUNS", "FINDINGS", "PROGRAM"],
        [`${pid}`, expect.any(String), "4", "0", "0", "inspected-program.ts waits"]
      ])
      expect(readdirSync(inside).toSorted()).toEqual([`${pid}.json`, `${pid}.sock`])
      expect(JSON.parse((yield* skein("ps", "--json")).stdout)).toMatchObject({ pid, tasks: 4, error: null })
    })
  )

  it.effect("does not take a process for an earlier one that had its number", () =>
    Effect.gen(function* () {
      const { inside, skein, start } = yield* machine
      const { pid } = (yield* start("waits")).process
      const file = join(inside, `${pid}.json`)
      const card = JSON.parse(readFileSync(file, "utf8"))
      // Another time of start.
      writeFileSync(file, JSON.stringify({ ...card, process: `${card.process}1` }))
      expect((yield* skein("tree", `${pid}`)).stderr).toMatch(/^error: Process \d+ cannot be looked into/)
      expect(readdirSync(inside)).toEqual([])
    })
  )

  it.effect("lists one that does not answer, after a while, and says so", () =>
    Effect.gen(function* () {
      const { skein, start } = yield* machine
      const child = yield* start("waits")
      child.kill("SIGSTOP")
      const { pid } = child.process
      const { code, stderr, stdout } = yield* impatient(skein("ps"))
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`${pid} .* \\?  +\\?  +\\?  `))
      expect(stderr).toMatch(new RegExp(`^note: Process ${pid} has not answered for 3 seconds: it is stopped, or`))
    })
  )
})

onUnix("skein tree", () => {
  it.effect("prints groups with their tasks, what they wait for, and what is in them", () =>
    Effect.gen(function* () {
      const { skein, start } = yield* machine
      const child = yield* start("waits")
      const { code, stderr, stdout } = yield* skein("tree", `${child.process.pid}`)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      const [head, ...lines] = stdout.replaceAll(/  \d+(\.\d+)? m?s\b/g, "").split("\n")
      expect(head).toMatch(/^\d+ inspected-program\.ts waits, up .*, event loop \d+ % busy, \d+ MB, heap .*, 4 tasks$/)
      expect(lines.slice(0, 6)).toEqual([
        "group server (closing)",
        "├─ reader",
        "├─ writer  waits for 1 of 1 permits",
        "└─ outer",
        "   └─ nested (closing)",
        "      └─ inner"
      ])
      // It is the only one.
      const { groups } = JSON.parse((yield* skein("tree", "--json")).stdout)
      expect(groups).toMatchObject([{ name: "server", tasks: [{ name: "server" }, { name: "reader" }, {}, {}] }])
      expect((yield* skein("tree", "--depth", "1")).stdout).toMatch(/└─ outer .* … 1 task in it\n/)
    })
  )

  it.effect("is readable with 10,000 tasks", () =>
    Effect.gen(function* () {
      const { skein, start } = yield* machine
      yield* start("many")
      const { stdout } = yield* skein("tree")
      expect(stdout).toContain(", 10,000 tasks\n")
      expect(stdout).toMatch(/^└─ 10,000 × request \* /m)
      expect(stdout.split("\n").length).toBeLessThan(6)
    })
  )
})

onUnix("a process that cannot be looked into is one line, and exit code 1:", () => {
  const fails = (args: ReadonlyArray<string>, message: RegExp) =>
    Effect.gen(function* () {
      const { skein } = yield* machine
      const { code, stderr, stdout } = yield* skein(...args)
      expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(message) })
      expect(stderr).not.toContain("\n")
    })

  it.effect("one that is not there", () => fails(["tree", "4194399"], /There is no process 4194399\. `skein ps` lists/))

  it.effect("none at all", () => fails(["tree"], /There is no process to look into\. Start it with SKEIN_INSPECT=1/))

  it.effect("one that has no socket", () =>
    fails(["tree", `${process.ppid}`], /Process \d+ cannot be looked into: it has no socket .* Start it with/)
  )

  it.effect("one of another user", (context) =>
    Effect.gen(function* () {
      const { skein } = yield* machine
      // The first process is the administrator's; who that is can be somebody else for once.
      const own = process.getuid?.() === 0
      const child = own
        ? yield* Child.start(["-e", "process.setuid(65534); console.log('ready'); setInterval(() => {}, 1000)"])
        : undefined
      if (child !== undefined) yield* child.says("ready")
      else if (!existsSync("/proc/1")) return context.skip("who runs process 1 is not known here")
      const { code, stderr } = yield* skein("tree", `${child?.process.pid ?? 1}`)
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/Process \d+ belongs to another user, and only that user can look into it\.$/)
      })
    })
  )

  it.effect("one of several, where none is named", () =>
    Effect.gen(function* () {
      const { card, skein } = yield* machine
      card(7)
      card(8)
      expect((yield* skein("tree")).stderr).toBe(
        "error: Say which: there are 2 processes to look into, as `skein ps` lists them."
      )
    })
  )

  it.effect("one that has ended without cleaning up", () =>
    Effect.gen(function* () {
      const { card, inside, skein } = yield* machine
      card(7)
      expect((yield* skein("tree", "7")).stderr).toBe("error: Process 7 has ended.")
      expect(readdirSync(inside)).toEqual([])
    })
  )

  it.effect("one of another version", () =>
    Effect.gen(function* () {
      const { card, inside, skein } = yield* machine
      card(7, { formatVersion: 0 })
      const other = (format: string) =>
        `error: Process 7 answers in ${format} and not in format 1: use the \`skein\` of the version that it runs.`
      expect((yield* skein("tree", "7")).stderr).toBe(other("format 0"))
      card(7)
      let line = ""
      yield* impostor(join(inside, "7.sock"), (socket) => socket.write(line))
      for (const [text, format] of [
        ['{"formatVersion":2}\n', "format 2"],
        ["<html>\n", "no format"],
        ["null\n", "no format"]
      ] as const) {
        line = text
        expect((yield* skein("tree", "7")).stderr).toBe(other(format))
      }
      line = '{"formatVersion":1,"error":"no \\u001b[2Jway"}\n'
      expect((yield* skein("tree", "7")).stderr).toMatch(/Process 7 gave no snapshot: no .*way\.$/)
      line = '{"formatVersion":1,"snapshot":{"groups":7}}\n'
      expect((yield* skein("tree", "7")).stderr).toContain("gave no snapshot: it answered something else.")
    })
  )

  it.effect("one that hangs up, or says nothing", () =>
    Effect.gen(function* () {
      const { card, inside, skein } = yield* machine
      card(7)
      let answer = (socket: Socket): void => void socket.destroy()
      yield* impostor(join(inside, "7.sock"), (socket) => answer(socket))
      expect((yield* skein("tree", "7")).stderr).toBe("error: Process 7 ended while it was asked.")
      card(7)
      answer = () => {}
      expect((yield* impatient(skein("tree", "7"))).stderr).toMatch(
        /Process 7 has not answered for 3 seconds: .*later\.$/
      )
    })
  )

  it.effect("a folder that others can open", () =>
    Effect.gen(function* () {
      const { inside, skein } = yield* machine
      chmodSync(inside, 0o777)
      expect((yield* skein("ps")).stderr).toMatch(/^error: Sockets .* which is open to others\. Remove it, or set XDG/)
    })
  )
})
