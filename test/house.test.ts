import { globSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { expect, it } from "vitest"
import { importsOf, violations } from "./support/house.ts"

const src = resolve(import.meta.dirname, "../src")

it("every import in src goes to the same floor or one below it", () => {
  const sources = globSync("**/*.ts", { cwd: src }).map((name) => ({
    path: name.replaceAll("\\", "/"),
    text: readFileSync(resolve(src, name), "utf8")
  }))
  expect(violations(sources)).toEqual([])
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
  ["cli/A.ts", "skein/node", "src does not import itself by name"]
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
  ["index.ts", "./io/Files.ts"]
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
