/** How many elements had which fate. */
import type { Counts } from "../Journal.ts"
import type { Unit } from "./Unit.ts"

export type Tally = { -readonly [K in keyof Counts]: number }

export const none: Counts = { settled: 0, written: 0, filtered: 0, skipped: 0, dead: 0, bytes: 0 }

export const tally = (counts: Tally, unit: Unit): void => {
  counts.settled += unit.count - unit.inner
  counts.written += unit.outputs.length
  counts.filtered += unit.filtered
  counts.skipped += unit.skipped
  counts.dead += unit.dead.length
  counts.bytes += unit.read
}

export const sum = (a: Counts, b: Counts): Counts => ({
  settled: a.settled + b.settled,
  written: a.written + b.written,
  filtered: a.filtered + b.filtered,
  skipped: a.skipped + b.skipped,
  dead: a.dead + b.dead,
  bytes: a.bytes + b.bytes
})
