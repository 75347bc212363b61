/** A snapshot as lines for people: what looks wrong first, then runs, then groups with their tasks. */
import type { Snapshot } from "../../inspect/context/Snapshot.ts"
import * as Counts from "./Counts.ts"
import * as Outline from "./Outline.ts"
import * as Words from "./Words.ts"

export interface Options {
  /** Levels of groups and tasks below a group. */
  readonly depth: number
  /** Lines below one line. */
  readonly limit: number
}

export const lines = (snapshot: Snapshot, options: Options): ReadonlyArray<string> => {
  const { at, findings, groups, orphans, runs, withoutPlaces } = snapshot
  const shown = Outline.ofGroups(groups, at, options.depth)
  return [
    heading(snapshot),
    ...findings.flatMap(({ advice, kind, message, places }) => [
      `! ${kind}: ${Words.text(message)}`,
      `    ${Words.text(advice)}`,
      ...places.slice(0, 3).map((place) => `    at ${Words.place(place)}`)
    ]),
    ...runs.flatMap((run) => [
      `run ${Words.run(run, at)}`,
      ...below(
        run.steps.map((step) => ({ label: Words.step(step), branches: [], tasks: 0 })),
        "",
        options.limit
      )
    ]),
    ...top(shown, options.limit),
    ...orphans
      .slice(0, options.limit)
      .map(
        ({ from, name, since }) => `orphan ${Words.text(name)}: given up by a ${from} ${Words.time(at - since)} ago`
      ),
    ...(orphans.length > options.limit ? [`… and ${Words.count(orphans.length - options.limit, "more orphan")}`] : []),
    ...(withoutPlaces === null || groups.length === 0 ? [] : [`no places in files: ${Words.text(withoutPlaces)}`])
  ]
}

export const heading = ({ at, groups, process, runs }: Snapshot): string =>
  [
    ...(process === null
      ? []
      : [
          `${process.pid} ${Words.text(process.title)}`,
          `up ${Words.time(at - process.startedAt)}`,
          `event loop ${Words.percent(process.busy)} busy`,
          `${Words.megabytes(process.memory.resident)}, heap ${Words.megabytes(process.memory.heap)}`
        ]),
    Words.count(Counts.of(groups), "task"),
    ...(runs.length === 0 ? [] : [Words.count(runs.length, "run")])
  ].join(", ")

const top = (branches: ReadonlyArray<Outline.Branch>, limit: number): ReadonlyArray<string> => [
  ...branches.slice(0, limit).flatMap(({ branches, label }) => [`group ${label}`, ...below(branches, "", limit)]),
  ...rest(branches.slice(limit), "group").map((text) => text)
]

const below = (branches: ReadonlyArray<Outline.Branch>, indentation: string, limit: number): ReadonlyArray<string> => {
  const shown = branches.slice(0, limit)
  const more = rest(branches.slice(limit), "line")
  return [
    ...shown.flatMap(({ branches: inner, label }, i) => {
      const isLast = i === shown.length - 1 && more.length === 0
      return [
        `${indentation}${isLast ? "└─" : "├─"} ${label}`,
        ...below(inner, `${indentation}${isLast ? "   " : "│  "}`, limit)
      ]
    }),
    ...more.map((text) => `${indentation}└─ ${text}`)
  ]
}

const rest = (left: ReadonlyArray<Outline.Branch>, what: string): ReadonlyArray<string> => {
  if (left.length === 0) return []
  const tasks = left.reduce((sum, branch) => sum + branch.tasks, 0)
  return [`… and ${Words.count(left.length, `more ${what}`)}${tasks === 0 ? "" : `, of ${Words.count(tasks, "task")}`}`]
}
