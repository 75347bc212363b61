/** A length of time as messages give it: as `Duration.format`, without all that it needs. */
export const span = (millis: number): string => {
  if (millis === Infinity) return "Infinity"
  const nanos = Math.round((millis % 1) * 1_000_000)
  let left = Math.floor(millis)
  const parts: Array<string> = []
  for (const [unit, size] of units) {
    const many = Math.floor(left / size)
    if (many > 0) parts.push(`${many}${unit}`)
    left %= size
  }
  if (nanos > 0) parts.push(`${nanos}ns`)
  return parts.length === 0 ? "0" : parts.join(" ")
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1]
] as const
