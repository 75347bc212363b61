/**
 * Work that is done elsewhere, by a promise or in a worker thread, under the same rules as any other: it has a place in
 * the tree, a cancellation reaches it, and what it fails with is typed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Foreign from "./base/Foreign.ts"
import { Reading } from "./offload/ForeignIterable.ts"
import * as ForeignPromise from "./offload/ForeignPromise.ts"
import type { Limiter } from "./Limiter.ts"
import type { OffloadError, WorkerCrashed } from "./OffloadError.ts"
import { Threads, WorkerPool } from "./offload/WorkerPool.ts"

export { OffloadError, PoolClosed, WorkerCrashed } from "./OffloadError.ts"
export { type Transferable, transfer } from "./offload/Transfer.ts"
export { Threads } from "./offload/WorkerPool.ts"

export interface PromiseOptions {
  /**
   * Both abort the signal. "wait" then waits until the promise has settled; "abandon" does not: the promise keeps its
   * permit and is listed in `TaskGroup.orphans` until it has. Default "wait".
   */
  readonly onCancel?: "wait" | "abandon" | undefined
  /** Shown in errors, in the tree of tasks and among the orphans (`TaskGroup.orphans`). Default: the name of the function. */
  readonly name?: string | undefined
  /** The promise is made once there is a permit, and holds it until it has settled. */
  readonly limiter?: Limiter | undefined
}

/**
 * Makes a promise and waits for it, as `await` does. Fails with `OffloadError` when it is rejected. When the effect is cancelled the
 * signal is aborted, and by default the cancellation waits for the promise to settle; a rejection that is not the answer
 * to the abort stays a failure. Cancelled before it starts, the promise is never made.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Deadline, Offload } from "skein"
 * import { setTimeout } from "node:timers/promises"
 *
 * const wait = (millis: number) => Offload.promise((signal) => setTimeout(millis, "done", { signal }))
 *
 * await Effect.runPromise(wait(1)) // => "done"
 * const late = wait(60_000).pipe(Deadline.within("1 millis"), Effect.flip)
 * await Effect.runPromise(Effect.map(late, (error) => error._tag)) // => "DeadlineExceeded"
 * ```
 */
export const promise = <A>(
  make: (signal: AbortSignal) => PromiseLike<A>,
  options: PromiseOptions = {}
): Effect.Effect<Awaited<A>, OffloadError> =>
  Effect.suspend(() => {
    const work = new ForeignPromise.Work<Awaited<A>>(options.name ?? Foreign.nameOf(make) ?? "promise", make)
    return options.onCancel === "abandon"
      ? ForeignPromise.abandonable(work, options.limiter)
      : ForeignPromise.awaited(work, options.limiter)
  })

export type IterableOptions = Pick<PromiseOptions, "name" | "onCancel">

/**
 * Reads an async iterable, such as an async generator, as a stream: asked for one element when one is wanted. Fails with
 * `OffloadError` when it throws. When the stream ends early, or is cancelled, the signal is aborted and `return` called, and by
 * default both `return` and a pending `next` are waited for; with "abandon", a `next` that is pending is not, nor what `return`
 * does behind it. A `return` that fails is a defect.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { Offload } from "skein"
 * import { setInterval } from "node:timers/promises"
 *
 * const ticks = Offload.iterable((signal) => setInterval(1, "tick", { signal }), { name: "ticks" })
 *
 * await Effect.runPromise(ticks.pipe(Stream.take(3), Stream.runCollect)) // => ["tick", "tick", "tick"]
 * ```
 */
export const iterable = <A>(
  make: (signal: AbortSignal) => AsyncIterable<A>,
  options: IterableOptions = {}
): Stream.Stream<A, OffloadError> =>
  Effect.sync(
    () => new Reading(options.name ?? Foreign.nameOf(make) ?? "iterable", make, options.onCancel === "abandon")
  ).pipe(
    Effect.tap((reading) => Effect.addFinalizer(() => reading.close)),
    Effect.map((reading) => Stream.fromPull(Effect.succeed(reading.pull))),
    Stream.unwrap
  )

/** A module whose functions can be called in worker threads; `M` is its type. */
export interface Definition<out M> {
  readonly module: URL
  readonly "~skein/Offload": { readonly type: M } | undefined
}

/**
 * Names a module for worker threads, as in `Offload.define<typeof import("./hash.ts")>(new URL("./hash.ts",
 * import.meta.url))`. Threads load it by itself: TypeScript runs as it is, and where there is no `.ts` file because the
 * program was built, the `.js` file in its place is loaded.
 *
 * @example
 * ```ts
 * import { Offload } from "skein"
 *
 * interface Hashing {
 *   readonly hash: (text: string) => number
 * }
 * const hashing = Offload.define<Hashing>(new URL("./hash.ts", import.meta.url))
 *
 * hashing.module.pathname.endsWith("/hash.ts") // => true
 * ```
 */
export const define = <M>(module: URL): Definition<M> => ({ module, "~skein/Offload": undefined })

export interface PoolOptions {
  /** How many threads there are, and so how many calls run at once. */
  readonly size: number
  /** Every call holds a permit. */
  readonly limiter?: Limiter | undefined
  /** How long a cancelled call may take to answer before its thread is ended and replaced. Default 1 second. */
  readonly grace?: Duration.Input | undefined
  /** Shown in errors and in the tree of tasks. Default: the name of the file. */
  readonly name?: string | undefined
}

/**
 * The functions of a module as effects. One whose last parameter is an `AbortSignal`, without a default value, gets it from
 * the pool. All other arguments have to be given, and functions that take any number of them are left out.
 */
export type Jobs<M> = {
  readonly [
    K in keyof M as M[K] extends (...args: infer P) => unknown ? (number extends P["length"] ? never : K) : never
  ]: M[K] extends (...args: infer P) => infer A
    ? (...args: Arguments<P>) => Effect.Effect<Awaited<A>, OffloadError | WorkerCrashed>
    : never
}

/** Boxes, because without its question mark an optional parameter would lose the `undefined` in its type. */
type Boxed<P extends ReadonlyArray<unknown>> = { [I in keyof P]-?: [P[I]] }
type Unboxed<P> = { [I in keyof P]: P[I] extends [infer A] ? A : never }
type Arguments<P extends ReadonlyArray<unknown>> =
  Boxed<P> extends [...infer Given, [AbortSignal | undefined]] ? Unboxed<Given> : Unboxed<Boxed<P>>

/**
 * Starts worker threads that have loaded a module, and gives its functions: called here, they run there, one at a time in
 * each thread, and calls that find none free wait in order. Arguments and results are copied when they are
 * sent, which for a call that waits is later, or moved with `Offload.transfer`. A call fails with `OffloadError` when its function does, and with `WorkerCrashed` when its thread
 * ends, which is replaced. When a call is cancelled its signal is aborted, which a busy function sees when it looks at
 * it; one that does not answer within the grace period loses its thread. The threads end with the scope.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Offload } from "skein"
 * import { Workers } from "skein/node"
 *
 * // In a real program: Offload.define<typeof import("./sums.ts")>(new URL("./sums.ts", import.meta.url))
 * interface Sums {
 *   readonly sum: (numbers: ReadonlyArray<number>) => number
 * }
 * const code = "export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0)"
 * const sums = Offload.define<Sums>(new URL(`data:text/javascript,${code}`))
 *
 * const program = Effect.gen(function*() {
 *   const { sum } = yield* Offload.pool(sums, { size: 2 })
 *   return yield* Effect.all([sum([1, 2]), sum([3, 4])], { concurrency: "unbounded" })
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Workers.layer))) // => [3, 7]
 * ```
 */
export const pool = <M>(
  definition: Definition<M>,
  options: PoolOptions
): Effect.Effect<Jobs<M>, WorkerCrashed, Threads | Scope.Scope> =>
  Effect.flatMap(Threads, (threads) =>
    Effect.withFiber((fiber) => {
      const { limiter, size } = options
      if (!Number.isInteger(size) || size < 1) {
        return Effect.die(new RangeError(`Offload.pool: size must be a whole number, one or more; got ${size}`))
      }
      const grace = Duration.fromInputUnsafe(options.grace ?? "1 second")
      const name = options.name ?? definition.module.pathname.split("/").at(-1)!
      const pool = new WorkerPool({ module: definition.module, name, size, grace }, threads, fiber.context)
      const functionOf =
        (job: string) =>
        (...args: ReadonlyArray<unknown>) =>
          limiter === undefined ? pool.call(job, args) : limiter.withPermit(pool.call(job, args))
      return Effect.addFinalizer(() => pool.close).pipe(
        Effect.andThen(Effect.onError(pool.open, () => pool.close)),
        // What the module exports is what `M` says.
        Effect.map((names) => Object.fromEntries(names.map((job) => [job, functionOf(job)])) as Jobs<M>)
      )
    })
  )
