/**
 * The moment at which work is cancelled. A deadline is absolute, measured by the monotonic clock, and holds for
 * everything inside of it: nested ones only ever shorten the time.
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Active from "./base/ActiveDeadline.ts"
import * as OfDeadline from "./base/DeadlineHandle.ts"
import { millisOf } from "./base/Lasting.ts"
import * as Time from "./base/Time.ts"
import type { DeadlineExceeded } from "./DeadlineError.ts"

export { DeadlineExceeded, DeadlineOver } from "./DeadlineError.ts"

export interface Options {
  /** Shown in `DeadlineExceeded` and in the reason of the cancellation. */
  readonly name?: string | undefined
}

/** What an effect with the options `O` can fail with because of `within`: nothing when that is not given. */
export type Late<O> = [O[keyof O & "within"]] extends [undefined] ? never : DeadlineExceeded

/**
 * Cancels the effect once `duration` has passed, waits for its cleanup, and fails with `DeadlineExceeded`. What the
 * effect fails with by itself goes first, and so does its value where it completes all the same. Only what an
 * uninterruptible region gives after the time is up is dropped as the effect leaves it, as with any cancellation: what such
 * a region acquires belongs to a `Scope`. A duration of zero or less never starts the effect, not even for a value that is
 * ready; an infinite one is no deadline. When an enclosing deadline passes first, or at the same moment, that one reports.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Deadline } from "skein"
 *
 * const slow = Effect.delay(Effect.succeed("done"), "1 minute")
 * const program = slow.pipe(
 *   Deadline.within("10 millis", { name: "checkout" }),
 *   Effect.catchTag("DeadlineExceeded", (error) => Effect.succeed(error.message))
 * )
 *
 * await Effect.runPromise(program) // => "Deadline \"checkout\" exceeded: not done within 10ms, so it was cancelled"
 * ```
 */
export const within: {
  (
    duration: Duration.Input,
    options?: Options
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    duration: Duration.Input,
    options?: Options
  ): Effect.Effect<A, E | DeadlineExceeded, R>
} = /* @__PURE__ */ dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    duration: Duration.Input,
    options?: Options
  ): Effect.Effect<A, E | DeadlineExceeded, R> => Active.within(effect, millisOf(duration), options?.name)
)

/**
 * As `within`, with the moment itself: milliseconds since the epoch, or a `DateTime`. It is looked up once, on the wall
 * clock when the effect starts; what happens to that clock afterwards does not move the deadline. A moment in the past
 * never starts the effect.
 *
 * @example
 * ```ts
 * import * as Clock from "effect/Clock"
 * import * as Effect from "effect/Effect"
 * import { Deadline } from "skein"
 *
 * // Two calls, one after the other, that share 20 milliseconds.
 * const program = Effect.gen(function*() {
 *   const noon = (yield* Clock.currentTimeMillis) + 20
 *   const quick = yield* Effect.succeed("first").pipe(Deadline.at(noon))
 *   const slow = yield* Effect.never.pipe(Deadline.at(noon, { name: "noon" }), Effect.flip)
 *   return [quick, slow.deadline]
 * })
 *
 * await Effect.runPromise(program) // => ["first", "noon"]
 * ```
 */
export const at: {
  (
    moment: number | DateTime.DateTime,
    options?: Options
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    moment: number | DateTime.DateTime,
    options?: Options
  ): Effect.Effect<A, E | DeadlineExceeded, R>
} = /* @__PURE__ */ dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    moment: number | DateTime.DateTime,
    options?: Options
  ): Effect.Effect<A, E | DeadlineExceeded, R> =>
    Effect.withFiber((fiber) => {
      const epoch = typeof moment === "number" ? moment : moment.epochMilliseconds
      return within(effect, epoch - Time.of(fiber).currentTimeMillisUnsafe(), options)
    })
)

/**
 * As `within`, but gives none instead of failing when the time is up: for work that is worth having and may be missing.
 * The effect's own failures, those of its cleanup, and other deadlines in it or around it, go through.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Deadline } from "skein"
 *
 * const recommendations = Effect.delay(Effect.succeed(["another book"]), "1 minute")
 * const program = recommendations.pipe(
 *   Deadline.moveOn("10 millis"),
 *   Effect.map(Option.getOrElse(() => ["the bestseller"]))
 * )
 *
 * await Effect.runPromise(program) // => ["the bestseller"]
 * ```
 */
export const moveOn: {
  (
    duration: Duration.Input,
    options?: Options
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    duration: Duration.Input,
    options?: Options
  ): Effect.Effect<Option.Option<A>, E, R>
} = /* @__PURE__ */ dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    duration: Duration.Input,
    options?: Options
  ): Effect.Effect<Option.Option<A>, E, R> => {
    const millis = millisOf(duration)
    const some = Effect.asSome(effect)
    return Active.isFree(effect, millis)
      ? some
      : Effect.withFiber((fiber) => Active.start(fiber, () => some, millis, options?.name, none))
  }
)

/** A deadline in the hand of its body, or of whoever that gives it to. */
export interface Handle {
  /** The time left until this deadline: none when it never passes, zero once it has passed. */
  readonly remaining: Effect.Effect<Option.Option<Duration.Duration>>
  /** Whether it has passed and cancelled its body. */
  readonly expired: Effect.Effect<boolean>
  /**
   * Moves it, earlier or later, to `duration` from now; zero makes it pass, an infinite one lifts it. Dies with
   * `DeadlineOver` when the body has ended or is being cancelled.
   */
  readonly reschedule: (duration: Duration.Input) => Effect.Effect<void>
}

/**
 * As `within`, with a handle on the deadline: how much time is left, whether it has passed, and `reschedule`, which moves
 * it while it is active. A duration of zero or less never starts the body; an infinite one is to be rescheduled.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Deadline } from "skein"
 *
 * // Not more than 5 seconds without a sign of life.
 * const program = Deadline.open("5 seconds", (deadline) =>
 *   Effect.forEach([1, 2, 3], (chunk) =>
 *     Effect.sleep("20 millis").pipe(Effect.andThen(deadline.reschedule("5 seconds")), Effect.as(chunk))
 *   )
 * )
 *
 * await Effect.runPromise(program) // => [1, 2, 3]
 * ```
 */
export const open = <A, E, R>(
  duration: Duration.Input,
  body: (deadline: Handle) => Effect.Effect<A, E, R>,
  options?: Options
): Effect.Effect<A, E | DeadlineExceeded, R> => {
  const millis = millisOf(duration)
  return Effect.withFiber((fiber) =>
    Active.start(fiber, (active) => body(new OfDeadline.DeadlineHandle(active)), millis, options?.name, Active.exceeded)
  )
}

/**
 * The time left until the earliest enclosing deadline, never negative; none where there is no deadline. A deadline
 * that has passed does not bind the cleanup it causes.
 *
 * @example
 * ```ts
 * import * as Duration from "effect/Duration"
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Deadline } from "skein"
 *
 * const isShort = Effect.map(Deadline.remaining, Option.exists(Duration.isLessThanOrEqualTo(Duration.seconds(1))))
 *
 * await Effect.runPromise(isShort) // => false
 * await Effect.runPromise(isShort.pipe(Deadline.within("1 second"))) // => true
 * ```
 */
export const remaining: Effect.Effect<Option.Option<Duration.Duration>> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Effect.succeed(OfDeadline.remaining(fiber))
)

/**
 * Hides the enclosing deadlines from `remaining` and from deadlines inside the effect; for work that they do not
 * cancel because it does not belong to them.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Deadline } from "skein"
 *
 * const bounded = Effect.map(Deadline.remaining, Option.isSome)
 *
 * await Effect.runPromise(Deadline.within(bounded, "1 second")) // => true
 * await Effect.runPromise(Deadline.within(Deadline.unbounded(bounded), "1 second")) // => false
 * ```
 */
export const unbounded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Active.Ambient, undefined)

const none = (): Exit.Exit<Option.Option<never>> => Exit.succeed(Option.none())
