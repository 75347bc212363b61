/** What the command remembers of a run, where, and what it takes from a folder that may be anybody's. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import * as StateFolder from "../../src/cli/memory/StateFolder.ts"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import * as Origin from "../support/origin.ts"

const origin = Origin.start({ "/a": { body: "a" }, "/b": { body: "b" }, "/gone": { status: 410 } })
const stateOf = (cwd: string) => StateFolder.of(realpathSync(cwd))
const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)
const lines = (file: string) => readFileSync(file, "utf8").split("\n").length - 1

describe("what was run", () => {
  it.effect("is remembered for this user alone, in the state folder, without the URLs that were given", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      const secret = url.replace("://", "://ada:pw@")
      const { code, stderr } = yield* Command.run(cwd, "fetch", `${secret}/a`, `${secret}/gone`, "--out", "pages.jsonl")
      expect(code).toBe(0)
      expect(stderr).toContain("dead: GET ")
      expect(stderr).not.toContain("pw@")

      const state = stateOf(cwd)
      expect(readdirSync(state)).toEqual(["pages.json"])
      expect([modeOf(state), modeOf(join(state, "pages.json"))]).toEqual(["700", "600"])
      const kept = JSON.parse(readFileSync(join(state, "pages.json"), "utf8"))
      expect(kept).toMatchObject({ folder: realpathSync(cwd), options: { source: { urls: 2 }, out: "pages.jsonl" } })
      expect(JSON.stringify(kept)).not.toContain("127.0.0.1")

      expect([readdirSync(join(cwd, ".skein")), modeOf(join(cwd, ".skein"))]).toEqual([["pages.db"], "700"])
      const text = yield* Command.run(cwd, "dead", "pages")
      expect(text.stdout).toContain('fetch: "http://***@127.0.0.1')
      const json = yield* Command.run(cwd, "dead", "pages", "--json")
      expect(JSON.parse(json.stdout).input).toContain("http://***@127.0.0.1")
      expect(text.stdout + json.stdout).not.toContain("pw@")
    })
  )

  it.effect("leaves nothing in the working folder where there is a database", () =>
    Effect.gen(function* () {
      const [cwd, elsewhere] = [yield* Child.folder, yield* Child.folder]
      const { url } = yield* origin
      const db = join(elsewhere, "pages.db")
      expect(yield* Command.run(cwd, "fetch", `${url}/a`, `${url}/gone`, "--db", db, "--name", "p")).toMatchObject({
        code: 0
      })
      expect(readdirSync(cwd)).toEqual([])
      expect((yield* Command.run(cwd, "dead", "p")).stdout).toContain("p: 1 dead")
    })
  )

  it.effect("may have no place to be remembered in: the run says so and goes on", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      writeFileSync(join(cwd, "file"), "")
      mkdirSync(join(cwd, "a"))
      const args = ["fetch", `${url}/a`, "--out", "a/pages.jsonl", "--quiet"]
      const { code, stderr } = yield* Child.run(args, { cwd, env: { XDG_STATE_HOME: join(cwd, "file") } })
      expect(code).toBe(0)
      expect(stderr).toMatch(/^warning: `skein dead a-pages` will not know this run: Could not make the folder .*\n$/)
      expect(lines(join(cwd, "a/pages.jsonl"))).toBe(1)
    })
  )

  it.effect("is what was accepted: a command that is refused is not replayed", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      let mended = false
      const { url } = yield* Origin.start(({ path }) => (path === "/b" && !mended ? { status: 410 } : { body: path }))
      writeFileSync(join(cwd, "urls.txt"), `${url}/a\n${url}/b\n`)
      const args = ["fetch", "--from", "urls.txt", "--name", "p", "--out"]
      expect((yield* Command.run(cwd, ...args, "accepted.jsonl")).code).toBe(0)
      writeFileSync(join(cwd, "urls.txt"), `${url}/c\n`)
      const refused = yield* Command.run(cwd, ...args, "refused.jsonl")
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('Could not go on with "p"') })
      mended = true
      expect((yield* Command.run(cwd, "dead", "p", "--replay")).stdout).toContain("1 written, 0 dead")
      expect(lines(join(cwd, "accepted.jsonl"))).toBe(2)
      expect(existsSync(join(cwd, "refused.jsonl"))).toBe(false)
    })
  )

  it.effect("is another thing in every folder, and is refused when it was changed by hand", () =>
    Effect.gen(function* () {
      const [cwd, other] = [yield* Child.folder, yield* Child.folder]
      const { url } = yield* origin
      yield* Command.run(cwd, "fetch", `${url}/a`, "--db", "pages.db")
      expect((yield* Command.run(other, "dead", "pages")).stderr).toContain(
        'Nothing named "pages" was run in this folder'
      )
      const file = join(stateOf(cwd), "pages.json")
      writeFileSync(file, "{}")
      expect((yield* Command.run(cwd, "dead", "pages")).stderr).toBe(
        `error: Could not read ${file}: it is not what skein wrote there. Run "pages" again to renew it.`
      )
    })
  )
})

describe("listing dead letters", () => {
  it.effect("imports no code, and makes no database", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      yield* Command.run(cwd, "fetch", `${url}/gone`, "--db", "pages.db", "--name", "p")
      const file = join(stateOf(cwd), "p.json")
      const journal = JSON.parse(readFileSync(file, "utf8")).journal
      const job = `import { writeFileSync } from "node:fs"\nwriteFileSync("ran", "")\nexport default 1`
      writeFileSync(join(cwd, "job.ts"), job)
      const entry = { folder: realpathSync(cwd), kind: "run", options: { file: "job.ts" }, journal }
      writeFileSync(file, JSON.stringify(entry))
      expect((yield* Command.run(cwd, "dead", "p")).stdout).toContain("p: 1 dead")
      expect(existsSync(join(cwd, "ran"))).toBe(false)

      rmSync(join(cwd, "pages.db"))
      for (const replay of [[], ["--replay"]]) {
        const gone = yield* Command.run(cwd, "dead", "p", ...replay)
        expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining("which is no longer there") })
      }
      expect(readdirSync(cwd)).toEqual(["job.ts"])
    })
  )

  it.effect("shows nothing that a terminal would obey", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      writeFileSync(join(cwd, "urls.txt"), "ada:pw@\u001B[2J\u009B\u202E\n")
      const ran = yield* Command.run(cwd, "fetch", "--from", "urls.txt", "--db", "p.db")
      const listed = yield* Command.run(cwd, "dead", "p")
      const json = yield* Command.run(cwd, "dead", "p", "--json")
      expect(ran.stderr).toMatch(/dead: Cannot fetch "\*{3}@\\u001b\[2J\\u009b\\u202e"/i)
      expect(listed.stdout).toContain('#1 fetch: "***@\\u001b[2J\\u009B\\u202E"')
      expect(JSON.parse(json.stdout).input).toBe("***@\u001B[2J\u009B\u202E")
      for (const hidden of ["\u001B", "\u009B", "\u202E", "pw@"]) {
        expect(ran.stderr + listed.stdout + json.stdout).not.toContain(hidden)
      }
    })
  )

  it.effect("obeys nothing that lies in the folder", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      mkdirSync(join(cwd, ".skein"))
      writeFileSync(join(cwd, "job.ts"), `import { writeFileSync } from "node:fs"\nwriteFileSync("ran", "")`)
      writeFileSync(
        join(cwd, ".skein/p.json"),
        JSON.stringify({ kind: "run", options: { file: "job.ts", db: "made.db" } })
      )
      for (const replay of [[], ["--replay"]]) {
        const { code, stderr } = yield* Command.run(cwd, "dead", "p", ...replay)
        expect(code).toBe(1)
        expect(stderr).toContain(".skein/p.json may be somebody else's")
        expect(stderr).toContain("Run the command again here first")
      }
      expect(readdirSync(cwd).sort()).toEqual([".skein", "job.ts"])
    })
  )
})

describe("a run without a name", () => {
  it.effect("is another one for a file of the same name in another folder", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* origin
      for (const folder of ["one", "two"]) {
        mkdirSync(join(cwd, folder))
        const { stdout } = yield* Command.run(cwd, "fetch", `${url}/a`, "--out", `${folder}/x.jsonl`)
        expect(stdout).toMatch(new RegExp(`^${folder}-x: done: 1 item `))
      }
      expect([lines(join(cwd, "one/x.jsonl")), lines(join(cwd, "two/x.jsonl")), count()]).toEqual([1, 1, 2])
    })
  )

  it.effect("goes on under the name that version 0.1 gave it, in the journal that it left", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* origin
      mkdirSync(join(cwd, "a"))
      mkdirSync(join(cwd, "b"))
      yield* Command.run(cwd, "fetch", `${url}/a`, "--out", "a/x.jsonl", "--name", "x")
      rmSync(stateOf(cwd), { recursive: true })
      writeFileSync(join(cwd, ".skein/x.json"), JSON.stringify({ kind: "fetch", options: { out: "a/x.jsonl" } }))
      const other = yield* Command.run(cwd, "fetch", `${url}/b`, "--out", "b/x.jsonl")
      expect(other.stdout).toMatch(/^b-x: done: 1 item /)
      const same = yield* Command.run(cwd, "fetch", `${url}/a`, "--out", "a/x.jsonl")
      expect(same.stdout).toMatch(/^x: done: 0 items /)
      expect(count("/a")).toBe(1)

      // It is remembered now, so that what the folder says is not asked any more.
      rmSync(join(cwd, ".skein/x.json"))
      expect((yield* Command.run(cwd, "fetch", `${url}/a`, "--out", "a/x.jsonl")).stdout).toMatch(/^x: /)
    })
  )
})
