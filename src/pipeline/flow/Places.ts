/** How many of a stage's workers may work at once: a number, or as many as the gradient of their calls says is best. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { Gradient, type Outcome } from "../../concurrency/base/Gradient.ts"
import * as Deadline from "../../concurrency/Deadline.ts"
import { isWorthIt } from "../context/Backoff.ts"
import type { Each, Range } from "../Step.ts"

/** The most elements that may be worked on at once. */
export const mostOf = (concurrency: number | Range): number =>
  typeof concurrency === "number" ? concurrency : concurrency.max

export class Places {
  limit: number
  private gradient: Gradient | undefined
  private readonly grown: () => void

  /** `grown` is told when more may work than before. */
  constructor(concurrency: number | Range, grown: () => void) {
    this.grown = grown
    this.limit = 0
    this.change(concurrency)
  }

  /** Whether it looks at how long calls take. */
  get learns(): boolean {
    return this.gradient !== undefined
  }

  change(concurrency: number | Range): void {
    this.gradient =
      typeof concurrency === "number" ? undefined : new Gradient({ ...concurrency, tolerance: 1, backoff: 0.9 })
    this.become(this.gradient?.limit ?? (concurrency as number))
  }

  /** Learns from how long the call takes, where that is asked for; `isFull` says whether all who may work do. */
  watch(
    call: Effect.Effect<unknown, unknown, unknown>,
    { policy }: Each,
    isFull: () => boolean
  ): Effect.Effect<unknown, unknown, unknown> {
    const { gradient } = this
    if (gradient === undefined) return call
    return Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const begun = gradient.start(Alarm.now(clock), isFull())
      return Effect.onExitPrimitive(call, (exit) => {
        gradient.end(begun, Alarm.now(clock), outcomeOf(exit, policy))
        if (this.gradient === gradient) this.become(gradient.limit)
        return undefined
      })
    })
  }

  private become(limit: number): void {
    const before = this.limit
    this.limit = limit
    if (limit > before) this.grown()
  }
}

/** An attempt that ran out of its time, or is worth another one, says that it was too much; an error of the element's own does not. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>, policy: Each["policy"]): Outcome => {
  if (Exit.isSuccess(exit)) return "well"
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  if (failure === undefined || Cause.hasInterrupts(exit.cause)) return "unknown"
  if (failure.error instanceof Deadline.DeadlineExceeded) return "overload"
  const retry = policy?.retry
  return retry !== undefined && isWorthIt(retry, failure.error) ? "overload" : "unknown"
}
