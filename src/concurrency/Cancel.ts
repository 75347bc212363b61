/** Cancellation as seen from the inside: what it must not touch, why it came, and where it may come in. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect in conditional types */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import { ScopeCancelled } from "./CancelError.ts"
import * as Active from "./base/ActiveDeadline.ts"
import * as Deadline from "./Deadline.ts"
import { type Reason, reasonOf } from "./base/Reason.ts"
import { listen, ProgramStop, type StopSignal } from "./base/Stop.ts"
import { CurrentTask, nameOf } from "./base/TaskNode.ts"
import * as Wait from "./base/Wait.ts"

export { annotate, type Reason, reasonOf } from "./base/Reason.ts"
export { ScopeCancelled } from "./CancelError.ts"

export interface ShieldOptions {
  /** How long the shielded effect may take; it is cancelled by this alone. Default: no limit. */
  readonly within: Duration.Input
}

/**
 * Protects the effect from cancellation and from deadlines outside of it: they wait and fire when it has ended. With
 * `within` it has a deadline of its own and can fail with `DeadlineExceeded`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Cancel, Deadline } from "skein"
 *
 * const log: Array<string> = []
 * const save = Effect.delay(Effect.sync(() => log.push("saved")), "20 millis")
 * const program = Cancel.shield(save).pipe(Deadline.within("1 millis"), Effect.flip)
 *
 * await Effect.runPromise(Effect.map(program, (error) => error._tag)) // => "DeadlineExceeded"
 * log // => ["saved"]
 * ```
 */
export const shield: <
  Arg extends Effect.Effect<any, any, any> | ShieldOptions,
  O extends ShieldOptions | undefined = undefined
>(
  effectOrOptions: Arg,
  options?: O
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<A, E | ([O] extends [ShieldOptions] ? Deadline.DeadlineExceeded : never), R>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Deadline.DeadlineExceeded, R> =
  /* @__PURE__ */ dual(
    (args) => Effect.isEffect(args[0]),
    <A, E, R>(effect: Effect.Effect<A, E, R>, options?: ShieldOptions) =>
      // S14: its own deadline is inside, where it can cancel.
      Effect.uninterruptible(
        Deadline.unbounded(options === undefined ? effect : Deadline.within(effect, options.within, { name: "shield" }))
      )
  )

/** A cancel scope in the hand of its body, or of whoever that gives it to. */
export interface Scope {
  /**
   * Cancels what is in the scope, and nothing else, without waiting for its cleanup: that is what the scope does. The second
   * call, or one after the end, does nothing.
   */
  readonly cancel: (message?: string) => Effect.Effect<void>
}

/**
 * Runs `body` with a handle that cancels it: for a region of code that others end, as a button or a newer request does. Once
 * cancelled, and cleaned up, it fails with `ScopeCancelled`. What the body fails with by itself goes first, and a body that
 * ends well all the same gives its value.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Cancel, TaskGroup } from "skein"
 *
 * const search = (words: string) => Effect.never.pipe(Effect.as(`results for ${words}`))
 * const program = TaskGroup.open(
 *   Cancel.scope(
 *     (scope) =>
 *       Effect.gen(function*() {
 *         yield* TaskGroup.spawn(Effect.delay(scope.cancel("the user typed on"), "5 millis"))
 *         return yield* search("skei")
 *       }),
 *     { name: "search" }
 *   )
 * )
 *
 * const error = await Effect.runPromise(Effect.flip(program))
 * error.message // => "Cancel scope \"search\" was cancelled: the user typed on"
 * ```
 */
export const scope = <A, E, R>(
  body: (scope: Scope) => Effect.Effect<A, E, R>,
  options?: Deadline.Options
): Effect.Effect<A, E | ScopeCancelled, R> =>
  Effect.withFiber((fiber) => {
    const name = options?.name ?? "scope"
    return Active.start(
      fiber,
      (active) => body({ cancel: (message = "cancelled by its handle") => cancelScope(active, message) }),
      Infinity,
      name,
      ({ reason }) => Exit.fail(new ScopeCancelled({ scope: name, reason: reason!.message }))
    )
  })

const cancelScope = (active: Active.Active, message: string): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    if (active.over) return Effect.void
    active.end({ kind: "explicit", by: nameOf(fiber), message })
    // Where it is this code that was cancelled, nothing of it comes after this.
    return Effect.yieldNow
  })

/**
 * A place where cancellation may come in, for loops over values that are ready: costs next to nothing, and lets other
 * tasks run once this one has used up its slice, of some 1,000 of them.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Cancel, Deadline } from "skein"
 *
 * const spin = Effect.forever(Cancel.checkpoint)
 *
 * const error = await Effect.runPromise(spin.pipe(Deadline.within("5 millis"), Effect.flip))
 * error._tag // => "DeadlineExceeded"
 * ```
 */
// An operation and not a value: generators take values that are ready without the scheduler seeing it.
export const checkpoint: Effect.Effect<void> = /* @__PURE__ */ Effect.suspend(() => Effect.void)

/**
 * Why the task or the deadline's body that runs this is being cancelled: the first reason, where there were several; none
 * while it is not. For finalizers.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Cancel, TaskGroup } from "skein"
 *
 * let why = ""
 * const task = Effect.onInterrupt(Effect.never, () =>
 *   Effect.map(Cancel.reason, (reason) => void (why = Option.getOrThrow(reason).message))
 * )
 * const program = TaskGroup.open(
 *   Effect.flatMap(TaskGroup.spawn(task), (task) => task.cancel("no longer needed"))
 * )
 *
 * await Effect.runPromise(program)
 * why // => "no longer needed"
 * ```
 */
export const reason: Effect.Effect<Option.Option<Reason>> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(Active.reasonOfCode(fiber.getRef(Active.Ambient), fiber.getRef(CurrentTask))))
)

/**
 * Runs `f` with the reason when the effect is cancelled, before the cancellation goes on; it is not cancelled itself.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Cancel, Deadline } from "skein"
 *
 * let undone = "nothing"
 * const transfer = Effect.never.pipe(
 *   Cancel.cleanup((reason) => Effect.sync(() => void (undone = Option.getOrThrow(reason).kind)))
 * )
 *
 * await Effect.runPromise(transfer.pipe(Deadline.within("1 millis"), Effect.flip))
 * undone // => "deadline"
 * ```
 */
export const cleanup: {
  <X, XR>(
    f: (reason: Option.Option<Reason>) => Effect.Effect<X, never, XR>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | XR>
  <A, E, R, X, XR>(
    effect: Effect.Effect<A, E, R>,
    f: (reason: Option.Option<Reason>) => Effect.Effect<X, never, XR>
  ): Effect.Effect<A, E, R | XR>
} = /* @__PURE__ */ dual(
  2,
  <A, E, R, X, XR>(
    effect: Effect.Effect<A, E, R>,
    f: (reason: Option.Option<Reason>) => Effect.Effect<X, never, XR>
  ): Effect.Effect<A, E, R | XR> =>
    Effect.onExitPrimitive(effect, (exit) =>
      exit._tag === "Failure" && Cause.hasInterrupts(exit.cause) ? Effect.asVoid(f(reasonOf(exit.cause))) : undefined
    )
)

/**
 * Waits until the task that runs this is asked to stop, by `TaskGroup.stop`, `task.stop` or the first Ctrl-C of a `Main.run`, and
 * tells why: for work that would rather finish what it has begun than be cancelled. It goes on if nobody asks. Who listens
 * and does not stop is not cancelled by it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Cancel, TaskGroup } from "skein"
 *
 * const server = Effect.gen(function*() {
 *   const { message } = yield* Cancel.stopRequested
 *   return `no more requests: ${message}`
 * })
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const task = yield* TaskGroup.spawn(server)
 *   yield* TaskGroup.stop("a new version is here")
 *   return yield* task.join
 * }))
 *
 * await Effect.runPromise(program) // => "no more requests: a new version is here"
 * ```
 */
export const stopRequested: Effect.Effect<Reason> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Wait.callback("a request to stop", (resume) => {
    const signal = stopOf(fiber)
    if (signal.reason !== undefined) return resume(Effect.succeed(signal.reason))
    const off = listen(signal, (reason) => {
      off()
      resume(Effect.succeed(reason))
    })
    return Effect.sync(off)
  })
)

/**
 * Whether the task that runs this has been asked to stop, and why; none while it has not. For loops that look between two steps.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Cancel, TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   let rounds = 0
 *   while (Option.isNone(yield* Cancel.stopReason)) {
 *     rounds += 1
 *     if (rounds === 3) yield* TaskGroup.stop()
 *   }
 *   return rounds
 * }))
 *
 * await Effect.runPromise(program) // => 3
 * ```
 */
export const stopReason: Effect.Effect<Option.Option<Reason>> = /* @__PURE__ */ Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(stopOf(fiber).reason))
)

const stopOf = (fiber: Fiber.Fiber<unknown, unknown>): StopSignal =>
  fiber.getRef(CurrentTask)?.stopping ?? fiber.getRef(ProgramStop)
