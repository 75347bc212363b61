import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { modulesOf, valuesOf } from "./support/exports.ts"

const root = resolve(import.meta.dirname, "..")
const read = (file: string): string => readFileSync(resolve(root, file), "utf8")

const modules = [
  ...["src/index.ts", "src/node/index.ts", "src/inspect/index.ts", "src/testing/index.ts"].flatMap((entry) =>
    modulesOf(read(entry)).map(({ name, path }) => [name, new URL(path, `file:///${entry}`).pathname.slice(1)] as const)
  ),
  ["schemas", "src/schemas.ts"] as const,
  ["vitest", "src/testing/vitest.ts"] as const
]

// Types, interfaces and error classes need none: they are seen in the examples of what takes, gives or fails with them.
describe("every value that a public module exports has an example", () => {
  it.each(modules)("%s", (_, file) => {
    const values = valuesOf(file, read).filter(({ isError }) => !isError)
    expect(values).not.toEqual([])
    const without = values.filter(({ comment }) => !comment.includes("@example")).map(({ name }) => name)
    expect(without).toEqual([])
  })
})

it("finds values in every form of export, with the comments above them, and no types", () => {
  const files: Readonly<Record<string, string>> = {
    "a/A.ts": [
      `import { b as c, type T } from "./b/B.ts"`,
      `export { c, type T }`,
      `export { d as e, type U } from "./b/B.ts"`,
      `export type { V } from "./b/B.ts"`,
      `export * from "./C.ts"`,
      `/** One line. */`,
      `export const f = 1`,
      `/**`,
      ` * Many lines.`,
      ` */`,
      `// A remark.`,
      `export function g() {}`,
      `const h = 1`,
      `/** A service. */`,
      `export interface S {}`,
      ``,
      `export const S = 1`,
      `export class Bad extends BadBase {}`,
      `const BadBase = Schema.TaggedError<Bad>()("Bad", {})`,
      `export class Worse extends TaggedError("Worse")<{ readonly a: string }> {}`
    ].join("\n"),
    "a/b/B.ts": "/** The b. */\nexport const b = 1\n/** The d. */\nexport const d = 1",
    "a/C.ts": "export const i = 1"
  }
  expect(valuesOf("a/A.ts", (file) => files[file]!)).toEqual([
    { name: "f", comment: "/** One line. */", isError: false },
    { name: "g", comment: "/**\n * Many lines.\n */", isError: false },
    { name: "S", comment: "/** A service. */\n", isError: false },
    { name: "Bad", comment: "", isError: true },
    { name: "Worse", comment: "", isError: true },
    { name: "i", comment: "", isError: false },
    { name: "c", comment: "/** The b. */", isError: false },
    { name: "e", comment: "/** The d. */", isError: false }
  ])
})
