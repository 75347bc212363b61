/** S23: why something was cancelled; carried by the interruption itself, readable in the cause afterwards. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Option from "effect/Option"

export interface Reason {
  readonly kind: "deadline" | "sibling" | "body" | "explicit" | "parent" | "signal" | "shutdown"
  /** The name of the task, group or deadline that cancelled. */
  readonly by: string
  readonly message: string
}

const Annotation: Context.Service<Reason, Reason> = Context.Service("skein/Cancel/Reason")

/** The annotations that give `fiber.interruptUnsafe` its reason. */
export const annotate = (reason: Reason): Context.Context<never> => Context.make(Annotation, reason)

/** The reason a cause gives for its cancellation: of several, the first. */
export const reasonOf = <E>(cause: Cause.Cause<E>): Option.Option<Reason> => {
  for (const one of cause.reasons) {
    const reason = one._tag === "Interrupt" ? one.annotations.get(Annotation.key) : undefined
    if (reason !== undefined) return Option.some(reason as Reason)
  }
  return Option.none()
}
