/** `skein run` of files as a user has them: in a project of its own, where `skein` is installed. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Child from "../support/child.ts"
import * as Origin from "../support/origin.ts"

const root = resolve(import.meta.dirname, "../..")

const project = (files: Readonly<Record<string, string>>) =>
  Effect.map(Child.folder, (cwd) => {
    mkdirSync(join(cwd, "node_modules"))
    symlinkSync(root, join(cwd, "node_modules/skein"), "junction")
    symlinkSync(join(root, "node_modules/effect"), join(cwd, "node_modules/effect"), "junction")
    for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
    return cwd
  })

const copy = `
import { Files, Pipeline } from "skein"
export default Pipeline.from(Files.lines("in.txt")).pipe(
  Pipeline.map((line: string) => line.toUpperCase()),
  Pipeline.to(Files.lines("out.txt"))
)`

const repos = (step: string) => `
import * as Schema from "effect/Schema"
import { Db, Fetch, Files, Pipeline } from "skein"
const Repo = Schema.Struct({ id: Schema.Int, owner: Schema.Struct({ name: Schema.String }) })
export default Pipeline.from(Files.lines("urls.txt")).pipe(
  Pipeline.map(Fetch.json(Repo), ${step}),
  Pipeline.to(Db.table("repos", Repo, { key: "id" }))
)`

const reposOrigin = Origin.start({
  "/1": { body: { id: 1, owner: { name: "ada" } } },
  "/2": { body: { id: 2, owner: { name: 7 } } }
})

describe.concurrent("skein run", () => {
  it.effect("runs the job that a file exports, as TypeScript, and goes on where it stopped", () =>
    Effect.gen(function* () {
      const cwd = yield* project({ "copy.ts": copy, "in.txt": "a\nb\n" })
      const first = yield* Child.run(["run", "copy.ts"], { cwd })
      expect(first).toMatchObject({ code: 0, stderr: "" })
      expect(first.stdout).toMatch(/^copy: done: 2 items in .*, 2 written, 0 dead, 0 retries, .*\n$/)
      expect((yield* Child.run(["run", "copy.ts"], { cwd })).stdout).toContain(
        "over all runs: 2 items, 2 written, 0 dead"
      )
      expect(readFileSync(join(cwd, "out.txt"), "utf8")).toBe("A\nB\n")
    })
  )

  it.effect("takes two files of one name in two folders for two jobs", () =>
    Effect.gen(function* () {
      const cwd = yield* project({ "in.txt": "a\n" })
      for (const folder of ["one", "two"]) {
        mkdirSync(join(cwd, folder))
        writeFileSync(join(cwd, folder, "job.ts"), copy.replace("out.txt", `${folder}.txt`))
        const { stdout } = yield* Child.run(["run", `${folder}/job.ts`], { cwd })
        expect(stdout).toMatch(new RegExp(`^${folder}-job: done: 1 item `))
      }
    })
  )

  it.effect("takes name, layer and options from the file", () =>
    Effect.gen(function* () {
      const { url } = yield* reposOrigin
      const more = `
        export const name = "the-repos"
        export const layer = Db.sqlite("own.db")
        export const options = { onFinished: "restart" }`
      const cwd = yield* project({ "repos.ts": repos("{}") + more, "urls.txt": `${url}/1\n` })
      for (const _ of [1, 2]) {
        expect((yield* Child.run(["run", "repos.ts"], { cwd })).stdout).toMatch(
          /^the-repos: done: 1 item in .*1 written/
        )
      }
      const database = new DatabaseSync(join(cwd, "own.db"), { timeout: 10_000 })
      expect(database.prepare("SELECT * FROM repos").all()).toEqual([{ id: 1, owner: '{"name":"ada"}' }])
      database.close()
      const twice = yield* Child.run(["run", "repos.ts", "--db", "other.db"], { cwd })
      expect(twice).toMatchObject({ code: 2, stderr: expect.stringContaining("has a database already") })
    })
  )

  it.effect("ends with the field and the URL where JSON does not fit its schema", () =>
    Effect.gen(function* () {
      const { url } = yield* reposOrigin
      const cwd = yield* project({ "repos.ts": repos("{}"), "urls.txt": `${url}/1\n${url}/2\n` })
      const { code, stderr } = yield* Child.run(["run", "repos.ts", "--db", "repos.db"], { cwd })
      expect(code).toBe(1)
      expect(stderr).toMatch(/^error: .*\n$/)
      expect(stderr).toContain(`${url}/2`)
      expect(stderr).toContain("owner.name")
      const debug = yield* Child.run(["run", "repos.ts", "--db", "repos.db", "--debug"], { cwd })
      expect(debug.stderr).toMatch(/\n +at /)
      const database = new DatabaseSync(join(cwd, "repos.db"), { timeout: 10_000 })
      expect(database.prepare("SELECT id FROM repos").all()).toEqual([{ id: 1 }])
      database.close()
    })
  )

  it.effect("keeps its dead letters where `skein dead` finds them, and runs them again", () =>
    Effect.gen(function* () {
      let mended = false
      const { url } = yield* Origin.start(({ path }) => ({
        body: { id: Number(path.slice(1)), owner: { name: mended || path === "/1" ? "ada" : 7 } }
      }))
      const step = '{ name: "decode", onError: { deadLetter: Schema.String } }'
      const cwd = yield* project({ "repos.ts": repos(step), "urls.txt": `${url}/1\n${url}/2\n` })
      expect((yield* Child.run(["run", "repos.ts", "--db", "data.db"], { cwd })).code).toBe(0)

      const listed = yield* Child.run(["dead", "repos"], { cwd })
      expect(listed).toMatchObject({ code: 0, stderr: "" })
      expect(listed.stdout).toContain(`#1 decode: "${url}/2"`)
      expect(listed.stdout).toMatch(
        /owner\.name.*\n +attempts 1, position \d+, 20.*Z\nrepos: 1 dead; run them again with/
      )

      const failed = yield* Child.run(["dead", "repos", "--replay"], { cwd })
      expect(failed).toMatchObject({ code: 1, stdout: expect.stringContaining("0 written, 1 dead") })

      mended = true
      const replayed = yield* Child.run(["dead", "repos", "--replay"], { cwd })
      expect(replayed).toMatchObject({ code: 0, stdout: expect.stringContaining("1 written, 0 dead") })
      expect((yield* Child.run(["dead", "repos"], { cwd })).stdout).toBe("repos: no dead letters\n")
      const database = new DatabaseSync(join(cwd, "data.db"), { timeout: 10_000 })
      expect(database.prepare("SELECT id FROM repos ORDER BY id").all()).toEqual([{ id: 1 }, { id: 2 }])
      database.close()
    })
  )

  it.effect("keeps with a dead letter what caused it, without secrets", () =>
    Effect.gen(function* () {
      const job = `
        import * as Data from "effect/Data"
        import * as Effect from "effect/Effect"
        import * as Schema from "effect/Schema"
        import { Pipeline, Sink, Source } from "skein"
        class Gone extends Data.TaggedError("Gone") {}
        const failures = [
          Effect.fail(new Gone({ id: 7 })),
          Effect.fail({ code: 5 }),
          Effect.tryPromise(() => Promise.reject(new Error("no", { cause: { why: "because" } }))),
          Effect.fail(new Error("at http://ada:pw@h/?token=pw"))
        ]
        export default Pipeline.from(Source.list([0, 1, 2, 3], { name: "numbers" })).pipe(
          Pipeline.map((n) => failures[n], { name: "fail", onError: { deadLetter: Schema.Number } }),
          Pipeline.to(Sink.discard)
        )`
      const cwd = yield* project({ "job.mjs": job })
      const { code } = yield* Child.run(["run", "job.mjs"], { cwd })
      expect(code).toBe(1)
      const { stdout } = yield* Child.run(["dead", "job", "--json"], { cwd })
      expect(
        stdout
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line).cause)
      ).toEqual([
        "Gone { id: 7 }",
        '{"code":5}',
        expect.stringMatching(/; caused by no; caused by \{"why":"because"\}$/),
        "at http://***@h/?token=***"
      ])
    })
  )

  const unusable: ReadonlyArray<readonly [name: string, text: string | undefined, message: string]> = [
    ["missing.ts", undefined, "there is no such file"],
    ["empty.ts", "export {}", "it has no default export"],
    ["number.ts", "export default 1", "its default export is not a job"],
    ["pipeline.ts", `import { Pipeline } from "skein"\nexport default Pipeline.from([1])`, "a pipeline without a sink"],
    ["layer.ts", `${copy}\nexport const layer = {}`, "its export `layer` is not a Layer"],
    ["name.ts", `${copy}\nexport const name = "../a"`, "cannot be the name of a pipeline"],
    ["enum.ts", "enum A { B }\nexport default A", "importing it failed: SyntaxError: TypeScript enum is not supported"],
    ["throws.ts", `throw new Error("no luck")`, "importing it failed: no luck"],
    ["package.ts", `import "no-such-package"`, "Cannot find package 'no-such-package'"],
    [
      "service.ts",
      `import * as Context from "effect/Context"
      import * as Effect from "effect/Effect"
      import { Files, Pipeline } from "skein"
      const Api = Context.Service("my/Api")
      export default Pipeline.from(Files.lines("in.txt")).pipe(
        Pipeline.map(() => Effect.as(Api, "x")),
        Pipeline.to(Files.lines("out.txt"))
      )`,
      "needs the service my/Api, which nothing provides"
    ],
    [
      "table.ts",
      `import * as Schema from "effect/Schema"
      import { Db, Pipeline } from "skein"
      export default Pipeline.from([{ id: 1 }]).pipe(Pipeline.to(Db.table("rows", Schema.Struct({ id: Schema.Int }))))`,
      'The job "table" needs a database, which nothing provides. Name it with --db, or export a `layer`'
    ]
  ]

  it.effect.each(unusable)("says in one line what is wrong with %s", ([file, text, message]) =>
    Effect.gen(function* () {
      const cwd = yield* project({ "in.txt": "a\n", ...(text !== undefined && { [file]: text }) })
      const { code, stderr } = yield* Child.run(["run", file], { cwd })
      expect(stderr).toMatch(/^error: .*\n$/)
      expect(stderr).toContain(message)
      expect(stderr).toContain(file.replace(/\.ts$/, ""))
      expect(code).toBe(1)
    })
  )
})

describe.concurrent("skein dead", () => {
  it.effect("says what there is when it does not know a name", () =>
    Effect.gen(function* () {
      const cwd = yield* project({ "copy.ts": copy, "in.txt": "a\n" })
      const before = yield* Child.run(["dead", "pages"], { cwd })
      expect(before).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("run `skein fetch` or `skein run` first")
      })
      yield* Child.run(["run", "copy.ts"], { cwd })
      const after = yield* Child.run(["dead", "pages"], { cwd })
      expect(after.stderr).toBe('error: Nothing named "pages" was run in this folder. What was: copy.\n')
    })
  )
})
