/** The HTTP transport: an `HttpClient` on undici. A faster one can take its place behind this file. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Url from "effect/http/Url"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { checkWhole } from "../concurrency/base/Options.ts"
import { Exchange } from "./http/HttpExchange.ts"

export interface Options {
  /** Connections to one origin at most, default 256; requests beyond them wait their turn. */
  readonly connections?: number
  /** A span for each request, and its trace sent along: default false, for it nearly doubles what a request costs. */
  readonly spans?: boolean
}

/**
 * The `HttpClient` for Node, on connections of its own that are kept alive between requests and closed with the layer.
 * It sets no time limits but 10 s for connecting: those of `Fetch` apply. Fails requests with `HttpClientError`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 *
 * const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1")
 * await new Promise((listening) => server.once("listening", listening))
 * const url = `http://127.0.0.1:${(server.address() as { port: number }).port}/`
 *
 * const program = Fetch.text()(url).pipe(Effect.provide(Http.layer()))
 * await Effect.runPromise(program) // => "hello"
 * server.close()
 * ```
 */
export const layer = (options?: Options): Layer.Layer<HttpClient.HttpClient> => {
  checkWhole("Http.layer: connections", options?.connections, 1)
  return Layer.effect(HttpClient.HttpClient)(make(options))
}

const make = (options: Options = {}): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const agent = yield* NodeHttpClient.makeDispatcherOptions({
      connections: options.connections ?? 256,
      pipelining: 1,
      // One request a connection, so that dropping one stops its server from sending.
      allowH2: false,
      connectTimeout: 10_000,
      ...noTimeouts
    })
    const complete = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, agent)
    if (options.spans === true) return complete
    return HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
      Effect.flatMap((request) => (isPlain(request) ? send(agent, request) : complete.execute(request))),
      Effect.succeed
    )
  })

const noTimeouts = { headersTimeout: 0, bodyTimeout: 0 }

/** Forms, streamed bodies and upgrades are rare: Effect's own client sends those, over the same connections. */
const isPlain = (request: HttpClientRequest.HttpClientRequest): boolean =>
  (request.body._tag === "Empty" || request.body._tag === "Uint8Array") && request.headers["upgrade"] === undefined

const send = (
  agent: Undici.Dispatcher,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  Effect.callback((resume) => {
    const parsed = Url.make(request.url, request.urlParams, Option.getOrUndefined(request.hash))
    if (Result.isFailure(parsed)) {
      const reason = new HttpClientError.InvalidUrlError({ request, cause: parsed.failure })
      return resume(Effect.fail(new HttpClientError.HttpClientError({ reason })))
    }
    const url = parsed.success
    const exchange = new Exchange(request, url, resume)
    agent.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: request.headers,
        body: request.body._tag === "Uint8Array" ? request.body.body : null
      },
      exchange
    )
    return Effect.sync(() => exchange.abort())
  })
