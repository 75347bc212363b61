import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, it } from "vitest"
import type { Report, Result } from "../../bench/support/measure.ts"
import { tableOf, withTable } from "../../bench/support/readme.ts"
import { merged, read, type Run, textOf } from "../../bench/support/results.ts"

const bench = resolve(import.meta.dirname, "../../bench")

const values = (median: number) => ({ median, min: median / 2, max: 2 * median, samples: [median] })
const same = (median: number) => ({ low: median, median, high: median })

const rows: ReadonlyArray<Result> = [
  { name: "base", kind: "raw", status: "measured", measured: { value: values(2) }, ratio: { value: same(1) } },
  { name: "a|b", kind: "peer", status: "absent" },
  {
    name: "Ours",
    kind: "ours",
    status: "measured",
    measured: { value: values(1234), cpu: values(1) },
    ratio: { value: same(0.5), cpu: same(0.25) },
    goals: [
      { text: "≤ 0.6 × base", to: "base", by: "value", found: { value: same(0.55), cpu: same(0.4) }, reached: true },
      { text: "≤ 1,000", by: "cpu", found: { value: same(1234), cpu: same(1) }, reached: false }
    ]
  },
  { name: "Ours too", kind: "ours", status: "measured", measured: { value: values(3) }, ratio: { value: same(1.5) } },
  { name: "Bad", kind: "ours", status: "failed", reason: "no" },
  { name: "Ours, elsewhere", kind: "ours", status: "absent" }
]

const report = (title: string): Report => ({
  title,
  unit: "ns",
  better: "less",
  baseline: "base",
  rounds: 5,
  others: 0.02,
  results: rows
})

const run = (machine: string, groups: Run["groups"]): Run => ({ machine, quick: false, groups })

describe("the table", () => {
  it("has a line for each way that is ours and for each of its goals", () => {
    expect(tableOf(run("Node 24", { work: [report("Work")] }))).toBe(
      String.raw`
Node 24; others kept 0.02 processors busy.
1 of 2 goals are reached.

| work     | ours       | beside                | ratio | by CPU | goal                        |
| -------- | ---------- | --------------------- | ----- | ------ | --------------------------- |
| Work, ns | Ours 1,234 | _base 2_; a\|b absent | 0.55  | 0.4    | ≤ 0.6 × base                |
|          |            |                       | 0.5   | 0.25   | **≤ 1,000, by CPU: missed** |
|          | Ours too 3 |                       | 1.5   |        | –                           |
|          | Bad FAILED |                       |       |        | –                           |
`.trim()
    )
  })

  it("takes its place between its marks, as often as it is put there", () => {
    const one = run("Node", { work: [report("Work")] })
    const text = withTable("before\n\n<!-- results -->\nold\n<!-- /results -->\n\nafter\n", one)
    expect(text).toBe(`before\n\n<!-- results -->\n\n${tableOf(one)}\n\n<!-- /results -->\n\nafter\n`)
    expect(withTable(text, one)).toBe(text)
    expect(() => withTable("no place", one)).toThrow("no place for the table")
  })

  it("is in the README as a run has it, so that no number in it is typed", () => {
    const readme = readFileSync(resolve(bench, "README.md"), "utf8")
    expect(withTable(readme, read(resolve(bench, "results.json"))), "npm run bench -- --table FILE").toBe(readme)
  })
})

describe("results in a file", () => {
  it("are read as they were written, numbers with four digits", () => {
    const one = run("Node", { work: [report("Work"), report("More")], other: [{ ...report("Other"), others: 1 / 3 }] })
    expect(JSON.parse(textOf(one))).toEqual({
      ...one,
      groups: { ...one.groups, other: [{ ...report("Other"), others: 0.3333 }] }
    })
    expect(JSON.parse(textOf(run("Node", {})))).toEqual(run("Node", {}))
  })

  it("keep the groups that were not measured again, in the order of all", () => {
    const before = run("old", { a: [report("A")], b: [report("B")], gone: [] })
    const after = run("new", { c: [report("C")], b: [report("B2")] })
    expect(merged(before, after, ["a", "b", "c"])).toEqual(
      run("new", { a: [report("A")], b: [report("B2")], c: [report("C")] })
    )
    expect(Object.keys(merged(before, after, ["c", "b", "a"]).groups)).toEqual(["c", "b", "a"])
  })
})
