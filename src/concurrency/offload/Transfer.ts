/** What of a value is moved to another thread instead of copied. Shared by both sides, so it needs nothing of Effect. */

/** What can be moved: `ArrayBuffer`, `MessagePort`, streams and the like, as the platform has them. */
export type Transferable = object

const lists = new WeakMap<object, ReadonlyArray<Transferable>>()

/**
 * Marks what of `value` is moved, not copied, when it is an argument or the result of a call to a worker: at once, however
 * large, but the side that sent it can use it no longer. Gives `value` back.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Offload } from "skein"
 * import { Workers } from "skein/node"
 *
 * const module = new URL("data:text/javascript,export const count = (bytes) => bytes.length")
 * const program = Effect.gen(function*() {
 *   const { count } = yield* Offload.pool(
 *     Offload.define<{ readonly count: (bytes: Uint8Array) => number }>(module),
 *     { size: 1 }
 *   )
 *   const bytes = new Uint8Array(1_000_000)
 *   return [yield* count(Offload.transfer(bytes, [bytes.buffer])), bytes.length]
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Workers.layer))) // => [1_000_000, 0]
 * ```
 */
export const transfer = <A extends object>(value: A, list: ReadonlyArray<Transferable>): A => {
  lists.set(value, list)
  return value
}

/** What of these values is to be moved, where there is anything. */
export const transfersOf = (values: ReadonlyArray<unknown>): ReadonlyArray<Transferable> | undefined => {
  let all: Set<Transferable> | undefined
  for (const value of values) {
    const list = typeof value === "object" && value !== null ? lists.get(value) : undefined
    // Views of one buffer name it each, and it can be moved only once.
    for (const one of list ?? []) (all ??= new Set()).add(one)
  }
  return all && [...all]
}
