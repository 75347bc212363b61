/** S32, signals that come from outside. They may be of another make (S27): only what all of them have is used. */
import { constVoid } from "effect/Function"
import type { Reason } from "./Reason.ts"

/**
 * Calls `f` once the signal is aborted, now if it is already; the function it gives takes the listener away, and does
 * nothing more. Throws where it is no signal.
 */
export const onAbort = (signal: AbortSignal | undefined, f: (reason: Reason) => void): (() => void) => {
  if (signal === undefined) return constVoid
  if (!isSignal(signal)) throw new TypeError("signal is not an AbortSignal: give the `signal` of an AbortController")
  if (signal.aborted) {
    f(reasonOf(signal))
    return constVoid
  }
  let listens = true
  const leave = (): void => {
    if (!listens) return
    listens = false
    try {
      signal.removeEventListener("abort", listener)
    } catch {
      // It is deaf from now on all the same.
    }
  }
  const listener = (): void => {
    if (!listens) return
    leave()
    f(reasonOf(signal))
  }
  signal.addEventListener("abort", listener)
  return leave
}

const isSignal = (signal: unknown): boolean => {
  const { addEventListener, removeEventListener } = Object(signal) as Partial<AbortSignal>
  return typeof addEventListener === "function" && typeof removeEventListener === "function"
}

const reasonOf = (signal: AbortSignal): Reason => {
  let cause: unknown
  let message = "its signal was aborted"
  try {
    cause = signal.reason
    message = textOf(cause) ?? message
  } catch {
    // A reason with a getter that throws is still a reason.
  }
  return { kind: "explicit", by: "its signal", message, cause }
}

const textOf = (reason: unknown): string | undefined => {
  if (typeof reason === "object" && reason !== null) {
    const message = "message" in reason ? reason.message : undefined
    return typeof message === "string" && message !== "" ? message : undefined
  }
  return reason === undefined || reason === null || typeof reason === "function" ? undefined : String(reason)
}
