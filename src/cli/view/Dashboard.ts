/** What `skein top` shows of a snapshot, and what its keys do, as functions of what is there. */
import type { Snapshot, TaskView } from "../../inspect/context/Snapshot.ts"
import * as Counts from "./Counts.ts"
import * as Screen from "./Screen.ts"
import * as Tree from "./Tree.ts"
import * as Words from "./Words.ts"

export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface View {
  readonly sort: Sort
  readonly isReversed: boolean
  /** How many tasks are above the screen. */
  readonly above: number
}

export type Sort = "age" | "busy" | "name" | "state" | "waits"

export const start: View = { sort: "age", isReversed: false, above: 0 }

const sorts: Readonly<Record<string, Sort>> = { a: "age", b: "busy", n: "name", s: "state", w: "waits" }

/** Undefined where a key says to leave. */
export const press = (view: View, key: string, size: Size): View | undefined => {
  const { above, isReversed } = view
  const sort = sorts[key]
  if (sort !== undefined) return { sort, isReversed: false, above: 0 }
  const to = (above: number): View => ({ ...view, above: Math.max(0, above) })
  // Half of it may be other things than tasks.
  const page = Math.max(1, size.rows >> 1)
  switch (key) {
    case "q":
      return undefined
    case "r":
      return { ...view, isReversed: !isReversed, above: 0 }
    case "up":
    case "k":
      return to(above - 1)
    case "down":
    case "j":
      return to(above + 1)
    case "pageup":
      return to(above - page)
    case "pagedown":
    case "space":
      return to(above + page)
    case "home":
      return to(0)
    case "end":
      return to(Infinity)
    default:
      return view
  }
}

/** As many lines as the screen has, and the view as far as there is anything to see. */
export const draw = (
  snapshot: Snapshot,
  view: View,
  size: Size,
  /** Why there is no newer one. */
  problem: string | undefined
): { readonly lines: ReadonlyArray<string>; readonly view: View } => {
  const { at, findings, groups, runs } = snapshot
  const rows = Math.max(size.rows, 1)
  const tasks = Counts.tasksIn(groups).filter(({ kind }) => kind !== "body")
  const share = Math.max(0, Math.floor((rows - 4) / 4))
  const head = [
    Screen.bold(Tree.heading(snapshot)),
    problem === undefined ? Screen.dim(keys(view)) : Screen.reversed(Words.text(problem)),
    ...most(
      findings.map(({ kind, message }) => Screen.bold(`! ${kind}: ${Words.text(message)}`)),
      share,
      "finding"
    ),
    ...most(
      runs.flatMap((run) => [`run ${Words.run(run, at)}`, ...run.steps.map((step) => `  ${Words.step(step)}`)]),
      share,
      "line"
    )
  ]
  const room = Math.max(0, rows - head.length - 1)
  const above = Math.min(view.above, Math.max(0, tasks.length - room))
  const shown = sorted(tasks, view).slice(above, above + room)
  const table = rowsOf(shown, at, above, tasks.length)
  const lines = [...head, ...table].slice(0, rows).map((line) => cut(line, size.columns))
  return { lines, view: { ...view, above } }
}

const keys = (view: View): string => {
  const order = Object.entries(sorts).map(([key, sort]) => `${key} ${sort === view.sort ? `[${sort}]` : sort}`)
  return `q quit  sort by ${order.join("  ")}  r reverse  arrows scroll`
}

const most = (lines: ReadonlyArray<string>, limit: number, what: string): ReadonlyArray<string> =>
  lines.length <= limit
    ? lines
    : limit === 0
      ? []
      : [...lines.slice(0, limit - 1), `… and ${Words.count(lines.length - limit + 1, `more ${what}`)}`]

const sorted = (tasks: ReadonlyArray<TaskView>, { isReversed, sort }: View): ReadonlyArray<TaskView> => {
  const by = orders[sort]
  const ordered = tasks.toSorted((a, b) => by(a, b) || a.id - b.id)
  return isReversed ? ordered.toReversed() : ordered
}

const orders: Readonly<Record<Sort, (a: TaskView, b: TaskView) => number>> = {
  age: (a, b) => a.since - b.since,
  busy: (a, b) => (b.work?.busy ?? 0) - (a.work?.busy ?? 0),
  name: (a, b) => compare(a.name, b.name),
  state: (a, b) => compare(a.state, b.state),
  // Those that wait for nothing that is known come last.
  waits: (a, b) =>
    Number(a.waitsFor === null) - Number(b.waitsFor === null) || compare(a.waitsFor ?? "", b.waitsFor ?? "")
}

/** Numbers in names by their size. */
const { compare } = new Intl.Collator("en", { numeric: true })

const rowsOf = (shown: ReadonlyArray<TaskView>, now: number, above: number, all: number): ReadonlyArray<string> => {
  const where =
    all === shown.length
      ? ""
      : `  (${Words.number(above + 1)} to ${Words.number(above + shown.length)} of ${Words.number(all)})`
  const cells = shown.map((task) => [
    `${task.id}`,
    task.state,
    Words.time(now - task.since),
    task.work === null ? "" : Words.time(task.work.busy),
    clipped(Words.text(task.name), 32),
    clipped(Words.text(task.group), 20)
  ])
  const titles = ["ID", "STATE", "FOR", "BUSY", "TASK", "GROUP"]
  const widths = titles.map((title, i) =>
    cells.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), title.length)
  )
  const line = (row: ReadonlyArray<string>) =>
    row
      .map((cell, i) => (i === 0 || i === 2 || i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
  return [
    Screen.reversed(`${line(titles)}  WAITS FOR${where}`),
    ...cells.map((row, i) => `${line(row)}  ${waits(shown[i]!)}`.trimEnd())
  ]
}

const waits = ({ places: [at], waitsFor }: TaskView): string =>
  [...(waitsFor === null ? [] : [Words.text(waitsFor)]), ...(at === undefined ? [] : [`at ${Words.place(at)}`])].join(
    "  "
  )

const clipped = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text)

/** The terminal cuts what is wide; so that what it is sent has an end. */
const cut = (line: string, columns: number): string => line.slice(0, columns + 8)
