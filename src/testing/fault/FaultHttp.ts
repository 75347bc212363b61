/** An `HttpClient` that fails by plan. */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Choices from "../Choices.ts"
import * as HttpReply from "./HttpReply.ts"
import { follow, type When } from "./Rule.ts"

/** A request, as `on` of a rule sees it. */
export interface HttpCall {
  readonly method: string
  readonly url: URL
  readonly headers: Headers.Headers
}

export interface HttpRule extends When<HttpCall> {
  /** Holds the request back for so long first; "Infinity" for a peer that never answers. */
  readonly delay?: Choices.Latency | undefined
  /** What goes wrong then; without it, the request is only late. */
  readonly fault?: HttpFault | undefined
}

/**
 * - `"refused"`, `"reset"`: there is no connection, or it breaks, before the origin sees the request
 * - `"lost"`: the origin has served the request, and the connection breaks before the reply arrives
 * - `{ status }`: something on the way answers in place of the origin, which does not see the request
 * - `{ breaksAfter }`: the connection breaks after so many bytes of the body, or at its end if it has fewer
 * - `"stalled"`: after the body nothing more comes, neither bytes nor an end
 * - `"endless"`: after the body more bytes come for ever, 64 KiB a millisecond
 */
export type HttpFault =
  | "refused"
  | "reset"
  | "lost"
  | "stalled"
  | "endless"
  | { readonly status: number; readonly headers?: Headers.Input | undefined; readonly body?: string | undefined }
  | { readonly breaksAfter: number }

/**
 * Makes the requests of any `HttpClient` fail by plan: at each, the first rule that strikes decides. A broken connection
 * is the `HttpClientError` with a `TransportError` that a real one gives. Requests are counted anew wherever the layer is
 * built; what chance decides is drawn, replayed and shrunk with the run.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as HttpServerResponse from "effect/http/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 * import { Fetch } from "skein"
 * import { Fault, Origin, Sim } from "skein/testing"
 *
 * const flaky = Fault.http([
 *   { fault: { status: 503, headers: { "retry-after": "60" } }, nth: 1 },
 *   { fault: "reset", rate: 0.1, on: ({ url }) => url.pathname === "/hello" }
 * ])
 * const origin = Origin.layer(HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")))
 * const program = Fetch.text()("http://origin/hello").pipe(Effect.provide(Layer.provide(flaky, origin)))
 *
 * const run = await Effect.runPromise(Sim.run(program, { seed: 1 }))
 * run.exit // => Exit.succeed("hello")
 * ```
 */
export const http = (plan: ReadonlyArray<HttpRule>): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => {
      const strikes = follow<HttpCall, HttpRule>(plan, ({ method, url }) => `${method} ${url}`)
      return HttpClient.transform(client, (sent, request) => {
        const url = HttpClientRequest.toUrl(request)
        // What has no address fails by itself.
        if (Option.isNone(url)) return sent
        const { headers, method } = request
        return Effect.flatMap(strikes({ method, url: url.value, headers }), (rule) => {
          if (rule === undefined) return sent
          const struck = strike(sent, request, rule.fault)
          return rule.delay === undefined ? struck : Effect.andThen(Choices.latency(rule.delay), struck)
        })
      })
    })
  )

type Sent = Effect.Effect<HttpClientResponse, HttpClientError>

const strike = (sent: Sent, request: HttpClientRequest.HttpClientRequest, fault: HttpFault | undefined): Sent => {
  switch (fault) {
    case undefined:
      return sent
    case "refused":
      return Effect.fail(broken(request, "connect", "ECONNREFUSED"))
    case "reset":
      return Effect.fail(reset(request))
    case "lost":
      return Effect.flatMap(sent, (reply) => Effect.andThen(HttpReply.release(reply), Effect.fail(reset(request))))
    case "stalled":
      return Effect.map(sent, (reply) => goesOn(reply, Stream.never))
    case "endless":
      return Effect.map(sent, (reply) => goesOn(reply, filling))
  }
  if ("status" in fault) return Effect.succeed(HttpReply.make(request, fault, fault.body ?? ""))
  return Effect.map(sent, (reply) =>
    HttpReply.withBody(reply, Stream.concat(upTo(fault.breaksAfter, reply.stream), Stream.fail(reset(request))))
  )
}

const filling = Stream.fromEffectRepeat(Effect.as(Effect.sleep("1 millis"), new Uint8Array(64 * 1024)))

/** Where the body has no end, its length cannot have been announced. */
const goesOn = (reply: HttpClientResponse, more: Stream.Stream<Uint8Array>): HttpClientResponse =>
  HttpReply.withBody(reply, Stream.concat(reply.stream, more), Headers.remove(reply.headers, "content-length"))

const upTo = <E>(bytes: number, body: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    let left = bytes
    return body.pipe(
      Stream.map((chunk) => {
        const part = chunk.subarray(0, left)
        left -= part.length
        return { part, last: left === 0 }
      }),
      Stream.takeUntil(({ last }) => last),
      Stream.map(({ part }) => part)
    )
  })

const reset = (request: HttpClientRequest.HttpClientRequest): HttpClientError => broken(request, "read", "ECONNRESET")

const broken = (request: HttpClientRequest.HttpClientRequest, syscall: string, code: string): HttpClientError => {
  const cause = Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
  return new HttpClientError({ reason: new TransportError({ request, cause, description: "planned by Fault.http" }) })
}
