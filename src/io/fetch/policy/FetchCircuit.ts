/**
 * Whether a host keeps failing. It only counts: what number of failures is too many, and for how long the host is left
 * alone then, is said by the policy of each request.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import type { FetchError } from "../../FetchError.ts"
import type { Breaker } from "./FetchPolicy.ts"

export class Circuit {
  /** Calls that failed since the last that did not, and when the last of them did. */
  private failures = 0
  private failed = -Infinity
  /** Until when that matters. */
  private until = -Infinity
  /** One is let through to see whether the host is back. */
  private isTrying = false

  /** Whether there is nothing to remember. */
  isQuiet(now: number): boolean {
    return !this.isTrying && (this.failures === 0 || now >= this.until)
  }

  /** Makes the call, unless the host is left alone: fails then with what `open` makes of the milliseconds until it is not. */
  around<A, R>(
    { failures = 10, reset = "30 seconds" }: Breaker,
    call: Effect.Effect<A, FetchError, R>,
    open: (millis: number) => FetchError
  ): Effect.Effect<A, FetchError, R> {
    return Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const isOpen = this.failures >= failures
      if (isOpen) {
        const left = this.failed + Duration.toMillis(reset) - Alarm.now(clock)
        if (left > 0 || this.isTrying) return Effect.fail(open(Math.max(0, left)))
        this.isTrying = true
      }
      return Effect.onExitPrimitive(call, (exit) => {
        if (isOpen) this.isTrying = false
        if (exit._tag === "Success") this.failures = 0
        else {
          const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
          if (error === undefined) return undefined
          if (isFailure(error)) {
            this.failures += 1
            this.failed = Alarm.now(clock)
            this.until = Math.max(this.until, this.failed + Duration.toMillis(reset))
          } else if (error.attempt > 0) this.failures = 0
        }
        return undefined
      })
    })
  }
}

/** Whether it is the host's: an answer that refuses this request alone, or asks for patience, shows that it is there. */
const isFailure = ({ attempt, reason, status }: FetchError): boolean => {
  if (attempt === 0) return false
  if (reason === "Status") return status !== undefined && status >= 500
  return reason === "Connect" || reason === "Dns" || reason === "Tls" || reason === "Timeout" || reason === "Protocol"
}
