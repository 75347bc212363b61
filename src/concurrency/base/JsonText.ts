/** JSON as text: in a column, on a line, from the web. */
import * as Result from "effect/Result"
import { isTooDeep } from "./Nesting.ts"

/** The text of a JSON value, or what is wrong with it. */
export const print = (value: unknown): Result.Result<string, string> => {
  let text: string
  try {
    text = JSON.stringify(value)
  } catch (error) {
    if (isTooDeep(error)) return Result.fail(tooDeep)
    if (error instanceof RangeError) return Result.fail("is too long to be written as JSON")
    // A bigint, or something that contains itself, which no schema saw.
    if (error instanceof TypeError) return Result.fail(`has no JSON form: ${error.message.split("\n")[0]}`)
    throw error
  }
  return escapesHalves(text) ? Result.fail(noUtf8) : Result.succeed(text)
}

/**
 * The value of JSON text. An integer that a number would round is a bigint, and so is each that is larger than those that
 * numbers hold one by one: whoever knows what it is for makes a number of it. Throws a SyntaxError as `JSON.parse` does.
 */
export const parse = (text: string): unknown =>
  hasLongInteger(text) ? JSON.parse(text, exactInteger) : (JSON.parse(text) as unknown)

/**
 * Whether it has an integer of 16 digits or more, for which it pays to look again; one in a text may count as well. Of that many
 * digits one is at a multiple of 16, so that few are looked at.
 */
export const hasLongInteger = (text: string): boolean => {
  for (let at = 15; at < text.length; at += 16) {
    if (!isDigit(text, at)) continue
    let start = at
    while (isDigit(text, start - 1)) start--
    let end = at + 1
    while (end - start < 16 && isDigit(text, end)) end++
    if (end - start >= 16 && !notInteger.has(text[start - 1])) return true
  }
  return false
}

const isDigit = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at)
  return code >= 48 && code <= 57
}

/** Before digits of a fraction, and of a text that is nothing but digits. */
const notInteger: ReadonlySet<string | undefined> = new Set([".", '"'])

const exactInteger = (_: string, value: unknown, context?: { readonly source?: string }): unknown => {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value
  const source = context?.source
  if (source === undefined) throw new SyntaxError("it has an integer that this runtime cannot read as it is")
  return isPlain.test(source) ? BigInt(source) : value
}

const isPlain = /^-?\d+$/

/**
 * The number of an integer, if it is that one, or what that number is written as, however many zeros that takes: what was a number
 * once comes back as one.
 */
export const numberOf = (integer: bigint): number | undefined => {
  const number = Number(integer)
  return Number.isFinite(number) && (BigInt(number) === integer || written(number) === integer) ? number : undefined
}

/** Without its exponent, as PostgreSQL gives numbers. */
const written = (number: number): bigint => {
  const [digits = "", exponent] = String(number).split("e+")
  if (exponent === undefined) return BigInt(digits)
  const [whole = "", fraction = ""] = digits.split(".")
  return BigInt(whole + fraction + "0".repeat(Number(exponent) - fraction.length))
}

export const tooDeep = "is nested too deep to be written as JSON"

/** Text is kept as UTF-8, where another character would take the place of such a one. */
export const noUtf8 = "has half of a character in it (a lone surrogate), which has no UTF-8 form"

/** A lone surrogate is written as its escape, which the backslash before it must not be a part of. */
const escapesHalves = (text: string): boolean => text.includes("\\ud") && /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/.test(text)
