import type * as Clock from "effect/Clock"

/** The clock, some parts of it replaced. Clocks are instances of classes, whose methods a spread leaves behind. */
export const clockLike = (clock: Clock.Clock, changes: Partial<Clock.Clock>): Clock.Clock => ({
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  sleep: (duration) => clock.sleep(duration),
  ...changes
})
