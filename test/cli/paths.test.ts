/** Files that a command cannot use as it was told to: it says so before anything is made. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Main } from "skein/node"
import * as Name from "../../src/cli/usage/Name.ts"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import * as Origin from "../support/origin.ts"

const url = "http://127.0.0.1:1/"
const posix = process.platform !== "win32"

describe("an option", () => {
  it.effect.each([
    [["--db", ""], "--db", "may be unset"],
    [["--out", ""], "--out", "may be unset"],
    [["--out", "a", "--name", ""], "--name", "may be unset"],
    [["--out", "a", "--journal", "-"], "--journal", "Expected: a file: a run goes on from what is in it"],
    [["--db", ":memory:"], "--db", "would be gone with the command"],
    [["--db", "file::memory:"], "--db", "would be gone with the command"],
    [["--db", "sqlite:"], "--db", "would be gone with the command"]
  ] as const)("is wrong usage: %s", ([args, flag, message]) =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { code, stderr } = yield* Command.run(cwd, "fetch", url, ...args)
      expect(stderr).toMatch(
        new RegExp(`^error: (Invalid|Missing) value for flag ${flag}[.:] .*See \`skein fetch --help\`\\.$`)
      )
      expect(stderr).toContain(message)
      expect(code).toBe(2)
      expect(readdirSync(cwd)).toEqual([])
    })
  )

  it.effect("is wrong usage as well: an empty list, an empty job, a database of a job that is not kept", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      for (const args of [
        ["fetch", "--from", "", "--out", "a"],
        ["run", ""],
        ["run", "job.ts", "--db", ""],
        ["run", "job.ts", "--db", ":memory:"]
      ]) {
        expect(yield* Command.run(cwd, ...args)).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(/^error: (Invalid|Missing) value for /)
        })
      }
    })
  )

  it.effect("shows no password of what is no URL", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      for (const bad of ["ada:pw@example.com/", "ftp://ada:pw@example.com/", "http://ada:p/w@example.com/"]) {
        const { code, stderr } = yield* Command.run(cwd, "fetch", bad, "--out", "a")
        expect(stderr).toMatch(/^error: Not a URL: ".*\*\*\*@example.com\/"/)
        expect([code, /pw@|p\/w@/.test(stderr)]).toEqual([2, false])
      }
    })
  )
})

describe.runIf(posix)("one file in two roles", () => {
  const setup = Effect.map(Child.folder, (cwd) => {
    mkdirSync(join(cwd, "folder"))
    writeFileSync(join(cwd, "there"), `${url}\n`)
    linkSync(join(cwd, "there"), join(cwd, "hard"))
    symlinkSync("there", join(cwd, "link"))
    symlinkSync("folder/new", join(cwd, "dangling"))
    symlinkSync("folder", join(cwd, "f"))
    return cwd
  })

  it.effect.each([
    [["--from", "there", "--out", "there"], '--from and --out are the same file: "there".'],
    [["--from", "there", "--out", "./hard"], '--from and --out are the same file: "there" and "./hard".'],
    [["--from", "link", "--out", "there"], "--from and --out are the same file"],
    [["--from", "hard", "--db", "link"], "--from and --db are the same file"],
    [[url, "--out", "dangling", "--db", "f/new"], "--db and --out are the same file"],
    [[url, "--out", "x", "--db", "file:./x"], "--db and --out are the same file"],
    [[url, "--out", ".skein/x.db", "--name", "x"], "the journal and --out are the same file"]
  ] as const)("is refused: %s", ([args, message]) =>
    Effect.gen(function* () {
      const cwd = yield* setup
      const before = readdirSync(cwd, { recursive: true })
      const { code, stderr } = yield* Command.run(cwd, "fetch", ...args)
      expect(stderr).toContain(message)
      expect(code).toBe(2)
      expect(readdirSync(cwd, { recursive: true })).toEqual(before)
      expect(readFileSync(join(cwd, "there"), "utf8")).toBe(`${url}\n`)
    })
  )
})

describe.runIf(posix)("what is no regular file", () => {
  it.effect.each([
    [["--from", ".", "--out", "x"], 'Could not use "." as --from: it is a folder. Name a file in it.'],
    [[url, "--out", "x", "--journal", "pipe"], 'Could not use "pipe" as --journal: it is a named pipe.'],
    [[url, "--out", "pipe"], 'Could not use "pipe" as --out: it is a named pipe.'],
    [[url, "--out", "to-pipe"], 'Could not use "to-pipe" as --out: it is a named pipe.'],
    [[url, "--out", "."], 'Could not use "." as --out: it is a folder. Name a file in it.'],
    [[url, "--restart", "--out", "/dev/null"], 'Could not use "/dev/null" as --out: it is a device.'],
    [[url, "--db", "pipe"], 'Could not use "pipe" as --db: it is a named pipe.']
  ] as const)("is refused at once: %s", ([args, message]) =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      execFileSync("mkfifo", [join(cwd, "pipe")])
      symlinkSync("pipe", join(cwd, "to-pipe"))
      expect(yield* Command.run(cwd, "fetch", ...args)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(message)
      })
      expect(readdirSync(cwd)).toEqual(["pipe", "to-pipe"])
    })
  )
})

describe.runIf(posix)("skein run", () => {
  it.effect("refuses a database that is a pipe, or its own job", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      execFileSync("mkfifo", [join(cwd, "pipe")])
      writeFileSync(join(cwd, "job.ts"), "throw new Error('imported')")
      expect(yield* Command.run(cwd, "run", "job.ts", "--db", "pipe")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Could not use "pipe" as --db: it is a named pipe.')
      })
      expect(yield* Command.run(cwd, "run", "job.ts", "--db", "./job.ts")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("the job and --db are the same file")
      })
    })
  )
})

describe.runIf(posix)("skein fetch --restart", () => {
  it.effect("empties the file that a link leads to, and leaves the link", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* Origin.start({ "/": { body: "ok" } })
      mkdirSync(join(cwd, "data"))
      symlinkSync("data/pages.jsonl", join(cwd, "pages.jsonl"))
      const args = ["fetch", `${url}/`, "--out", "pages.jsonl"]
      expect((yield* Command.run(cwd, ...args)).code).toBe(0)
      const { ino } = lstatSync(join(cwd, "data/pages.jsonl"))
      expect((yield* Command.run(cwd, ...args, "--restart")).stdout).toContain("1 written")
      expect(lstatSync(join(cwd, "pages.jsonl")).isSymbolicLink()).toBe(true)
      expect(lstatSync(join(cwd, "data/pages.jsonl")).ino).toBe(ino)
      expect(readFileSync(join(cwd, "data/pages.jsonl"), "utf8").split("\n")).toHaveLength(2)
    })
  )
})

describe("a name", () => {
  it.effect("comes from the path in the working folder, and from elsewhere with a hash", () =>
    Effect.gen(function* () {
      const [cwd, other] = [realpathSync(yield* Child.folder), realpathSync(yield* Child.folder)]
      const before = process.cwd()
      process.chdir(cwd)
      const names: Array<string> = []
      const files = [
        "x.jsonl",
        "./a/x.jsonl",
        "a/b c/x.tar.gz",
        join(cwd, "x.db"),
        join(other, "x.db"),
        "../x.db",
        "日本.db"
      ]
      for (const file of files) names.push(yield* Name.ofFile(file))
      process.chdir(before)
      expect(names.map((name) => name.replace(/-[0-9a-f]{8}$/, "-#"))).toEqual([
        "x",
        "a-x",
        "a-b-c-x.tar",
        "x",
        "x-#",
        "x-#",
        "fetch-#"
      ])
      expect(new Set(names).size).toBe(6)
      expect(names.every(Name.isName)).toBe(true)
      expect(yield* Name.ofFile(`${"a".repeat(60)}/${"b".repeat(60)}.db`)).toMatch(/^a{60}-b{29}-[0-9a-f]{8}$/)
      expect(Name.ofServer("postgres://ada:pw@host")).toMatch(/^host-[0-9a-f]{8}$/)
    }).pipe(Effect.provide(Main.layer))
  )
})
