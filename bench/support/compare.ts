/** What a change did: the results of two runs beside one another. */
import type { Report, Result } from "./measure.ts"
import type { Run } from "./results.ts"
import { type Spread, spread } from "./statistics.ts"
import { columns, number } from "./table.ts"

export interface Change {
  /** By how much it became more, of every round after to every round before: 0.1 is a tenth. */
  readonly by: Spread
  /** Whether it is more than rounds differ among themselves; undefined where there are too few of them to tell. */
  readonly isReal: boolean | undefined
}

/** Two runs of the same code differ by as much, as it is not compiled in the same way each time. */
const least = 0.05
const enough = 4

/**
 * A change is real where it is a twentieth or more, and of all pairs of a round before and one after not more than one in 25
 * goes the other way: by chance that happens to five rounds and five in one of 60 cases.
 */
export const changeOf = (before: ReadonlyArray<number>, after: ReadonlyArray<number>): Change => {
  const pairs = before.flatMap((a) => after.map((b) => b / a - 1))
  const by = spread(pairs)
  const against = pairs.filter((pair) => pair * by.median <= 0).length
  return {
    by,
    isReal:
      before.length < enough || after.length < enough
        ? undefined
        : Math.abs(by.median) >= least && against <= pairs.length / 25
  }
}

export interface Row {
  readonly name: string
  readonly before: number
  readonly after: number
  readonly value: Change
  readonly cpu?: Change
  /** Of the multiple of the baseline, by CPU time where there is one: what the machine did meanwhile weighs on both. */
  readonly ratio?: Change
  /** By the last of these that there is. */
  readonly verdict: "better" | "worse" | "same" | "too few rounds"
}

export const compareRows = (before: Report, after: Report): ReadonlyArray<Row> =>
  after.results.flatMap((result) => {
    const { name } = result
    const old = before.results.find((one) => one.name === name)
    const value = samplesOf(result, "value")
    const oldValue = samplesOf(old, "value")
    if (value === undefined || oldValue === undefined) return []
    const cpu = changed(samplesOf(old, "cpu"), samplesOf(result, "cpu"))
    const ratio =
      name === after.baseline
        ? undefined
        : (changed(ratiosOf(before, old, "cpu"), ratiosOf(after, result, "cpu")) ??
          changed(ratiosOf(before, old, "value"), ratiosOf(after, result, "value")))
    const change = changeOf(oldValue, value)
    return {
      name,
      before: old!.measured!.value.median,
      after: result.measured!.value.median,
      value: change,
      ...(cpu && { cpu }),
      ...(ratio && { ratio }),
      verdict: verdictOf(ratio ?? cpu ?? change, after.better)
    }
  })

type By = "value" | "cpu"

const samplesOf = (result: Result | undefined, by: By): ReadonlyArray<number> | undefined =>
  result?.measured?.[by]?.samples

/** Round by round. */
const ratiosOf = (
  { baseline, results }: Report,
  result: Result | undefined,
  by: By
): ReadonlyArray<number> | undefined => {
  const own = samplesOf(result, by)
  const base = samplesOf(
    results.find(({ name }) => name === baseline),
    by
  )
  return base && own?.flatMap((sample, round) => (base[round] === undefined ? [] : sample / base[round]))
}

const changed = (
  before: ReadonlyArray<number> | undefined,
  after: ReadonlyArray<number> | undefined
): Change | undefined => before && after && changeOf(before, after)

const verdictOf = ({ by, isReal }: Change, better: Report["better"]): Row["verdict"] => {
  if (isReal === undefined) return "too few rounds"
  if (!isReal) return "same"
  return by.median < 0 === (better === "less") ? "better" : "worse"
}

/** As text. Groups that only one of the runs has are not in it; rows that only one has are named. */
export const compare = (before: Run, after: Run): string => {
  if (before.quick !== after.quick) throw new Error("One of the runs was a quick one: they did not do the same work.")
  const machines = before.machine === after.machine ? [] : [`before: ${before.machine}; after: ${after.machine}`]
  const groups = Object.entries(after.groups).flatMap(([name, reports]) => {
    const old = before.groups[name] ?? []
    return reports.flatMap((report) => {
      const same = old.find(({ title }) => title === report.title)
      return same === undefined ? [] : [formatOne(same, report)]
    })
  })
  return [...machines, ...groups].join("\n\n")
}

const formatOne = (before: Report, after: Report): string => {
  const { baseline, better, title, unit } = after
  const header = ["", "before", "after", "change", "by CPU", `× ${baseline}`, ""]
  const lines = compareRows(before, after).map(({ after, before, cpu, name, ratio, value, verdict }) => [
    name,
    number(before),
    number(after),
    shown(value),
    shown(cpu),
    shown(ratio),
    verdict
  ])
  const only = (a: Report, b: Report) =>
    a.results.filter(({ name }) => !b.results.some((other) => other.name === name)).map(({ name }) => name)
  const [gone, come] = [only(before, after), only(after, before)]
  return [
    `${title}: ${unit}, ${better} is better`,
    ...columns([header, ...lines], (column) => column === 0 || column === 6).map((row) => `  ${row}`),
    ...(gone.length > 0 ? [`  only before: ${gone.join(", ")}`] : []),
    ...(come.length > 0 ? [`  only after: ${come.join(", ")}`] : [])
  ].join("\n")
}

/** As in "−12 % (−14…−9)": between the parentheses lies half of what pairs of rounds say. */
const shown = (change: Change | undefined): string => {
  if (change === undefined) return ""
  const { high, low, median } = change.by
  return `${percent(median)} % (${percent(low)}…${percent(high)})`
}

const percent = (share: number): string => {
  const rounded = Math.round(share * 100)
  return rounded === 0 ? "0" : `${rounded < 0 ? "−" : "+"}${Math.abs(rounded)}`
}
