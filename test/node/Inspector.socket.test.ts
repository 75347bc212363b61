import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Inspect } from "skein/inspect"
import { Inspector } from "skein/node"
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import * as Child from "../support/child.ts"
import { runtimeFolder } from "../support/runtimeFolder.ts"
import * as Folder from "../../src/node/inspector/Folder.ts"
import * as OwnProcess from "../../src/node/inspector/OwnProcess.ts"
import * as Server from "../../src/node/inspector/Server.ts"

const onUnix = process.platform === "win32" ? describe.skip : describe

const runtime = Effect.map(runtimeFolder, (folder) => join(folder, "skein"))

const program = join(import.meta.dirname, "inspected-program.ts")
const start = (name: string, folder: string, env: Readonly<Record<string, string>> = { SKEIN_INSPECT: "1" }) =>
  Child.start([program, name], { env: { XDG_RUNTIME_DIR: folder, ...env } })

/** What comes over a connection to the end of it, after these bytes were sent. */
const said = (path: string, text: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let all = ""
    const socket = connect({ path, allowHalfOpen: true }, () => socket.end(text))
    socket.setEncoding("utf8").on("data", (part: string) => (all += part))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(all)))
    return Effect.sync(() => socket.destroy())
  })

/** An open connection. */
const connected = (path: string): Effect.Effect<Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = connect(path, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const closed = (socket: Socket): Effect.Effect<void> =>
  Effect.callback((resume) => void socket.resume().once("close", () => resume(Effect.void)))

const identity = { process: "test", startedAt: 0, title: "test" }
const nothing: Server.Access = { snapshot: Effect.never, events: Stream.empty, control: undefined }

/** The socket of this process, with this access. */
const opened = (access: Partial<Server.Access> = {}, limits?: Server.Limits) =>
  Effect.gen(function* () {
    const folder = yield* runtime
    yield* Effect.acquireRelease(
      Server.open(identity, () => ({ ...nothing, ...access }), limits),
      (close) => Effect.sync(close)
    )
    return join(folder, `${process.pid}.sock`)
  })

onUnix("Main.run", () => {
  it.effect("opens a socket where SKEIN_INSPECT=1 says so, for this user alone, and takes it away at the end", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const child = yield* start("waits", folder)
      yield* child.says("ready")
      const [inside, pid] = [join(folder, "skein"), child.process.pid]
      expect(readdirSync(inside).toSorted()).toEqual([`${pid}.json`, `${pid}.sock`])
      const modes = ["", `${pid}.json`, `${pid}.sock`].map((name) => lstatSync(join(inside, name)).mode & 0o777)
      expect(modes).toEqual([0o700, 0o600, 0o600])
      expect(JSON.parse(readFileSync(join(inside, `${pid}.json`), "utf8"))).toMatchObject({
        formatVersion: 1,
        pid,
        process: expect.stringContaining(`${pid}@`),
        title: "inspected-program.ts waits"
      })
      const { formatVersion, snapshot } = JSON.parse(yield* said(join(inside, `${pid}.sock`), '{"ask":"snapshot"}\n'))
      expect(formatVersion).toBe(1)
      expect(snapshot).toMatchObject({ formatVersion: 1, process: { pid }, groups: [{ name: "server" }] })
      child.kill("SIGTERM")
      expect((yield* child.end).code).toBe(130)
      expect(readdirSync(inside)).toEqual([])
    })
  )

  it.effect("opens none by itself, and does not wait for it at the end", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const ends = (asked: string) => Effect.flatMap(start("ends", folder, { SKEIN_INSPECT: asked }), ({ end }) => end)
      expect(yield* ends("")).toMatchObject({ code: 0, stderr: "" })
      expect(existsSync(join(folder, "skein"))).toBe(false)
      expect(yield* ends("1")).toMatchObject({ code: 0, stderr: "" })
      expect(readdirSync(join(folder, "skein"))).toEqual([])
      expect((yield* ends("yes")).stderr).toContain('SKEIN_INSPECT is "yes", and so nothing. Set it to 1')
    })
  )

  it.effect("goes on without where the folder is not to be trusted, and says so", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      mkdirSync(join(folder, "skein"))
      chmodSync(join(folder, "skein"), 0o755)
      const { code, stderr, stdout } = yield* Effect.flatMap(start("ends", folder), ({ end }) => end)
      expect({ code, stdout }).toEqual({ code: 0, stdout: "ready\n" })
      expect(stderr).toContain("which is open to others. Remove it, or set XDG_RUNTIME_DIR to a folder of your own.")
      expect(readdirSync(join(folder, "skein"))).toEqual([])
    })
  )
})

onUnix("the folder", () => {
  it.effect("is made for this user alone, and refused where it is a link, a file or open to others", () =>
    Effect.gen(function* () {
      const folder = yield* runtime
      expect(Folder.path()).toBe(folder)
      Folder.made()
      expect(lstatSync(folder).mode & 0o777).toBe(0o700)
      chmodSync(folder, 0o750)
      expect(() => Folder.made()).toThrow("is open to others")
      expect(() => Folder.cards()).toThrow("is open to others")
      rmSync(folder, { recursive: true })
      writeFileSync(folder, "")
      expect(() => Folder.cards()).toThrow("is no folder")
      rmSync(folder)
      const other = yield* Child.folder
      symlinkSync(other, folder)
      expect(() => Folder.made()).toThrow("is a symbolic link")
      expect(readdirSync(other)).toEqual([])
    })
  )

  it.effect("has cards that are whole, and nothing else", () =>
    Effect.gen(function* () {
      yield* runtime
      const folder = Folder.made()
      const card = { formatVersion: 1, pid: 7, ...identity, pipe: null }
      Folder.enter(card, folder)
      for (const [name, text] of [
        ["8.json", "{"],
        ["9.json", "null"],
        ["10.json", '"text"'],
        ["11.json.json", "{}"],
        ["x.json", "{}"]
      ] as const) {
        writeFileSync(join(folder, name), text)
      }
      // What it says of another number, and where else to connect to, is not looked at.
      writeFileSync(join(folder, "12.json"), '{"formatVersion":2,"pid":1,"title":7,"pipe":"/tmp/x"}')
      expect(Folder.cards().toSorted((a, b) => a.pid - b.pid)).toEqual([
        card,
        { formatVersion: 2, pid: 12, process: "", startedAt: 0, title: "", pipe: null }
      ])
    })
  )
})

it("a title has the command line without what may be secret in it", () => {
  const title = (...args: ReadonlyArray<string>) => OwnProcess.title(["/bin/node", "/home/ada/job.ts", ...args])
  expect(title("run", "a.csv")).toBe("job.ts run a.csv")
  expect(title("--token", "abc", "--password=def", "--set", "api.secret=ghi", "--verbose")).toBe(
    "job.ts --token *** --password=*** --set api.secret=*** --verbose"
  )
  expect(title("postgres://ada:pw@db/x", "a\nb\u001B[2J")).toBe("job.ts postgres://***@db/x a b\\u001B[2J")
  expect(title("x".repeat(1000)).length).toBeLessThan(210)
})

onUnix("the socket", () => {
  it.effect.each([
    ["nothing", "", ""],
    ["an empty line", "\n", "an ask is an object of JSON on one line"],
    ["no JSON", "not json\n", "an ask is an object of JSON on one line"],
    ["a list", "[1]\n", "an ask is an object of JSON on one line"],
    ["something else", '{"ask":"passwords"}\n', 'ask for "snapshot", "events" or "control"'],
    ["a control of nothing", '{"ask":"control"}\n', 'a control names its "run"'],
    ["a partition that is no text", '{"ask":"control","run":"a","partition":7}\n', '"partition" is a text'],
    ["another control", '{"ask":"control","run":"a","do":"kill"}\n', 'a control is to "pause", "resume" or "drain"'],
    [
      "a control that is not allowed",
      '{"ask":"control","run":"a","do":"drain"}\n',
      "it may be looked at and nothing else"
    ],
    ["5,000 characters", "x".repeat(5000), "an ask is no longer than 4096 characters"],
    ["a million characters", `${"x".repeat(1_000_000)}\n`, "an ask is no longer than 4096 characters"],
    ["control characters", "\u0000\uFFFF\n", "an ask is an object of JSON on one line"]
  ] as const)("says in one line what is wrong with %s", ([, text, error]) =>
    Effect.gen(function* () {
      const path = yield* opened()
      const answer = yield* said(path, text)
      if (error === "") return expect(answer).toBe("")
      expect(answer.split("\n")).toEqual([expect.any(String), ""])
      expect(JSON.parse(answer)).toEqual({ formatVersion: 1, error: expect.stringContaining(error) })
    })
  )

  it.effect("answers one after the other, also after an end, and hides what is secret", () =>
    Effect.gen(function* () {
      let asked = 0
      const snapshot = Effect.map(Inspect.snapshot, (seen) => ({
        ...seen,
        at: (asked += 1),
        withoutPlaces: "http://ada:pw@host/"
      }))
      const path = yield* opened({ snapshot })
      const lines = (yield* said(path, '{"ask":"snapshot"}\n'.repeat(3))).trim().split("\n")
      expect(lines.map((line) => JSON.parse(line).snapshot.at)).toEqual([1, 2, 3])
      expect(lines[0]).toContain("http://***@host/")
    })
  )

  it.effect("says it where a snapshot cannot be made, and is there for the next", () =>
    Effect.gen(function* () {
      const path = yield* opened({ snapshot: Effect.die(new Error("no way")) })
      expect(JSON.parse(yield* said(path, '{"ask":"snapshot"}\n'))).toEqual({ formatVersion: 1, error: "no way" })
      expect(yield* said(path, '{"ask":"snapshot"}\n')).toContain("no way")
    })
  )

  it.effect("gives events as they come, and stops when their reader is gone", () =>
    Effect.gen(function* () {
      let stopped: () => void
      const isStopped = new Promise<void>((resolve) => (stopped = resolve))
      const entry: Inspect.Entry = { kind: "committed", at: 1, run: "a", rows: 2, took: 3 }
      const events = Stream.concat(Stream.make(entry, entry), Stream.never).pipe(
        Stream.ensuring(Effect.sync(() => stopped()))
      )
      const path = yield* opened({ events })
      const socket = yield* connected(path)
      const heard = yield* Effect.callback<string>((resume) => {
        let all = ""
        socket.setEncoding("utf8").on("data", (part: string) => {
          all += part
          if (all.split("\n").length === 3) resume(Effect.succeed(all))
        })
        socket.write('{"ask":"events"}\n')
      })
      const line = JSON.stringify({ formatVersion: 1, event: entry })
      expect(heard).toBe(`${line}\n${line}\n`)
      socket.destroy()
      yield* Effect.promise(() => isStopped)
    })
  )

  it.effect("pauses, resumes and drains a run where that is allowed", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const child = yield* start("run", folder, {})
      yield* child.says("ready")
      const path = join(folder, "skein", `${child.process.pid}.sock`)
      const ask = (what: object) => Effect.map(said(path, `${JSON.stringify(what)}\n`), (line) => JSON.parse(line))
      const control = (what: string, run = "numbers", partition: unknown = null) =>
        ask({ ask: "control", run, partition, do: what })
      const state = Effect.map(ask({ ask: "snapshot" }), ({ snapshot }) => snapshot.runs[0]?.state)
      yield* Effect.repeat(state, { until: (now) => now === "running" })
      expect(yield* control("pause", "letters")).toMatchObject({ error: expect.stringContaining('No run "letters"') })
      expect(yield* control("pause", "numbers", "a")).toHaveProperty("error")
      expect(yield* control("pause")).toEqual({ formatVersion: 1, done: "pause" })
      expect(yield* state).toBe("paused")
      expect(yield* control("resume")).toEqual({ formatVersion: 1, done: "resume" })
      expect(yield* state).toBe("running")
      expect(yield* control("drain")).toEqual({ formatVersion: 1, done: "drain" })
      expect((yield* child.end).code).toBe(0)
    })
  )

  it.effect("takes so many connections and no more", () =>
    Effect.gen(function* () {
      const path = yield* opened({}, { connections: 2, silence: 60_000 })
      const first = yield* connected(path)
      yield* connected(path)
      expect(yield* said(path, "")).toContain("it has 2 connections already")
      first.destroy()
      yield* Effect.repeat(said(path, "x\n"), { until: (answer) => answer.includes("an ask is an object") })
    })
  )

  it.effect("leaves those who say nothing, or take nothing of what they asked for", () =>
    Effect.gen(function* () {
      const snapshot = Effect.map(Inspect.snapshot, (seen) => ({ ...seen, withoutPlaces: "x".repeat(5_000_000) }))
      const path = yield* opened({ snapshot }, { connections: 2, silence: 50 })
      yield* closed(yield* connected(path))
      const socket = yield* connected(path)
      socket.write('{"ask":"snapshot"}\n')
      // It is not read from, so only its error tells.
      yield* Effect.callback<void>((resume) => {
        const timer = setInterval(() => socket.write("\n"), 10)
        socket.on("error", () => {
          clearInterval(timer)
          resume(Effect.void)
        })
      })
    })
  )

  it.effect("is taken over from a process of the same number that was killed", () =>
    Effect.gen(function* () {
      yield* runtime
      const folder = Folder.made()
      for (const end of ["json", "sock", "new"]) writeFileSync(join(folder, `${process.pid}.${end}`), "left behind")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Server.open(identity, () => nothing),
            (close) => Effect.sync(close)
          )
          expect(Folder.cards()).toMatchObject([{ pid: process.pid, process: "test" }])
        })
      )
      expect(readdirSync(folder)).toEqual([])
    })
  )

  it.effect("is one for all programs of a process, and shows the last that opened it", () =>
    Effect.gen(function* () {
      const folder = yield* runtime
      const path = join(folder, `${process.pid}.sock`)
      const kept = Effect.map(said(path, '{"ask":"snapshot"}\n'), (line) => JSON.parse(line).snapshot.history.kept)
      const outer = Effect.gen(function* () {
        expect(yield* kept).toBe(0)
        yield* Effect.provide(
          Effect.gen(function* () {
            yield* Effect.void
            expect(yield* kept).toBe(0)
          }),
          Inspector.socket({ allowControl: true })
        )
        expect(existsSync(path)).toBe(true)
        expect(yield* said(path, '{"ask":"control","run":"a","do":"drain"}\n')).toContain("nothing else")
      })
      yield* Effect.provide(outer, Inspector.socket())
      expect(existsSync(path)).toBe(false)
    })
  )
})
