/** What joiners take, several effects in some shape, and the same shape again for what comes out. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect in conditional types */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/** A tuple, an array, any other iterable, or a record of effects. */
export type Effects = Iterable<Effect.Effect<any, any, any>> | { readonly [key: string]: Effect.Effect<any, any, any> }

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

export interface Input<A, E, R> {
  /** Its index or key. */
  readonly name: string
  readonly effect: Effect.Effect<A, E, R>
}

/** The effects with their names, in order. */
export const inputsOf = <T extends Effects>(effects: T): ReadonlyArray<Input<Value<T>, ErrorOf<T>, ServicesOf<T>>> =>
  isIterable(effects)
    ? Array.from(effects, (effect, index) => ({ name: String(index), effect }))
    : Object.entries(effects).map(([name, effect]) => ({ name, effect }))

/** Puts what came of the inputs, in their order, into the shape of the effects. */
export const inShape = (
  effects: Effects,
  inputs: ReadonlyArray<{ readonly name: string }>,
  results: ReadonlyArray<unknown>
): unknown =>
  isIterable(effects) ? results : Object.fromEntries(inputs.map(({ name }, index) => [name, results[index]]))

const isIterable = (effects: Effects): effects is Iterable<Effect.Effect<any, any, any>> => Symbol.iterator in effects
