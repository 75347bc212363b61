/**
 * The moment at which work is cancelled. A deadline is absolute, measured by the monotonic clock, and holds for
 * everything inside of it: nested ones only ever shorten the time.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Reason from "./Reason.ts"
import { CurrentTask, type Task } from "./Task.ts"
import type { TypedError } from "./TypedError.ts"

export interface Options {
  /** Shown in `DeadlineExceeded` and in the reason of the cancellation. */
  readonly name?: string | undefined
}

/**
 * Cancels the effect once `duration` has passed, waits for its cleanup, and fails with `DeadlineExceeded`. What the
 * effect fails with by itself goes first. A duration of zero or less never starts it; an infinite one is no deadline.
 * When an enclosing deadline passes first, or at the same moment, that one reports. As with any cancellation, an
 * uninterruptible region runs to its end and its value is given up: what it acquires belongs into a `Scope`.
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
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    duration: Duration.Input,
    options?: Options
  ): Effect.Effect<A, E | DeadlineExceeded, R> => {
    const millis = Duration.toMillis(duration)
    return millis === Infinity ? effect : Effect.withFiber((fiber) => start(fiber, effect, millis, options?.name))
  }
)

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
export const remaining: Effect.Effect<Option.Option<Duration.Duration>> = Effect.withFiber((fiber) => {
  const first = earliest(fiber.getRef(Ambient))
  return Effect.succeed(
    first === undefined
      ? Option.none()
      : Option.some(Duration.millis(Math.max(0, first.at - now(fiber.getRef(Clock.Clock)))))
  )
})

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
  Effect.provideService(effect, Ambient, undefined)

const DeadlineExceededBase: TypedError<
  DeadlineExceeded,
  "DeadlineExceeded",
  {
    readonly deadline: Schema.optionalKey<Schema.String>
    readonly duration: Schema.Number
    readonly task: Schema.optionalKey<Schema.String>
  }
> = Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  deadline: Schema.optionalKey(Schema.String),
  duration: Schema.Number,
  task: Schema.optionalKey(Schema.String)
})

/** The work was not done in time: `deadline` is the name given, `duration` the milliseconds, `task` who waited. */
export class DeadlineExceeded extends DeadlineExceededBase {
  override get message(): string {
    const what = this.deadline === undefined ? "Deadline" : `Deadline "${this.deadline}"`
    const where = this.task === undefined ? "" : ` in task "${this.task}"`
    return this.duration > 0
      ? `${what} exceeded${where}: not done within ${Duration.format(Duration.millis(this.duration))}, so it was cancelled`
      : `${what} exceeded${where}: no time was left, so it was not started`
  }
}

/** The innermost deadline around a fiber. */
export const Ambient: Context.Reference<Active<unknown, unknown> | undefined> = Context.Reference(
  "skein/Deadline/Ambient",
  {
    defaultValue: (): Active<unknown, unknown> | undefined => undefined
  }
)

export type Ambient = Active<unknown, unknown> | undefined

const start = <A, E, R>(
  parent: Fiber.Fiber<unknown, unknown>,
  effect: Effect.Effect<A, E, R>,
  millis: number,
  name: string | undefined
): Effect.Effect<A, E | DeadlineExceeded, R> => {
  const clock = parent.getRef(Clock.Clock)
  const outer = parent.getRef(Ambient)
  const first = earliest(outer)
  if (first !== undefined && first.at <= now(clock)) {
    // A busy program reaches this before the timer does. Where that deadline cancels this fiber, nothing is started.
    first.expire()
    return Effect.andThen(
      Effect.yieldNow,
      Effect.suspend(() => start(parent, effect, millis, name))
    )
  }
  const deadline = new Active<A, E>(parent, clock, outer, millis, name)
  if (millis <= 0) return Effect.fail(deadline.error())
  return Effect.onExit(
    Effect.callback<A, E | DeadlineExceeded>((resume) => deadline.run(effect as Effect.Effect<A, E>, resume)),
    (exit) => (Exit.isFailure(exit) ? deadline.abandon(exit.cause) : Effect.void)
  )
}

/** A deadline from the start of its body to the end. It is over once the body has ended or is being cancelled. */
class Active<A, E> {
  readonly at: number
  readonly outer: Active<unknown, unknown> | undefined
  over = false
  private readonly parent: Fiber.Fiber<unknown, unknown>
  private readonly task: Task<unknown, unknown> | undefined
  private readonly clock: Clock.Clock
  private readonly millis: number
  private readonly name: string | undefined
  private body: Fiber.Fiber<A, E> | undefined
  private timer: Fiber.Fiber<void> | undefined
  /** Why the body was cancelled, when it was this deadline that did. */
  private reason: Reason.Reason | undefined

  constructor(
    parent: Fiber.Fiber<unknown, unknown>,
    clock: Clock.Clock,
    outer: Active<unknown, unknown> | undefined,
    millis: number,
    name: string | undefined
  ) {
    this.parent = parent
    this.task = parent.getRef(CurrentTask)
    this.clock = clock
    this.outer = outer
    this.millis = millis
    this.name = name
    this.at = now(clock) + millis
  }

  /** Why this deadline, or one around it in the same task, cancels its body. */
  reasonIn(task: unknown): Reason.Reason | undefined {
    if (this.task !== task) return undefined
    return this.reason ?? this.outer?.reasonIn(task)
  }

  run(effect: Effect.Effect<A, E>, resume: (exit: Exit.Exit<A, E | DeadlineExceeded>) => void): void {
    const body = Effect.runForkWith(Context.add(this.parent.context, Ambient, this))(effect)
    this.body = body
    const exit = body.pollUnsafe()
    if (exit === undefined) {
      if (this.reason === undefined) this.wait(this.at - now(this.clock))
      else this.cancel(this.reason)
    }
    body.addObserver((exit) => {
      this.over = true
      this.timer?.interruptUnsafe()
      resume(this.verdict(exit))
    })
  }

  /** Whoever waited was cancelled: passes that on to the body and waits for it; what its cleanup fails with is kept. */
  abandon(cause: Cause.Cause<unknown>): Effect.Effect<void, E> {
    const body = this.body
    if (body === undefined || body.pollUnsafe() !== undefined) return Effect.void
    this.over = true
    body.interruptUnsafe(this.parent.id, Option.getOrUndefined(Option.map(Reason.reasonOf(cause), Reason.annotate)))
    return Effect.flatMap(Fiber.await(body), (exit) => {
      const failures = Exit.isSuccess(exit)
        ? []
        : exit.cause.reasons.filter((reason) => !Cause.isInterruptReason(reason))
      return failures.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons(failures))
    })
  }

  /** Cancels the body; a body that is still on its starter's stack is cancelled as soon as its fiber is known. */
  expire(): void {
    this.over = true
    const span = Duration.format(Duration.millis(this.millis))
    const by = this.name ?? "deadline"
    this.reason = { kind: "deadline", by, message: `not done within ${span}` }
    this.cancel(this.reason)
  }

  error(): DeadlineExceeded {
    const task = this.task?.name
    return new DeadlineExceeded({
      duration: this.millis,
      ...(this.name !== undefined && { deadline: this.name }),
      ...(task !== undefined && { task })
    })
  }

  private cancel(reason: Reason.Reason): void {
    this.body?.interruptUnsafe(this.parent.id, Reason.annotate(reason))
  }

  private wait(millis: number): void {
    this.timer = Effect.runForkWith(this.parent.context)(this.clock.sleep(Duration.millis(millis)))
    this.timer.addObserver((exit) => {
      if (Exit.isSuccess(exit) && !this.over) this.ring()
    })
  }

  private ring(): void {
    // Timers round down to whole milliseconds.
    const left = this.at - now(this.clock)
    if (left > 0) return this.wait(left)
    const first = earliest(this)
    if (first === undefined || first === this) return this.expire()
    // An enclosing deadline that is due as well is the one to report; ours has a say where that does not reach.
    first.expire()
    if (!this.over) this.wait(1)
  }

  /** What a body that ended this way means: only a body that this deadline was the first to cancel has timed out. */
  private verdict(exit: Exit.Exit<A, E>): Exit.Exit<A, E | DeadlineExceeded> {
    if (this.reason === undefined || Exit.isSuccess(exit)) return exit
    const reasons = exit.cause.reasons
    const first = reasons.findIndex(Cause.isInterruptReason)
    if (first < 0 || Option.getOrUndefined(Reason.reasonOf(Cause.fromReasons([reasons[first]!]))) !== this.reason) {
      return exit
    }
    const own = reasons.slice(0, first)
    const late = reasons.slice(first).filter((reason) => !Cause.isInterruptReason(reason))
    return Exit.failCause(
      Cause.fromReasons<E | DeadlineExceeded>(
        own.length > 0 ? [...own, ...late] : [Cause.makeFailReason(this.error()), ...late]
      )
    )
  }
}

/** Of a deadline and those around it the first to pass; at the same moment, the outermost. */
const earliest = (innermost: Active<unknown, unknown> | undefined): Active<unknown, unknown> | undefined => {
  let first: Active<unknown, unknown> | undefined
  for (let one = innermost; one !== undefined; one = one.outer) {
    if (!one.over && (first === undefined || one.at <= first.at)) first = one
  }
  return first
}

const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
