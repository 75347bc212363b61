/** Runs the rows of a group against one another: one warm-up round, then rounds there and back. */
import { type Goal, type Group, quick, type Row, WrongChecksum } from "./group.ts"

export interface Result {
  readonly name: string
  readonly kind: Row["kind"]
  /** "void": it ran, but lost or doubled something, so that its values were thrown away. */
  readonly status: "measured" | "absent" | "void" | "failed"
  readonly reason?: string
  readonly median?: number
  readonly min?: number
  readonly max?: number
  readonly samples?: ReadonlyArray<number>
  /** The multiple of the baseline: the median of the rounds' own, so that a slow minute of the machine weighs on both. */
  readonly ratio?: number
  readonly goal?: { readonly text: string; readonly value: number; readonly reached: boolean } | undefined
}

export interface Report extends Omit<Group, "rows" | "rounds" | "close"> {
  readonly rounds: number
  readonly results: ReadonlyArray<Result>
}

export const measure = async (group: Group): Promise<Report> => {
  const rounds = Math.min(group.rounds ?? 5, quick ? 3 : Infinity)
  const samples = new Map(group.rows.map((row) => [row.name, [] as Array<number>]))
  const broken = new Map<string, Pick<Result, "status" | "reason">>()
  for (let round = 0; round <= rounds; round++) {
    for (const row of round % 2 === 0 ? group.rows : group.rows.toReversed()) {
      if (row.measure === undefined || broken.has(row.name)) continue
      globalThis.gc?.()
      try {
        const value = await row.measure()
        if (round > 0) samples.get(row.name)!.push(value)
      } catch (error) {
        const status = error instanceof WrongChecksum ? "void" : "failed"
        broken.set(row.name, { status, reason: error instanceof Error ? error.message : String(error) })
      }
    }
  }
  await group.close?.()

  const good = (name: string) => (broken.has(name) ? [] : (samples.get(name) ?? []))
  const against = (name: string, other: string, f: (a: number, b: number) => number) =>
    median(good(name).map((value, round) => f(value, good(other)[round] ?? Number.NaN)))

  const results = group.rows.map(({ goal, kind, measure, name }): Result => {
    const values = good(name)
    if (values.length === 0) {
      return { name, kind, ...(measure === undefined ? { status: "absent" } : broken.get(name)!) }
    }
    return {
      name,
      kind,
      status: "measured",
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      samples: values,
      ratio: against(name, group.baseline, divided),
      goal: goal && judged(goal, group, median(values), (...other) => against(name, ...other))
    }
  })
  const { baseline, better, notes, title, unit } = group
  return { title, unit, better, baseline, rounds, results, ...(notes !== undefined && { notes }) }
}

/** Nothing where there is no goal, or nothing to hold the value against. */
const judged = (
  { above, flat, limit, of }: Goal,
  { better }: Group,
  own: number,
  against: (other: string, f: (a: number, b: number) => number) => number
): NonNullable<Result["goal"]> | undefined => {
  const sign = better === "less" || flat !== undefined ? "≤" : "≥"
  const number = limit.toLocaleString("en")
  const [value, bound] =
    of !== undefined
      ? [against(of, divided), `${number} × ${of}`]
      : above !== undefined
        ? [against(above, minus), `${above} + ${number}`]
        : flat !== undefined
          ? [against(flat, factor), `factor ${number} to ${flat}`]
          : [own, number]
  return Number.isNaN(value)
    ? undefined
    : { text: `${sign} ${bound}`, value, reached: sign === "≤" ? value <= limit : value >= limit }
}

const minus = (a: number, b: number): number => a - b
const factor = (a: number, b: number): number => Math.max(a / b, b / a)
const divided = (a: number, b: number): number => a / b

const median = (values: ReadonlyArray<number>): number => {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
