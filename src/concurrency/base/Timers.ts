/**
 * S28: the timers of the process, which a test may have replaced by its own. Those fire when the test says, so that the
 * monotonic clock knows nothing of them.
 */
// @effect-diagnostics globalTimers:off globalDate:off

/** Whose timers and clocks they are when nobody has replaced them. */
const { clearTimeout, Date, performance, setTimeout } = globalThis

/** Whether the process has the timers of a test at the moment. */
export const areFake = (): boolean => {
  if (globalThis.setTimeout !== seen) {
    seenFake = isFake(globalThis.setTimeout)
    seen = globalThis.setTimeout
  }
  return seenFake
}

let seen: unknown
let seenFake = false

/** What tells the time of fake timers between two of them: a fake clock, where there is one. */
export const teller = (): { readonly now: () => number } =>
  globalThis.performance !== performance ? globalThis.performance : globalThis.Date !== Date ? globalThis.Date : nobody

const nobody = { now: () => 0 }

/** Calls `f` with the timers of the process in their place. */
export const withReal = <A>(f: () => A): A => {
  const current = { clearTimeout: globalThis.clearTimeout, setTimeout: globalThis.setTimeout }
  Object.assign(globalThis, { clearTimeout, setTimeout })
  try {
    return f()
  } finally {
    Object.assign(globalThis, current)
  }
}

/**
 * Those of Vitest, Jest and Sinon have a clock as a property; those of `node:test` make handles of a kind of their own.
 * What watches timers and passes calls on, as tracing does, has neither.
 */
const isFake = (current: typeof globalThis.setTimeout): boolean =>
  Object.hasOwn(current, "clock") ||
  (current !== setTimeout && kind(current, globalThis.clearTimeout) !== kind(setTimeout, clearTimeout))

const kind = (set: typeof globalThis.setTimeout, clear: typeof globalThis.clearTimeout): unknown => {
  const handle = set(() => {}, 1_000_000)
  clear(handle)
  return Object.getPrototypeOf(handle)
}
