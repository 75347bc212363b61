/**
 * Fibers start, cancel and resume one another on one stack, which nested groups and deadlines would overflow: where that
 * is deep, what comes next is left to the dispatcher of its fiber.
 */
import type * as Fiber from "effect/Fiber"

/** How deep, and how many of those who wait for one thing are resumed on one stack. */
export const limit = 64
let depth = 0

export const isDeep = (): boolean => depth >= limit

/** What comes until `pop` is one step deeper; it must not throw. */
export const push = (): void => void (depth += 1)
export const pop = (): void => void (depth -= 1)

/** Calls `f` one step deeper. */
export const deeper = <A>(f: () => A): A => {
  push()
  try {
    return f()
  } finally {
    pop()
  }
}

/** Calls `f`, which runs or ends this fiber, now or on a stack of its own. */
export const shallow = <F extends Fiber.Fiber<unknown, unknown>>(fiber: F, f: (fiber: F) => void): void => {
  if (isDeep()) return fiber.currentDispatcher.scheduleTask(() => f(fiber), 0)
  push()
  try {
    f(fiber)
  } finally {
    pop()
  }
}
