/** What a benchmark is: a group of rows that answer one question, each row one way to do the same work. */
import { begin } from "./cost.ts"

export interface Group {
  readonly title: string
  /** The unit of the values, as in "ns a task". */
  readonly unit: string
  readonly better: "less" | "more"
  /** The row that the others are shown as multiples of. */
  readonly baseline: string
  /** Rounds that count; default 5. */
  readonly rounds?: number
  /** Without a round to warm up: where each measurement is a process of its own. */
  readonly cold?: boolean
  readonly rows: ReadonlyArray<Row>
  /** What the values do not say. */
  readonly notes?: ReadonlyArray<string>
  readonly close?: () => unknown
}

export interface Row {
  readonly name: string
  /** Ours; a library for the same; Effect used directly; or the least that the work could cost. */
  readonly kind: "ours" | "peer" | "raw" | "floor"
  readonly goal?: Goal | ReadonlyArray<Goal> | undefined
  /** Does the work once and gives its value. Undefined where it cannot run at all. */
  readonly measure: (() => Promise<number | Sample>) | undefined
}

/** In the unit of the group: what the clock says, and the same by CPU time. A value that is no time has no other. */
export interface Sample {
  readonly value: number
  readonly cpu?: number
}

/**
 * A limit for the value, for its multiple of the row `of`, for what it is above the row `above`, or for the factor
 * between it and the row `flat`, whichever is larger. `Infinity`: there only has to be a value.
 */
export interface Goal {
  readonly limit: number
  readonly of?: string
  readonly above?: string
  readonly flat?: string
  /** What it is judged by, where there is reason: waiting is no CPU time, and one round does not tell whether it was a calm one. */
  readonly by?: "clock" | "cpu"
}

/** Thrown when a workload did not do its work: its time means nothing. */
export class WrongChecksum extends Error {}

/** For work of which only a part counts: the time between each start and its stop. */
export interface Timer {
  readonly start: () => void
  readonly stop: () => void
}

export interface Workload {
  /** How many operations the work is. */
  readonly ops: number
  readonly checksum: unknown
  /** Does the work and gives its checksum. All of its time counts where it does not use the timer. */
  readonly work: (timer: Timer) => unknown
}

type Measure = () => Promise<Required<Sample>>

/** Of each operation. */
const each =
  (unit: number) =>
  (workload: Workload): Measure =>
  () =>
    measured(workload, (millis) => millis / workload.ops / unit)

export const nanos: (workload: Workload) => Measure = each(1e-6)
export const micros: (workload: Workload) => Measure = each(1e-3)
export const millis: (workload: Workload) => Measure = each(1)

/** Operations a second, and a second of CPU time. */
export const perSecond = (workload: Workload): Measure => {
  return () => measured(workload, (millis) => workload.ops / (millis / 1e3))
}

const measured = async ({ checksum, work }: Workload, to: (millis: number) => number): Promise<Required<Sample>> => {
  let used = false
  let wall = 0
  let cpu = 0
  let end = begin()
  const timer: Timer = {
    start: () => void (end = begin()),
    stop: () => {
      const cost = end()
      used = true
      wall += cost.wall
      cpu += cost.cpu
    }
  }
  const found = await work(timer)
  if (!used) timer.stop()
  check(found, checksum)
  return { value: to(wall), cpu: to(cpu) }
}

export const check = (found: unknown, expected: unknown): void => {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new WrongChecksum(`checksum ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
  }
}

/** Set by `--quick`: a look at whether all works, with a tenth of the work and three rounds. */
export const quick: boolean = process.env["BENCH_QUICK"] === "1"

/** A tenth of `n` for a quick look. */
export const scaled = (n: number): number => (quick ? n / 10 : n)

/** 0 + 1 + … + (n - 1). */
export const sumBelow = (n: number): number => (n * (n - 1)) / 2
