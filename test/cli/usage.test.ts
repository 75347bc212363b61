/** Wrong usage: one line that says what is wrong and where to read on, exit code 2, nothing done. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as TestConsole from "effect/testing/TestConsole"
import { Main } from "skein/node"
import { readdirSync } from "node:fs"
import { skein } from "../../src/cli/skein.ts"
import * as Child from "../support/child.ts"

const url = "http://127.0.0.1:1/"

const wrong: ReadonlyArray<readonly [args: string, message: string]> = [
  ["", "Missing a command"],
  ["frobnicate", 'Unknown subcommand "frobnicate"'],
  ["fetch --frobnicate", "Unrecognized flag: --frobnicate"],
  ["fetch", "Nothing to fetch: give URLs, or a file of them with --from"],
  [`fetch ${url}`, "Nowhere to write to: give --db, --out or both"],
  [`fetch ${url} --from urls.txt --db a.db`, "Give URLs or --from, not both"],
  [`fetch ${url} example.com/page --db a.db`, 'Not a URL: "example.com/page". Write it in full'],
  ["fetch ftp://example.com/ --db a.db", 'Not a URL: "ftp://example.com/"'],
  [`fetch ${url} --db`, "Missing value for flag --db"],
  [`fetch ${url} --db a.db --concurrency many`, 'Invalid value for flag --concurrency: "many"'],
  [`fetch ${url} --db a.db --concurrency 0`, "Expected: a whole number of at least 1"],
  [`fetch ${url} --db a.db --retries -1`, 'Invalid value for flag --retries: "-1"'],
  [`fetch ${url} --db a.db --timeout 10`, "Expected: a duration such as 500ms, 10s or 2m"],
  [`fetch ${url} --db a.db --timeout 0s`, 'Invalid value for flag --timeout: "0s"'],
  [`fetch ${url} --db a.db --max-body 1.5`, "Expected: a size such as 64kB or 16MiB"],
  [`fetch ${url} --db a.db --rate 100`, "Expected: a rate such as 100/s, 30/m or 1000/h"],
  [`fetch ${url} --db a.db --name ../a`, 'Invalid value for flag --name: "../a"'],
  [`fetch ${url} --db a.db --journal b.db`, "Give --db or --journal, not both"],
  [`fetch ${url} --db a.db --max-dead 101%`, "Expected: a number such as 10, or a share such as 5%"],
  [`fetch ${url} --db a.db --header Accept`, 'Expected: a header as in "Name: value", or @ and a file of them'],
  [`fetch ${url} --db a.db --proxy proxy:8080`, "Expected: the URL of a proxy"],
  ["run", "Missing required argument: file"],
  ["dead", "Missing required argument: name"],
  ["dead --journal a.journal", "Missing required argument: name, of the pipeline whose letters in that file are meant"],
  ["dead --db a.db --purge --all", "Missing required argument: name, of what is to be done with"],
  ["dead a --replay --purge --all", "Give --replay or --purge, one at a time"],
  ["dead a --export b --import b", "Give --export or --import, one at a time"],
  ["dead a --purge", "Say which to take out, as with --id or --cause, or --all"],
  ["dead a --purge --all --id 1", "Say which to take out, or --all, not both"],
  ["dead a --all", "--all is for --purge"],
  ["dead a --import b --step c", "All lines of what is imported are: leave out which"],
  ["dead a --replay --replayed", "What ran again already does not run again"],
  ["dead a --replay --journal b", "A job brings its journal along"],
  ["dead a --db b --journal c", "Give --db or --journal, not both"],
  ["dead a --id 0", "Expected: the number of one that is listed, as 7 for #7"],
  ["dead a --since yesterday", "Expected: a time such as 2026-01-31 or 2026-01-31T18:00Z, or how long ago, as 2h"],
  ["dead ../a", 'Invalid value for argument <name>: "../a"'],
  ["tree me", "Expected: the number of a process, as `skein ps` lists them"],
  ["tree --limit 0", "Expected: a whole number of at least 1"],
  ["top 0", "Expected: the number of a process, as `skein ps` lists them"],
  ["watch me", "Expected: the number of a process, as `skein ps` lists them"],
  ["watch --port 70000", "Expected: a port from 1 to 65535"]
]

const words = (args: string): ReadonlyArray<string> => args.split(" ").filter((arg) => arg !== "")

describe("wrong usage", () => {
  it.effect.each(wrong)("skein %s", ([args, message]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(skein(words(args)))
      expect(String(error)).toContain(message)
      expect(String(error)).toMatch(/^CommandError: .* See `skein.* --help`\.$/)
      expect(Runtime.getErrorExitCode(error)).toBe(2)
    }).pipe(Effect.provide(Main.layer))
  )

  it.effect("ends the command with one line and exit code 2, and nothing is done", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { code, stdout, stderr } = yield* Child.run(["fetch", "example.com", "--db", "a.db"], { cwd })
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
      expect(stderr).toMatch(/^error: Not a URL: "example.com".*\n$/)
      expect(readdirSync(cwd)).toEqual([])
    })
  )

  it.effect("with 100,000 spaces in it is told in milliseconds", () =>
    Effect.gen(function* () {
      const start = performance.now()
      const error = yield* Effect.flip(skein(["fetch", `from${" ".repeat(100_000)}to`, "--db", "a.db"]))
      expect(String(error)).toContain("Not a URL")
      expect(performance.now() - start).toBeLessThan(1000)
    }).pipe(Effect.provide(Main.layer))
  )

  it.effect("is told with its stack when asked to", () =>
    Effect.gen(function* () {
      expect((yield* Child.run(["fetch", "--debug"])).stderr).toMatch(
        /^error: Nothing to fetch.*\nCommandError.*\n +at /
      )
    })
  )
})

/** What a command line that is in order prints. */
const printed = (args: string) =>
  Effect.gen(function* () {
    yield* skein(words(args))
    return (yield* TestConsole.logLines).join("\n")
  }).pipe(Effect.provide(Main.layer))

const commands = ["fetch", "run", "dead", "ps", "tree", "top", "watch"]

describe("help", () => {
  it.effect("lists the commands", () =>
    Effect.gen(function* () {
      const text = yield* printed("--help")
      for (const command of commands) expect(text).toMatch(new RegExp(`^  ${command} `, "m"))
    })
  )

  it.effect.each(commands)("of %s tells the exit codes", (command) =>
    Effect.gen(function* () {
      expect(yield* printed(`${command} --help`)).toContain("Exit codes: 0 ")
    })
  )

  it.effect.each(["", ...commands.map((command) => `${command} `)])(
    "of skein %sfits a screen of 60 lines and 100 columns",
    (command) =>
      Effect.gen(function* () {
        const lines = (yield* printed(`${command}--help`)).split("\n")
        expect(lines.length).toBeLessThanOrEqual(60)
        // One of the framework's own is longer.
        expect(lines.filter((line) => line.length > 100 && !line.includes("--completions"))).toEqual([])
      })
  )

  it.effect("tells the version, and completes for shells", () =>
    Effect.gen(function* () {
      expect(yield* printed("--version")).toMatch(/^skein v\d+\.\d+\.\d+$/)
      expect(yield* printed("--completions bash")).toContain("complete -F")
    })
  )
})
