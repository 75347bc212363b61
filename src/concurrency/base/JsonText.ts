/** JSON as text that is kept: in a column, on a line. */
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
    throw error
  }
  return escapesHalves(text) ? Result.fail(noUtf8) : Result.succeed(text)
}

export const tooDeep = "is nested too deep to be written as JSON"

/** Text is kept as UTF-8, where another character would take the place of such a one. */
export const noUtf8 = "has half of a character in it (a lone surrogate), which has no UTF-8 form"

/** A lone surrogate is written as its escape, which the backslash before it must not be a part of. */
const escapesHalves = (text: string): boolean => text.includes("\\ud") && /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/.test(text)
