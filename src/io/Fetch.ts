/**
 * HTTP for the steps of a pipeline, over Effect's `HttpClient`: checked addresses, bounded bodies, decoded values,
 * typed failures, and every request under one policy.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { isTooDeep, unlessTooDeep } from "../concurrency/base/Nesting.ts"
import type { Answer } from "./fetch/FetchAttempt.ts"
import * as Body from "./fetch/FetchBody.ts"
import { Call, type Options } from "./fetch/FetchCall.ts"
import { explain } from "./fetch/FetchCause.ts"
import { check, Current, merged, type Policy } from "./fetch/FetchPolicy.ts"
import type { Target } from "./fetch/FetchRequest.ts"
import type { FetchError } from "./FetchError.ts"

export { FetchError, type Reason } from "./FetchError.ts"
export type { Options } from "./fetch/FetchCall.ts"
export type { Breaker, Hedge, Policy, Rate } from "./fetch/FetchPolicy.ts"
export type { Target } from "./fetch/FetchRequest.ts"
export { isTransient } from "./fetch/FetchAttempt.ts"

/** A function from an address to what is there, usable as a step: `Pipeline.map(Fetch.text())`. */
export type Fetcher<A, R = never> = (request: Target) => Effect.Effect<A, FetchError, HttpClient.HttpClient | R>

/** An answer, whatever its kind. */
export interface Page {
  readonly status: number
  readonly headers: Headers.Headers
  readonly contentType: string | undefined
  /** Where it came from in the end, after redirects, without credentials. */
  readonly url: string
  readonly body: Uint8Array
  /** The body as text, by its charset; undefined where the content type is not one of text. */
  readonly text: string | undefined
  /** How long the attempt took that gave it. */
  readonly duration: Duration.Duration
}

/**
 * Sets how the requests inside are made; what it does not name stays as it is outside. Requests are counted together
 * where they go through the same `HttpClient`, however many layers and regions there are. Options that make no sense
 * are refused at once.
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
 * await Effect.runPromise(program) // => "Url"
 * ```
 */
export const layer = (policy: Policy): Layer.Layer<never> => {
  check("Fetch.layer", policy)
  return Layer.effect(Current)(Effect.map(Current, (outer) => merged(outer, policy)))
}

/**
 * As `layer`, for one effect: a region of the program whose requests are made in another way.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 *
 * const program = Fetch.text()("http://127.0.0.1:1/").pipe(
 *   Fetch.withPolicy({ retries: 0 }),
 *   Effect.catchTag("FetchError", (error) => Effect.succeed(error.attempt)),
 *   Effect.provide(Http.layer())
 * )
 *
 * await Effect.runPromise(program) // => 1
 * ```
 */
export const withPolicy = (policy: Policy): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  check("Fetch.withPolicy", policy)
  return (effect) => Effect.updateService(effect, Current, (outer) => merged(outer, policy))
}

/**
 * Fetches JSON and decodes it. A body that is not JSON, or that the schema refuses, fails with reason `Decode`, naming
 * field and URL; it is not retried.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
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
): Fetcher<S["Type"], S["DecodingServices"]> => {
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(schema), { reportInput: true })
  return fetcher(options, { accept: "application/json" }, (answer) => {
    const parsed = Result.try(() => JSON.parse(Body.text(answer.body, undefined)) as unknown)
    if (Result.isFailure(parsed)) return Effect.fail(notJson(answer, parsed.failure))
    const misfit = (detail: string) => answer.error("Decode", detail)
    return decode(parsed.success).pipe(
      Effect.mapError((error) =>
        misfit(
          unlessTooDeep(
            () => mismatch(error.issue),
            () => tooDeep
          )
        )
      ),
      Effect.catchDefect((defect) => (isTooDeep(defect) ? Effect.fail(misfit(tooDeep)) : Effect.die(defect)))
    )
  })
}

/**
 * Fetches text, decoded by the charset of its content type, or as UTF-8 where that names none.
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
  fetcher(options, {}, ({ body, response }) => Effect.succeed(Body.text(body, response.headers["content-type"])))

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
    const contentType = headers["content-type"]
    return Effect.succeed({
      status,
      headers,
      contentType,
      url: outgoing.url.href,
      body,
      get text() {
        return contentType !== undefined && Body.isText(contentType) ? Body.text(body, contentType) : undefined
      },
      duration: Duration.millis(millis)
    })
  })

const fetcher = <A, R>(
  options: Options | undefined,
  defaults: Headers.Input,
  read: (answer: Answer) => Effect.Effect<A, FetchError, R>
): Fetcher<A, R> => {
  const call = new Call(options, defaults)
  return (target) => Effect.flatMap(call.whole(target), read)
}

const notJson = (answer: Answer, error: unknown): FetchError => {
  const type = answer.response.headers["content-type"] ?? "no content type"
  return answer.error("Decode", `its body (${type}) is not JSON: ${explain(error)}`)
}

const tooDeep = "its JSON is nested too deep"

const formatted = SchemaIssue.makeFormatterStandardSchemaV1()

const mismatch = (issue: SchemaIssue.Issue): string => {
  const [first] = formatted(issue).issues
  const message = first === undefined ? "it was refused" : first.message
  const path = (first?.path ?? []).map(String).join(".")
  const where = path === "" ? "" : ` at \`${path}\``
  return `its JSON does not match the schema${where}: ${message.length > 300 ? `${message.slice(0, 300)}…` : message}`
}
