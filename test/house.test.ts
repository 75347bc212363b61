import { globSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { circles, importsOf, strayErrors, strayFiles, violations } from "./support/house.ts"

const src = resolve(import.meta.dirname, "../src")

const sources = globSync("**/*.ts", { cwd: src }).map((name) => ({
  path: name.replaceAll("\\", "/"),
  text: readFileSync(resolve(src, name), "utf8")
}))

/** What stands at the top of a floor and is neither a public module nor an error file. */
const entryPoints = [
  // What several public modules of one floor are made of; `Pipeline` exports it.
  "pipeline/Guarantee.ts",
  "pipeline/Progress.ts",
  "pipeline/Run.ts",
  "pipeline/Step.ts",
  // The package's own.
  "inspect/index.ts",
  "node/index.ts",
  "testing/index.ts",
  "testing/vitest.ts",
  // What the command shares with `Main`, `Drivers` and `Inspector`.
  "node/DatabaseUrl.ts",
  "node/Inspected.ts",
  // What a worker thread runs: the half that every platform shares, and that of Node.
  "concurrency/WorkerThread.ts",
  "node/WorkerMain.ts"
]

it("every import in src goes to the same floor or one below it, and to no machinery of another floor", () => {
  expect(violations(sources)).toEqual([])
})

it("no files in src import one another, be it for types", () => {
  expect(circles(sources)).toEqual([])
})

it("every tagged error stands in an error file", () => {
  expect(strayErrors(sources, ["concurrency", "pipeline", "io", "inspect", "testing"])).toEqual([])
})

it("at the top of a floor stand public modules, error files and entry points", () => {
  expect(strayFiles(sources, ["concurrency", "pipeline", "io", "inspect", "testing", "node"], entryPoints)).toEqual([])
})

it.each([
  ["concurrency/A.ts", "../pipeline/B.ts", "concurrency is above pipeline"],
  ["pipeline/A.ts", "../io/B.ts", "pipeline is above io"],
  ["io/A.ts", "../node/B.ts", "io is above node"],
  ["node/A.ts", "../cli/B.ts", "node is above cli"],
  ["testing/A.ts", "../node/B.ts", "testing is above node"],
  ["node/A.ts", "../testing/B.ts", "testing is for tests"],
  ["testing/A.ts", "@effect/vitest", "only testing/vitest.ts needs Vitest"],
  ["io/A.ts", "../utils/B.ts", "there is no floor utils"],
  ["index.ts", "./node/index.ts", "the main entry point runs without Node"],
  ["pipeline/A.ts", "../index.ts", "nothing imports an entry point"],
  ["pipeline/A.ts", "./B.js", "a relative import names the .ts file"],
  ["pipeline/A.ts", "effect", "import the module, not the barrel"],
  ["io/A.ts", "effect/http", "import the module, not the barrel"],
  ["node/A.ts", "@effect/platform-node", "import the module, not the barrel"],
  ["io/A.ts", "@effect/platform-node/NodeRuntime", "only node/ and cli/ need Node"],
  ["io/A.ts", "node:fs", "only node/ and cli/ need Node"],
  ["io/A.ts", "pg", "only node/ and cli/ need Node"],
  ["concurrency/A.ts", "csv-parse", "concurrency imports only effect"],
  ["cli/A.ts", "skein/node", "src does not import itself by name"],
  ["testing/A.ts", "../io/fetch/B.ts", "io/fetch is only for io"],
  ["io/db/A.ts", "../../concurrency/group/B.ts", "concurrency/group is only for concurrency"],
  ["index.ts", "./concurrency/limiter/A.ts", "concurrency/limiter is only for concurrency"]
])("%s may not import %s", (path, specifier, reason) => {
  const text = `import {\n  type A\n} from "${specifier}"\n`
  expect(violations([{ path, text }])).toEqual([`${path} imports ${specifier}: ${reason}`])
})

it.each([
  ["concurrency/A.ts", "effect/Effect"],
  ["concurrency/A.ts", "./B.ts"],
  ["io/A.ts", "effect/http/HttpClient"],
  ["io/A.ts", "csv-parse"],
  ["testing/A.ts", "../io/B.ts"],
  ["testing/vitest.ts", "@effect/vitest"],
  ["node/A.ts", "node:fs"],
  ["cli/A.ts", "../concurrency/Task.ts"],
  ["index.ts", "./io/Files.ts"],
  ["io/A.ts", "./db/B.ts"],
  ["io/db/A.ts", "../files/B.ts"],
  ["testing/sim/A.ts", "../../concurrency/base/B.ts"],
  ["node/A.ts", "../pipeline/context/B.ts"]
])("%s may import %s", (path, specifier) => {
  expect(violations([{ path, text: `export * as A from "${specifier}"\n` }])).toEqual([])
})

it("finds every form of import, and none in comments", () => {
  const text = [
    `import "a"`,
    `import type { B } from "b"`,
    `export { c } from "c"`,
    `const d = await import("d")`,
    `export const e = "not e"`,
    ` * import { F } from "f"`,
    ` * await import("g")`,
    `// import "h"`
  ].join("\n")
  expect(importsOf(text)).toEqual(["a", "b", "c", "d"])
})

const files = (imports: Record<string, ReadonlyArray<string>>) =>
  Object.entries(imports).map(([path, specifiers]) => ({
    path,
    text: specifiers.map((specifier) => `import type { A } from "${specifier}"\n`).join("")
  }))

describe("circles", () => {
  it("are none where imports only go down, on however many ways", () => {
    expect(circles(files({ "a/A.ts": ["./B.ts", "./c/C.ts"], "a/B.ts": ["./c/C.ts"], "a/c/C.ts": [] }))).toEqual([])
  })

  it("are found among two, among many, and for a file that imports itself", () => {
    expect(circles(files({ "a/A.ts": ["./b/B.ts"], "a/b/B.ts": ["../A.ts"] }))).toEqual([["a/A.ts", "a/b/B.ts"]])
    expect(
      circles(files({ "a/A.ts": ["./B.ts"], "a/B.ts": ["./C.ts"], "a/C.ts": ["./A.ts", "./D.ts"], "a/D.ts": [] }))
    ).toEqual([["a/A.ts", "a/B.ts", "a/C.ts"]])
    expect(circles(files({ "a/A.ts": ["./A.ts"] }))).toEqual([["a/A.ts"]])
  })

  it("are one where they share a file, and two where one only leads to the other", () => {
    expect(circles(files({ "a/A.ts": ["./B.ts", "./C.ts"], "a/B.ts": ["./A.ts"], "a/C.ts": ["./A.ts"] }))).toEqual([
      ["a/A.ts", "a/B.ts", "a/C.ts"]
    ])
    expect(
      circles(
        files({ "a/A.ts": ["./B.ts"], "a/B.ts": ["./A.ts", "./C.ts"], "a/C.ts": ["./D.ts"], "a/D.ts": ["./C.ts"] })
      )
    ).toEqual([
      ["a/A.ts", "a/B.ts"],
      ["a/C.ts", "a/D.ts"]
    ])
  })

  it("are no matter of packages", () => {
    expect(circles(files({ "a/A.ts": ["effect/Effect", "a/A.ts"] }))).toEqual([])
  })
})

it("finds tagged errors in every form, and none in comments, error files or other floors", () => {
  const text = [
    `const BadBase: TypedError<Bad, "Bad", {}> = Schema.TaggedError<Bad>()("Bad", {})`,
    `export class Worse extends Schema.TaggedError<Worse>()("Worse", {}) {}`,
    `export class Worst extends Data.TaggedError("Worst")<{}> {}`,
    `export class Own extends TaggedError("Own")<{}> {}`,
    ` * class Told extends Schema.TaggedError<Told>()("Told", {}) {}`,
    `// class Noted extends Data.TaggedError("Noted")<{}> {}`,
    `/** As in Schema.TaggedError<Shown>() */`
  ].join("\n")
  const places = ["io/A.ts", "io/AError.ts", "node/A.ts"].map((path) => ({ path, text }))
  expect(strayErrors(places, ["io"])).toEqual(
    ["Bad", "Worse", "Worst", "Own"].map((name) => `io/A.ts: ${name} belongs into a file *Error.ts`)
  )
})

it("finds files at the top of a floor that are nobody's", () => {
  const sources = [
    { path: "index.ts", text: `export * as A from "./io/A.ts"` },
    ...["io/A.ts", "io/AError.ts", "io/B.ts", "io/C.ts", "io/a/D.ts", "cli/E.ts"].map((path) => ({ path, text: "" }))
  ]
  expect(strayFiles(sources, ["io"], ["io/C.ts"])).toEqual([
    "io/B.ts is no public module: it belongs into the folder of one"
  ])
})
