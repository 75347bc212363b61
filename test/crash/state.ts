/** What a job with steps that keep something is to give. */
import * as Schema from "effect/Schema"

export const Row = Schema.Struct({ from: Schema.Int, count: Schema.Int, value: Schema.Int })
export type Row = typeof Row.Type

export const rowsIn = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i + 1)

/** Every third is the first of its key, as far as there are new ones. */
export const keyOf = (n: number): number => Math.floor(n / 3)

/** One after the other. */
export const expected = (count: number): ReadonlyArray<Row> => {
  const seen = new Set<number>()
  const windows = new Map<number, Row>()
  let sum = 0
  for (const n of rowsIn(count)) {
    if (seen.has(keyOf(n))) continue
    seen.add(keyOf(n))
    sum += n
    const from = Math.floor(n / 40) * 40
    windows.set(from, { from, count: (windows.get(from)?.count ?? 0) + 1, value: sum })
  }
  return [...windows.values()]
}
