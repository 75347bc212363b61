/** Reports as text. */
import type { Measured, Report, Result, Values, Verdict } from "./measure.ts"
import type { Spread } from "./statistics.ts"

export const format = (report: Report): string => {
  const { baseline, better, notes = [], others, results, rounds, title, unit } = report
  const header = ["", "", "median", "min", "max", `× ${baseline}`, "by CPU", `× ${baseline}`, "goal", ""]
  return [
    `${title}: ${unit}, ${better} is better, median of ${rounds}; others kept ${number(others)} processors busy`,
    ...columns([header, ...results.flatMap(lines)], (column) => column < 2 || column > 7).map((row) => `  ${row}`),
    ...notes.map((note) => `  ${note}`)
  ].join("\n")
}

/** Cells under one another, text to the left and numbers to the right. */
export const columns = (
  lines: ReadonlyArray<ReadonlyArray<string>>,
  isText: (column: number) => boolean
): ReadonlyArray<string> => {
  const used = lines[0]!.map((_, column) => lines.slice(1).some((line) => line[column] !== ""))
  const shown = lines.map((line) => line.map((cell, column) => (used[column] ? cell : "")))
  const widths = lines[0]!.map((_, column) => Math.max(...shown.map((line) => line[column]!.length)))
  return shown.map((line) =>
    line
      .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .filter((_, column) => used[column])
      .join("  ")
      .trimEnd()
  )
}

/** One for the row and its first goal, and one for each further goal. */
const lines = ({ goals = [], kind, measured, name, ratio, reason, status }: Result) => {
  if (measured === undefined) {
    return [[name, kind, status === "absent" ? status : status.toUpperCase(), "", "", "", "", "", reason ?? "", ""]]
  }
  const { cpu, value } = measured
  const values = [number(value.median), number(value.min), number(value.max), shown(ratio?.value)]
  const first = [name, kind, ...values, number((cpu as Values | undefined)?.median), shown(ratio?.cpu)]
  const [goal, ...others] = goals.map((goal) => [goal.text, verdict(goal)])
  return [[...first, ...(goal ?? ["", ""])], ...others.map((goal) => [...first.map(() => ""), ...goal])]
}

/** As in "MISSED by CPU: 0.71 (0.66–0.75)". */
const verdict = ({ by, found, reached }: Verdict): string =>
  `${reached ? "reached" : "MISSED"}${by === "cpu" ? " by CPU" : ""}: ${shown((found as Measured<Spread>)[by])}`

/** The median, and the quartiles where they are not the same. */
export const shown = (spread: Spread | undefined): string => {
  if (spread === undefined) return ""
  const { high, low, median } = spread
  const [from, middle, to] = [number(low), number(median), number(high)]
  return from === to ? middle : `${middle} (${from}–${to})`
}

export const number = (n: number | undefined): string =>
  n === undefined ? "" : n.toLocaleString("en", { maximumFractionDigits: n < 100 ? 2 : 0 })
