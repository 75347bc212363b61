/** S32, signals that come from outside. They may be of another make (S27): only what all of them have is used. */
import { constVoid } from "effect/Function"
import * as Foreign from "./Foreign.ts"
import type { Reason } from "./Reason.ts"

/**
 * Calls `f` once the signal is aborted, now if it is already; the function it gives takes `f` away again. Throws where it is no
 * signal. However many wait for one signal, it has one listener: platforms search all of them to take one away (S26).
 */
export const onAbort = (signal: AbortSignal | undefined, f: (reason: Reason) => void): (() => void) => {
  if (signal === undefined) return constVoid
  if (!isSignal(signal)) throw new TypeError("signal is not an AbortSignal: give the `signal` of an AbortController")
  if (signal.aborted) {
    f(reasonOf(signal))
    return constVoid
  }
  const waiting = waitingFor.get(signal) ?? listen(signal)
  // The same function may wait twice.
  const mine = { f }
  waiting.all.add(mine)
  return () => {
    if (waiting.all.delete(mine) && waiting.all.size === 0) waiting.stop()
  }
}

interface Waiting {
  readonly all: Set<{ readonly f: (reason: Reason) => void }>
  readonly stop: () => void
}

const waitingFor = new WeakMap<AbortSignal, Waiting>()

const listen = (signal: AbortSignal): Waiting => {
  const all: Waiting["all"] = new Set()
  const stop = (): void => {
    waitingFor.delete(signal)
    try {
      signal.removeEventListener("abort", listener)
    } catch {
      // It tells nobody any more all the same.
    }
  }
  const listener = (): void => {
    if (all.size === 0) return
    const told = Array.from(all)
    all.clear()
    stop()
    const reason = reasonOf(signal)
    for (const { f } of told) f(reason)
  }
  signal.addEventListener("abort", listener)
  const waiting = { all, stop }
  waitingFor.set(signal, waiting)
  return waiting
}

const isSignal = (signal: unknown): boolean => {
  const { addEventListener, removeEventListener } = Object(signal) as Partial<AbortSignal>
  return typeof addEventListener === "function" && typeof removeEventListener === "function"
}

const reasonOf = (signal: AbortSignal): Reason => {
  const cause = Foreign.get(signal, "reason")
  const message = cause === undefined ? "" : Foreign.messageOf(cause)
  return { kind: "explicit", by: "its signal", message: message || "its signal was aborted", cause }
}
