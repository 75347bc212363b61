/**
 * S28: the timers of the process, which a test may have replaced by its own. Those fire when the test says, so that the
 * monotonic clock knows nothing of them.
 */
// @effect-diagnostics globalTimers:off

/** What tells how far fake timers have come, in milliseconds. */
export interface Teller {
  readonly now: () => number
}

/** The timers of the process when nobody has replaced them. */
const { clearTimeout, setTimeout } = globalThis

/** With what fibers yield by, as one does that sleeps for no time; not every platform has that. */
const names = ["clearTimeout", "setTimeout", "clearImmediate", "setImmediate"] as const
const present = () =>
  Object.fromEntries(names.flatMap((name) => (name in globalThis ? [[name, globalThis[name]]] : [])))
const real = /* @__PURE__ */ present()

/** Who tells the time by the timers that the process has at the moment; nobody where they are real. */
export const teller = (): Teller | undefined => {
  if (globalThis.setTimeout !== seen) {
    seenTeller = tellerOf(globalThis.setTimeout)
    seen = globalThis.setTimeout
  }
  return seenTeller
}

let seen: unknown
let seenTeller: Teller | undefined

/** Calls `f` with the timers of the process in their place. */
export const withReal = (f: () => void): void => {
  const current = present()
  Object.assign(globalThis, real)
  try {
    f()
  } finally {
    Object.assign(globalThis, current)
  }
}

/**
 * Fake timers of Vitest, Jest and Sinon have a clock as a property. Those of `node:test` make handles of a kind of their
 * own, that know when they are due. What watches timers and passes calls on, as tracing does, has neither.
 */
const tellerOf = (current: typeof globalThis.setTimeout & { readonly clock?: unknown }): Teller | undefined => {
  if (Object.hasOwn(current, "clock")) {
    const { performance } = Object(current.clock) as { readonly performance?: Teller }
    return typeof performance?.now === "function" ? performance : standing
  }
  if (current === setTimeout || kindOf(handleOf(current)) === kindOf(handleOf(setTimeout, clearTimeout)))
    return undefined
  const now = () => (handleOf(current) as { readonly runAt?: unknown }).runAt
  return Number.isFinite(now()) ? { now: now as () => number } : standing
}

/** They stand still, for all that is known, until one of them fires. */
const standing: Teller = { now: () => 0 }

const handleOf = (set: typeof globalThis.setTimeout, clear = globalThis.clearTimeout): object => {
  const handle = set(() => {}, 0)
  clear(handle)
  return Object(handle)
}

const kindOf = (handle: object): unknown => Object.getPrototypeOf(handle)
