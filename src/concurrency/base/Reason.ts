/** S23: why something was cancelled; carried by the interruption itself, readable in the cause afterwards. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Option from "effect/Option"

export interface Reason {
  readonly kind: "deadline" | "sibling" | "body" | "explicit" | "parent" | "signal" | "shutdown"
  /** The name of the task, group or deadline that cancelled. */
  readonly by: string
  readonly message: string
  /** What an `AbortSignal` was aborted with, where one cancelled. */
  readonly cause?: unknown
}

const Annotation: Context.Service<Reason, Reason> = /* @__PURE__ */ Context.Service("skein/Cancel/Reason")

/**
 * The annotations that give `fiber.interruptUnsafe` its reason.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Fiber from "effect/Fiber"
 * import * as Option from "effect/Option"
 * import { Cancel } from "skein"
 *
 * let why = ""
 * const watched = Effect.never.pipe(
 *   Cancel.cleanup((reason) => Effect.sync(() => void (why = Option.getOrThrow(reason).message)))
 * )
 * const fiber = Effect.runFork(watched)
 * fiber.interruptUnsafe(undefined, Cancel.annotate({ kind: "explicit", by: "the user", message: "no longer wanted" }))
 * await Effect.runPromise(Fiber.await(fiber))
 * why // => "no longer wanted"
 * ```
 */
export const annotate = (reason: Reason): Context.Context<never> => Context.make(Annotation, reason)

/**
 * The reason a cause gives for its cancellation: of several, the first.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import * as Option from "effect/Option"
 * import { Cancel, TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const task = yield* TaskGroup.spawn(Effect.never)
 *   yield* task.cancel("no longer wanted")
 *   return yield* task.exit
 * }))
 *
 * const exit = await Effect.runPromise(program)
 * const reason = Exit.isFailure(exit) ? Cancel.reasonOf(exit.cause) : Option.none()
 * Option.map(reason, ({ kind, message }) => `${kind}: ${message}`) // => Option.some("explicit: no longer wanted")
 * ```
 */
export const reasonOf = <E>(cause: Cause.Cause<E>): Option.Option<Reason> =>
  Option.fromUndefinedOr(reasonIn(cause.reasons))

/** The same of the parts of a cause; `undefined` where they give none. */
export const reasonIn = (reasons: ReadonlyArray<Cause.Reason<unknown>>): Reason | undefined => {
  for (const one of reasons) {
    const reason = one._tag === "Interrupt" ? one.annotations.get(Annotation.key) : undefined
    if (reason !== undefined) return reason as Reason
  }
  return undefined
}
