/** What is secret in URLs and headers is neither shown nor kept, and a run goes on without it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as StateFolder from "../../src/cli/memory/StateFolder.ts"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import * as Origin from "../support/origin.ts"

/** All that stands in the files of a folder and below. */
const everything = (folder: string): string =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, "latin1"))
    .join("\n")

describe("secrets", () => {
  it.effect("of URLs are in no output, journal, table, message or memory; a replay finds them in the list", () =>
    Effect.gen(function* () {
      const [cwd, lists] = [yield* Child.folder, yield* Child.folder]
      let mended = false
      const { requests, url } = yield* Origin.start(({ path, query }) =>
        path === "/redirect"
          ? { status: 302, headers: { location: `/final?sig=pw7&code=pw8` } }
          : path === "/gone" && !mended
            ? { status: 404 }
            : { headers: { "content-type": "text/plain" }, body: `${path} ${query.size}` }
      )
      const withUser = url.replace("://", "://ada:pw1@")
      const list = join(lists, "urls.txt")
      writeFileSync(
        list,
        [
          `${withUser}/a`,
          `${url}/a?token=pw2&n=1`,
          `${url}/a?token=pw3&n=1`,
          `${url}/a?code=pw4`,
          `${url}/redirect?api_key=pw5`,
          `${withUser}/gone?Access_Token=pw6`,
          `${url}/a?pageToken=next`,
          "ada:pw9@nowhere/"
        ].join("\n")
      )
      const args = ["--from", list, "--db", "x.db", "--out", "x.jsonl", "--name", "x", "--secret-params", "code,hash"]
      const ran = yield* Command.run(cwd, "fetch", ...args)
      expect(ran.stdout).toMatch(/8 items .* 6 written, 2 dead/)
      const names = (key: string) =>
        readFileSync(join(cwd, "x.jsonl"), "utf8")
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line)[key].replace(url.slice(7), "host"))
          .sort()
      expect(names("url")).toEqual([
        "http://***@host/a",
        "http://host/a?code=***",
        "http://host/a?pageToken=next",
        "http://host/a?token=***&n=1",
        "http://host/a?token=***&n=1 (2)",
        "http://host/redirect?api_key=***"
      ])
      expect(names("finalUrl")).toContain("http://host/final?sig=***&code=***")
      const listed = yield* Command.run(cwd, "dead", "x")
      const json = yield* Command.run(cwd, "dead", "x", "--json")
      expect(listed.stdout).toContain("/gone?Access_Token=***")
      mended = true
      const replayed = yield* Command.run(cwd, "dead", "x", "--replay")
      expect(replayed.stdout).toMatch(/1 written, 1 dead/)
      expect(requests.at(-1)).toMatchObject({
        path: "/gone",
        headers: { authorization: expect.stringMatching(/^Basic /) }
      })
      expect(requests.at(-1)?.query.get("Access_Token")).toBe("pw6")
      const told = [ran, listed, json, replayed].map(({ stderr, stdout }) => stdout + stderr).join("\n")
      expect(told + everything(cwd) + everything(StateFolder.of(realpathSync(cwd)))).not.toMatch(/pw\d/)
    })
  )

  it.effect("that are nowhere any more are asked for", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { count, url } = yield* Origin.start({ "*": { status: 404 } })
      writeFileSync(join(cwd, "urls.txt"), `${url}/a?token=pw1\n${url}/b\n`)
      yield* Command.run(cwd, "fetch", "--from", "urls.txt", "--out", "x.jsonl")
      rmSync(join(cwd, "urls.txt"))
      const { code, stderr } = yield* Command.run(cwd, "dead", "x", "--replay")
      expect(code).toBe(1)
      expect(stderr).toContain(`dead: Cannot fetch "${url}/a?token=***" again: what is secret in it was not kept`)
      expect([count("/a"), count("/b")]).toEqual([1, 2])
    })
  )

  it.effect("of headers are read from a file again, and else not kept", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const { requests, url } = yield* Origin.start({ "*": { status: 404 } })
      writeFileSync(join(cwd, "headers"), "Authorization: Bearer pw1\n\nX-Other: 1\n")
      const fetch = ["fetch", `${url}/`, "--out", "x.jsonl", "--header", "Accept: text/x", "--user-agent", "me"]
      yield* Command.run(cwd, ...fetch, "--header", "@headers")
      yield* Command.run(cwd, "dead", "x", "--replay")
      const sent = { authorization: "Bearer pw1", "x-other": "1", accept: "text/x", "user-agent": "me" }
      expect(requests.map(({ headers }) => headers)).toMatchObject([sent, sent])
      yield* Command.run(cwd, ...fetch, "--restart", "--header", "Authorization: Bearer pw2")
      const { code, stderr } = yield* Command.run(cwd, "dead", "x", "--replay")
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("The value of --header Authorization was not kept, as it is secret.")
      })
      expect(requests).toHaveLength(3)
      expect(everything(join(cwd, ".skein")) + everything(StateFolder.of(realpathSync(cwd)))).not.toMatch(/pw\d/)
    })
  )
})
