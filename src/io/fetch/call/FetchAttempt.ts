/** One request: sends it, as often as it is told to, follows where it leads, and takes the answer if its status and size will do. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse as Response } from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import * as Deadline from "../../../concurrency/Deadline.ts"
import { Meter } from "../../../pipeline/context/Meter.ts"
import { FetchError, type Reason } from "../../FetchError.ts"
import * as Body from "../body/FetchBody.ts"
import * as Cookies from "./Cookies.ts"
import * as FetchCause from "./FetchCause.ts"
import { excerpt } from "./FetchExcerpt.ts"
import type { Host, Hosts } from "../policy/FetchHosts.ts"
import type { Pass, Renewal } from "../policy/FetchRenewal.ts"
import { type Outgoing, redirected } from "./FetchRequest.ts"
import { shown } from "./ShownUrl.ts"
import * as HttpCache from "../cache/HttpCache.ts"
import type { Received } from "../../context/Direct.ts"
import * as Wire from "../../context/Wire.ts"

export interface Limits extends Body.Bounds {
  readonly redirects: number
  readonly accept: (status: number) => boolean
  /** Milliseconds for one attempt. */
  readonly timeout: number
  /** What the transport is told; undefined where that is nothing. */
  readonly wire: Wire.Wire | undefined
  readonly cookies: Cookies.Choice | undefined
}

/** An answer whose status is accepted, with its body as `B`. */
export interface Answer<B = Uint8Array> {
  /** The request that it answers: after redirects, the last. */
  readonly outgoing: Outgoing
  readonly response: Response
  /** As a whole it may be a part of other memory: see `Body.own`. */
  readonly body: B
  /** From sending the request to the last byte; of a stream, to the head. */
  readonly millis: number
  /** The error of this request, for what its body is read as. */
  readonly error: (reason: Reason, detail: string, more?: More) => FetchError
  /** What the body still holds, where it is a stream. */
  readonly scope: Scope.Closeable | undefined
}

/** The body as it arrives, undone of its content codings. */
export type Arriving = Stream.Stream<Uint8Array, FetchError>

/** What only some reasons have. */
export type More = Partial<Pick<FetchError, "retryable" | "status" | "retryAfter" | "limit" | "excerpt" | "cause">>

/** What stands before the requests of a call, where its policy says so. */
export interface Around {
  readonly renewalOf?: ((origin: string) => Renewal) | undefined
  readonly permission?: Permission | undefined
  readonly cache?: HttpCache.HttpCache | undefined
}

/** Gives how far apart requests to its host are to start, in milliseconds, or fails with what makes it `refused`. */
export type Permission = (
  outgoing: Outgoing,
  refused: (detail: string, more: More) => FetchError
) => Effect.Effect<number, FetchError>

/** One time that it is sent. */
export interface Sent {
  readonly at: number
  readonly scope: Scope.Closeable | undefined
  readonly cookies: Cookies.Cookies | undefined
}

/** What an origin refused with 401, and where others can be had. */
interface Unauthorized {
  readonly renewal: Renewal
  readonly pass: Pass | undefined
}

export class Attempt<B> {
  /** How many times it was sent. */
  count = 0
  /** The last answer with 401 of an origin that there are new headers for. */
  unauthorized: Unauthorized | undefined
  isRenewed = false
  waitsForSlot = false
  readonly host: Host
  readonly limits: Limits
  private readonly client: HttpClient.HttpClient
  private readonly hosts: Hosts
  private readonly take: Take<B>
  readonly around: Around
  /** What the cache has for the request that was looked for last. */
  private found: { readonly outgoing: Outgoing; readonly place: HttpCache.Place | undefined } | undefined
  private readonly outer: Scope.Scope | undefined
  private readonly meter: Meter
  readonly clock: Clock.Clock
  /** When it was asked for. */
  readonly asked: number

  /** What is kept for the body of an answer is kept in `outer`. */
  constructor(
    client: HttpClient.HttpClient,
    hosts: Hosts,
    outgoing: Outgoing,
    limits: Limits,
    take: Take<B>,
    around: Around,
    outer: Scope.Scope | undefined,
    context: Context.Context<never>
  ) {
    this.client = client
    this.hosts = hosts
    this.limits = limits
    this.take = take
    this.around = around
    this.outer = outer
    this.meter = Context.get(context, Meter)
    this.clock = Context.get(context, Clock.Clock)
    this.asked = Alarm.now(this.clock)
    this.host = hosts.of(outgoing.url.host, this.asked, this.clock)
  }

  /** Milliseconds since it was asked for. */
  get elapsed(): number {
    return Alarm.now(this.clock) - this.asked
  }

  /** The answer that need not be asked for. */
  kept(outgoing: Outgoing): Effect.Effect<Answer<B> | undefined, FetchError> {
    return Effect.flatMap(this.look(outgoing), (place) => {
      if (place?.kept?.isFresh !== true) return Effect.undefined
      const sent = { at: Alarm.now(this.clock), scope: undefined, cookies: undefined }
      return this.receive(outgoing, HttpCache.responseOf(outgoing.request, place.kept), sent, 0, undefined)
    })
  }

  /** Gives how far apart requests to its host are to start, in milliseconds. */
  permitted(outgoing: Outgoing): Effect.Effect<number, FetchError> {
    const { permission } = this.around
    if (permission === undefined) return Effect.succeed(0)
    return Effect.suspend(() => permission(outgoing, (detail, more) => this.error(outgoing, "Blocked", detail, more)))
  }

  /** Sends it, within the time for one attempt. */
  run(outgoing: Outgoing): Effect.Effect<Answer<B>, FetchError> {
    return Effect.suspend(() => {
      this.count += 1
      const at = Alarm.now(this.clock)
      const { timeout } = this.limits
      const cookies = Cookies.kept(this.limits.cookies, this.client)
      const late = () => this.tooLate(outgoing)
      if (this.outer === undefined)
        return within(this.send(outgoing, { at, scope: undefined, cookies }, 0), timeout, late)
      const scope = Scope.forkUnsafe(this.outer)
      return Effect.onExit(within(this.send(outgoing, { at, scope, cookies }, 0), timeout, late), (exit) =>
        Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void
      )
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

  /** Counts bytes of bodies for whoever runs this. */
  arrived(bytes: number): void {
    this.meter.bytes += bytes
  }

  /** Whether an answer with this head is one to take as a whole, with nothing else to be done about it. */
  wantsWhole({ request }: Outgoing, status: number, headers: Received, sent: Sent): boolean {
    if (status === 204 || (status >= 300 && status < 400) || status === partial || request.method === "HEAD")
      return false
    if (status === tooMany || headers["retry-after"] !== undefined || !Body.isBounded(headers, this.limits))
      return false
    try {
      if (!this.limits.accept(status)) return false
    } catch {
      // It throws again where that can be told.
      return false
    }
    this.host.pace.took(this.clock, sent.at)
    return true
  }

  private look(outgoing: Outgoing): Effect.Effect<HttpCache.Place | undefined> {
    const { cache } = this.around
    if (cache === undefined) return Effect.undefined
    return Effect.suspend(() => {
      if (this.found?.outgoing === outgoing) return Effect.succeed(this.found.place)
      return Effect.map(cache.find(outgoing), (place) => {
        this.found = { outgoing, place }
        return place
      })
    })
  }

  private send(outgoing: Outgoing, sent: Sent, hops: number): Effect.Effect<Answer<B>, FetchError> {
    if (this.around.cache === undefined) return this.exchange(outgoing, sent, hops, undefined)
    return Effect.flatMap(this.look(outgoing), (place) =>
      place?.kept?.isFresh === true
        ? this.receive(outgoing, HttpCache.responseOf(outgoing.request, place.kept), sent, hops, undefined)
        : this.exchange(outgoing, sent, hops, place)
    )
  }

  private exchange(
    outgoing: Outgoing,
    sent: Sent,
    hops: number,
    place: HttpCache.Place | undefined
  ): Effect.Effect<Answer<B>, FetchError> {
    const { wire } = this.limits
    const renewal = this.around.renewalOf?.(outgoing.url.origin)
    const pass = renewal?.pass
    const bare = place?.kept === undefined ? outgoing.request : HttpCache.asking(outgoing.request, place.kept)
    const request = pass === undefined ? bare : HttpClientRequest.setHeaders(bare, pass.headers)
    const exchanged =
      sent.cookies === undefined
        ? Wire.execute(this.client, request, wire)
        : Effect.flatMap(sent.cookies.sent(request, outgoing.url), (request) =>
            Wire.execute(this.client, request, wire)
          )
    return Effect.matchEffect(exchanged, {
      onFailure: (error) => Effect.fail(this.broken(outgoing, error)),
      onSuccess: (response) => {
        this.unauthorized = response.status === 401 && renewal !== undefined ? { renewal, pass } : undefined
        return this.keep(outgoing, response, sent, hops, place)
      }
    })
  }

  /** Keeps the cookies that it sets: without a jar, while it leads on. */
  keep(
    outgoing: Outgoing,
    response: Response,
    sent: Sent,
    hops: number,
    place: HttpCache.Place | undefined
  ): Effect.Effect<Answer<B>, FetchError> {
    const isKept = sent.cookies !== undefined || (leadsOn.has(response.status) && this.limits.cookies !== false)
    const lines = isKept ? Wire.setCookiesOf(response) : []
    if (lines.length === 0) return this.settle(outgoing, response, sent, hops, place)
    const cookies = sent.cookies ?? new Cookies.Cookies()
    return Effect.flatMap(cookies.received(lines, outgoing.url), () =>
      this.settle(outgoing, response, { ...sent, cookies }, hops, place)
    )
  }

  /** What the answer means to the cache, before it is taken. */
  private settle(
    outgoing: Outgoing,
    response: Response,
    sent: Sent,
    hops: number,
    place: HttpCache.Place | undefined
  ): Effect.Effect<Answer<B>, FetchError> {
    const { cache } = this.around
    if (cache === undefined) return this.receive(outgoing, response, sent, hops, undefined)
    const kept = place?.kept
    if (kept === undefined || response.status !== 304) {
      const received = this.receive(outgoing, response, sent, hops, place)
      return response.status < 400 ? Effect.andThen(cache.forget(outgoing), received) : received
    }
    // One that is about another answer is no answer.
    if (!HttpCache.isSame(kept, response)) return this.exchange(outgoing, sent, hops, { ...place!, kept: undefined })
    return Effect.flatMap(cache.renew(kept, response, outgoing.secret), (kept) => {
      this.found = undefined
      return this.receive(outgoing, HttpCache.responseOf(outgoing.request, kept), sent, hops, undefined)
    })
  }

  /** With `place`, what is taken goes there. */
  private receive(
    outgoing: Outgoing,
    response: Response,
    sent: Sent,
    hops: number,
    place: HttpCache.Place | undefined
  ): Effect.Effect<Answer<B>, FetchError> {
    const { headers, status } = response
    const retryAfter = this.heed(outgoing, response, sent)
    if (leadsOn.has(status) && this.limits.redirects > 0) {
      const { location } = headers
      if (location !== undefined) {
        return Effect.andThen(Body.discard(response), this.follow(outgoing, status, location, sent, hops))
      }
    }
    if (!this.limits.accept(status)) return this.refuse(outgoing, response, retryAfter)
    if (status === partial && outgoing.request.headers["range"] === undefined) {
      const detail = `answered ${status}, which is for a range, and none was asked for`
      return Effect.andThen(Body.release(response), Effect.fail(this.error(outgoing, "Protocol", detail, { status })))
    }
    return this.accepted(outgoing, response, sent, place)
  }

  /** Takes an answer that is one, as a whole or as it arrives. */
  accepted(
    outgoing: Outgoing,
    response: Response,
    sent: Sent,
    place: HttpCache.Place | undefined
  ): Effect.Effect<Answer<B>, FetchError> {
    const { cache } = this.around
    return Effect.matchEffect(this.take(this, outgoing, response, sent.scope), {
      onFailure: (error) => Effect.fail(this.unread(outgoing, error)),
      onSuccess: (body) => {
        const answer = this.answered(outgoing, response, sent, body, Alarm.now(this.clock))
        return cache === undefined || place === undefined || !(body instanceof Uint8Array)
          ? Effect.succeed(answer)
          : Effect.as(cache.keep(place, outgoing, response, body), answer)
      }
    })
  }

  /** An answer that is accepted, and whose body is there or begins now. */
  answered<A extends B | Uint8Array>(
    outgoing: Outgoing,
    response: Response,
    sent: Sent,
    body: A,
    now: number
  ): Answer<A> {
    const isWhole = body instanceof Uint8Array
    if (isWhole) this.arrived(body.length)
    return {
      outgoing,
      response,
      body,
      millis: Math.round(now - sent.at),
      error: (reason, detail, more) =>
        this.error(outgoing, reason, detail, {
          ...(reason === "Decode" && isWhole && excerpt(body, response, outgoing)),
          ...more
        }),
      scope: sent.scope
    }
  }

  /** Passes on to its host what an answer says for all; gives for how many milliseconds it asks to wait. */
  private heed(outgoing: Outgoing, { headers, status }: Response, sent: Sent): number | undefined {
    const header = headers["retry-after"]
    if (header === undefined && status !== tooMany) {
      this.host.pace.took(this.clock, sent.at)
      return undefined
    }
    const asked = Headers.parseRetryAfter(header ?? "")
    const millis = Result.isSuccess(asked)
      ? Duration.toMillis(Headers.retryAfterDelay(asked.success, this.clock.currentTimeMillisUnsafe()))
      : undefined
    if (status === tooMany || status === unavailable) {
      const now = Alarm.now(this.clock)
      this.hosts.of(outgoing.url.host, now, this.clock).pace.refuses(now, sent.at, status, millis)
    }
    return millis
  }

  private follow(
    outgoing: Outgoing,
    status: number,
    location: string,
    sent: Sent,
    hops: number
  ): Effect.Effect<Answer<B>, FetchError> {
    const { redirects } = this.limits
    const refused = (detail: string) => Effect.fail(this.error(outgoing, "Redirect", detail))
    if (hops >= redirects) return refused(`redirected more than ${redirects} times`)
    const next = redirected(outgoing, status, location)
    if (Result.isFailure(next)) return refused(next.failure)
    const sending = this.send(next.success, sent, hops + 1)
    return this.around.permission === undefined ? sending : Effect.andThen(this.permitted(next.success), sending)
  }

  private refuse(
    outgoing: Outgoing,
    response: Response,
    retryAfter: number | undefined
  ): Effect.Effect<never, FetchError> {
    const { status } = response
    const retryable = outgoing.idempotent && isTransient(status)
    return Effect.flatMap(Body.beginning(response), (body) =>
      Effect.fail(
        this.error(outgoing, "Status", `answered ${status}`, {
          status,
          retryable,
          ...(retryAfter !== undefined && { retryAfter }),
          ...excerpt(body, response, outgoing)
        })
      )
    )
  }
}

/** What is made of the body of an answer that is accepted. */
export type Take<B> = (
  attempt: Attempt<B>,
  outgoing: Outgoing,
  response: Response,
  scope: Scope.Closeable | undefined
) => Effect.Effect<B, HttpClientError | Body.Fault>

/** Reads it to the end. */
export const whole: Take<Uint8Array> = (attempt, _, response) => Body.read(response, attempt.limits)

/** Leaves it to whoever reads it, and lets go of it at its end. */
export const arriving: Take<Arriving> = (attempt, outgoing, response, scope) => {
  const { timeout } = attempt.limits
  const late = () => attempt.error(outgoing, "Timeout", `nothing more of its body came within ${span(timeout)}`)
  return Effect.map(Effect.provideService(Body.open(response, attempt.limits), Scope.Scope, scope!), (piece) => {
    const next = Effect.matchCauseEffect(piece, {
      onFailure: (cause) => Effect.andThen(Scope.close(scope!, Exit.void), Effect.failCause(cause)),
      onSuccess: (piece) => {
        if (piece === undefined) return Effect.andThen(Scope.close(scope!, Exit.void), Cause.done())
        attempt.arrived(piece.length)
        return Effect.succeed([piece] as const)
      }
    })
    return Stream.mapError(Stream.fromPull(Effect.succeed(within(next, timeout, late))), (error) =>
      error._tag === "FetchError" ? error : attempt.unread(outgoing, error)
    )
  })
}

/** Fails with what `late` gives when there is no answer within so many milliseconds. */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  late: () => FetchError
): Effect.Effect<A, E | FetchError, R> =>
  millis === Infinity
    ? effect
    : Effect.catchIf(
        Deadline.within(effect, millis),
        (error) => error instanceof Deadline.DeadlineExceeded,
        () => Effect.fail(late())
      )

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
const tooMany = 429
const unavailable = 503
/** A part, which would pass for the whole. */
const partial = 206
const leadsOn: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export const span = (millis: number): string => Duration.format(Duration.millis(Math.round(millis)))
