import { existsSync, globSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { namesIn, problemsOf, rulesOf } from "./support/spec.ts"

const root = resolve(import.meta.dirname, "..")
const read = (file: string): string | undefined =>
  existsSync(resolve(root, file)) ? readFileSync(resolve(root, file), "utf8") : undefined
const spec = (name: string) => rulesOf(read(`docs/spec/${name}.md`) ?? "")

const documents = [
  ["concurrency", "S", 32],
  ["pipeline", "P", 18]
] as const

describe.each(documents)("docs/spec/%s.md", (document, letter, count) => {
  const rules = spec(document)

  it("has each rule once, in order", () => {
    expect(rules.map(({ name }) => name)).toEqual(Array.from({ length: count }, (_, i) => `${letter}${i + 1}`))
  })

  it.each(rules.map((rule) => [rule.name, rule] as const))(
    "%s is held by tests that are there and name it",
    (_, rule) => {
      expect(problemsOf(rule, read)).toEqual([])
    }
  )
})

it("code and tests name no rule that there is not", () => {
  const known = new Set(documents.flatMap(([document]) => spec(document).map(({ name }) => name)))
  const files = globSync(["src/**/*.ts", "test/**/*.ts"], { cwd: root }).filter((file) => !/\bspec\b/.test(file))
  const unknown = files.flatMap((file) =>
    namesIn(read(file)!).flatMap((name) => (known.has(name) ? [] : [`${file} names ${name}`]))
  )
  expect(unknown).toEqual([])
})

it("each rule of concurrency is named where the code carries it out", () => {
  const files = globSync("src/concurrency/**/*.ts", { cwd: root })
  const named = new Set(files.flatMap((file) => namesIn(read(file)!)))
  const rules = spec("concurrency").map(({ name }) => name)
  expect(rules.filter((name) => !named.has(name))).toEqual([])
})

describe("the check itself", () => {
  const file = [
    `describe("one (S1)", () => {`,
    `  it("alone", () => {})`,
    `  describe.concurrent("two", () => {`,
    `    it.effect.each(cases)(`,
    "      `S2 deep %s`,",
    `    )`,
    `  })`,
    `})`,
    `describe("three", () => {`,
    `  it("last", () => {})`,
    `})`
  ].join("\n")
  const problems = (line: string) =>
    rulesOf(line).flatMap((rule) => problemsOf(rule, (name) => (name === "test/a.test.ts" ? file : undefined)))

  it("takes a test that names its rule, or whose describe does", () => {
    expect(problems('- **S2** It holds. `test/a.test.ts` "S2 deep %s"')).toEqual([])
    expect(problems('- **S1** It holds. `test/a.test.ts` "alone"; `test/a.test.ts` "S2 deep %s"')).toEqual([])
    expect(problems("- **S9** It will hold. _(missing)_")).toEqual([])
  })

  it.each([
    ['- **S1** It holds. `test/a.test.ts` "last"', 'S1: neither "last" nor its describe names it'],
    ['- **S1** It holds. `test/a.test.ts` "lone"', 'S1: test/a.test.ts has no test "lone"'],
    ['- **S1** It holds. `test/b.test.ts` "alone"', "S1: there is no test/b.test.ts"],
    ["- **S1** It holds.", "S1: has either tests or is marked as missing"],
    ['- **S1** It holds. `test/a.test.ts` "alone" _(missing)_', "S1: has either tests or is marked as missing"],
    ["- **S1** no sentence _(missing)_", "S1: is not a sentence"]
  ])("refuses %s", (line, problem) => {
    expect(problems(line)).toEqual([problem])
  })

  it("knows the name of a rule from other words", () => {
    expect(namesIn("// S13, as P2 says (S1); not S, S123, CS1, P2P or s1")).toEqual(["S13", "P2", "S1"])
  })
})
