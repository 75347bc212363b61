/** Waits that can tell what they wait for, to whoever looks at a fiber from outside. */
import * as Effect from "effect/Effect"

const words: unique symbol = Symbol("skein/Wait")

type Register<A, E, R> = (resume: (effect: Effect.Effect<A, E, R>) => void) => void | Effect.Effect<void, never, R>

/** As `Effect.callback`. `what` completes "waits for"; a constant, as it is set often and read rarely. */
export const callback = <A, E = never, R = never>(
  what: string,
  register: Register<A, E, R> & { [words]?: string }
): Effect.Effect<A, E, R> => {
  register[words] = what
  return Effect.callback(register)
}

/** What a function that was handed to `callback` waits for; none of any other. */
export const wordsOf = (register: object): string | undefined => (register as { readonly [words]?: string })[words]
