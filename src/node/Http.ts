/** The HTTP transport: an `HttpClient` on undici. A faster one can take its place behind this file. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import type * as Undici from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import { constFalse } from "effect/Function"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Url from "effect/http/Url"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { X509Certificate } from "node:crypto"
import { Readable } from "node:stream"
import { createSecureContext, getCACertificates } from "node:tls"
import { checkWhole } from "../concurrency/base/Options.ts"
import * as Direct from "../io/context/Direct.ts"
import * as Wire from "../io/context/Wire.ts"
import * as Host from "./Host.ts"
import { Exchange } from "./http/HttpExchange.ts"
import * as Ways from "./http/HttpWays.ts"

/** Certificates and a key, as the texts of their files, in PEM. */
export interface Tls {
  /** Who is trusted, besides those whom Node trusts. */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** What this client shows of itself, and the key to it. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export interface Options {
  /** Connections to one origin, or to one proxy, at most, default 256; requests beyond them wait their turn. */
  readonly connections?: number
  /** For hosts whose certificates are signed by an authority of their own, or that ask for one. */
  readonly tls?: Tls
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
  checkTls(options?.tls)
  return Layer.merge(Host.layer, Layer.effect(HttpClient.HttpClient)(make(options)))
}

const make = (options: Options = {}): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ways = yield* Ways.make({ connections: options.connections ?? 256, tls: tlsOf(options.tls) })
    const client =
      options.spans === true
        ? HttpClient.make((request, url, _, fiber) => send(ways, fiber.getRef(Wire.Wire), request, url))
        : HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
            Effect.flatMap((request) =>
              Effect.withFiber((fiber) => {
                const url = Url.make(request.url, request.urlParams, Option.getOrUndefined(request.hash))
                return Result.isSuccess(url)
                  ? send(ways, fiber.getRef(Wire.Wire), request, url.success)
                  : failed(new HttpClientError.InvalidUrlError({ request, cause: url.failure }))
              })
            ),
            Effect.succeed
          )
    if (options.spans !== true) Direct.offered(client, direct(ways))
    return Wire.enforced(client)
  })

const checkTls = ({ ca, cert, key }: Tls = {}): void => {
  try {
    const authorities = ca === undefined ? [] : listOf(ca)
    // Node itself takes anything here, and trusts nobody then.
    authorities.forEach((text) => new X509Certificate(text))
    createSecureContext({ ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) })
  } catch (cause) {
    // What it says of a path, where the text of the file is wanted, helps nobody.
    throw new TypeError("Http.layer: tls must hold certificates and a key as texts in PEM: -----BEGIN …", { cause })
  }
}

const listOf = (ca: NonNullable<Tls["ca"]>): ReadonlyArray<string> => (typeof ca === "string" ? [ca] : ca)

const tlsOf = ({ ca, cert, key }: Tls = {}): Ways.Options["tls"] => ({
  ...(cert !== undefined && { cert }),
  ...(key !== undefined && { key }),
  ...(ca !== undefined && { ca: [...getCACertificates("default"), ...listOf(ca)] })
})

type Sending = Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

const failed = (reason: HttpClientError.HttpClientErrorReason): Sending =>
  Effect.fail(new HttpClientError.HttpClientError({ reason }))

const send = (ways: Ways.Ways, wire: Wire.Wire, request: HttpClientRequest.HttpClientRequest, url: URL): Sending => {
  return Effect.flatMap(ways.find(wire), (way) => sendBy(way, request, url))
}

const sendBy = (way: Ways.Way, request: HttpClientRequest.HttpClientRequest, url: URL): Sending => {
  const { body, headers } = request
  if (headers["upgrade"] !== undefined) return upgrade(way, request)
  switch (body._tag) {
    case "Empty":
      return exchange(way, request, url, headers, null)
    case "Uint8Array":
      return exchange(way, request, url, headers, body.body)
    case "Raw":
      return exchange(way, request, url, headers, body.body as Uint8Array)
    case "Stream":
      return Effect.flatMap(NodeStream.toReadable(encoded(request, body.stream)), (stream) =>
        exchange(way, request, url, headers, stream)
      )
    case "FormData":
      return Effect.suspend(() =>
        exchange(way, request, url, Headers.remove(headers, "content-type"), way.form(body.formData))
      )
  }
}

/** A failure of it is told from one of the connection. */
const encoded = (
  request: HttpClientRequest.HttpClientRequest,
  stream: Stream.Stream<Uint8Array, unknown>
): Stream.Stream<Uint8Array, HttpClientError.HttpClientError> =>
  Stream.mapError(
    stream,
    (cause) => new HttpClientError.HttpClientError({ reason: new HttpClientError.EncodeError({ request, cause }) })
  )

type Body = NonNullable<Undici.Dispatcher.DispatchOptions["body"]> | null

const exchange = (
  way: Ways.Way,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  headers: Headers.Headers,
  body: Body
): Sending =>
  Effect.callback((resume) => {
    const started = start(way, request, url, headers, body, { wantsWhole: constFalse, receive: resume })
    return Effect.sync(() => {
      started.abort()
      // One whose turn never came was not begun, and nobody else closes it.
      if (body instanceof Readable) body.destroy()
    })
  })

const start = (
  way: Ways.Way,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  headers: Headers.Headers,
  body: Body,
  receiver: Direct.Receiver
): Exchange => {
  const started = new Exchange(request, url, way.maxHeaders, receiver)
  const { method } = request
  try {
    const options = { origin: url.origin, path: url.pathname + url.search, method, headers, body }
    started.proxy = way.dispatch(url, options, started)
  } catch (cause) {
    started.onResponseError(undefined, cause)
  }
  return started
}

/** Bodies that are there, no other protocol, and not the first request of all. */
const direct =
  (ways: Ways.Ways): Direct.Direct =>
  (request, url, wire, receiver) => {
    const { body, headers } = request
    const way = ways.get(wire)
    if (way === undefined) return undefined
    if ((body._tag !== "Empty" && body._tag !== "Uint8Array") || headers["upgrade"] !== undefined) return undefined
    const bytes = body._tag === "Empty" ? null : body.body
    const started = start(way, request, url, headers, bytes, receiver)
    return () => started.abort()
  }

/** To another protocol, as WebSocket: by Effect's own client, over the same connections. */
const upgrade = (way: Ways.Way, request: HttpClientRequest.HttpClientRequest): Sending => {
  const dispatch: Undici.Dispatcher["dispatch"] = (options, handler) => {
    way.dispatch(new URL(options.path, options.origin), options, handler)
    return true
  }
  // It is all that is asked of a dispatcher for an upgrade.
  const dispatcher = { dispatch } as Undici.Dispatcher
  // Loaded here alone, as it loads all of undici, which a program that sends nothing does without.
  return Effect.promise(() => import("@effect/platform-node/NodeHttpClient")).pipe(
    Effect.flatMap(({ Dispatcher, makeUndici }) => Effect.provideService(makeUndici, Dispatcher, dispatcher)),
    Effect.flatMap((client) => client.execute(request))
  )
}
