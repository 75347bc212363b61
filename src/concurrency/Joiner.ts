/**
 * Several effects, one result. A joiner runs its effects as the tasks of one group, each named by its index or key, and
 * those that the result does not need are cancelled, and have cleaned up, before it is given.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { isCount } from "./base/Options.ts"
import type { DeadlineExceeded, Late } from "./Deadline.ts"
import {
  type Ended,
  gather,
  type Gathered,
  type Options,
  join,
  type Start,
  type Tally,
  verdict
} from "./joiner/Gather.ts"
import {
  type Effects,
  type ErrorOf,
  type Exits,
  inputsOf,
  inShape,
  type ServicesOf,
  type Value,
  type Values
} from "./joiner/Inputs.ts"
import { annotate } from "./base/Reason.ts"

export type { Options } from "./joiner/Gather.ts"
export type { Effects, Exits, Value, Values } from "./joiner/Inputs.ts"
export { TooFewEffects } from "./JoinerError.ts"

/** Joins `T` into an `A`. */
export type Joined<T, A, O> = Effect.Effect<A, ErrorOf<T> | Late<O>, ServicesOf<T>>

/**
 * Every result, in the order or under the keys of the input. The first failure cancels the rest; it then fails with that
 * one and whatever else failed meanwhile. Of nothing it gives nothing.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Joiner } from "skein"
 *
 * const page = Effect.delay(Effect.succeed("page"), "5 millis")
 * const count = Effect.succeed(2)
 *
 * await Effect.runPromise(Joiner.all([page, count])) // => ["page", 2]
 * await Effect.runPromise(Joiner.all({ page, count }, { limit: 1 })) // => { page: "page", count: 2 }
 * await Effect.runPromise(Effect.flip(Joiner.all([Effect.never, Effect.fail("no")]))) // => "no"
 * ```
 */
export const all = <const T extends Effects, const O extends Options = {}>(
  effects: T,
  options?: O
): Joined<T, Values<T>, O> => {
  const inputs = inputsOf(effects)
  return join("all", inputs, options, {
    isEnough: ({ exit }) => Exit.isFailure(exit),
    conclude: (gathered) =>
      verdict(
        gathered,
        gathered.ended.every(hasSucceeded),
        () => {
          const values = valuesOf(inOrder(gathered.ended))
          return inShape(effects, inputs, values) as Values<T>
        },
        failsFast
      )
  })
}

/**
 * How each effect ended, in the order or under the keys of the input; what Python calls `return_exceptions=True`. No
 * failure disturbs the others. What is not done `within` the time is cancelled, and its exit says so, with a reason of the
 * kind "deadline". Of nothing it gives nothing.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Joiner } from "skein"
 *
 * const program = Joiner.settle([Effect.succeed(1), Effect.fail("no"), Effect.never], { within: "5 millis" })
 *
 * const [one, two, three] = await Effect.runPromise(program)
 * one // => Exit.succeed(1)
 * two // => Exit.fail("no")
 * Exit.hasInterrupts(three) // => true
 * ```
 */
export const settle = <const T extends Effects>(
  effects: T,
  options?: Options
): Effect.Effect<Exits<T>, never, ServicesOf<T>> => {
  const inputs = inputsOf(effects)
  const settled = join("settle", inputs, options, {
    isEnough: () => false,
    conclude: (gathered) => {
      const late = Exit.isFailure(gathered.exit) ? gathered.exit.cause.reasons.find(Cause.isFailReason) : undefined
      const exits = (): Exits<T> => {
        const exits = inOrder([...gathered.ended, ...gathered.late]).map(({ exit }) => exit)
        // Where no time was left, nothing was started.
        for (let index = exits.length; index < inputs.length; index++) exits[index] = notStarted(late)
        return inShape(effects, inputs, exits) as Exits<T>
      }
      return late === undefined ? verdict(gathered, true, exits) : Exit.succeed(exits())
    }
  })
  // Every failure is in an exit.
  return settled as Effect.Effect<Exits<T>, never, ServicesOf<T>>
}

/**
 * What the first effect to end gives or fails with; the others are cancelled. Of nothing it dies with
 * `TooFewEffects`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Joiner } from "skein"
 *
 * const replica = (name: string, millis: number) => Effect.delay(Effect.succeed(name), millis)
 *
 * await Effect.runPromise(Joiner.race([replica("far", 50), replica("near", 1)])) // => "near"
 * ```
 */
export const race = <const T extends Effects, const O extends Options = {}>(
  effects: T,
  options?: O
): Joined<T, Value<T>, O> => join("race", inputsOf(effects), options, { isEnough: () => true, conclude: lastValue }, 1)

/**
 * The first success; the others are cancelled. Fails when all have failed, with every failure: the first is the error,
 * `TaskGroup.failures` lists them all. Of nothing it dies with `TooFewEffects`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Joiner } from "skein"
 *
 * const mirrors = [Effect.fail("down"), Effect.delay(Effect.succeed("page"), "5 millis")]
 *
 * await Effect.runPromise(Joiner.first(mirrors)) // => "page"
 * ```
 */
export const first = <const T extends Effects, const O extends Options = {}>(
  effects: T,
  options?: O
): Joined<T, Value<T>, O> =>
  join("first", inputsOf(effects), options, { isEnough: ({ exit }) => Exit.isSuccess(exit), conclude: lastValue }, 1)

/**
 * The first `k` successes, in the order of completion; the others are cancelled. Fails as soon as too many have failed for
 * that, with every failure. Dies with `TooFewEffects` when there are not `k` effects; `quorum(0)` starts nothing.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Joiner } from "skein"
 *
 * const node = (name: string, millis: number) => Effect.delay(Effect.succeed(name), millis)
 * const nodes = [node("a", 100), Effect.fail("down"), node("c", 1)]
 *
 * await Effect.runPromise(Joiner.quorum(nodes, 2)) // => ["c", "a"]
 * ```
 */
export const quorum: {
  <const O extends Options = {}>(
    k: number,
    options?: O
  ): <const T extends Effects>(effects: T) => Joined<T, Array<Value<T>>, O>
  <const T extends Effects, const O extends Options = {}>(
    effects: T,
    k: number,
    options?: O
  ): Joined<T, Array<Value<T>>, O>
} = dual(
  (args) => typeof args[0] !== "number",
  <const T extends Effects, const O extends Options = {}>(
    effects: T,
    k: number,
    options?: O
  ): Joined<T, Array<Value<T>>, O> => {
    if (!isCount(k))
      return Effect.die(new RangeError(`Joiner.quorum: k must be a whole number, zero or more; got ${k}`))
    if (k === 0) return Effect.succeed([])
    const inputs = inputsOf(effects)
    const isEnough = (_: unknown, { failed, succeeded }: Tally) => succeeded === k || failed > inputs.length - k
    const conclude = (gathered: Gathered<Value<T>, ErrorOf<T>>) => {
      const values = valuesOf(gathered.ended)
      return verdict(gathered, values.length === k, () => values)
    }
    return join("quorum", inputs, options, { isEnough, conclude }, k)
  }
)

/**
 * The results in the order of completion, up to and with the first that satisfies the predicate, and all of them when none
 * does; the others are cancelled. The first failure cancels the rest and is its own; where failures are results,
 * too, join `Effect.exit` of the effects. Of nothing it gives nothing.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Joiner } from "skein"
 *
 * const shelves = [3, 1, 2].map((n) => Effect.delay(Effect.succeed(n), n * 20))
 *
 * await Effect.runPromise(Joiner.until(shelves, (n) => n >= 2)) // => [1, 2]
 * ```
 */
export const until: {
  <A, const O extends Options = {}>(
    predicate: (value: A) => boolean,
    options?: O
  ): <E, R>(
    effects: Iterable<Effect.Effect<A, E, R>> | { readonly [key: string]: Effect.Effect<A, E, R> }
  ) => Effect.Effect<Array<A>, E | Late<O>, R>
  <const T extends Effects, const O extends Options = {}>(
    effects: T,
    predicate: (value: Value<T>) => boolean,
    options?: O
  ): Joined<T, Array<Value<T>>, O>
} = dual(
  (args) => typeof args[0] !== "function",
  <const T extends Effects, const O extends Options = {}>(
    effects: T,
    predicate: (value: Value<T>) => boolean,
    options?: O
  ): Joined<T, Array<Value<T>>, O> => {
    // The task itself asks, so that a predicate that throws is a defect of that task.
    const asking = inputsOf(effects).map(({ effect, name }) => ({
      name,
      effect: Effect.map(effect, (value) => ({ value, isLast: predicate(value) }))
    }))
    return join("until", asking, options, {
      isEnough: ({ exit }) => Exit.isFailure(exit) || exit.value.isLast,
      conclude: (gathered) =>
        verdict(
          gathered,
          gathered.ended.every(hasSucceeded),
          () => valuesOf(gathered.ended).map(({ value }) => value),
          failsFast
        )
    })
  }
)

export interface HedgeOptions extends Options {
  /** How long the last attempt may take before the next one starts beside it. */
  readonly after: Duration.Input
  /** How many attempts there may be, the first one included. Default 2. */
  readonly max?: number | undefined
}

/**
 * Starts the effect, and once more whenever the last attempt has taken longer than `after`, up to `max` attempts; gives the
 * first success and cancels the others. It does not retry: when all attempts that were started have failed, it fails
 * with every failure. For effects that may run twice.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Joiner } from "skein"
 *
 * let attempts = 0
 * const sometimesSlow = Effect.suspend(() => Effect.delay(Effect.succeed("done"), ++attempts === 1 ? "1 minute" : "1 millis"))
 *
 * await Effect.runPromise(sometimesSlow.pipe(Joiner.hedge({ after: "5 millis", max: 3 }))) // => "done"
 * attempts // => 2
 * ```
 */
export const hedge: {
  <const O extends HedgeOptions>(
    options: O
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Late<O>, R>
  <A, E, R, const O extends HedgeOptions>(effect: Effect.Effect<A, E, R>, options: O): Effect.Effect<A, E | Late<O>, R>
} = dual(
  2,
  <A, E, R, const O extends HedgeOptions>(
    effect: Effect.Effect<A, E, R>,
    options: O
  ): Effect.Effect<A, E | Late<O>, R> => {
    const max = options.max ?? 2
    if (!isCount(max) || max === 0)
      return Effect.die(new RangeError(`Joiner.hedge: max must be a whole number, 1 or more; got ${max}`))
    const run = (start: Start<A, E, R>): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (let attempt = 0; attempt < max; attempt++) {
          if (attempt > 0) yield* Effect.sleep(options.after)
          start(String(attempt), effect)
        }
      })
    return gather("hedge", options, {
      run,
      isEnough: ({ exit }, { failed, started }) => Exit.isSuccess(exit) || failed === started,
      conclude: lastValue
    })
  }
)

/**
 * The results as a stream, in the order of completion. The first failure cancels the rest and fails the stream. When the
 * stream ends early, what still runs is cancelled and has cleaned up before the code after the stream goes on.
 * Results wait for a slow reader in memory. Of nothing the stream is empty.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { Joiner } from "skein"
 *
 * const pages = [9, 1, 5].map((n) => Effect.delay(Effect.succeed(n), n * 5))
 *
 * await Effect.runPromise(Stream.runCollect(Joiner.completed(pages))) // => [1, 5, 9]
 * await Effect.runPromise(Stream.runCollect(Stream.take(Joiner.completed(pages), 1))) // => [1]
 * ```
 */
export const completed = <const T extends Effects, const O extends Options = {}>(
  effects: T,
  options?: O
): Stream.Stream<Value<T>, ErrorOf<T> | Late<O>, ServicesOf<T>> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const queue = yield* Queue.unbounded<Value<T>, ErrorOf<T> | Late<O> | Cause.Done>()
      const pushing = join("completed", inputsOf(effects), options, {
        isEnough: ({ exit }) => {
          if (Exit.isSuccess(exit)) Queue.offerUnsafe(queue, exit.value)
          return Exit.isFailure(exit)
        },
        conclude: (gathered) => verdict(gathered, gathered.ended.every(hasSucceeded), () => undefined, failsFast)
      })
      yield* Effect.acquireRelease(
        Effect.forkDetach(
          Effect.onExit(pushing, (exit) =>
            Exit.isSuccess(exit) ? Queue.end(queue) : Queue.failCause(queue, exit.cause)
          )
        ),
        (fiber, end) =>
          Effect.andThen(
            Fiber.interrupt(fiber),
            Effect.flatMap(Fiber.await(fiber), (exit) => unseen(exit, end))
          )
      )
      return Stream.fromQueue(queue)
    })
  )

/** The defects of what ran behind a stream that its reader has not got to see. */
const unseen = (behind: Exit.Exit<unknown, unknown>, reader: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  const defectsOf = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter(Cause.isDieReason)
  const seen = new Set(defectsOf(reader).map(({ defect }) => defect))
  const reasons = defectsOf(behind).filter(({ defect }) => !seen.has(defect))
  return reasons.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons(reasons))
}

/** The exit of an effect that a deadline kept from being started. */
const notStarted = (late: Cause.Fail<DeadlineExceeded> | undefined): Exit.Exit<never> => {
  const reason = { kind: "deadline", by: late?.error.deadline ?? "", message: late?.error.message ?? "" } as const
  return Exit.failCause(Cause.annotate(Cause.interrupt(), annotate(reason)))
}

const failsFast = { failsFast: true }

const hasSucceeded = ({ exit }: Ended<unknown, unknown>): boolean => Exit.isSuccess(exit)

const inOrder = <A, E>(ended: ReadonlyArray<Ended<A, E>>): ReadonlyArray<Ended<A, E>> =>
  ended.toSorted((one, other) => one.index - other.index)

const valuesOf = <A>(ended: ReadonlyArray<Ended<A, unknown>>): Array<A> =>
  ended.flatMap(({ exit }) => (Exit.isSuccess(exit) ? [exit.value] : []))

/** For joiners that wait for one task alone: the last that counts is that one. */
const lastValue = <A, E>(gathered: Gathered<A, E>): Exit.Exit<A, E | DeadlineExceeded> => {
  const value = valuesOf(gathered.ended.slice(-1))
  return verdict(gathered, value.length === 1, () => value[0]!)
}
