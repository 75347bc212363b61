/** `skein fetch` as a user runs it: a process of its own, against a server on this machine. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Child from "../support/child.ts"
import * as Origin from "../support/origin.ts"

const pagesIn = (file: string): ReadonlyArray<Record<string, unknown>> => {
  const database = new DatabaseSync(file, { timeout: 10_000 })
  const rows = database.prepare("SELECT * FROM pages ORDER BY url").all()
  database.close()
  return rows
}
const linesIn = (file: string): ReadonlyArray<Record<string, unknown>> =>
  readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))
const urlsIn = (pages: ReadonlyArray<Record<string, unknown>>): ReadonlyArray<unknown> =>
  pages.map((page) => page["url"]).sort()
const deadIn = (cwd: string) =>
  Effect.map(Child.run(["dead", "pages", "--json"], { cwd }), ({ stdout }) =>
    stdout
      .split("\n")
      .slice(0, -1)
      .map((line): { readonly input: string; readonly cause: string; readonly attempts: number } => JSON.parse(line))
  )
/** What it says to standard error, without how far it is, which it says where a machine is slow. */
const said = (stderr: string): string => stderr.replaceAll(/^pages: .*\n/gm, "")
const summaryOf = ({ stdout }: Child.Ended) => JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")

const both = ["--db", "pages.db", "--out", "pages.jsonl"]

describe.concurrent("skein fetch", () => {
  it.effect("writes what it fetched as a row and a line", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const png = new Uint8Array([137, 80, 78, 71, 0, 255])
      const { url } = yield* Origin.start({
        "/old": { status: 301, headers: { location: "/text" } },
        "/text": { headers: { "content-type": "text/html; charset=utf-8" }, body: "<p>é</p>" },
        "/image": { headers: { "content-type": "image/png" }, body: png }
      })
      const { code, stdout, stderr } = yield* Child.run(["fetch", `${url}/old`, `${url}/image`, ...both], { cwd })
      expect({ code, stderr: said(stderr) }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toMatch(/^pages: done: 2 items in .* s \(.*\/s\), 2 written, 0 dead, 0 retries, 15 B\n$/)
      const time = { fetchedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), durationMs: expect.any(Number) }
      const pages = [
        {
          url: `${url}/image`,
          status: 200,
          contentType: "image/png",
          size: 6,
          sha256: createHash("sha256").update(png).digest("hex"),
          body: null,
          finalUrl: `${url}/image`,
          ...time
        },
        {
          url: `${url}/old`,
          status: 200,
          contentType: "text/html; charset=utf-8",
          size: 9,
          sha256: createHash("sha256").update("<p>é</p>").digest("hex"),
          body: "<p>é</p>",
          finalUrl: `${url}/text`,
          ...time
        }
      ]
      expect(pagesIn(join(cwd, "pages.db"))).toEqual(pages)
      expect(linesIn(join(cwd, "pages.jsonl"))).toEqual(expect.arrayContaining(pages))
    })
  )

  it.effect("keeps what fails for good as dead letters, and says so", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* Origin.start({
        "/gone": { status: 404 },
        "/big": { body: "x".repeat(2000) },
        "/down": { status: 503 },
        "/ok": { body: "ok" }
      })
      const urls = ["/gone", "/big", "/down", "/ok"].map((path) => url + path)
      writeFileSync(join(cwd, "urls.txt"), [...urls, "example.com/no-scheme", "", " "].join("\n"))
      const args = ["--from", "urls.txt", "--max-body", "1kB", "--retries", "1", "--name", "pages"]
      const { code, stdout, stderr } = yield* Child.run(["fetch", ...args, ...both], { cwd })
      expect(code).toBe(0)
      expect(stdout).toMatch(/pages: done: 5 items .* 1 written, 4 dead, 1 retries/)
      expect(said(stderr).split("\n")).toHaveLength(5)
      const dead = yield* deadIn(cwd)
      const of = (input: string) => dead.find((letter) => letter.input === input)
      expect(of(`${url}/gone`)).toMatchObject({ cause: expect.stringContaining("answered 404"), attempts: 1 })
      expect(of(`${url}/big`)).toMatchObject({ cause: expect.stringContaining("larger than 1000 bytes"), attempts: 1 })
      expect(of(`${url}/down`)).toMatchObject({ cause: expect.stringContaining("answered 503"), attempts: 2 })
      expect(of("example.com/no-scheme")).toMatchObject({ cause: expect.stringContaining("not a URL"), attempts: 1 })
      expect([count("/gone"), count("/down")]).toEqual([1, 2])
      expect(urlsIn(pagesIn(join(cwd, "pages.db")))).toEqual([`${url}/ok`])
      expect(urlsIn(linesIn(join(cwd, "pages.jsonl")))).toEqual([`${url}/ok`])
    })
  )

  it.effect("needs only a file to write to, and keeps its journal beside it", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* Origin.start({ "/": { body: "ok" } })
      const args = ["fetch", `${url}/`, "--out", "pages.jsonl", "--json"]
      expect(summaryOf(yield* Child.run(args, { cwd }))).toMatchObject({ outcome: "done", written: 1, resumed: false })
      expect(readdirSync(join(cwd, ".skein")).sort()).toEqual(["pages.db"])
      expect(summaryOf(yield* Child.run(args, { cwd }))).toMatchObject({ written: 0, resumed: true })
      expect([count(), linesIn(join(cwd, "pages.jsonl")).length]).toEqual([1, 1])
    })
  )

  it.effect("refuses a list of URLs that changed, and starts over with --restart", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* Origin.start({ "/a": { body: "a" }, "/b": { body: "b" }, "/dead": { status: 410 } })
      const args = ["fetch", "--from", "urls.txt", ...both]
      writeFileSync(join(cwd, "urls.txt"), `${url}/a\n${url}/dead\n`)
      expect((yield* Child.run(args, { cwd })).code).toBe(0)
      writeFileSync(join(cwd, "urls.txt"), `${url}/a\n${url}/b\n${url}/dead\n`)
      const refused = yield* Child.run(args, { cwd })
      expect(refused).toMatchObject({ code: 1, stdout: "" })
      expect(refused.stderr).toMatch(
        /^error: Could not go on with "pages": its source urls.txt changed .*\(its first \d+ bytes, .*\n$/
      )
      expect(refused.stderr).toContain("--restart")
      expect(urlsIn(pagesIn(join(cwd, "pages.db")))).toEqual([`${url}/a`])

      expect((yield* Child.run([...args, "--restart"], { cwd })).code).toBe(0)
      expect(urlsIn(pagesIn(join(cwd, "pages.db")))).toEqual([`${url}/a`, `${url}/b`])
      expect(urlsIn(linesIn(join(cwd, "pages.jsonl")))).toEqual([`${url}/a`, `${url}/b`])
      expect(yield* deadIn(cwd)).toHaveLength(1)
    })
  )

  it.effect("says in one line what it could not open, and why", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      writeFileSync(join(cwd, "notes.txt"), "These are notes and no database.\n".repeat(100))
      const failing = (...args: ReadonlyArray<string>) =>
        Effect.map(Child.run(["fetch", ...args], { cwd }), ({ code, stderr, stdout }) => {
          expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
          expect(stderr).toMatch(/^error: .*\n$/)
          return stderr
        })
      const url = "http://127.0.0.1:1/"
      expect(yield* failing("--from", "urls.txt", "--out", "a.jsonl")).toContain('"urls.txt": there is no such file')
      expect(yield* failing(url, "--db", "no/such/folder/a.db")).toContain("no/such/folder")
      expect(yield* failing(url, "--db", "notes.txt")).toContain("notes.txt")
      expect(yield* failing(url, "--db", "notes.txt")).not.toContain(" at ")
      expect(yield* failing(url, "--out", ".")).toContain('"."')
      expect(existsSync(join(cwd, ".skein", "notes.json"))).toBe(false)
    })
  )

  it.effect.each([
    { sink: "a file", to: ["--out", "pages.jsonl"], told: /^error: Could not write "pages.jsonl": .*Make room.*\n$/ },
    { sink: "a database", to: ["--db", "pages.db"], told: /^error: .*"pages".*commit.*Check the disk.*\n$/ }
  ])("stops at a full disk in one line, and goes on when there is room: $sink", ({ to, told }) =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* Origin.start(() => ({
        headers: { "content-type": "text/plain" },
        body: "x".repeat(50_000)
      }))
      const urls = Array.from({ length: 25 }, (_, i) => `${url}/${i}`)
      const args = ["fetch", ...urls, ...to, "--concurrency", "1"]
      // Half a megabyte at most for any file, as on a disk that has no more.
      const full = yield* Child.skein(args, { cwd, sh: 'ulimit -f 1000; exec "$@"' })
      const { code, stderr } = yield* full.end
      expect(code).toBe(1)
      expect(said(stderr)).toMatch(told)
      const after = yield* Child.run([...args, "--json"], { cwd })
      expect(summaryOf(after)).toMatchObject({ outcome: "done", resumed: true, total: { written: 25 } })
      const written = to[0] === "--db" ? pagesIn(join(cwd, "pages.db")) : linesIn(join(cwd, "pages.jsonl"))
      expect(urlsIn(written)).toEqual(urls.sort())
    })
  )

  it.effect("cancels at the second signal: what was committed stays", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { arrived, url } = yield* Origin.start({ "/ok": { body: "ok" }, "/hangs": { fault: "hang" } })
      const args = ["fetch", `${url}/ok`, `${url}/hangs`, ...both, "--progress-interval", "20ms"]
      const child = yield* Child.skein(args, { cwd })
      yield* child.does(arrived("/hangs"))
      yield* child.says("pages: 1 done")
      child.kill("SIGTERM")
      yield* child.says("stopping: finishing what is in flight; send SIGTERM again to cancel")
      child.kill("SIGINT")
      const { code, stderr } = yield* child.end
      expect(code).toBe(130)
      expect(stderr).not.toContain("error")
      expect(urlsIn(pagesIn(join(cwd, "pages.db")))).toEqual([`${url}/ok`])
      expect(urlsIn(linesIn(join(cwd, "pages.jsonl")))).toEqual([`${url}/ok`])
    })
  )
})

describe("skein fetch of 2,000 URLs, of which a tenth fails", () => {
  const size = 2000
  const failsAlways = (n: number) => n % 100 === 3 || n % 100 === 4
  const failsFirst = (n: number) => n % 10 === 5
  const handler: Origin.Handler = ({ attempt, path }) => {
    const n = Number(path.slice(1))
    if (failsAlways(n) || (failsFirst(n) && attempt === 1)) return n % 2 === 0 ? { fault: "drop" } : { status: 503 }
    return { headers: { "content-type": "text/plain" }, body: `page ${n}` }
  }
  const args = ["fetch", "--from", "urls.txt", ...both, "--json", "--per-host", "64", "--retries", "2"]

  const setup = Effect.gen(function* () {
    const cwd = yield* Child.folder
    const origin = yield* Origin.start(handler)
    const url = (n: number) => `${origin.url}/${n}`
    const all = Array.from({ length: size }, (_, n) => n)
    writeFileSync(join(cwd, "urls.txt"), `${all.map(url).join("\n")}\n`)
    const proof = Effect.gen(function* () {
      const good = all.filter((n) => !failsAlways(n)).map(url)
      expect(urlsIn(pagesIn(join(cwd, "pages.db")))).toEqual(good.sort())
      expect(urlsIn(linesIn(join(cwd, "pages.jsonl")))).toEqual(good.sort())
      const dead = (yield* deadIn(cwd)).map(({ input }) => input)
      expect(dead.sort()).toEqual(all.filter(failsAlways).map(url).sort())
    })
    return { cwd, origin, proof }
  })

  /** Completes once the server had so many requests. */
  const served = (origin: Origin.Origin, count: number) => origin.arrived(`/${count}`)

  it.effect("has each in the table once or among the dead letters", () =>
    Effect.gen(function* () {
      const { cwd, proof } = yield* setup
      const ended = yield* Child.run(args, { cwd })
      expect({ ...ended, stderr: said(ended.stderr) }).toMatchObject({ code: 0, stderr: "" })
      expect(summaryOf(ended)).toMatchObject({
        outcome: "done",
        settled: 2000,
        written: 1960,
        dead: 40,
        resumable: false
      })
      yield* proof
    })
  )

  it.effect("has so after it was killed in the middle and run again", () =>
    Effect.gen(function* () {
      const { cwd, origin, proof } = yield* setup
      const killed = yield* Child.skein(args, { cwd })
      yield* killed.does(served(origin, 900))
      killed.kill("SIGKILL")
      expect((yield* killed.end).signal).toBe("SIGKILL")
      const ended = yield* Child.run(args, { cwd })
      expect(ended.code).toBe(0)
      expect(summaryOf(ended)).toMatchObject({ outcome: "done", resumed: true, total: { settled: 2000, dead: 40 } })
      yield* proof
    })
  )

  it.effect("has so after SIGTERM, which it answers with what is in flight finished", () =>
    Effect.gen(function* () {
      const { cwd, origin, proof } = yield* setup
      const drained = yield* Child.skein(args, { cwd })
      yield* drained.does(served(origin, 100))
      drained.kill("SIGTERM")
      const first = yield* drained.end
      expect(first.code).toBe(0)
      expect(summaryOf(first)).toMatchObject({ outcome: "drained", resumable: true })
      expect(summaryOf(first).settled).toBeLessThan(2000)
      expect(summaryOf(yield* Child.run(args, { cwd }))).toMatchObject({ outcome: "done", total: { settled: 2000 } })
      yield* proof
    })
  )
})
