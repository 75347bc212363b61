import { expect, it } from "vitest"
import type { Goal, Group, Row, Sample } from "../../bench/support/group.ts"
import { measure, type Report } from "../../bench/support/measure.ts"
import { isNoisy, spread } from "../../bench/support/statistics.ts"

/** Gives these one after the other, the first of them in the round that does not count. */
const giving = (...samples: ReadonlyArray<number | Sample>) => {
  let next = 0
  return async () => samples[next++]!
}

const row = (name: string, measure: Row["measure"], goal?: Row["goal"]): Row => ({ name, kind: "ours", measure, goal })

const reportOf = (rows: ReadonlyArray<Row>, others: Partial<Group> = {}): Promise<Report> =>
  measure({ title: "work", unit: "ns", better: "less", baseline: "base", rounds: 5, rows, ...others })

const steady = [9, 10, 10, 10, 10, 10]

it("spreads values by their quartiles", () => {
  expect(spread([5, 1, 4, 2, 3])).toEqual({ low: 2, median: 3, high: 4 })
  expect(spread([1, 2])).toEqual({ low: 1.25, median: 1.5, high: 1.75 })
  expect(spread([7])).toEqual({ low: 7, median: 7, high: 7 })
  expect(spread([]).median).toBeNaN()
})

it("calls noisy what lies further apart than a tenth", () => {
  expect(isNoisy(spread([8, 9.5, 10, 10.6, 12]))).toBe(true)
  expect(isNoisy(spread([8, 9.6, 10, 10.5, 12]))).toBe(false)
  expect(isNoisy(spread([100, 99, 101, 500, 100]))).toBe(false)
})

it("takes ratios round by round, after a round that does not count", async () => {
  const { results } = await reportOf([
    row("base", giving(99, 10, 20, 30, 40, 50)),
    row("twice", giving(1, 20, 40, 60, 80, 101))
  ])
  expect(results[1]?.measured?.value).toEqual({ median: 60, min: 20, max: 101, samples: [20, 40, 60, 80, 101] })
  expect(results[1]?.ratio).toEqual({ value: { low: 2, median: 2, high: 2 } })
})

it("has every round count where no row has to warm up", async () => {
  const { results } = await reportOf([row("base", giving(1, 2))], { rounds: 2, cold: true })
  expect(results[0]?.measured?.value.samples).toEqual([1, 2])
})

it("keeps what is void, failed or absent apart", async () => {
  const { results } = await reportOf([
    row("base", giving(...steady)),
    row("absent", undefined),
    row("failed", () => Promise.reject(new Error("no")))
  ])
  expect(results.map(({ reason, status }) => [status, reason])).toEqual([
    ["measured", undefined],
    ["absent", undefined],
    ["failed", "no"]
  ])
})

const verdictsOf = async (goal: Row["goal"], own: Row["measure"], better: Group["better"] = "less") => {
  const { results } = await reportOf([row("base", giving(...steady)), row("own", own, goal)], { better })
  return results[1]?.goals?.map(({ by, reached, text, to }) => ({ by, reached, text, ...(to && { to }) }))
}

it.each<[Goal, Group["better"], string, boolean]>([
  [{ limit: 2, of: "base" }, "less", "≤ 2 × base", true],
  [{ limit: 1.9, of: "base" }, "less", "≤ 1.9 × base", false],
  [{ limit: 2.1, of: "base" }, "more", "≥ 2.1 × base", false],
  [{ limit: 10, above: "base" }, "less", "≤ base + 10", true],
  [{ limit: 1.5, flat: "base" }, "more", "≤ factor 1.5 to base", false]
])("holds a row against another: %o, %s is better", async (goal, better, text, reached) => {
  const own = giving(20, 20, 20, 20, 20, 20)
  expect(await verdictsOf(goal, own, better)).toEqual([{ by: "value", reached, text, to: "base" }])
})

it("holds a value against a limit, and against several", async () => {
  expect(await verdictsOf([{ limit: 10 }, { limit: 9 }, { limit: Infinity }], giving(...steady))).toEqual([
    { by: "value", reached: true, text: "≤ 10" },
    { by: "value", reached: false, text: "≤ 9" },
    { by: "value", reached: true, text: "completes" }
  ])
})

it("has no verdict where there is nothing to hold the value against", async () => {
  expect(await verdictsOf({ limit: 1, of: "gone" }, giving(...steady))).toBeUndefined()
})

const noisy = [1, 10, 20, 30, 40, 50].map((value) => ({ value, cpu: 10 }))

it("lets CPU time decide where the clock is noisy, and only there", async () => {
  expect(await verdictsOf({ limit: 12 }, giving(...noisy))).toEqual([{ by: "cpu", reached: true, text: "≤ 12" }])
  const calm = steady.map((value) => ({ value, cpu: 99 }))
  expect(await verdictsOf({ limit: 12 }, giving(...calm))).toEqual([{ by: "value", reached: true, text: "≤ 12" }])
  expect(await verdictsOf({ limit: 12, by: "clock" }, giving(...noisy))).toEqual([
    { by: "value", reached: false, text: "≤ 12" }
  ])
  expect(await verdictsOf({ limit: 12, by: "cpu" }, giving(...calm))).toEqual([
    { by: "cpu", reached: false, text: "≤ 12" }
  ])
  const without = noisy.map(({ value }) => value)
  expect(await verdictsOf({ limit: 12 }, giving(...without))).toEqual([{ by: "value", reached: false, text: "≤ 12" }])
})
