/**
 * Options whose type says only that they are numbers. One that makes no sense is refused at once: NaN, of all things, is
 * neither over a limit nor under it, so that retries would never end and bodies have no bound.
 */
import type * as Duration from "effect/Duration"
import { format } from "effect/Formatter"
import * as Foreign from "./Foreign.ts"
import { millisOf } from "./Lasting.ts"

/** Throws unless the option is left out or a whole number, `least` or more; `unlimited` ones may be infinite. */
export const checkWhole = (
  option: string,
  value: number | undefined,
  least: number,
  extent: "finite" | "unlimited" = "finite"
): void => {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return
  if (extent === "unlimited" && value === Infinity) return
  const or = extent === "unlimited" ? ", or Infinity" : ""
  throw new RangeError(`${option} must be a whole number, ${least} or more${or}; got ${shown(value)}`)
}

/** Whether it is a whole number, zero or more. */
export const isCount = (n: number): boolean => Number.isInteger(n) && n >= 0

/** Throws unless the option is left out or a number, `least` or more, and finite. */
export const checkNumber = (option: string, value: number | undefined, least: number): void => {
  if (value === undefined || (Number.isFinite(value) && value >= least)) return
  throw new RangeError(`${option} must be a number, ${least} or more; got ${shown(value)}`)
}

/** Throws unless the option is left out, true or false. */
export const checkFlag = (option: string, value: boolean | undefined): void => {
  if (value === undefined || typeof value === "boolean") return
  throw new TypeError(`${option} must be true or false; got ${shown(value)}`)
}

/** Throws unless the option is left out or a duration of zero or more; Effect takes NaN for zero. */
export const checkDuration = (option: string, value: Duration.Input | undefined): void => {
  if (value === undefined) return
  if (!Number.isNaN(value) && Foreign.attempt(() => millisOf(value), -1) >= 0) return
  throw new RangeError(`${option} must be a duration, zero or more, as "10 seconds"; got ${shown(value)}`)
}

/** Types are checked by the compiler, which a program in JavaScript does not have. */
const shown = (value: unknown): string => format(value)
