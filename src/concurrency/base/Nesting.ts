/**
 * Values nested deeper than the stack: whatever walks one by calling itself, as `JSON.stringify` and a schema do, throws in
 * the middle. For a value that comes from outside that is no bug of the program.
 */
import * as Cause from "effect/Cause"
import * as Foreign from "./Foreign.ts"

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
  return exhausted(thrown) || (Foreign.isError(thrown) && exhausted(unwrapped(Foreign.get(thrown, "cause"))))
}

const unwrapped = (error: unknown): unknown =>
  Foreign.attempt(() => Cause.isCause(error), false) ? Cause.squash(error as Cause.Cause<unknown>) : error

const exhausted = (error: unknown): boolean =>
  Foreign.isError(error) && /call stack size|too much recursion/i.test(Foreign.messageOf(error))
