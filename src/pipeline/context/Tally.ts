/** What a step counts, in plain numbers: read by progress and metrics, and no more than an addition where it is counted. */
import { make, type Meter } from "./Meter.ts"

export class Tally {
  /** Elements that were begun. */
  taken = 0
  /** Elements that were sent on. */
  given = 0
  readonly meter: Meter = make()
  readonly latency: Latency = new Latency()
}

/** The bounds of what durations are counted in, in milliseconds. */
export const bounds: ReadonlyArray<number> = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 300_000
]

/** Durations, in milliseconds, by how many lie between two bounds. */
export class Latency {
  count = 0
  sum = 0
  min = Infinity
  max = 0
  /** How many are up to each bound and over the one before it; the last, over all of them. */
  readonly counts: Array<number> = Array.from({ length: bounds.length + 1 }, () => 0)

  /** Adds one that stands for `weight` of them. */
  add(millis: number, weight: number): void {
    this.count += weight
    this.sum += millis * weight
    this.min = Math.min(this.min, millis)
    this.max = Math.max(this.max, millis)
    let place = 0
    while (place < bounds.length && millis > bounds[place]!) place++
    this.counts[place]! += weight
  }

  plus(that: Latency): Latency {
    const both = new Latency()
    both.count = this.count + that.count
    both.sum = this.sum + that.sum
    both.min = Math.min(this.min, that.min)
    both.max = Math.max(this.max, that.max)
    for (const [place, count] of this.counts.entries()) both.counts[place] = count + that.counts[place]!
    return both
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  /** What a share of them, from 0 to 1, does not exceed: the bound above it, or the longest there was. */
  quantile(share: number): number {
    let rest = share * this.count
    for (const [place, count] of this.counts.entries()) {
      rest -= count
      if (rest <= 0) return Math.min(bounds[place] ?? Infinity, this.max)
    }
    return this.max
  }
}
