/** One request from its first attempt to the last: sends it, follows where it leads, and takes the answer if its status and size will do. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse as Response } from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import * as Deadline from "../../concurrency/Deadline.ts"
import { Meter } from "../../pipeline/context/Meter.ts"
import { FetchError, type Reason } from "../FetchError.ts"
import * as Body from "./FetchBody.ts"
import * as Cause from "./FetchCause.ts"
import { type Outgoing, redirected } from "./FetchRequest.ts"
import { shown } from "./ShownUrl.ts"

export interface Limits {
  readonly maxBody: number
  readonly redirects: number
  readonly accept: (status: number) => boolean
}

/** An answer whose status is accepted, with its body as `B`. */
export interface Answer<B = Uint8Array> {
  /** The request that it answers: after redirects, the last. */
  readonly outgoing: Outgoing
  readonly response: Response
  readonly body: B
  /** From sending the request to the last byte; of a stream, to the head. */
  readonly millis: number
  /** The error of this request, for what its body is read as. */
  readonly error: (reason: Reason, detail: string, more?: More) => FetchError
}

/** The body as it arrives, undone of its content codings. */
export type Arriving = Stream.Stream<Uint8Array, FetchError>

/** What only some reasons have. */
export type More = Partial<Pick<FetchError, "retryable" | "status" | "retryAfter" | "limit" | "excerpt" | "cause">>

export class Attempt<B> {
  /** How many times it was sent. */
  count = 0
  private readonly client: HttpClient.HttpClient
  private readonly limits: Limits
  private readonly take: Take<B>
  private readonly meter: Meter
  private readonly clock: Clock.Clock
  private readonly asked: number
  private started = 0

  constructor(client: HttpClient.HttpClient, limits: Limits, take: Take<B>, context: Context.Context<never>) {
    this.client = client
    this.limits = limits
    this.take = take
    this.meter = Context.get(context, Meter)
    this.clock = Context.get(context, Clock.Clock)
    this.asked = Alarm.now(this.clock)
  }

  run(outgoing: Outgoing): Effect.Effect<Answer<B>, FetchError> {
    return Effect.suspend(() => {
      this.count += 1
      this.started = Alarm.now(this.clock)
      return this.send(outgoing, 0)
    })
  }

  error(outgoing: Outgoing, reason: Reason, detail: string, more?: More): FetchError {
    return new FetchError({
      reason,
      method: outgoing.request.method,
      url: shown(outgoing.url.href, outgoing.secret),
      detail,
      retryable: false,
      attempt: this.count,
      elapsed: Math.round(Alarm.now(this.clock) - this.asked),
      ...more
    })
  }

  broken(outgoing: Outgoing, error: HttpClientError): FetchError {
    const { detail, isPassing, reason } = Cause.of(error)
    // The error of the client around it says no more, and has the URL in it with what is secret.
    const cause = error.reason.cause ?? error
    return this.error(outgoing, reason, detail, { retryable: isPassing && outgoing.idempotent, cause })
  }

  /** Counts bytes of bodies for whoever runs this. */
  arrived(bytes: number): void {
    this.meter.bytes += bytes
  }

  private send(outgoing: Outgoing, hops: number): Effect.Effect<Answer<B>, FetchError> {
    return Effect.matchEffect(this.client.execute(outgoing.request), {
      onFailure: (error) => Effect.fail(this.broken(outgoing, error)),
      onSuccess: (response) => this.receive(outgoing, response, hops)
    })
  }

  private receive(outgoing: Outgoing, response: Response, hops: number): Effect.Effect<Answer<B>, FetchError> {
    const { status } = response
    if (leadsOn.has(status) && this.limits.redirects > 0) {
      const { location } = response.headers
      if (location !== undefined) {
        return Effect.andThen(Body.discard(response), this.follow(outgoing, status, location, hops))
      }
    }
    if (!this.limits.accept(status)) return Effect.andThen(Body.discard(response), this.refuse(outgoing, response))
    return Effect.map(this.take(this, outgoing, response, this.limits.maxBody), (body) => ({
      outgoing,
      response,
      body,
      millis: Math.round(Alarm.now(this.clock) - this.started),
      error: (reason, detail, more) => this.error(outgoing, reason, detail, more)
    }))
  }

  private follow(
    outgoing: Outgoing,
    status: number,
    location: string,
    hops: number
  ): Effect.Effect<Answer<B>, FetchError> {
    const { redirects } = this.limits
    const refused = (detail: string) => Effect.fail(this.error(outgoing, "Redirect", detail))
    if (hops >= redirects) return refused(`redirected more than ${redirects} times`)
    const next = redirected(outgoing, status, location)
    return Result.isSuccess(next) ? this.send(next.success, hops + 1) : refused(next.failure)
  }

  private refuse(outgoing: Outgoing, { status, headers }: Response): Effect.Effect<never, FetchError> {
    const asked = Headers.parseRetryAfter(headers["retry-after"] ?? "")
    const retryAfter = Result.isSuccess(asked)
      ? Duration.toMillis(Headers.retryAfterDelay(asked.success, this.clock.currentTimeMillisUnsafe()))
      : undefined
    const retryable = outgoing.idempotent && isTransient(status)
    const more = { status, retryable, ...(retryAfter !== undefined && { retryAfter }) }
    return Effect.fail(this.error(outgoing, "Status", `answered ${status}`, more))
  }
}

/** What is made of the body of an answer that is accepted. */
export type Take<B> = (
  attempt: Attempt<B>,
  outgoing: Outgoing,
  response: Response,
  maxBody: number
) => Effect.Effect<B, FetchError>

/** Reads it to the end. */
export const whole: Take<Uint8Array> = (attempt, outgoing, response, maxBody) =>
  Effect.matchEffect(Body.read(response, maxBody), {
    onFailure: (error) =>
      Effect.fail(
        error._tag === "TooLarge" ? tooLarge(attempt, outgoing, error, maxBody) : attempt.broken(outgoing, error)
      ),
    onSuccess: (body) => {
      attempt.arrived(body.length)
      return Effect.succeed(body)
    }
  })

/** Leaves it to whoever reads it. */
export const arriving: Take<Arriving> = (attempt, outgoing, response) =>
  Effect.sync(() =>
    response.stream.pipe(
      Stream.mapError((error) => attempt.broken(outgoing, error)),
      Stream.tap((piece) => Effect.sync(() => attempt.arrived(piece.length)))
    )
  )

/** Fails with reason `Timeout` when there is no answer within so many milliseconds. */
export const within = <A, B>(
  effect: Effect.Effect<A, FetchError>,
  attempt: Attempt<B>,
  outgoing: Outgoing,
  millis: number
): Effect.Effect<A, FetchError> =>
  millis === Infinity
    ? effect
    : Effect.catchTag(Deadline.within(effect, millis), "DeadlineExceeded", () => {
        const detail = `no complete answer within ${Duration.format(Duration.millis(millis))}`
        return Effect.fail(attempt.error(outgoing, "Timeout", detail, { retryable: outgoing.idempotent }))
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

const tooLarge = <B>(
  attempt: Attempt<B>,
  outgoing: Outgoing,
  { announced }: Body.TooLarge,
  limit: number
): FetchError => {
  const size = announced === undefined ? "its body" : `its body of ${announced} bytes`
  const detail = `${size} is larger than ${limit} bytes, and was not read to the end`
  return attempt.error(outgoing, "TooLarge", detail, { limit })
}
