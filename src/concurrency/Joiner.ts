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
import { annotate } from "./base/Reason.ts"
import type { DeadlineExceeded, Late } from "./Deadline.ts"
import { type Ended, gather, type Gathered, type Options, type Plan, verdict } from "./joiner/Gather.ts"
import {
  type AnyEffect,
  countedInputsOf,
  type Effects,
  type ErrorOf,
  type Exits,
  inputsOf,
  type ServicesOf,
  type Value,
  type Values
} from "./joiner/Inputs.ts"
import { Results } from "./joiner/Results.ts"
import { TooFewEffects } from "./JoinerError.ts"
import { isCount } from "./base/Options.ts"

export type { Ended, Options } from "./joiner/Gather.ts"
export type { AnyEffect, Effects, Exits, Value, Values } from "./joiner/Inputs.ts"
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
): Joined<T, Values<T>, O> =>
  gather("all", options, () => {
    const inputs = inputsOf(effects)
    const values = new Results()
    return {
      inputs,
      isEnough: (exit, index) => {
        if (Exit.isSuccess(exit)) values.put(index, exit.value)
        return Exit.isFailure(exit)
      },
      conclude: (gathered) =>
        verdict(
          gathered,
          Effect.map(gathered.failures, () => inputs.inShape(values.all()) as Values<T>),
          failsFast
        )
    }
  })

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
  const settled = gather("settle", options, () => {
    const inputs = countedInputsOf(effects)
    const results = new Results()
    return {
      inputs,
      isEnough: (exit, index) => {
        results.put(index, exit)
        return false
      },
      isLate: (exit, index) => results.put(index, exit),
      conclude: (gathered: Gathered<unknown>) => {
        const late = Exit.isFailure(gathered.exit) ? gathered.exit.cause.reasons.find(Cause.isFailReason) : undefined
        const result = Effect.sync(() => {
          const exits = results.all()
          // Where no time was left, it was not started.
          for (let index = 0; index < inputs.count; index++) exits[index] ??= notStarted(late)
          return inputs.inShape(exits) as Exits<T>
        })
        return late === undefined ? verdict(gathered, result) : result
      }
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
): Joined<T, Value<T>, O> =>
  gather("race", options, () => oneOf("race", { inputs: inputsOf(effects), isEnough: () => true }))

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
  gather("first", options, () =>
    oneOf("first", { inputs: inputsOf(effects), isEnough: (exit) => Exit.isSuccess(exit) })
  )

/**
 * The first `k` successes, in the order of completion; the others are cancelled. Fails as soon as too many have failed for
 * that, with every failure. Dies with `TooFewEffects` when there are not `k` effects, which it counts before it starts any;
 * `quorum(0)` starts nothing.
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
} = /* @__PURE__ */ dual(
  (args) => typeof args[0] !== "number",
  <const T extends Effects, const O extends Options = {}>(
    effects: T,
    k: number,
    options?: O
  ): Joined<T, Array<Value<T>>, O> => {
    if (!isCount(k))
      return Effect.die(new RangeError(`Joiner.quorum: k must be a whole number, zero or more; got ${k}`))
    if (k === 0) return Effect.succeed([])
    return gather("quorum", options, () => {
      const inputs = countedInputsOf(effects)
      if (inputs.count < k) throw new TooFewEffects({ joiner: "quorum", needed: k, given: inputs.count })
      const values: Array<Value<T>> = []
      let failed = 0
      return {
        inputs,
        isEnough: (exit) => {
          if (Exit.isSuccess(exit)) values.push(exit.value)
          else failed += 1
          return values.length === k || failed > inputs.count - k
        },
        conclude: (gathered) =>
          verdict(gathered, values.length === k ? Effect.succeed(values) : Effect.as(gathered.failures, values))
      }
    })
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
} = /* @__PURE__ */ dual(
  (args) => typeof args[0] !== "function",
  <const T extends Effects, const O extends Options = {}>(
    effects: T,
    predicate: (value: Value<T>) => boolean,
    options?: O
  ): Joined<T, Array<Value<T>>, O> =>
    gather("until", options, () => {
      const values: Array<Value<T>> = []
      let hasFailed = false
      return {
        inputs: inputsOf(effects),
        isEnough: (exit) => {
          if (Exit.isSuccess(exit)) values.push(exit.value)
          else hasFailed = true
          return Exit.isFailure(exit) || predicate(exit.value)
        },
        conclude: (gathered) =>
          verdict(gathered, hasFailed ? Effect.as(gathered.failures, values) : Effect.succeed(values), failsFast)
      }
    })
)

/** What `Joiner.by` goes by. Its functions may be asked by several runs at once, so they should keep nothing. */
export interface Rule<in A, in E, out X extends AnyEffect | undefined, out Y extends AnyEffect> {
  /**
   * Asked for each effect that ends; `ended` are all so far, in the order of ending, with this one as the last. An effect,
   * such as an exit, is the result: the others are cancelled. `undefined` waits for the next.
   */
  readonly decide: (end: Ended<A, E>, ended: ReadonlyArray<Ended<A, E>>) => X
  /**
   * The result when all have ended, or there are none, and nothing was decided. `failures` fails with every failure, each
   * as `TaskGroup.failures` lists it, and does nothing where there is none.
   */
  readonly otherwise: (ended: ReadonlyArray<Ended<A, E>>, failures: Effect.Effect<void, E>) => Y
}

/**
 * A joiner of one's own: it joins the effects by this rule, and gives the result when the others have been cancelled and
 * have cleaned up. A defect of theirs is not dropped: the joiner then fails in spite of its result. A rule that throws is
 * a defect of the joiner.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Joiner } from "skein"
 *
 * // The first value that two of them give.
 * const twoThatAgree = <A, E, R>(effects: Iterable<Effect.Effect<A, E, R>>, options: { readonly limit?: number } = {}) =>
 *   Joiner.by(
 *     effects,
 *     {
 *       decide: ({ exit }, ended) =>
 *         Exit.isSuccess(exit) && ended.some((other) => Exit.isSuccess(other.exit) && other.exit !== exit && other.exit.value === exit.value)
 *           ? exit
 *           : undefined,
 *       otherwise: (_, failures) => Effect.andThen(failures, Effect.fail("no two agree"))
 *     },
 *     options
 *   )
 *
 * const node = (value: string, millis: number) => Effect.delay(Effect.succeed(value), millis)
 *
 * await Effect.runPromise(twoThatAgree([node("old", 1), node("new", 5), Effect.never, node("new", 10)])) // => "new"
 * await Effect.runPromise(Effect.flip(twoThatAgree([node("old", 1), node("new", 5)]))) // => "no two agree"
 * ```
 */
export const by = <
  const T extends Effects,
  X extends AnyEffect | undefined,
  Y extends AnyEffect,
  const O extends Options = {}
>(
  effects: T,
  { decide, otherwise }: Rule<Value<T>, ErrorOf<T>, X, Y>,
  options?: O
): Effect.Effect<
  Effect.Success<X | Y>,
  ErrorOf<T> | Effect.Error<X | Y> | Late<O>,
  ServicesOf<T> | Effect.Services<X | Y>
> =>
  gather("by", options, () => {
    type Result = Effect.Effect<Effect.Success<X | Y>, Effect.Error<X | Y>, Effect.Services<X | Y>>
    const ended: Array<Ended<Value<T>, ErrorOf<T>>> = []
    let result: X | undefined
    const inputs = inputsOf(effects)
    return {
      inputs,
      isEnough: (exit, index) => {
        const end = { index, name: String(inputs.nameOf(index)), exit }
        ended.push(end)
        result = decide(end, ended)
        return result !== undefined
      },
      conclude: (gathered) =>
        verdict(
          gathered,
          // Every `AnyEffect` is an effect.
          gathered.restore(Effect.suspend(() => (result ?? otherwise(ended, gathered.failures)) as unknown as Result))
        )
    }
  })

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
} = /* @__PURE__ */ dual(
  2,
  <A, E, R, const O extends HedgeOptions>(
    effect: Effect.Effect<A, E, R>,
    options: O
  ): Effect.Effect<A, E | Late<O>, R> => {
    const max = options.max ?? 2
    if (!isCount(max) || max === 0)
      return Effect.die(new RangeError(`Joiner.hedge: max must be a whole number, 1 or more; got ${max}`))
    return gather("hedge", options, () => {
      let due = 0
      let failed = 0
      return oneOf("hedge", {
        inputs: {
          effects: { next: () => ({ value: effect }) },
          nameOf: (index) => index,
          inShape: (results) => results
        },
        pace: (start) =>
          Effect.gen(function* () {
            for (let attempt = 0; attempt < max; attempt++) {
              if (attempt > 0) yield* Effect.sleep(options.after)
              due += 1
              yield* start(1)
            }
          }),
        isEnough: (exit) => Exit.isSuccess(exit) || ++failed === due
      })
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
      const pushing = gather("completed", options, () => ({
        inputs: inputsOf(effects),
        isEnough: (exit) => {
          if (Exit.isSuccess(exit)) Queue.offerUnsafe(queue, exit.value)
          return Exit.isFailure(exit)
        },
        conclude: (gathered) => verdict(gathered, gathered.failures, failsFast)
      }))
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

/** For joiners that wait for one task alone: a success is always enough. */
const oneOf = <A, E, R>(
  joiner: string,
  { isEnough, ...plan }: Pick<Plan<A, E, R, A, E, never>, "inputs" | "pace" | "isEnough">
): Plan<A, E, R, A, E, never> => {
  let won: Exit.Success<A, E> | undefined
  return {
    ...plan,
    isEnough: (exit, index) => {
      if (Exit.isSuccess(exit)) won = exit
      return isEnough(exit, index)
    },
    conclude: (gathered) => {
      const nothing = Effect.die(new TooFewEffects({ joiner, needed: 1, given: 0 }))
      return verdict(gathered, won ?? Effect.andThen(gathered.failures, nothing))
    }
  }
}
