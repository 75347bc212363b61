/** Does an element cost the same, and is no more memory held, after a hundred times as many? Only with `--large`. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { check, type Goal, type Group, type Sample, scaled, sumBelow } from "./support/group.ts"
import type { Part } from "./support/large_program.ts"

const program = fileURLToPath(new URL("support/large_program.ts", import.meta.url))

interface Found {
  readonly count: number
  readonly settled: number
  readonly sum: number
  readonly parts: ReadonlyArray<Part>
}

/** Done once, for time and memory. */
const work = (what: "elements" | "lines", size: number): (() => Promise<ReadonlyArray<Part>>) => {
  let found: Promise<ReadonlyArray<Part>> | undefined
  const start = async () => {
    // V8 lets the young generation grow to 134 MB, beside which 128 MB are always too few: it then marks the heap without end.
    const heap = ["--max-old-space-size=128", "--max-semi-space-size=16"]
    const flags = ["--conditions=skein-source", "--expose-gc", ...heap]
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, what, `${size}`])
    const { count, parts, settled, sum }: Found = JSON.parse(stdout)
    check([settled, sum], [count, sumBelow(count)])
    return parts
  }
  return () => (found ??= start())
}

const groups = (title: string, unit: string, names: ReadonlyArray<string>, of: () => Promise<ReadonlyArray<Part>>) => {
  const about = { better: "less", baseline: names[0]!, rounds: 1, cold: true } as const
  const goal = { limit: 1.25, of: names[0]!, by: "cpu" } as const
  const rows = (value: (part: Part) => number | Sample, goal?: Goal) =>
    names.map((name, i) => ({
      name,
      kind: "ours" as const,
      goal: i === 0 ? undefined : goal,
      measure: async () => value((await of())[i]!)
    }))
  return [
    { ...about, title, unit: `ns ${unit}`, rows: rows(({ cpu, value }) => ({ value, cpu }), goal) },
    { ...about, title: `${title}: held at the end`, unit: "MB", rows: rows(({ held }) => held, goal) },
    { ...about, title: `${title}: memory`, unit: "MB resident at most", rows: rows(({ resident }) => resident) }
  ]
}

const count = scaled(100_000_000)
const megabytes = scaled(10_000)
const heap = "in a heap of 128 MB"
const partsOf = (size: number, unit: string) =>
  [
    [0, 100],
    [100, 10],
    [10, 1]
  ].map(([from, to]) => {
    const [a, b] = [from === 0 ? 0 : size / from!, size / to!].map((n) => n.toLocaleString("en"))
    return `from ${a} to ${b} ${unit}`.trim()
  })

const all: ReadonlyArray<Group> = [
  ...groups(
    `${count.toLocaleString("en")} elements through map, async map × 16, map, batches of 100, ${heap}`,
    "an element",
    partsOf(count, ""),
    work("elements", count)
  ),
  ...groups(
    `${megabytes.toLocaleString("en")} MB of JSON Lines through a Schema, made as they are read, ${heap}`,
    "a line",
    partsOf(megabytes, "MB"),
    work("lines", megabytes)
  )
]
export default all
