/** Reports as text. */
import type { Report, Result } from "./measure.ts"

export const format = ({ baseline, better, notes = [], results, rounds, title, unit }: Report): string => {
  const header = ["", "", "median", "min", "max", `× ${baseline}`, "goal", ""]
  const lines = [header, ...results.map(cells)]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const isText = (column: number) => column < 2 || column > 5
  const rows = lines.map((line) =>
    line
      .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd()
  )
  return [
    `${title}: ${unit}, ${better} is better, median of ${rounds}`,
    ...rows.map((row) => `  ${row}`),
    ...notes.map((note) => `  ${note}`)
  ].join("\n")
}

const cells = (result: Result): ReadonlyArray<string> => {
  const { goal, kind, max, median, min, name, ratio, reason, status } = result
  if (median === undefined) {
    return [
      name,
      kind,
      ...(status === "absent" ? ["absent", "", ""] : [status.toUpperCase(), "", ""]),
      "",
      reason ?? "",
      ""
    ]
  }
  return [
    name,
    kind,
    number(median),
    number(min),
    number(max),
    ratio === undefined || Number.isNaN(ratio) ? "" : ratio.toFixed(2),
    goal?.text ?? "",
    goal === undefined ? "" : `${goal.reached ? "reached" : "MISSED"} (${number(goal.value)})`
  ]
}

const number = (n: number | undefined): string =>
  n === undefined ? "" : n.toLocaleString("en", { maximumFractionDigits: n < 100 ? 2 : 0 })
