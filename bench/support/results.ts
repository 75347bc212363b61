/** The results of a run, as they are kept in a file. */
import { readFileSync, writeFileSync } from "node:fs"
import type { Report } from "./measure.ts"

export interface Run {
  /** Node, Effect and how many processors. */
  readonly machine: string
  readonly quick: boolean
  readonly groups: Readonly<Record<string, ReadonlyArray<Report>>>
}

export const read = (file: string): Run => JSON.parse(readFileSync(file, "utf8"))

export const write = (file: string, run: Run): void => writeFileSync(file, textOf(run))

/** A report a line, so that a difference is as long as what is different; numbers with four digits. */
export const textOf = ({ groups, ...about }: Run): string => {
  const lines = Object.entries(groups).map(
    ([name, reports]) => `${JSON.stringify(name)}: [\n${reports.map(json).join(",\n")}\n]`
  )
  return `${json(about).slice(0, -1)},"groups":{\n${lines.join(",\n")}\n}}\n`
}

const json = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === "number" ? Number(part.toPrecision(4)) : part))

/** The groups of `run` in the place of those of `before`, in the order of `names`; what is not among these is left out. */
export const merged = (before: Run, run: Run, names: ReadonlyArray<string>): Run => {
  const groups = { ...before.groups, ...run.groups }
  return { ...run, groups: Object.fromEntries(names.flatMap((name) => (groups[name] ? [[name, groups[name]]] : []))) }
}
