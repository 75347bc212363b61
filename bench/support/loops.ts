/** The same small things that many workloads do, in effects and in promises. */
import * as Effect from "effect/Effect"

/** Runs an effect for each number below `n`, without a generator on the way. */
export const times = <E, R>(n: number, start: (i: number) => Effect.Effect<unknown, E, R>): Effect.Effect<void, E, R> =>
  Effect.suspend(() => {
    let i = 0
    return Effect.whileLoop({ while: () => i < n, body: () => start(i++), step: () => {} })
  })

/** A promise for each number below `n`. */
export const all = (n: number, start: (i: number) => Promise<unknown>): Promise<unknown> =>
  Promise.all(Array.from({ length: n }, (_, i) => start(i)))

/** What `Effect.yieldNow` is to a fiber. */
export const yieldNow = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
