import * as Cause from "effect/Cause"
import { isTooDeep, unlessTooDeep } from "../../../concurrency/base/Nesting.ts"

/** The place and expectation of the first issue of an encode or decode, in one line. */
export const issueOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const message = () => (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ")
  return isTooDeep(cause) ? tooDeep : unlessTooDeep(message, () => tooDeep)
}

const tooDeep = "it is nested too deep"
