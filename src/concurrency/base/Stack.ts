/**
 * Fibers start, cancel and resume one another on one stack, which nested groups and deadlines would overflow: where that
 * is deep, what comes next is left to the dispatcher of its fiber.
 */
import type * as Fiber from "effect/Fiber"

/** How deep, and how many of those who wait for one thing are resumed on one stack. */
export const limit = 64
let depth = 0

export const isDeep = (): boolean => depth >= limit

/** Calls `f` one step deeper. */
export const deeper = <A>(f: () => A): A => {
  depth += 1
  try {
    return f()
  } finally {
    depth -= 1
  }
}

/** Calls `f`, which runs or ends this fiber, now or on a stack of its own. */
export const shallow = (fiber: Fiber.Fiber<unknown, unknown>, f: () => void): void => {
  if (isDeep()) fiber.currentDispatcher.scheduleTask(f, 0)
  else deeper(f)
}
