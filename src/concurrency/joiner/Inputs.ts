/** What joiners take, several effects in some shape, and the same shape again for what comes out. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/** A tuple, an array, any other iterable, or a record of effects. A generator, or another iterator, can be joined once. */
export type Effects = Iterable<AnyEffect> | { readonly [key: string]: AnyEffect }

/**
 * An effect of any type. As `Effect<any, any, any>` it would be what an array or a record expects of the effects written in
 * it, and `Effect.catchTag` and other generic functions would take their types from there.
 */
export interface AnyEffect {
  readonly [Effect.TypeId]: unknown
}

type Each<T> = T extends Iterable<infer X> ? X : T[keyof T]
export type ErrorOf<T> = Effect.Error<Each<T>>
export type ServicesOf<T> = Effect.Services<Each<T>>

/** What one of the effects gives. */
export type Value<T> = Effect.Success<Each<T>>

/** What each of the effects gives. */
export type Values<T> =
  T extends ReadonlyArray<unknown>
    ? { -readonly [K in keyof T]: Effect.Success<T[K]> }
    : T extends Iterable<infer X>
      ? Array<Effect.Success<X>>
      : { -readonly [K in keyof T]: Effect.Success<T[K]> }

type ExitOf<X> = Exit.Exit<Effect.Success<X>, Effect.Error<X>>

/** How each of the effects ends. */
export type Exits<T> =
  T extends ReadonlyArray<unknown>
    ? { -readonly [K in keyof T]: ExitOf<T[K]> }
    : T extends Iterable<infer X>
      ? Array<ExitOf<X>>
      : { -readonly [K in keyof T]: ExitOf<T[K]> }

/** The effects of one run, to be taken one after another. */
export interface Inputs<A, E, R> {
  readonly effects: Iterator<Effect.Effect<A, E, R>>
  /** The index of an effect, or its key. */
  readonly nameOf: (index: number) => string | number
  /** Puts what came of each, in the order of the effects, into their shape. */
  readonly inShape: (results: ReadonlyArray<unknown>) => unknown
}

/** Throws when they can be gone through once and were. */
export const inputsOf = <T extends Effects>(effects: T): Inputs<Value<T>, ErrorOf<T>, ServicesOf<T>> => {
  const keys = isIterable(effects) ? undefined : Object.keys(effects)
  const values = keys === undefined ? (effects as Iterable<AnyEffect>) : Object.values(effects)
  const iterator = values[Symbol.iterator]()
  if (Object.is(iterator, values)) {
    if (spent.has(iterator)) throw new TypeError(spentMessage)
    spent.add(iterator)
  }
  return {
    effects: iterator as Iterator<Effect.Effect<Value<T>, ErrorOf<T>, ServicesOf<T>>>,
    nameOf: (index) => keys?.[index] ?? index,
    inShape: (results) =>
      keys === undefined ? results : Object.fromEntries(keys.map((key, index) => [key, results[index]]))
  }
}

/** As `inputsOf`, of effects that are counted before the first of them starts. */
export const countedInputsOf = <T extends Effects>(
  effects: T
): Inputs<Value<T>, ErrorOf<T>, ServicesOf<T>> & { readonly count: number } => {
  const inputs = inputsOf(effects)
  const all = Array.from({ [Symbol.iterator]: () => inputs.effects })
  return { ...inputs, effects: all.values(), count: all.length }
}

const isIterable = (effects: Effects): effects is Iterable<AnyEffect> => Symbol.iterator in effects

/** What can be gone through once, as a generator, and was: a second run would take it for empty. */
const spent = new WeakSet<object>()
const spentMessage =
  "Joiner: a generator, or another iterator, gives its effects once, and these were joined before: make it anew for each run, as in Effect.suspend(() => Joiner.all(effects()))"
