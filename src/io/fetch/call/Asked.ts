/** What is asked for, as its errors tell of it: within which limits, how often it was sent, and for how long. */
import type * as Clock from "effect/Clock"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import type * as Wire from "../../context/Wire.ts"
import { FetchError, type Reason } from "../../FetchError.ts"
import * as Body from "../body/FetchBody.ts"
import type * as Cookies from "./Cookies.ts"
import * as FetchCause from "./FetchCause.ts"
import type { Outgoing } from "./FetchRequest.ts"
import { span } from "./FetchTime.ts"
import { shown } from "./ShownUrl.ts"

export interface Limits extends Body.Bounds {
  readonly redirects: number
  readonly accept: (status: number) => boolean
  /** Milliseconds for one attempt. */
  readonly timeout: number
  /** What the transport is told; undefined where that is nothing. */
  readonly wire: Wire.Wire | undefined
  readonly cookies: Cookies.Choice | undefined
}

/** What only some reasons have. */
export type More = Partial<Pick<FetchError, "retryable" | "status" | "retryAfter" | "limit" | "excerpt" | "cause">>

export class Asked {
  /** How many times it was sent. */
  count = 0
  waitsForSlot = false
  readonly limits: Limits
  readonly clock: Clock.Clock
  /** When it was asked for. */
  readonly asked: number

  constructor(limits: Limits, clock: Clock.Clock) {
    this.limits = limits
    this.clock = clock
    this.asked = Alarm.now(clock)
  }

  /** Milliseconds since it was asked for. */
  get elapsed(): number {
    return Alarm.now(this.clock) - this.asked
  }

  error(outgoing: Outgoing, reason: Reason, detail: string, more?: More): FetchError {
    return new FetchError({
      reason,
      method: outgoing.request.method,
      url: shown(outgoing.url.href, outgoing.secret),
      detail,
      retryable: false,
      attempt: this.count,
      elapsed: Math.round(this.elapsed),
      ...more
    })
  }

  broken(outgoing: Outgoing, error: HttpClientError): FetchError {
    const { detail, isPassing, limit, reason } = FetchCause.of(error)
    const { cause } = error
    const retryable = isPassing && outgoing.idempotent
    return this.error(outgoing, reason, detail, {
      retryable,
      ...(cause !== undefined && { cause }),
      ...(limit !== undefined && { limit })
    })
  }

  late(outgoing: Outgoing, what: string, millis: number): FetchError {
    const time = `no complete answer within ${span(millis)}, the time for ${what}`
    const detail = this.waitsForSlot
      ? `${time}: it was waiting for a slot (\`perHost\`, \`concurrency\`); an answer that is read as a stream holds one to its end`
      : time
    return this.error(outgoing, "Timeout", detail, { retryable: outgoing.idempotent })
  }

  /** Later than the time for one attempt. */
  tooLate(outgoing: Outgoing): FetchError {
    return this.late(outgoing, "one attempt", this.limits.timeout)
  }

  /** Of an answer whose body could not be read. */
  unread(outgoing: Outgoing, error: HttpClientError | Body.Fault): FetchError {
    if (error._tag === "HttpClientError") return this.broken(outgoing, error)
    if (error._tag === "TooLarge") {
      const limit = this.limits[error.limit] ?? Body.maxRatio
      return this.error(outgoing, "TooLarge", Body.explainLarge(error, limit), { limit })
    }
    const detail = `its body ${error.detail}`
    return error.isCut
      ? this.error(outgoing, "Connect", detail, { retryable: outgoing.idempotent })
      : this.error(outgoing, "Decode", detail)
  }
}
