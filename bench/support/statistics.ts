/** What many values come to. */

/** The middle of them, and the quartiles: half of them lie between `low` and `high`. */
export interface Spread {
  readonly low: number
  readonly median: number
  readonly high: number
}

export const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = values.toSorted((a, b) => a - b)
  return { low: quantile(sorted, 0.25), median: quantile(sorted, 0.5), high: quantile(sorted, 0.75) }
}

/** Whether half of the values lie further apart than a tenth of the one in the middle. */
export const isNoisy = ({ high, low, median }: Spread): boolean => high - low > 0.1 * Math.abs(median)

/** Between two values it is as far along as the place is. NaN where there is none. */
const quantile = (sorted: ReadonlyArray<number>, share: number): number => {
  const place = share * (sorted.length - 1)
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}
