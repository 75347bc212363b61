/** `skein dead`: which letters are meant, one shown whole, taken out, and carried in files and pipes. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Db, Files, Journal } from "skein"
import { Drivers } from "skein/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"

const letter = (n: number): Journal.DeadLetter => ({
  step: n % 2 === 0 ? "fetch" : "parse",
  input: { url: `https://ada:hunter2@b.c/${n}?token=hunter2`, n },
  cause: n === 3 ? "Timeout: too \u001b[31mlate" : "answered 404",
  causes: [
    { depth: 0, name: "Timeout", message: "too \u001b[31mlate\nfake: line", stack: "at get (a.ts:1:2)\nat b.ts:3:4" },
    { depth: 1, name: "", message: "no answer" }
  ],
  attempts: 2,
  version: "7",
  position: n,
  path: "0",
  at: Date.UTC(2026, 0, n)
})

const here = Layer.provideMerge(Drivers.layer, NodeServices.layer)
const bury = (layer: Layer.Layer<Journal.Journal, unknown, Layer.Success<typeof here>>, name = "pages", most = 4) =>
  Effect.flatMap(Journal.Journal, (journal) =>
    journal.bury(
      Journal.keyOf(name),
      Array.from({ length: most }, (_, n) => letter(n + 1))
    )
  ).pipe(Effect.provide(Layer.provide(layer, here)), Effect.orDie)

const root = resolve(import.meta.dirname, "../..")
const main = join(root, "src/cli/main.ts")
const listed = (text: string) => [...text.matchAll(/^#(\d+)/gm)].map(([, id]) => Number(id))

describe.each([
  ["--db", "pages.db", (file: string) => Db.sqlite(file)],
  ["--journal", "pages.journal", (file: string) => Files.journal(file)]
] as const)("skein dead %s", (flag, file, layer) => {
  const made = Effect.gen(function* () {
    const cwd = yield* Child.folder
    yield* TestClock.setTime(Date.UTC(2026, 1, 1))
    yield* bury(layer(join(cwd, file)))
    return (...args: ReadonlyArray<string>) => Command.run(cwd, "dead", "pages", flag, file, ...args)
  })

  it.effect("lists those that are asked for", () =>
    Effect.gen(function* () {
      const dead = yield* made
      const cases: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
        ["", [1, 2, 3, 4]],
        ["--step fetch", [2, 4]],
        ["--cause late", [3]],
        ["--cause Timeout", [1, 2, 3, 4]],
        ["--since 2026-01-03", [3, 4]],
        ["--until 2026-01-03 --limit 1", [1]],
        ["--since 1h", []],
        ["--id 4 --id 2", [2, 4]],
        ["--replayed", []]
      ]
      for (const [args, expected] of cases) {
        const { code, stdout } = yield* dead(...args.split(" ").filter((arg) => arg !== ""))
        expect([args, code, listed(stdout)]).toEqual([args, 0, expected])
        expect(stdout).not.toContain("hunter2")
        expect(stdout).not.toContain("\u001b")
      }
      expect((yield* dead("--since", "1h")).stdout).toBe("pages: no dead letters")
      const json = (yield* dead("--json", "--id", "2")).stdout
      expect(JSON.parse(json)).toMatchObject({ id: 2, causes: [{ name: "Timeout" }, { message: "no answer" }] })
      expect(json).not.toContain("hunter2")
    })
  )

  it.effect("shows one whole, with all that it came of", () =>
    Effect.gen(function* () {
      const { stdout } = yield* (yield* made)("--id", "3")
      expect(stdout.split("\n")).toEqual([
        '#3 parse: {"url":"https://***@b.c/3?token=***","n":3}',
        "   attempts 2, position 3, 2026-01-03T00:00:00.000Z, descendant 0, version 7",
        "   Timeout: too \\u001B[31mlate",
        "   fake: line",
        "     at get (a.ts:1:2)",
        "     at b.ts:3:4",
        "     caused by no answer",
        "pages: 1 dead; run them again with `skein dead pages --replay`"
      ])
    })
  )

  it.effect("takes out what it is told, and says how many", () =>
    Effect.gen(function* () {
      const dead = yield* made
      expect(yield* dead("--purge", "--step", "fetch")).toMatchObject({ code: 0, stdout: "pages: 2 taken out" })
      expect(listed((yield* dead()).stdout)).toEqual([1, 3])
      expect((yield* dead("--purge", "--all", "--json")).stdout).toBe('{"pipeline":"pages","purged":2}')
      expect(yield* dead("--purge", "--all", "--quiet")).toEqual({ code: 0, stdout: "", stderr: "" })
    })
  )

  it.effect("writes them to a file for this user alone, over nothing, and brings them in again once", () =>
    Effect.gen(function* () {
      const dead = yield* made
      const folder = yield* Child.folder
      const out = join(folder, "dead.jsonl")
      expect((yield* dead("--export", out, "--limit", "3")).stdout).toBe(`pages: 3 written to ${out}`)
      expect(readdirSync(folder)).toEqual(["dead.jsonl"])
      if (process.platform !== "win32") expect(statSync(out).mode & 0o777).toBe(0o600)
      const text = readFileSync(out, "utf8")
      expect(text).toContain("hunter2")
      expect((yield* dead("--export", "-", "--limit", "3")).stdout).toBe(text.trimEnd())
      expect(yield* dead("--export", out)).toMatchObject({
        code: 1,
        stderr: `error: Could not export to ${out}: there is something already. Name another one, or move it away.`
      })
      expect(readFileSync(out, "utf8")).toBe(text)

      expect((yield* dead("--purge", "--id", "1")).stdout).toBe("pages: 1 taken out")
      expect((yield* dead("--import", out)).stdout).toBe("pages: 1 imported, 2 known already")
      expect((yield* dead("--import", out, "--json")).stdout).toBe('{"pipeline":"pages","added":0,"known":3}')
      writeFileSync(out, `${text}{}\n`)
      const bad = yield* dead("--import", out)
      expect(bad.code).toBe(1)
      expect(bad.stderr).toMatch(
        /^error: Could not import dead letters of pipeline "pages": line 4: .*Nothing was imported/
      )
      expect(listed((yield* dead()).stdout)).toHaveLength(4)
    })
  )

  it.effect("P10 killed while it imports, it has imported none, and the next one is not kept out", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      yield* bury(layer(join(cwd, file)), "pages", 1)
      const line = (yield* Command.run(cwd, "dead", "pages", flag, file, "--export", "-")).stdout
      const text = Array.from({ length: 1000 }, (_, n) => `${line.replace('"position":1', `"position":${n}`)}\n`).join(
        ""
      )
      writeFileSync(join(cwd, "dead.jsonl"), text)
      yield* Effect.callback<void>((resume) => {
        const command = [...Child.flags, main, "dead", "pages", flag, file, "--import", "-"]
        const child = spawn(process.execPath, command, { cwd, stdio: ["pipe", "ignore", "inherit"] })
        child.on("exit", () => {
          clearInterval(look)
          resume(Effect.void)
        })
        // It never sees an end, and is killed in the middle.
        child.stdin.on("error", () => {}).write(text)
        const look = setInterval(() => {
          if (isInUse(join(cwd, file))) child.kill("SIGKILL")
        }, 20)
      })
      const listing = yield* Command.run(cwd, "dead", "pages", flag, file)
      expect(listed(listing.stdout)).toEqual([1])
      expect((yield* Command.run(cwd, "dead", "pages", flag, file, "--import", "dead.jsonl")).stdout).toBe(
        "pages: 999 imported, 1 known already"
      )
    })
  )
})

describe("skein dead", () => {
  it.effect("knows the journal of a job whose layer keeps it in a file, without its code", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const job = (body: string) => `
        import * as Effect from "effect/Effect"
        import * as Schema from "effect/Schema"
        import { Files, Pipeline, Sink, Source } from "skein"
        export default Pipeline.from(Source.list([1, 2, 3], { name: "numbers" })).pipe(
          Pipeline.map((n) => ${body}, { name: "work", onError: { deadLetter: Schema.Number } }),
          Pipeline.to(Sink.discard)
        )
        export const layer = Files.journal("run.journal")`
      mkdirSync(join(cwd, "node_modules"))
      symlinkSync(root, join(cwd, "node_modules/skein"), "junction")
      symlinkSync(join(root, "node_modules/effect"), join(cwd, "node_modules/effect"), "junction")
      writeFileSync(join(cwd, "job.mjs"), job('n < 3 ? Effect.fail("too small") : n'))
      const skein = (...args: ReadonlyArray<string>) => Child.run(args, { cwd })
      expect(yield* skein("run", "job.mjs")).toMatchObject({ code: 0, stdout: expect.stringContaining("2 dead") })
      writeFileSync(join(cwd, "job.mjs"), "throw new Error('not to be run')")
      expect((yield* skein("dead", "job")).stdout).toContain("job: 2 dead; run them again")
      writeFileSync(join(cwd, "job.mjs"), job("n"))
      expect((yield* skein("dead", "job", "--replay", "--id", "2")).stdout).toContain("1 written, 0 dead")
      expect(listed((yield* skein("dead", "job")).stdout)).toEqual([1])
      expect(listed((yield* skein("dead", "job", "--replayed")).stdout)).toEqual([2])
    })
  )

  it.effect("says which journal is not there, and which place is none", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      for (const flag of ["--db", "--journal"]) {
        expect((yield* Command.run(cwd, "dead", "p", flag, "none")).stderr).toBe(
          "error: There is no database or journal none. Check the path."
        )
      }
      writeFileSync(join(cwd, "text"), '{"format": no journal')
      expect((yield* Command.run(cwd, "dead", "p", "--journal", "text")).code).toBe(1)
      expect(readFileSync(join(cwd, "text"), "utf8")).toBe('{"format": no journal')
    })
  )
})

/** Whether somebody has the journal and is writing to it. */
const isInUse = (file: string): boolean => {
  if (file.endsWith(".journal")) return existsSync(`${file}.lock`)
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    database.exec("BEGIN IMMEDIATE; ROLLBACK")
    return false
  } catch {
    return true
  } finally {
    database.close()
  }
}
