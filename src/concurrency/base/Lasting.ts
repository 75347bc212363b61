/**
 * Durations as milliseconds, and milliseconds as durations, as Effect's `Duration` has both. That is a tenth of what a browser would
 * load, and Effect's own is in a bundle only where a program calls it.
 */
import type * as Duration from "effect/Duration"
import { pipeArguments } from "effect/Pipeable"

/** How many milliseconds it is, to the nanosecond; throws where it is no duration. */
export const millisOf = (input: Duration.Input): number => {
  const millis = measured(input)
  if (millis === undefined) throw new Error(`Invalid Input: ${String(input)}`)
  return rounded(millis)
}

/** A duration of so many milliseconds, which are finite: for clocks, which take nothing else. It is one to the functions of `Duration`. */
export const lasting = (given: number): Duration.Duration => {
  const millis = rounded(given)
  const duration = {
    [typeId]: typeId,
    value: { _tag: "Millis", millis },
    toString: () => `${millis} millis`,
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  // It has all that the functions of `Duration` look at, and not what only a value that is compared or printed has.
  return duration as unknown as Duration.Duration
}

/** NaN is zero, as for Effect. */
const rounded = (millis: number): number =>
  (Number.isInteger(millis) ? millis : Math.round(millis * nanos) / nanos) || 0

/** In a millisecond. */
const nanos = 1_000_000

const units = [
  ["nano", 1 / nanos],
  ["micro", 1 / 1000],
  ["milli", 1],
  ["second", 1000],
  ["minute", 60_000],
  ["hour", 3_600_000],
  ["day", 86_400_000],
  ["week", 604_800_000]
] as const

const measured = (input: Duration.Input): number | undefined => {
  if (typeof input === "number") return input
  if (typeof input === "bigint") return Number(input) / nanos
  if (typeof input === "string") {
    if (/^-?Infinity$/.test(input)) return Number(input)
    const [, many, unit] = /^(-?\d+(?:\.\d+)?)\s+([a-z]+?)s?$/.exec(input) ?? []
    const size = units.find(([name]) => name === unit)?.[1]
    return size && Number(many) * size
  }
  // A program in JavaScript has no types.
  if (typeof input !== "object" || input === null) return undefined
  if (typeId in input) {
    const { value } = input as Duration.Duration
    if (value._tag === "Millis") return value.millis
    return value._tag === "Nanos" ? Number(value.nanos) / nanos : value._tag === "Infinity" ? Infinity : -Infinity
  }
  if (Array.isArray(input)) {
    const isTime = input.length === 2 && input.every((part) => typeof part === "number")
    return isTime ? input[0] * 1000 + input[1] / nanos : undefined
  }
  return units.reduce((sum, [name, size]) => {
    const many = (input as Record<string, number | undefined>)[size < 1000 ? `${name}seconds` : `${name}s`]
    return sum + (many || 0) * size
  }, 0)
}

const typeId = "~effect/Duration"
