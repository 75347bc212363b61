/** One attempt: sends the request, follows where it leads, and takes the answer if its status and size will do. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse as Response } from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import * as Deadline from "../../concurrency/Deadline.ts"
import { Meter } from "../../pipeline/context/Meter.ts"
import * as Body from "./FetchBody.ts"
import { explain, FetchError, type Reason, shown } from "../FetchError.ts"
import { type Outgoing, redirected } from "./FetchRequest.ts"

export interface Limits {
  readonly maxBody: number
  readonly maxRatio?: number | undefined
  readonly redirects: number
  readonly accept: (status: number) => boolean
}

/** An answer with its whole body. */
export interface Answer {
  readonly outgoing: Outgoing
  readonly response: Response
  readonly body: Uint8Array
  /** From sending the request to the last byte. */
  readonly millis: number
}

export class Attempt {
  private readonly client: HttpClient.HttpClient
  private readonly limits: Limits
  private readonly meter: Meter
  private readonly clock: Clock.Clock
  private started = 0

  constructor(client: HttpClient.HttpClient, limits: Limits, context: Context.Context<never>) {
    this.client = client
    this.limits = limits
    this.meter = Context.get(context, Meter)
    this.clock = Context.get(context, Clock.Clock)
  }

  run(outgoing: Outgoing): Effect.Effect<Answer, FetchError> {
    return Effect.suspend(() => {
      this.started = Alarm.now(this.clock)
      return this.send(outgoing, 0)
    })
  }

  private send(outgoing: Outgoing, hops: number): Effect.Effect<Answer, FetchError> {
    return Effect.matchEffect(this.client.execute(outgoing.request), {
      onFailure: (error) => Effect.fail(broken(outgoing, error)),
      onSuccess: (response) => this.receive(outgoing, response, hops)
    })
  }

  private receive(outgoing: Outgoing, response: Response, hops: number): Effect.Effect<Answer, FetchError> {
    const { status } = response
    if (leadsOn.has(status) && this.limits.redirects > 0) {
      const { location } = response.headers
      if (location !== undefined) {
        return Effect.andThen(Body.discard(response), this.follow(outgoing, status, location, hops))
      }
    }
    if (!this.limits.accept(status)) return Effect.andThen(Body.discard(response), this.refuse(outgoing, response))
    return Effect.matchEffect(Body.read(response, this.limits), {
      onFailure: (error) =>
        Effect.fail(
          error._tag === "TooLarge"
            ? tooLarge(outgoing, error, this.limits)
            : error._tag === "Undecodable"
              ? undecodable(outgoing, error)
              : broken(outgoing, error)
        ),
      onSuccess: (body) => {
        this.meter.bytes += body.length
        const millis = Math.round(Alarm.now(this.clock) - this.started)
        return Effect.succeed({ outgoing, response, body, millis })
      }
    })
  }

  private follow(
    outgoing: Outgoing,
    status: number,
    location: string,
    hops: number
  ): Effect.Effect<Answer, FetchError> {
    const { redirects } = this.limits
    if (hops >= redirects) return Effect.fail(fail(outgoing, "redirect", `redirected more than ${redirects} times`))
    const next = redirected(outgoing, status, location)
    return Result.isSuccess(next)
      ? this.send(next.success, hops + 1)
      : Effect.fail(fail(outgoing, "redirect", next.failure))
  }

  private refuse(outgoing: Outgoing, { status, headers }: Response): Effect.Effect<never, FetchError> {
    const asked = Headers.parseRetryAfter(headers["retry-after"] ?? "")
    const retryAfter = Result.isSuccess(asked)
      ? Duration.toMillis(Headers.retryAfterDelay(asked.success, this.clock.currentTimeMillisUnsafe()))
      : undefined
    const retryable = outgoing.idempotent && isTransient(status)
    const more = { status, retryable, ...(retryAfter !== undefined && { retryAfter }) }
    return Effect.fail(fail(outgoing, "status", `answered ${status}`, more))
  }
}

/** Fails with reason "timeout" when there is no answer within so many milliseconds. */
export const within = (
  effect: Effect.Effect<Answer, FetchError>,
  outgoing: Outgoing,
  millis: number
): Effect.Effect<Answer, FetchError> =>
  millis === Infinity
    ? effect
    : Effect.catchTag(Deadline.within(effect, millis), "DeadlineExceeded", () => {
        const detail = `no complete answer within ${Duration.format(Duration.millis(millis))}`
        return Effect.fail(fail(outgoing, "timeout", detail, { retryable: outgoing.idempotent }))
      })

/**
 * Whether an answer of this status may be another one when asked again.
 *
 * @example
 * ```ts
 * import { Fetch } from "skein"
 *
 * [429, 503, 404].map(Fetch.isTransient) // => [true, true, false]
 * ```
 */
export const isTransient = (status: number): boolean => transient.has(status)

const transient: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])
const leadsOn: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The error of this request; `more` are the fields that only some reasons have. */
export const fail = (
  { request, url }: Outgoing,
  reason: Reason,
  detail: string,
  more: Partial<Pick<FetchError, "retryable" | "status" | "retryAfter" | "limit">> = {}
): FetchError =>
  new FetchError({ reason, method: request.method, url: shown(url.href), detail, retryable: false, ...more })

const broken = (outgoing: Outgoing, error: HttpClientError): FetchError =>
  fail(outgoing, "connect", explain(error), { retryable: outgoing.idempotent })

const undecodable = (outgoing: Outgoing, { detail, isCut }: Body.Undecodable): FetchError =>
  isCut
    ? fail(outgoing, "connect", `its body ${detail}`, { retryable: outgoing.idempotent })
    : fail(outgoing, "body", `its body ${detail}`)

const tooLarge = (outgoing: Outgoing, error: Body.TooLarge, limits: Limits): FetchError => {
  const limit = limits[error.limit] ?? Body.maxRatio
  return fail(outgoing, "tooLarge", Body.explainLarge(error, limit), { limit })
}
