/** Runs the rows of a group against one another: one warm-up round, then rounds there and back. */
import { cpus } from "node:os"
import { begin } from "./cost.ts"
import { type Goal, type Group, quick, type Row, type Sample, WrongChecksum } from "./group.ts"
import { isNoisy, type Spread, spread } from "./statistics.ts"

/** How a row, or its multiple of another, came out: by its value, and by CPU time where there is one. */
export interface Measured<A> {
  readonly value: A
  readonly cpu?: A
}

export interface Values {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: ReadonlyArray<number>
}

export interface Verdict {
  /** As in "≤ 0.6 × forkChild". */
  readonly text: string
  /** The row that it is held against. */
  readonly to?: string
  /** What decided: `value`, or `cpu` where the value was noisy. */
  readonly by: keyof Measured<unknown>
  readonly found: Measured<Spread>
  readonly reached: boolean
}

export interface Result {
  readonly name: string
  readonly kind: Row["kind"]
  /** "void": it ran, but lost or doubled something, so that its values were thrown away. */
  readonly status: "measured" | "absent" | "void" | "failed"
  readonly reason?: string
  readonly measured?: Measured<Values>
  /** The multiple of the baseline: of the rounds' own, so that a slow minute of the machine weighs on both. */
  readonly ratio?: Measured<Spread>
  readonly goals?: ReadonlyArray<Verdict>
}

export interface Report extends Omit<Group, "rows" | "rounds" | "close" | "cold"> {
  readonly rounds: number
  /** How many processors others kept busy meanwhile, on average. */
  readonly others: number
  readonly results: ReadonlyArray<Result>
}

export const measure = async (group: Group): Promise<Report> => {
  const rounds = Math.min(group.rounds ?? 5, quick ? 3 : Infinity)
  const samples = new Map(group.rows.map((row) => [row.name, [] as Array<Sample>]))
  const broken = new Map<string, Pick<Result, "status" | "reason">>()
  const meanwhile = othersSince()
  for (let round = group.cold ? 1 : 0; round <= rounds; round++) {
    for (const row of round % 2 === 0 ? group.rows : group.rows.toReversed()) {
      if (row.measure === undefined || broken.has(row.name)) continue
      globalThis.gc?.()
      try {
        const value = await row.measure()
        if (round > 0) samples.get(row.name)!.push(typeof value === "number" ? { value } : value)
      } catch (error) {
        const status = error instanceof WrongChecksum ? "void" : "failed"
        broken.set(row.name, { status, reason: error instanceof Error ? error.message : String(error) })
      }
    }
  }
  const others = meanwhile()
  await group.close?.()

  const good = (name: string) => (broken.has(name) ? [] : (samples.get(name) ?? []))
  const results = group.rows.map(({ goal = [], kind, measure, name }): Result => {
    const own = good(name)
    if (own.length === 0) {
      return { name, kind, ...(measure === undefined ? { status: "absent" } : broken.get(name)!) }
    }
    const ratio = against(own, good(group.baseline), divided)
    const goals = [goal].flat().flatMap((one) => judged(one, group, own, good) ?? [])
    return {
      name,
      kind,
      status: "measured",
      measured: both(own, (sample) => sample, valuesOf),
      ...(ratio && { ratio }),
      ...(goals.length > 0 && { goals })
    }
  })
  const { baseline, better, notes, title, unit } = group
  return { title, unit, better, baseline, rounds, others, results, ...(notes !== undefined && { notes }) }
}

/** Nothing where there is nothing to hold the value against. */
const judged = (
  { above, by, flat, limit, of }: Goal,
  { better }: Pick<Group, "better">,
  own: ReadonlyArray<Sample>,
  rows: (name: string) => ReadonlyArray<Sample>
): Verdict | undefined => {
  const atMost = better === "less" || flat !== undefined
  const number = limit.toLocaleString("en")
  const [found, bound] =
    of !== undefined
      ? [against(own, rows(of), divided), `${number} × ${of}`]
      : above !== undefined
        ? [against(own, rows(above), minus), `${above} + ${number}`]
        : flat !== undefined
          ? [against(own, rows(flat), factor), `factor ${number} to ${flat}`]
          : [both(own, (sample) => sample, spread), number]
  if (found === undefined) return undefined
  const decides =
    found.cpu !== undefined && (by === "cpu" || (by === undefined && isNoisy(found.value))) ? "cpu" : "value"
  const { median } = found[decides]!
  const to = of ?? above ?? flat
  return {
    text: limit === Infinity ? "completes" : `${atMost ? "≤" : "≥"} ${bound}`,
    ...(to !== undefined && { to }),
    by: decides,
    found,
    reached: limit === Infinity || (atMost ? median <= limit : median >= limit)
  }
}

type Two = (a: number, b: number) => number
const minus: Two = (a, b) => a - b
const factor: Two = (a, b) => Math.max(a / b, b / a)
const divided: Two = (a, b) => a / b

/** Round by round. */
const against = (own: ReadonlyArray<Sample>, other: ReadonlyArray<Sample>, f: Two): Measured<Spread> | undefined =>
  other.length === 0
    ? undefined
    : both(
        own,
        ({ cpu, value }, round) => ({
          value: f(value, other[round]!.value),
          ...(cpu !== undefined && other[round]!.cpu !== undefined && { cpu: f(cpu, other[round]!.cpu) })
        }),
        spread
      )

/** What the values come to, and the CPU times where all have one. */
const both = <A>(
  samples: ReadonlyArray<Sample>,
  of: (sample: Sample, round: number) => Sample,
  to: (values: ReadonlyArray<number>) => A
): Measured<A> => {
  const found = samples.map(of)
  const cpu = found.flatMap((sample) => sample.cpu ?? [])
  return { value: to(found.map(({ value }) => value)), ...(cpu.length === found.length && { cpu: to(cpu) }) }
}

const valuesOf = (samples: ReadonlyArray<number>): Values => ({
  median: spread(samples).median,
  min: Math.min(...samples),
  max: Math.max(...samples),
  samples
})

/** How many processors were busy with what this process and its children have not done. */
const othersSince = (): (() => number) => {
  const busy = () => cpus().reduce((all, { times: { irq, nice, sys, user } }) => all + irq + nice + sys + user, 0)
  const before = busy()
  const own = begin()
  return () => {
    const { cpu, wall } = own()
    return Math.max(0, (busy() - before - cpu) / wall)
  }
}
