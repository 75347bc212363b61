/**
 * HTTP for the steps of a pipeline, over Effect's `HttpClient`: checked addresses, bounded bodies, decoded values,
 * typed failures, and every request under the limits of `Fetch.layer`.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import * as Limiter from "../concurrency/Limiter.ts"
import * as Policies from "../pipeline/Policy.ts"
import * as Attempt from "./fetch/FetchAttempt.ts"
import * as FetchJson from "./fetch/FetchJson.ts"
import type { FetchError } from "./FetchError.ts"
import * as Request from "./fetch/FetchRequest.ts"

import * as TextRule from "./text/TextRule.ts"

export { FetchError, type Reason } from "./FetchError.ts"
export type { Target } from "./fetch/FetchRequest.ts"
export { isTransient } from "./fetch/FetchAttempt.ts"

/** The limits of a request. `Fetch.layer` sets them for all, the options of one function for its own. */
export interface Limits {
  /** Attempts after the first, default 3. Only what may be sent twice is retried: see `idempotencyKey`. */
  readonly retries?: number | undefined
  /** For one attempt, the body included, default 30 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** For all attempts and the waits between them, default unlimited. */
  readonly total?: Duration.Input | undefined
  /** The largest body in bytes, default 16 MiB. It is enforced while the body arrives. */
  readonly maxBody?: number | undefined
  /** How many redirects are followed, default 10; with 0, an answer of that kind is one like any other. */
  readonly redirects?: number | undefined
}

export interface Options extends Limits {
  /** Default GET, or the method of the request. */
  readonly method?: HttpMethod | undefined
  /** Sent with every request. */
  readonly headers?: Headers.Input | undefined
  /** Which statuses are answers and not failures, default 200 to 299. */
  readonly accept?: ((status: number) => boolean) | undefined
  /**
   * Sends an `Idempotency-Key`, the same for each attempt on the same element of a pipeline, this run or the next: the
   * promise of this server that it does nothing twice, so that POST and PATCH are retried as well.
   */
  readonly idempotencyKey?: boolean | undefined
}

/** A function from an address to what is there, usable as a step: `Pipeline.map(Fetch.text())`. */
export type Fetcher<A, R = never> = (request: Request.Target) => Effect.Effect<A, FetchError, HttpClient.HttpClient | R>

/** An answer, whatever its kind. */
export interface Page {
  readonly status: number
  readonly headers: Headers.Headers
  /** What its header says; what its first bytes look like where that says nothing, or `text/plain` of what is no text. */
  readonly contentType: string
  /** Where it came from in the end, after redirects, without credentials. */
  readonly url: string
  readonly body: Uint8Array
  /** The body as `Fetch.text` gives it; undefined where the content type is not one of text. */
  readonly text: string | undefined
  /** How long the attempt took that gave it. */
  readonly duration: Duration.Duration
}

/** What `Fetch.layer` takes. A redirect counts as part of the request it answers: for rate, host and time. */
export interface LayerOptions extends Limits {
  /** How many requests may start in each `per`, evenly spaced; `burst` (default 1) of them at once after a pause. */
  readonly rate?: { readonly limit: number; readonly per: Duration.Input; readonly burst?: number } | undefined
  /** How many requests may run at once to one host and port, default unlimited. */
  readonly perHost?: number | undefined
  /** Sent as `User-Agent` where a request has none of its own, default "skein". */
  readonly userAgent?: string | undefined
}

/** The limits in force, and the limiters that count for all who share them. */
export interface Settings extends Limits {
  readonly rate?: Limiter.Limiter | undefined
  readonly perHost?: Limiter.Keyed<string> | undefined
  readonly userAgent?: string | undefined
}

/**
 * The limits that hold where no option says otherwise: those of the nearest `Fetch.layer`, or else the defaults.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 *
 * const retries = Effect.map(Fetch.Policy, ({ retries }) => retries)
 *
 * await Effect.runPromise(Effect.provide(retries, Fetch.layer({ retries: 1 }))) // => 1
 * ```
 */
export const Policy: Context.Reference<Settings> = Context.Reference("skein/Fetch/Policy", {
  defaultValue: (): Settings => ({})
})

/**
 * Sets the limits of every request inside; what it does not name stays as it is outside. Requests are counted together
 * where they share the layer, so provide it once, around the whole program.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 *
 * const polite = Fetch.layer({ rate: { limit: 20, per: "1 second" }, perHost: 4, timeout: "10 seconds" })
 * const program = Fetch.text()("gopher://example.com").pipe(
 *   Effect.catchTag("FetchError", (error) => Effect.succeed(error.reason)),
 *   Effect.provide([polite, Http.layer()])
 * )
 *
 * await Effect.runPromise(program) // => "url"
 * ```
 */
export const layer = (options: LayerOptions): Layer.Layer<never> => {
  check("Fetch.layer", options)
  checkWhole("Fetch.layer: perHost", options.perHost, 1)
  return Layer.effect(Policy)(
    Effect.gen(function* () {
      const { rate, perHost, ...rest } = options
      return {
        ...(yield* Policy),
        ...rest,
        ...(rate !== undefined && { rate: yield* Limiter.rate(rate) }),
        ...(perHost !== undefined && {
          perHost: yield* Limiter.perKey((_host: string) => Limiter.concurrency(perHost))
        })
      }
    })
  )
}

const check = (where: string, { maxBody, redirects, retries, timeout, total }: Limits): void => {
  checkWhole(`${where}: retries`, retries, 0, "unlimited")
  checkWhole(`${where}: maxBody`, maxBody, 0, "unlimited")
  checkWhole(`${where}: redirects`, redirects, 0)
  checkDuration(`${where}: timeout`, timeout)
  checkDuration(`${where}: total`, total)
}

/**
 * Fetches JSON and decodes it. A body that is not JSON fails with reason "body", one that the schema refuses with reason
 * "schema", naming field and URL; neither is retried.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import type * as Schema from "effect/Schema"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end(JSON.stringify({ name: "skein", stars: 7 })))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const Repo = Schema.Struct({ name: Schema.String, stars: Schema.Number })
 * const program = Fetch.json(Repo)(url).pipe(Effect.provide(Http.layer()))
 *
 * (await Effect.runPromise(program)).stars // => 7
 * server.close()
 * ```
 */
export const json = <S extends Schema.Constraint>(
  schema: S,
  options?: Options
): Fetcher<S["Type"], S["DecodingServices"]> =>
  fetcher(options, { accept: "application/json" }, FetchJson.decoder(schema))

/**
 * Fetches text, decoded by the rules of the web: its byte order mark, the charset of its content type, what HTML or XML
 * says of itself; else as UTF-8, or windows-1252 where it cannot be that.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("hello"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const program = Fetch.text({ maxBody: 1024, timeout: "2 seconds" })(url).pipe(Effect.provide(Http.layer()))
 *
 * await Effect.runPromise(program) // => "hello"
 * server.close()
 * ```
 */
export const text = (options?: Options): Fetcher<string> =>
  fetcher(options, {}, ({ body, response }) => TextRule.decoded(body, response.headers["content-type"]))

/**
 * Fetches the body as it is.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end(new Uint8Array([1, 2, 3])))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const program = Fetch.bytes()(url).pipe(Effect.provide(Http.layer()))
 *
 * (await Effect.runPromise(program)).length // => 3
 * server.close()
 * ```
 */
export const bytes = (options?: Options): Fetcher<Uint8Array> =>
  fetcher(options, {}, ({ body }) => Effect.succeed(body))

/**
 * Fetches an answer with all that is known of it. A status outside of 200 to 299 is a failure unless `accept` takes it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.writeHead(404, { "content-type": "text/plain" }).end("no"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const any = Fetch.page({ accept: (status) => !Fetch.isTransient(status) })
 * const { status, text } = await Effect.runPromise(any(url).pipe(Effect.provide(Http.layer())))
 *
 * `${status} ${text}` // => "404 no"
 * server.close()
 * ```
 */
export const page = (options?: Options): Fetcher<Page> =>
  fetcher(options, {}, ({ outgoing, response, body, millis }) => {
    const { status, headers } = response
    return Effect.map(TextRule.read(body, headers), ({ contentType, text }) => ({
      status,
      headers,
      contentType,
      url: outgoing.url.href,
      body,
      get text() {
        return text?.()
      },
      duration: Duration.millis(millis)
    }))
  })

const fetcher = <A, R>(
  options: Options = {},
  defaults: Readonly<Record<string, string>>,
  read: (answer: Attempt.Answer) => Effect.Effect<A, FetchError, R>
): Fetcher<A, R> => {
  check("Fetch", options)
  let plan: Plan | undefined
  return (target) =>
    Effect.contextWith((context: Context.Context<HttpClient.HttpClient>) => {
      const settings = Context.get(context, Policy)
      if (plan?.settings !== settings) plan = planOf(settings, options, defaults)
      const outgoing = Request.make(target, plan.template, context)
      if (Result.isFailure(outgoing)) return Effect.fail(outgoing.failure)
      const client = Context.get(context, HttpClient.HttpClient)
      return Effect.flatMap(answer(client, outgoing.success, plan, context), read)
    })
}

/** The answer to a request, by the policies in their fixed order. */
const answer = (
  client: HttpClient.HttpClient,
  outgoing: Request.Outgoing,
  { settings, limits, timeout, total, retries }: Plan,
  context: Context.Context<never>
): Effect.Effect<Attempt.Answer, FetchError> => {
  const attempt = Attempt.within(new Attempt.Attempt(client, limits, context).run(outgoing), outgoing, timeout)
  const retried = Policies.apply(attempt, {
    retries,
    retryWhile: isRetryable,
    retryAfter: askedToWait,
    rate: settings.rate,
    slot: settings.perHost?.of(outgoing.url.host)
  })
  return Attempt.within(retried, outgoing, total)
}

const isRetryable = (error: FetchError): boolean => error.retryable
const askedToWait = (error: FetchError): Option.Option<Duration.Duration> =>
  Option.map(Option.fromUndefinedOr(error.retryAfter), Duration.millis)

/** What settings and options come to: worked out once for each pair, not for each request. */
interface Plan {
  readonly settings: Settings
  readonly template: Request.Template
  readonly limits: Attempt.Limits
  readonly retries: number
  /** In milliseconds, as the next one. */
  readonly timeout: number
  readonly total: number
}

const planOf = (settings: Settings, options: Options, defaults: Readonly<Record<string, string>>): Plan => {
  const weak = Headers.fromInput({ "user-agent": settings.userAgent ?? "skein", ...defaults })
  const strong = Headers.fromInput(options.headers)
  const own = Headers.merge(weak, strong)
  return {
    settings,
    template: {
      method: options.method,
      headers: (given) => (given === undefined ? own : Headers.merge(Headers.merge(weak, given), strong)),
      idempotencyKey: options.idempotencyKey ?? false
    },
    limits: {
      maxBody: options.maxBody ?? settings.maxBody ?? 16 * 1024 * 1024,
      redirects: options.redirects ?? settings.redirects ?? 10,
      accept: options.accept ?? isOk
    },
    retries: options.retries ?? settings.retries ?? 3,
    timeout: Duration.toMillis(options.timeout ?? settings.timeout ?? "30 seconds"),
    total: Duration.toMillis(options.total ?? settings.total ?? Infinity)
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300
