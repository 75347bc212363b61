/** What a run came to, by its exit code and its words. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { FetchError } from "../../src/io/FetchError.ts"
import * as Terms from "../../src/cli/usage/Terms.ts"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import * as Origin from "../support/origin.ts"

const origin = Origin.start(({ path }) => (path.startsWith("/gone") ? { status: 404 } : { body: path }))

describe("the exit code", () => {
  it.effect("is 1 where all is dead, and 0 where something came through", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      const run = (out: string, ...args: ReadonlyArray<string>) =>
        Command.run(cwd, "fetch", "--out", out, ...args.map((path) => (path.startsWith("/") ? url + path : path)))
      const none = yield* run("a", "/gone1", "/gone2", "/gone1")
      expect(none).toMatchObject({
        code: 1,
        stdout: expect.stringContaining("0 written, 1 duplicate, 2 dead"),
        stderr: expect.stringMatching(/error: Nothing was written by "a": all of its 2 items failed\.$/)
      })
      // A second run has nothing to do, which is no failure.
      expect(yield* run("a", "/gone1", "/gone2", "/gone1")).toMatchObject({ code: 0, stderr: "" })
      expect((yield* run("b", "/gone1", "/ok")).code).toBe(0)
    })
  )

  it.effect("is 1 where more are dead than --max-dead", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* origin
      writeFileSync(join(cwd, "urls"), ["/gone1", "/ok1", "/gone2", "/ok2"].map((path) => `${url}${path}\n`).join(""))
      const run = (out: string, most: string) =>
        Command.run(cwd, "fetch", "--from", "urls", "--out", out, "--concurrency", "1", "--max-dead", most)
      const stopped = yield* run("a", "1")
      expect(stopped.code).toBe(1)
      expect(stopped.stderr).toMatch(
        /^error: Stopped "a": 2 items failed, more than --max-dead 1\. The last one: GET .*\/gone2: answered 404.*\. Mend what is wrong or raise it/
      )
      expect((yield* run("a", "2")).stdout).toContain("over all runs: 4 items, 2 written, 2 dead")
      expect((yield* run("b", "50%")).code).toBe(0)
      expect(yield* run("c", "49.5%")).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/error: 2 of 4 items failed, which is more than --max-dead 49\.5%\.$/)
      })
    })
  )
})

describe("what is told", () => {
  it.effect("names the options that the command has", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { url } = yield* Origin.start({
        "/big": { body: "x".repeat(2000) },
        "/headers": { headers: { "x-long": "x".repeat(3000) } }
      })
      const urls = ["/big", "/headers"].map((path) => url + path)
      const limits = ["--max-body", "1kB", "--max-headers", "2kB"]
      const { stderr } = yield* Command.run(cwd, "fetch", ...urls, ...limits, "--out", "x")
      expect(stderr).toMatch(/\/big: .*--max-body/)
      expect(stderr).toMatch(/\/headers: its headers are longer than 2000 bytes, the limit --max-headers/)
      expect(stderr).not.toMatch(/maxBody|maxHeaders/)
      const blocked = yield* Command.run(cwd, "fetch", `${url}/big`, "--out", "y", "--public")
      expect(blocked.stderr).toMatch(
        /127\.0\.0\.1 is no address of the public internet; leave out --public to allow it/
      )
    })
  )

  it.effect("does what robots.txt says with --robots, and asks for nothing anew that is fresh with --cache", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const origin = yield* Origin.start({
        "/robots.txt": { body: "User-agent: skein\nDisallow: /no" },
        "/no": { body: "no" },
        "/yes": { headers: { "cache-control": "max-age=3600" }, body: "yes" }
      })
      const options = ["--db", "x.db", "--robots", "--cache", "--restart"]
      const run = Command.run(cwd, "fetch", `${origin.url}/no`, `${origin.url}/yes`, ...options)
      const { stderr } = yield* run
      expect(stderr).toMatch(/\/no: line 2 of its robots\.txt .* "skein"; leave out --robots to allow it/)
      yield* run
      expect([origin.count("/no"), origin.count("/yes")]).toEqual([0, 1])
    })
  )

  it("names the option for a time that was too short", () => {
    const late = { method: "GET", url: "http://h/", detail: "no answer", retryable: true, attempt: 1, elapsed: 1 }
    const { message } = Terms.ofFetch(new FetchError({ ...late, reason: "Timeout" }))
    expect(message).toMatch(/^GET http:\/\/h\/: no answer; .* allow more time with --timeout$/)
  })
})
