/** Lists of URLs as people have them, from files and pipes, and lines that go to a pipe. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import * as Origin from "../support/origin.ts"

const origin = Origin.start(({ path }) =>
  path === "/gone"
    ? { status: 404, headers: { "content-type": "text/plain" }, body: "no such page" }
    : { headers: { "content-type": "text/plain" }, body: path }
)
const linesIn = (file: string): ReadonlyArray<{ readonly url: string }> =>
  readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))
const urlsIn = (file: string): ReadonlyArray<string> =>
  linesIn(file)
    .map(({ url }) => url)
    .sort()

describe("a list of URLs", () => {
  it.effect("has comments, blank lines, spaces, CRLF and names in other scripts", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      const wide = url.replace("127", "１２７")
      writeFileSync(join(cwd, "urls.txt"), `# pages\r\n\r\n  ${url}/a#part  \r\n\t# more\r\n${wide}/b\r\n`)
      const { code, stdout } = yield* Command.run(cwd, "fetch", "--from", "urls.txt", "--out", "x.jsonl")
      expect({ code, stdout }).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^x: done: 2 items .* 2 written, 0 dead/)
      })
      expect(urlsIn(join(cwd, "x.jsonl"))).toEqual([`${url}/a#part`, `${wide}/b`].sort())
    })
  )

  it.effect("has a URL several times: it is fetched once, also by a later run, and the summary says so", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* origin
      const list = join(cwd, "urls.txt")
      const args = ["fetch", "--from", "urls.txt", "--out", "x.jsonl"]
      // The last line has no end yet when it is read.
      writeFileSync(list, `${url}/a\n${url}/a\n${url}/gone\n${url}/a\n${url}/b`)
      expect((yield* Command.run(cwd, ...args)).stdout).toMatch(/5 items .* 2 written, 2 duplicates, 1 dead/)
      appendFileSync(list, `\n${url}/b\n${url}/gone\n${url}/c\n`)
      const { stdout } = yield* Command.run(cwd, ...args)
      expect(stdout).toMatch(/3 items .* 1 written, 2 duplicates, 0 dead/)
      expect(stdout).toContain("over all runs: 8 items, 3 written, 4 duplicates, 1 dead")
      expect(urlsIn(join(cwd, "x.jsonl"))).toEqual([`${url}/a`, `${url}/b`, `${url}/c`])
      expect(["/a", "/b", "/c", "/gone"].map((path) => count(path))).toEqual([1, 1, 1, 1])
      const given = yield* Command.run(cwd, "fetch", `${url}/a`, `${url}/a`, "--out", "y.jsonl", "--json")
      expect(JSON.parse(given.stdout.split("\n").at(-1) ?? "")).toMatchObject({ settled: 2, written: 1, duplicates: 1 })
    })
  )

  it.effect("is compressed, or in UTF-16 as some shells write it", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      writeFileSync(join(cwd, "urls.txt.gz"), gzipSync(`${url}/a\n${url}/b\n`))
      writeFileSync(join(cwd, "wide.txt"), Buffer.from(`\uFEFF${url}/é\r\n`, "utf16le"))
      for (const [list, urls] of [
        ["urls.txt.gz", [`${url}/a`, `${url}/b`]],
        ["wide.txt", [`${url}/é`]]
      ] as const) {
        const { code, stderr } = yield* Command.run(cwd, "fetch", "--from", list, "--out", `${list}.jsonl`)
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
        expect(urlsIn(join(cwd, `${list}.jsonl`))).toEqual(urls)
      }
    })
  )

  it.effect("is told by its own options where it cannot be read", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      writeFileSync(join(cwd, "urls.txt"), "x".repeat(17 * 1024 * 1024))
      const { code, stderr } = yield* Command.run(cwd, "fetch", "--from", "urls.txt", "--out", "x.jsonl")
      expect(code).toBe(1)
      expect(stderr).toMatch(/line 1 .* longer than \d+ bytes. Look whether this is a file of lines/)
      expect(stderr).not.toContain("maxLine")
    })
  )
})

describe.runIf(process.platform !== "win32")("a pipe", () => {
  it.effect("is read, and a run goes on when the same comes by it again", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* origin
      execFileSync("mkfifo", [join(cwd, "pipe")])
      const give = (text: string) =>
        Effect.acquireRelease(
          Effect.sync(() => spawn("sh", ["-c", 'printf "%s" "$0" > pipe', text], { cwd, stdio: "ignore" })),
          (writer) => Effect.sync(() => void writer.kill())
        )
      const args = ["fetch", "--from", "pipe", "--out", "x.jsonl"]
      yield* give(`# c\n${url}/a\n${url}/a\n`)
      expect((yield* Command.run(cwd, ...args)).stdout).toMatch(/2 items .* 1 written, 1 duplicate, 0 dead/)
      yield* give(`${url}/a\n${url}/a\n${url}/b`)
      expect((yield* Command.run(cwd, ...args)).stdout).toMatch(/1 item .* 1 written, 0 dead/)
      yield* give(`${url}/b\n`)
      expect((yield* Command.run(cwd, ...args)).stderr).toContain("its source list changed since the last run")
      expect(urlsIn(join(cwd, "x.jsonl"))).toEqual([`${url}/a`, `${url}/b`])
      expect(count()).toBe(2)
    })
  )

  it.effect("that nobody writes into is waited for, and left at a signal", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      execFileSync("mkfifo", [join(cwd, "pipe")])
      const child = yield* Child.skein(["fetch", "--from", "pipe", "--out", "x.jsonl"], {
        cwd,
        env: { NODE_DEBUG: "net" }
      })
      yield* child.says("NET")
      child.kill("SIGINT")
      expect((yield* child.end).code).toBe(130)
    })
  )

  it.effect("goes in and out: lines to standard output, what is told to standard error", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      writeFileSync(join(cwd, "list"), `${url}/a\n${url}/gone\n${url}/a\n`)
      const run = (sh: string) =>
        Effect.flatMap(Child.skein(["fetch", "--from", "-", "--out", "-"], { cwd, sh }), ({ end }) => end)
      const { code, stderr, stdout } = yield* run('cat list | "$@"')
      expect(code).toBe(0)
      expect(stdout.split("\n").map((line) => (line === "" ? "" : JSON.parse(line).url))).toEqual([`${url}/a`, ""])
      expect(stderr).toMatch(/^fetch: done: 3 items .* 1 written, 1 duplicate, 1 dead/)
      // Nothing is kept that could list it later.
      expect(stderr).toMatch(/\ndead: GET .*\/gone: answered 404.*; it says "no such page"\n$/)
      expect(readdirSync(cwd)).toEqual(["list"])
      const gzipped = yield* run('gzip -c list | "$@"')
      expect(gzipped.stderr).toContain("Could not read the URLs from standard input: it is not text in UTF-8.")
      expect(gzipped.code).toBe(1)
    })
  )
})

describe("a folder that cannot be written to", () => {
  it.effect("needs a database or a journal in another place", () =>
    Effect.gen(function* () {
      const [cwd, other] = [yield* Child.folder, yield* Child.folder]
      const { count, url } = yield* origin
      // No folder of that name can be made here, whoever runs this.
      writeFileSync(join(cwd, ".skein"), "")
      const args = ["fetch", `${url}/a`, "--out", join(other, "x.jsonl")]
      const refused = yield* Command.run(cwd, ...args)
      expect(refused.code).toBe(1)
      expect(refused.stderr).toMatch(
        /^error: Could not .*\.skein.* Or keep how far it is in another place, with --journal\.$/
      )
      const journal = ["--journal", join(other, "x.db")]
      expect((yield* Command.run(cwd, ...args, ...journal)).code).toBe(0)
      expect((yield* Command.run(cwd, ...args, ...journal)).stdout).toContain("0 items")
      expect((yield* Command.run(cwd, "fetch", `${url}/a`, "--db", join(other, "y.db"))).code).toBe(0)
      expect([count(), existsSync(join(other, "x.db")), readdirSync(cwd)]).toEqual([2, true, [".skein"]])
    })
  )
})
