/** What a benchmark is: a group of rows that answer one question, each row one way to do the same work. */

export interface Group {
  readonly title: string
  /** The unit of the values, as in "ns a task". */
  readonly unit: string
  readonly better: "less" | "more"
  /** The row that the others are shown as multiples of. */
  readonly baseline: string
  /** Rounds that count; default 5. */
  readonly rounds?: number
  readonly rows: ReadonlyArray<Row>
  /** What the values do not say. */
  readonly notes?: ReadonlyArray<string>
  readonly close?: () => unknown
}

export interface Row {
  readonly name: string
  /** Ours; a library for the same; Effect used directly; or the least that the work could cost. */
  readonly kind: "ours" | "peer" | "raw" | "floor"
  readonly goal?: Goal | undefined
  /** Does the work once and gives its value in the unit of the group. Undefined where it cannot run at all. */
  readonly measure: (() => Promise<number>) | undefined
}

/**
 * A limit for the value, for its multiple of the row `of`, for what it is above the row `above`, or for the factor
 * between it and the row `flat`, whichever is larger.
 */
export interface Goal {
  readonly limit: number
  readonly of?: string
  readonly above?: string
  readonly flat?: string
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

/** Nanoseconds an operation. */
export const nanos = (workload: Workload) => async (): Promise<number> => ((await time(workload)) * 1e6) / workload.ops

/** Operations a second. */
export const perSecond = (workload: Workload) => async (): Promise<number> =>
  workload.ops / ((await time(workload)) / 1e3)

const time = async ({ checksum, work }: Workload): Promise<number> => {
  let total = 0
  let from = performance.now()
  const timer: Timer = {
    start: () => void (from = performance.now()),
    stop: () => void (total += performance.now() - from)
  }
  const found = await work(timer)
  if (total === 0) timer.stop()
  check(found, checksum)
  return total
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
