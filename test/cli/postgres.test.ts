/** The command with a PostgreSQL: rows, memory and dead letters are there, and a password is nowhere. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import * as StateFolder from "../../src/cli/memory/StateFolder.ts"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import * as Origin from "../support/origin.ts"
import { ask, fresh } from "../support/postgres/database.ts"

const withoutPassword = (url: string) => {
  const parsed = new URL(url)
  parsed.password = ""
  return parsed.href
}
/** As it is, as it is written in a URL, and the parts that one may fall into. */
const secretsOf = (url: string) => {
  const written = new URL(url).password
  const password = decodeURIComponent(written)
  return [written, password, ...password.split(/[^\w%]/)].filter((part) => part.length > 2)
}
const expectHidden = (texts: ReadonlyArray<string>, url: string) => {
  for (const text of texts) for (const secret of secretsOf(url)) expect(text).not.toContain(secret)
}

/** With a variable of the environment, which the command reads when it needs it. */
const withVariable = (name: string, value: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      process.env[name] = value
    }),
    () =>
      Effect.sync(() => {
        delete process.env[name]
      })
  )
const place = (url: string) => new URL(url).pathname.slice(1)
const stateIn = (cwd: string) => {
  const folder = StateFolder.of(realpathSync(cwd))
  return readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"))
}

describe("skein with a PostgreSQL", () => {
  it.effect("fetches into it, goes on in it, and replays in it; a password is shown and kept nowhere", () =>
    Effect.gen(function* () {
      const cwd = yield* Child.folder
      const url = yield* fresh
      let isMended = false
      const origin = yield* Origin.start(({ path }) =>
        path === "/gone" && !isMended
          ? { status: 410 }
          : { headers: { "content-type": "text/plain" }, body: path === "/nul" ? "a\0b" : path }
      )
      writeFileSync(join(cwd, "urls.txt"), `${origin.url}/a\n${origin.url}/gone\n${origin.url}/nul\n`)
      const said: Array<string> = []
      const skein = (...args: ReadonlyArray<string>) =>
        Effect.tap(Command.run(cwd, ...args), ({ stderr, stdout }) => Effect.sync(() => said.push(stdout + stderr)))

      const first = yield* skein("fetch", "--from", "urls.txt", "--db", url)
      const name = /^([\w-]+): done: 3 items .* 2 written, 1 dead/.exec(first.stdout)?.[1] ?? ""
      expect(first.code).toBe(0)
      expect(name.replace(/-[0-9a-f]{8}$/, "")).toBe(place(url))
      const rows = () => Effect.promise(() => ask(url, "SELECT url, body FROM pages ORDER BY url"))
      expect(yield* rows()).toEqual([
        { url: `${origin.url}/a`, body: "/a" },
        { url: `${origin.url}/nul`, body: null }
      ])
      expect(readdirSync(cwd)).toEqual(["urls.txt"])

      // The same database by another spelling is the same run; the password is in the environment.
      yield* withVariable("PGPASSWORD", decodeURIComponent(new URL(url).password))
      const other = withoutPassword(url).replace("postgres://", "postgresql://")
      const again = yield* skein("fetch", "--from", "urls.txt", "--db", other, "--json")
      expect(JSON.parse(again.stdout.split("\n").at(-1) ?? "")).toMatchObject({
        pipeline: name,
        resumed: true,
        written: 0
      })
      yield* skein("fetch", "--from", "urls.txt", "--db", url, "--json")

      expect((yield* skein("dead", name)).stdout).toContain(`#1 fetch: "${origin.url}/gone"`)
      expect(JSON.parse((yield* skein("dead", name, "--json")).stdout)).toMatchObject({ input: `${origin.url}/gone` })
      expect((yield* skein("dead", "--db", url)).stdout).toBe(`${name}: 1 dead`)
      expect(JSON.parse((yield* skein("dead", "--db", url, "--json")).stdout)).toEqual({
        pipeline: name,
        dead: 1
      })

      // From where nothing is remembered.
      const elsewhere = yield* Child.folder
      const there = yield* Command.run(elsewhere, "dead", name, "--db", url)
      expect(there.stdout).toContain(`${name}: 1 dead`)

      expect(stateIn(cwd).map((text) => JSON.parse(text).journal)).toEqual([withoutPassword(url)])
      isMended = true
      expect((yield* skein("dead", name, "--replay")).stdout).toContain("1 written, 0 dead")
      expect(yield* rows()).toHaveLength(3)
      expect((yield* skein("dead", "--db", url)).stdout).toMatch(/no dead letters$/)
      expectHidden([...said, ...stateIn(cwd), there.stdout], url)
    })
  )

  it.effect("lists nothing of a database that no run has been in, and makes nothing in it", () =>
    Effect.gen(function* () {
      const [cwd, url] = [yield* Child.folder, yield* fresh]
      expect((yield* Command.run(cwd, "dead", "--db", url)).stdout).toMatch(/: no dead letters$/)
      expect((yield* Command.run(cwd, "dead", "pages", "--db", url)).stdout).toBe("pages: no dead letters")
      const tables = yield* Effect.promise(() => ask(url, "SELECT FROM pg_class WHERE relname LIKE 'skein%'"))
      expect(tables).toEqual([])
      expect(yield* Command.run(cwd, "dead", "--db", "none.db")).toMatchObject({
        code: 1,
        stderr: "error: There is no database or journal none.db. Check the path."
      })
      expect(readdirSync(cwd)).toEqual([])
    })
  )

  it.effect("runs the job of a file into it, as a process of its own", () =>
    Effect.gen(function* () {
      const [cwd, url] = [yield* Child.folder, yield* fresh]
      const root = resolve(import.meta.dirname, "../..")
      mkdirSync(join(cwd, "node_modules"))
      symlinkSync(root, join(cwd, "node_modules/skein"), "junction")
      symlinkSync(join(root, "node_modules/effect"), join(cwd, "node_modules/effect"), "junction")
      const job = `
        import * as Schema from "effect/Schema"
        import { Db, Pipeline } from "skein"
        const Item = Schema.Struct({ id: Schema.Int, tags: Schema.Array(Schema.String), at: Schema.Date })
        export default Pipeline.from([1, 2, 3].map((id) => ({ id, tags: ["a", "b'\\""], at: new Date(0) }))).pipe(
          Pipeline.to(Db.table("items", Item, { key: "id" }))
        )`
      writeFileSync(join(cwd, "job.ts"), job)
      const ran = yield* Child.run(["run", "job.ts", "--db", url], { cwd })
      expect(ran).toMatchObject({ code: 0, stderr: "" })
      expect(ran.stdout).toMatch(/^job: done: 3 items .* 3 written/)
      const [row] = yield* Effect.promise(() =>
        ask(url, "SELECT count(*)::int AS n, max(tags::text) AS tags FROM items")
      )
      expect(row).toMatchObject({ n: 3, tags: expect.stringContaining("b'") })
      expect(readdirSync(cwd).sort()).toEqual(["job.ts", "node_modules"])
      expectHidden([ran.stdout, ...stateIn(cwd)], url)
    })
  )

  it.effect("says in one line what is wrong with a database, without its password, and does nothing", () =>
    Effect.gen(function* () {
      const [cwd, url] = [yield* Child.folder, yield* fresh]
      const [missing, bad] = [new URL(url), new URL(url)]
      missing.pathname = "/not-there"
      bad.password = "not-it"
      const { password, port } = new URL(url)
      const secret = decodeURIComponent(password)
      const wrong: ReadonlyArray<readonly [db: string, code: number, said: string]> = [
        [missing.href, 1, 'there is no database "not-there" in this server'],
        [bad.href, 1, 'the password for user "postgres" is wrong'],
        [withoutPassword(url), 1, "Set PGPASSWORD, or put it into ~/.pgpass"],
        [`postgres://ada:${password}@127.0.0.1:1/db`, 1, "no server listens at 127.0.0.1:1"],
        [`${url}?sslmod=require`, 1, 'Is it "sslmode"?'],
        [`postgres://127.0.0.1:${port}/db?sslmode=no&password=${password}`, 1, 'its sslmode is "no"'],
        [`postgres://ada:${secret}@h/db`, 1, "its URL"],
        [`postgre://ada:${secret}@h/db`, 2, "--db names a database of a kind that is not known: postgre:"],
        [`mysql://ada:${password}@h/db`, 2, "--db names a database of a kind that is not known: mysql:"],
        [`postgres//ada:${secret}@h/db`, 2, "--db has no URL that can be read"],
        [":memory:", 2, "this database would be gone with the command"],
        ["sqlite::memory:", 2, "this database would be gone with the command"]
      ]
      for (const [db, code, said] of wrong) {
        for (const command of [["fetch", "http://127.0.0.1:1/"], ["dead"]]) {
          const { stderr, stdout, ...ended } = yield* Command.run(cwd, ...command, "--db", db)
          expect({ db, stdout, ...ended }).toEqual({ db, stdout: "", code })
          expect(stderr).toContain(said)
          expect(stderr).toMatch(/^error: [^\n]*$/)
          expectHidden([stderr], url)
        }
      }
      expect(readdirSync(cwd)).toEqual([])
    })
  )
})
