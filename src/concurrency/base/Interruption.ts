/**
 * Interrupts many fibers with one cause. Effect makes one for each, which is a third of what a cancellation costs and lives until
 * the exits are gone. What it does not export for that is used here and nowhere else, and behind a check at load: where a
 * version of Effect goes another way, each fiber is interrupted by what is public.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { annotate, type Reason, reasonIn } from "./Reason.ts"

export type Interrupt = (fiber: Fiber.Fiber<unknown, unknown>) => void

/** S23: what interrupts fibers for a reason that stands in their causes. */
type Way = (reason: Reason) => Interrupt

/** By what is public: each has a cause of its own. */
export const apart: Way = (reason) => {
  const annotations = annotate(reason)
  return (fiber) => fiber.interruptUnsafe(undefined, annotations)
}

/** What is not public of a fiber. */
interface Inside {
  readonly interruptible: boolean
  readonly _running: boolean
  _interruptedCause: Cause.Cause<never> | undefined
  _deferredInterrupt: boolean
  readonly evaluate: (exit: Exit.Exit<never>) => void
  readonly _observers: ReadonlyArray<unknown> | undefined
  readonly _children: ReadonlySet<unknown> | undefined
}

/** As `interruptUnsafe` does it, but for the cause, and what a fiber that only waits goes on with: these they have in common. */
export const together: Way = (reason) => {
  const annotations = annotate(reason)
  const cause = Cause.annotate(Cause.interrupt(), annotations)
  const exit = Exit.failCause(cause)
  return (fiber) => {
    const inside = fiber as unknown as Inside
    // Interrupted once more, or where a stack trace belongs into it, the cause is that of this fiber alone.
    if (inside._interruptedCause !== undefined || fiber.cache.stackFrame !== undefined) {
      return fiber.interruptUnsafe(undefined, annotations)
    }
    if (fiber.pollUnsafe() !== undefined) return
    inside._interruptedCause = cause
    if (!inside.interruptible) return
    if (inside._running) inside._deferredInterrupt = true
    else inside.evaluate(exit)
  }
}

/** Whether fibers end by it as they should: one that waits, one that runs, and one that may not be interrupted at once. */
export const isRight = (way: Way): boolean => {
  const reason: Reason = { kind: "explicit", by: "check", message: "check" }
  const interrupt = way(reason)
  const steps: Array<string> = []
  const step = (name: string) => Effect.sync(() => void steps.push(name))
  const start = (effect: Effect.Effect<void>) => Effect.runFork(Effect.onExitPrimitive(effect, () => step("ended")))
  const itself = Effect.withFiber((fiber) => Effect.sync(() => interrupt(fiber)))
  const shielded = Effect.uninterruptibleMask(() => Effect.andThen(itself, step("shielded")))
  const isInterrupted = (fiber: Fiber.Fiber<void>): boolean => {
    const exit = fiber.pollUnsafe()
    return exit?._tag === "Failure" && exit.cause.reasons.length === 1 && reasonIn(exit.cause.reasons) === reason
  }
  try {
    const waits = start(Effect.never)
    interrupt(waits)
    const others = [itself, shielded].map((effect) => start(Effect.andThen(effect, step("went on"))))
    return [waits, ...others].every(isInterrupted) && steps.join() === "ended,ended,shielded,ended"
  } catch {
    return false
  }
}

export const interrupting: Way = /* @__PURE__ */ isRight(together) ? together : apart

/**
 * Whether nothing hangs on the end of this fiber but one observer: no other observer, no child, no interruption that it is behind
 * with. Says no where a version of Effect keeps that elsewhere.
 */
export const isAlone = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const { _children, _interruptedCause, _observers } = fiber as unknown as Inside
  return (
    _observers?.length === 1 &&
    (_children === undefined ? "_children" in fiber : _children.size === 0) &&
    _interruptedCause === undefined &&
    "_interruptedCause" in fiber
  )
}
