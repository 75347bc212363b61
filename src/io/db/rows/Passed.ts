/**
 * Which rows a run has read, so that those settled ahead of the watermark are known by more than their number: the rows of a table
 * come and go between two runs. It is kept in fingerprints, as counts and sums that can be subtracted.
 */
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import type { Fingerprint } from "../../../pipeline/Source.ts"
import type { RowPosition } from "./Reading.ts"

/** The rows behind a key, null being before the first. */
export interface Passed {
  readonly after: RowPosition | null
  readonly count: number
  readonly sum: readonly [number, number]
}

const kept = new WeakMap<RowPosition, Passed>()

/** No rows yet, and each that is added remembers those up to itself. */
export const from = (after: RowPosition | null): { readonly add: (position: RowPosition) => Passed } => {
  let passed: Passed = { after, count: 0, sum: [0, 0] }
  return {
    add: (position) => {
      const { text } = new Checksum().addText(JSON.stringify(position))
      const [a, b] = passed.sum
      const sum = [plus(a, Number.parseInt(text.slice(0, 8), 16)), plus(b, Number.parseInt(text.slice(8), 16))] as const
      passed = { after, count: passed.count + 1, sum }
      kept.set(position, passed)
      return passed
    }
  }
}

const plus = (a: number, b: number): number => (a + b) >>> 0

/** What a fingerprint keeps of the rows up to a position that was read. */
export const fields = (position: RowPosition): Fingerprint => {
  const read = kept.get(position)
  return read === undefined ? {} : { read: { ...read } }
}

export const without = ({ read: _, ...known }: Fingerprint): Fingerprint => known

/** The rows that a run had read from the watermark on, by the fingerprints it kept of there and of further on. */
export const between = (
  watermark: RowPosition | null,
  there: Fingerprint,
  further: Fingerprint
): Passed | undefined => {
  // A fingerprint is JSON, and these are of our own making: what `read` holds was a `Passed` when it was kept.
  const read = further["read"] as unknown as Passed | undefined
  // Where the run itself began at the watermark, what is kept of there is of the run before.
  if (read === undefined || isSame(read.after, watermark)) return read
  const before = there["read"] as unknown as Passed | undefined
  if (before === undefined) return undefined
  return {
    after: watermark,
    count: read.count - before.count,
    sum: [plus(read.sum[0], -before.sum[0]), plus(read.sum[1], -before.sum[1])]
  }
}

export const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)
