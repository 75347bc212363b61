/**
 * Values nested deeper than the stack: whatever walks one by calling itself, as `JSON.stringify` and a schema do, throws in
 * the middle. For a value that comes from outside that is no bug of the program.
 */
import * as Cause from "effect/Cause"

/** What `f` gives, or what `instead` gives where `f` ran out of stack. */
export const unlessTooDeep = <A, B>(f: () => A, instead: () => B): A | B => {
  try {
    return f()
  } catch (error) {
    if (isTooDeep(error)) return instead()
    throw error
  }
}

/** Whether an error, or a cause, says that the stack was used up; the words differ between engines. */
export const isTooDeep = (error: unknown): boolean => {
  const thrown = unwrapped(error)
  return exhausted(thrown) || (thrown instanceof Error && exhausted(unwrapped(thrown.cause)))
}

const unwrapped = (error: unknown): unknown => (Cause.isCause(error) ? Cause.squash(error) : error)

const exhausted = (error: unknown): boolean =>
  error instanceof Error && /call stack size|too much recursion/i.test(error.message)
