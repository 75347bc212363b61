/** The table of `bench/README.md`: made of the results of a run, so that no number in it is typed. */
import type { Measured, Report, Result, Verdict } from "./measure.ts"
import type { Run } from "./results.ts"
import type { Spread } from "./statistics.ts"
import { number, shown } from "./table.ts"

const from = "<!-- results -->"
const to = "<!-- /results -->"

/** The text with the table between its marks. */
export const withTable = (text: string, run: Run): string => {
  const [start, end] = [text.indexOf(from), text.indexOf(to)]
  if (start < 0 || end < start) throw new Error(`There is no place for the table: ${from} and ${to} are missing.`)
  return `${text.slice(0, start + from.length)}\n\n${tableOf(run)}\n\n${text.slice(end)}`
}

export const tableOf = (run: Run): string => {
  const reports = Object.values(run.groups).flat()
  const goals = reports.flatMap(({ results }) => results.flatMap(({ goals = [] }) => goals))
  const others = reports.map(({ others }) => others)
  const busy = [...new Set([number(Math.min(...others)), number(Math.max(...others))])].join(" to ")
  const about = [
    `${run.machine}; others kept ${busy} processors busy.`,
    `${goals.filter(({ reached }) => reached).length} of ${goals.length} goals are reached.`
  ]
  const header = ["work", "ours", "beside", "ratio", "by CPU", "goal"]
  return `${about.join("\n")}\n\n${markdown([header, ...reports.flatMap(linesOf)])}`
}

/** One for each way that is ours, and for each further goal of it. */
const linesOf = (report: Report): ReadonlyArray<ReadonlyArray<string>> =>
  report.results
    .filter(({ kind, status }) => kind === "ours" && status !== "absent")
    .flatMap((result, i) => {
      const about = i === 0 ? [`${report.title}, ${report.unit}`, own(result), beside(report)] : ["", own(result), ""]
      const goals = (result.goals ?? []).map((goal) => [...held(result, goal), judged(goal)])
      const [first, ...others] = goals.length > 0 ? goals : [[...held(result), "–"]]
      return [[...about, ...first!], ...others.map((goal) => ["", "", "", ...goal])]
    })

const own = (result: Result): string => `${result.name} ${valueOf(result)}`

const valueOf = ({ measured, status }: Result): string =>
  measured !== undefined ? number(measured.value.median) : status === "absent" ? status : status.toUpperCase()

/** Everything that is not ours; in italics what ratios are to where no goal says otherwise. */
const beside = ({ baseline, results }: Report): string =>
  results
    .filter(({ kind }) => kind !== "ours")
    .map((result) => (result.name === baseline ? `_${own(result)}_` : own(result)))
    .join("; ")

/** What a goal is about, or the multiple of the baseline: by the clock and by CPU time. */
const held = ({ ratio }: Result, goal?: Verdict): ReadonlyArray<string> => {
  const found: Measured<Spread> | undefined = goal?.to === undefined ? ratio : goal.found
  return [shown(found?.value), shown(found?.cpu)]
}

const judged = ({ by, reached, text }: Verdict): string => {
  const said = `${text}${by === "cpu" ? ", by CPU" : ""}`
  return reached ? said : `**${said}: missed**`
}

const markdown = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const cells = lines.map((line) => line.map((cell) => cell.replaceAll("|", "\\|")))
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  const rows = cells.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`)
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [rows[0], rule, ...rows.slice(1)].join("\n")
}
