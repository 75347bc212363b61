/** S32: how what runs here ends, told to code that knows only promises and signals. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import { onAbort } from "./AbortSignal.ts"
import { annotate, type Reason, reasonOf } from "./Reason.ts"

export type End<A, E> = (exit: Exit.Exit<A, E>) => void

/** Cancels what was started. */
export type Stop = (reason: Reason) => void

/** A promise of something that calls `end` once. */
export const promise = <A, E>(start: (end: End<A, E>) => void): Promise<A> =>
  new Promise((resolve, reject) =>
    start((exit) => (Exit.isSuccess(exit) ? resolve(exit.value) : reject(rejectionOf(exit.cause))))
  )

/**
 * Starts something that the signal stops; one that is aborted already starts nothing. Nothing is left on the signal when it
 * has ended.
 */
export const under = <A, E>(signal: AbortSignal | undefined, end: End<A, E>, start: (end: End<A, E>) => Stop): Stop => {
  let aborted: Reason | undefined
  let stop: Stop = constVoid
  const leave = onAbort(signal, (reason) => {
    aborted = reason
    stop(reason)
  })
  if (aborted !== undefined) {
    end(Exit.failCause(Cause.annotate(Cause.interrupt(), annotate(aborted))))
    return constVoid
  }
  stop = start((exit) => {
    leave()
    end(exit)
  })
  // It may have aborted the signal itself, in its first step.
  if (aborted !== undefined) stop(aborted)
  return stop
}

/** The typed error of a cause, else its defect, as they are; an `AbortError` where there is nothing but a cancellation. */
export const rejectionOf = (cause: Cause.Cause<unknown>): unknown =>
  Cause.hasInterruptsOnly(cause)
    ? abortError(Option.getOrElse(reasonOf(cause), () => interruptedItself))
    : Cause.squash(cause)

const interruptedItself: Reason = { kind: "explicit", by: "itself", message: "it interrupted itself" }

/** What platforms reject with and abort signals with: its message is that of the reason, its `cause` the reason. */
export const abortError = (reason: Reason): DOMException =>
  // The constructor takes a cause on Node alone.
  Object.defineProperty(new DOMException(reason.message, "AbortError"), "cause", {
    value: reason,
    configurable: true,
    writable: true
  })
