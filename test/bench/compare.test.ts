import { expect, it } from "vitest"
import { changeOf, compare, compareRows } from "../../bench/support/compare.ts"
import type { Report, Result } from "../../bench/support/measure.ts"
import type { Run } from "../../bench/support/results.ts"
import { spread } from "../../bench/support/statistics.ts"

const values = (samples: ReadonlyArray<number>) => ({
  median: spread(samples).median,
  min: Math.min(...samples),
  max: Math.max(...samples),
  samples
})

const row = (name: string, value: ReadonlyArray<number>, cpu?: ReadonlyArray<number>): Result => ({
  name,
  kind: "ours",
  status: "measured",
  measured: { value: values(value), ...(cpu && { cpu: values(cpu) }) }
})

const report = (results: ReadonlyArray<Result>, others: Partial<Report> = {}): Report => ({
  title: "work",
  unit: "ns",
  better: "less",
  baseline: "base",
  rounds: 5,
  others: 0,
  results,
  ...others
})

const run = (...reports: ReadonlyArray<Report>): Run => ({ machine: "Node", quick: false, groups: { work: reports } })

const ten = [10, 10.1, 9.9, 10, 10.2]
const times = (factor: number, samples: ReadonlyArray<number> = ten) => samples.map((sample) => sample * factor)

it("calls a change real where all rounds but few say so", () => {
  expect(changeOf(ten, times(0.8))).toMatchObject({ isReal: true, by: { median: expect.closeTo(-0.2, 2) } })
  expect(changeOf(ten, times(1.2))).toMatchObject({ isReal: true, by: { median: expect.closeTo(0.2, 2) } })
})

it("calls no change real that is smaller than two runs of the same code are apart", () => {
  expect(changeOf(ten, times(0.96)).isReal).toBe(false)
})

it("calls no change real whose rounds are among those of before", () => {
  expect(changeOf([8, 9, 10, 11, 12], [6, 7, 8, 9, 13]).isReal).toBe(false)
})

it("cannot tell of few rounds", () => {
  expect(changeOf([10, 10, 10], [1, 1, 1]).isReal).toBeUndefined()
})

it("goes by the multiple of the baseline in CPU time, whatever the machine did", () => {
  const before = report([row("base", ten, ten), row("own", times(2), times(2))])
  // All twice as slow; of its own it needs a quarter less.
  const after = report([row("base", times(2), times(2)), row("own", times(4), times(3))])
  expect(compareRows(before, after)).toMatchObject([
    { name: "base", verdict: "worse" },
    { name: "own", verdict: "better", value: { by: { median: expect.closeTo(1, 1) } } }
  ])
  expect(compareRows(before, after)[1]?.ratio?.by.median).toBeCloseTo(-0.25, 2)
})

it("goes by the clock where there is no CPU time, and knows what is better", () => {
  const before = report([row("base", ten), row("own", ten)], { better: "more" })
  const after = report([row("base", ten), row("own", times(1.5))], { better: "more" })
  expect(compareRows(before, after).map(({ verdict }) => verdict)).toEqual(["same", "better"])
})

it("shows the rows of both, and names those that only one has", () => {
  const before = run(report([row("base", ten), row("old", ten)]), report([row("base", ten)], { title: "gone" }))
  const after = run(report([row("base", times(2)), row("new", ten)]))
  const text = compare(before, after)
  expect(text).toContain("base      10     20  +100 % (+98…+102)  worse")
  expect(text).toContain("only before: old")
  expect(text).toContain("only after: new")
  expect(text).not.toContain("gone")
})

it("shows rows without values as such", () => {
  const absent: Result = { name: "peer", kind: "peer", status: "absent" }
  expect(compareRows(report([absent]), report([row("peer", ten)]))).toEqual([])
})

it("tells where the machines differ, and refuses to compare different work", () => {
  const one = run(report([row("base", ten)]))
  expect(compare({ ...one, machine: "Bun" }, one)).toContain("before: Bun; after: Node")
  expect(() => compare({ ...one, quick: true }, one)).toThrow("did not do the same work")
})
