/** Jobs that `skein run` makes of arguments and settings, and what it shows of them instead of running them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as StateFolder from "../../src/cli/memory/StateFolder.ts"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"

const root = resolve(import.meta.dirname, "../..")

const project = (files: Readonly<Record<string, string>>) =>
  Effect.map(Child.folder, (cwd) => {
    mkdirSync(join(cwd, "node_modules"))
    symlinkSync(root, join(cwd, "node_modules/skein"), "junction")
    symlinkSync(join(root, "node_modules/effect"), join(cwd, "node_modules/effect"), "junction")
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(cwd, name)), { recursive: true })
      writeFileSync(join(cwd, name), text)
    }
    return cwd
  })

const run = (cwd: string, ...args: ReadonlyArray<string>) => Child.run(["run", ...args], { cwd })

const imports = `
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Files, Pipeline, Sink, Source } from "skein"
`

/** Says as a line of the output what the configuration comes to, in the function, in the layer and in a step. */
const configured = `${imports}
class Greeting extends Context.Service<Greeting, string>()("Greeting") {}
const path = Config.all({ host: Config.String("host"), port: Config.Int("port") }).pipe(Config.nested("api"))
export const layer = Layer.effect(Greeting, Config.String("greeting"))
export default ([from]: ReadonlyArray<string>) =>
  Effect.map(path, ({ host, port }) =>
    Pipeline.from([1]).pipe(
      Pipeline.map(() =>
        Effect.map(Effect.all([Greeting, Config.Redacted("token")]), ([greeting]) => greeting + " " + from + " " + host + ":" + port)
      ),
      Pipeline.to(Files.lines("out.txt"))
    )
  )
`

const contents = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map(({ name, parentPath }) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(parentPath, name)))
        .digest("hex")
    ])

const kept = (cwd: string, name: string) => {
  const file = join(StateFolder.of(realpathSync(cwd)), `${name}.json`)
  return existsSync(file) ? readFileSync(file, "utf8") : ""
}

describe.concurrent("a job of skein run", () => {
  it.effect(
    "is made of arguments and settings, which its layer and its steps have too, and remembered without secrets",
    () =>
      Effect.gen(function* () {
        const cwd = yield* project({
          "job.ts": configured,
          "job.env": "greeting=from-file\napi_port=1\ntoken=pw1\n"
        })
        const args = ["--set", "api.host=h", "--set", "api.port=80", "--env-file", "job.env", "--set", "token=pw2"]
        const ran = yield* run(cwd, "job.ts", "in.csv", ...args, "--set", "unused=1")
        expect(ran).toMatchObject({ code: 0, stderr: "note: --set unused was not asked for by the job\n" })
        expect(readFileSync(join(cwd, "out.txt"), "utf8")).toBe("from-file in.csv h:80\n")
        expect(JSON.parse(kept(cwd, "job")).options).toEqual({
          file: "job.ts",
          args: ["in.csv"],
          envFile: "job.env",
          set: ["api.host=h", "api.port=80", "token=***", "unused=1"]
        })
        expect(kept(cwd, "job") + ran.stdout).not.toContain("pw")
      })
  )

  const wrong: ReadonlyArray<
    readonly [what: string, file: string, text: string, args: ReadonlyArray<string>, code: number, message: string]
  > = [
    [
      "a missing setting",
      "job.ts",
      configured,
      ["a", "--set", "api.host=h"],
      1,
      "of its configuration, api.port is missing: give it with --set api.port=…, in the file of --env-file or in the environment as api_port"
    ],
    [
      "a setting of another kind",
      "job.ts",
      configured,
      ["a", "--set", "api.host=h", "--set", "api.port=x"],
      1,
      "of its configuration, api.port is not what it should be: Expected"
    ],
    [
      "a missing setting of a layer",
      "job.ts",
      configured,
      ["a", "--set", "api.host=h", "--set", "api.port=1"],
      1,
      "of its configuration, greeting is missing"
    ],
    [
      "a missing setting of a step",
      "job.ts",
      configured,
      ["a", "--set", "api.host=h", "--set", "api.port=1", "--set", "greeting=x"],
      1,
      "of its configuration, token is missing"
    ],
    ["a setting without a key", "job.ts", configured, ["--set", "=1"], 2, "a key and a value, as in api.token=x"],
    [
      "arguments for a job that takes none",
      "job.ts",
      `${imports}export default Pipeline.from([1]).pipe(Pipeline.to(Sink.discard))`,
      ["a"],
      2,
      "with an argument: its job takes none"
    ],
    [
      "an argument that is missing",
      "job.ts",
      `${imports}export const args = Schema.Tuple([Schema.String, Schema.FiniteFromString])\nexport default () => 1`,
      ["a"],
      2,
      "argument 2 is missing"
    ],
    [
      "an argument that does not fit",
      "job.ts",
      `${imports}export const args = Schema.Tuple([Schema.String, Schema.FiniteFromString])\nexport default () => 1`,
      ["a", "b"],
      2,
      "argument 2 is wrong: Expected"
    ],
    [
      "a function that gives no job",
      "job.ts",
      `export default () => 1`,
      [],
      1,
      "its default export, called with its arguments, gives no job"
    ],
    [
      "a function that throws",
      "job.ts",
      `export default () => { throw new Error("no luck") }`,
      [],
      1,
      "its function failed: no luck"
    ],
    [
      "an effect of a job that needs too much",
      "job.ts",
      `${imports}export default Effect.map(Context.Service("my/Api"), () => 1)`,
      [],
      1,
      "what makes its job needs the service my/Api"
    ]
  ]

  it.effect.each(wrong)("says in one line what is wrong with %s", ([, file, text, args, code, message]) =>
    Effect.gen(function* () {
      const cwd = yield* project({ [file]: text })
      const ended = yield* run(cwd, file, ...args)
      expect(ended.stderr).toMatch(/^error: .*\n$/)
      expect(ended.stderr).toContain(message)
      expect(ended.code).toBe(code)
    })
  )

  it.effect("takes arguments by a schema, those with dashes behind --, and may be an effect", () =>
    Effect.gen(function* () {
      const cwd = yield* project({
        "job.ts": `${imports}
          export const args = Schema.Tuple([Schema.FiniteFromString, Schema.String])
          export default ([times, text]: readonly [number, string]) =>
            Effect.succeed(Pipeline.from(Array(times).fill(text)).pipe(Pipeline.to(Files.lines("out.txt"))))`
      })
      expect((yield* run(cwd, "job.ts", "--quiet", "--", "2", "--x")).code).toBe(0)
      expect(readFileSync(join(cwd, "out.txt"), "utf8")).toBe("--x\n--x\n")
    })
  )

  it.effect(
    "is replayed with its arguments and settings, and without what was secret only as the environment has it",
    () =>
      Effect.gen(function* () {
        const cwd = yield* project({
          "job.ts": `${imports}
          export default ([to]: ReadonlyArray<string>) => Pipeline.from(Source.list([1], { name: "numbers" })).pipe(
            Pipeline.map((n) => Effect.flatMap(Effect.all([Config.String("mode"), Config.String("token")]), ([mode, token]) =>
              mode === "ok" && token === "good" ? Effect.succeed(to) : Effect.fail("refused: " + mode)),
              { onError: { deadLetter: Schema.Number } }),
            Pipeline.to(Files.lines("out.txt")))`
        })
        const first = yield* run(cwd, "job.ts", "to", "--set", "mode=ok", "--set", "token=bad")
        expect(first.stdout).toContain("1 dead")
        expect(
          readdirSync(join(cwd, ".skein")).filter((name) => name.startsWith("job.") && !name.endsWith(".lock"))
        ).toEqual(["job.journal"])
        const without = yield* Child.run(["dead", "job", "--replay"], { cwd })
        expect(without.stderr).toContain("It was run with --set token=…, which is not remembered")
        const replayed = yield* Child.run(["dead", "job", "--replay"], { cwd, env: { token: "good" } })
        expect(replayed).toMatchObject({ code: 0, stdout: expect.stringContaining("1 written, 0 dead") })
        expect(readFileSync(join(cwd, "out.txt"), "utf8")).toBe("to\n")
      })
  )

  it.effect("leaves no journal where there is nothing to keep", () =>
    Effect.gen(function* () {
      const cwd = yield* project({
        "job.ts": `${imports}export default Pipeline.from([1]).pipe(Pipeline.to(Sink.discard))`
      })
      expect((yield* run(cwd, "job.ts")).stdout).toContain("job: done: 1 item")
      expect(existsSync(join(cwd, ".skein"))).toBe(false)
    })
  )

  it.effect("imports by the paths of the tsconfig.json around each of its files, and of those that it extends", () =>
    Effect.gen(function* () {
      const cwd = yield* project({
        "base.json": `{ // a comment
          "compilerOptions": { "paths": { "~/*": ["./src/*"], "only": ["./src/only.ts"], } } }`,
        "tsconfig.json": `{ "extends": "./base.json" }`,
        "src/text.ts": `import { end } from "@inner/end.js"\nexport const text: string = "text" + end`,
        "src/tsconfig.json": `{ "compilerOptions": { "paths": { "@inner/*": ["./inner/*"] } } }`,
        "src/inner/end.ts": `export const end = "-end"`,
        "src/folder/index.ts": `export const folder = "-folder"`,
        "src/only.ts": `export const only = "-only"`,
        "jobs/job.ts": `${imports}
          import { text } from "~/text"
          import { folder } from "~/folder"
          import { only } from "only"
          export default Pipeline.from([text + folder + only]).pipe(Pipeline.to(Files.lines("out.txt")))`
      })
      expect(yield* run(cwd, "jobs/job.ts")).toMatchObject({ code: 0, stderr: "" })
      expect(readFileSync(join(cwd, "out.txt"), "utf8")).toBe("text-end-folder-only\n")
    })
  )
})

const rows = `${imports}
import { Db } from "skein"
const Row = Schema.Struct({ n: Schema.Int })
export default Pipeline.from(Files.lines("in.txt")).pipe(
  Pipeline.filter((line) => line !== "no", { name: "yes" }),
  Pipeline.map((line) => (/^\\d+$/.test(line) ? Effect.succeed({ n: Number(line) }) : Effect.fail("no number")), {
    name: "parse",
    onError: { deadLetter: Schema.String }
  }),
  Pipeline.to(Db.table("rows", Row, { key: "n" }))
)`

describe.concurrent("instead of running it, skein run", () => {
  it.effect(
    "--explain says what it does, and --dry-run what it would write, and neither makes or changes anything",
    () =>
      Effect.gen(function* () {
        const cwd = yield* project({ "job.ts": rows, "in.txt": "1\nno\nx\n4\n5\n" })
        const before = contents(cwd)
        const explained = yield* run(cwd, "job.ts", "--db", "data.db", "--explain")
        expect(explained).toMatchObject({ code: 0, stderr: "" })
        expect(explained.stdout).toContain("from   in.txt\n")
        expect(explained.stdout).toContain("gives  exactly-once\n")

        const dry = yield* run(cwd, "job.ts", "--db", "data.db", "--dry-run")
        expect(dry).toMatchObject({ code: 0, stderr: "" })
        expect(dry.stdout.split("\n")).toEqual([
          "would write to table rows:",
          '  {"n":1}',
          '  {"n":4}',
          '  {"n":5}',
          "would filter out:",
          '  yes: "no"',
          "would keep as dead letters:",
          '  parse: "x"',
          "    no number",
          "job: dry run: 5 read, to the end, 3 would be written, 1 filtered, 1 dead, nothing was",
          ""
        ])
        expect(contents(cwd)).toEqual(before)
        expect(kept(cwd, "job")).toBe("")

        expect((yield* run(cwd, "job.ts", "--db", "data.db")).code).toBe(0)
        writeFileSync(join(cwd, "in.txt"), "1\nno\nx\n4\n5\n6\n7\n")
        const ran = contents(cwd)
        const next = yield* run(cwd, "job.ts", "--db", "data.db", "--dry-run=1", "--json")
        expect(JSON.parse(next.stdout)).toMatchObject({
          event: "dry-run",
          from: 11,
          ended: false,
          written: [{ sink: "table rows", elements: [{ n: 6 }] }]
        })
        expect(contents(cwd)).toEqual(ran)
      })
  )
})

// Some versions of Node look for the file themselves, before the command begins.
it.effect("skein run says which file of settings is not there", () =>
  Effect.gen(function* () {
    const cwd = yield* project({ "job.ts": "export default 1" })
    const { code, stderr } = yield* Command.run(cwd, "run", "job.ts", "--env-file", "no.env")
    expect(stderr).toContain('Could not read the file of --env-file, "no.env": there is no such file')
    expect(code).toBe(1)
  })
)
