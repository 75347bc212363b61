/** An HTTP origin in memory: what serves are Effect's own routes, and what is provided is the client that reaches them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import { TracerDisabledWhen } from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** What the origin has seen. */
export interface Origin {
  /** Every request, in the order in which they arrived. */
  readonly requests: ReadonlyArray<Received>
  /** Requests that are neither answered to the last byte nor given up by their client. */
  readonly inFlight: number
  /** The most that there were at once. */
  readonly maxInFlight: number
}

/**
 * The origin that `layer` makes, for whoever wants to know what it has seen.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as HttpServerResponse from "effect/http/HttpServerResponse"
 * import { Fetch } from "skein"
 * import { Origin } from "skein/testing"
 *
 * const program = Effect.gen(function*() {
 *   yield* Fetch.text()("http://origin/hello")
 *   const { requests } = yield* Origin.Origin
 *   return requests.map(({ method, url }) => `${method} ${url.pathname}`)
 * }).pipe(Effect.provide(Origin.layer(HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")))))
 *
 * await Effect.runPromise(program) // => ["GET /hello"]
 * ```
 */
export const Origin: Context.Service<Origin, Origin> = Context.Service("skein/testing/Origin")

export interface Received {
  readonly method: string
  readonly url: URL
  readonly headers: Headers.Headers
  /** As text; empty where the request has none, or streams it, or sends a form. */
  readonly body: string
}

/**
 * An `HttpClient` whose every request, to whatever host, is served in memory by these routes of Effect's `HttpRouter`:
 * those of a test, which keep their state themselves, or those of a server that you have. Nothing takes time unless a route
 * sleeps. A route that fails answers as in a server, with 500 if its error says nothing else; one that is not there, 404.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as HttpServerResponse from "effect/http/HttpServerResponse"
 * import * as Schema from "effect/Schema"
 * import { Fetch } from "skein"
 * import { Origin, Sim } from "skein/testing"
 *
 * let visits = 0
 * const visit = Effect.delay(Effect.sync(() => HttpServerResponse.jsonUnsafe(++visits)), "1 second")
 *
 * const program = Effect.gen(function*() {
 *   const get = Fetch.json(Schema.Number)("http://origin/visits")
 *   yield* Effect.all([get, get], { concurrency: 2 })
 *   const { maxInFlight, requests } = yield* Origin.Origin
 *   return { maxInFlight, paths: requests.map(({ url }) => url.pathname) }
 * }).pipe(Effect.provide(Origin.layer(HttpRouter.add("GET", "/visits", visit))))
 *
 * const run = await Effect.runPromise(Sim.run(program, { seed: 1 }))
 * run.exit // => Exit.succeed({ maxInFlight: 2, paths: ["/visits", "/visits"] })
 * ```
 */
export const layer = <A, E, R>(
  routes: Layer.Layer<A, E, R>
): Layer.Layer<HttpClient.HttpClient | Origin, HttpRouter.Request.Without<E>, Needs<R>> =>
  Layer.effectContext(
    Effect.gen(function* () {
      // Traced requests take another way through Effect, so a run whose spans are watched would be another run.
      const context: Context.Context<never> = Context.add(
        yield* Effect.context<Needs<R>>(),
        TracerDisabledWhen,
        () => true
      )
      const scope = yield* Effect.scope
      const handler = (yield* HttpRouter.toHttpEffect(routes)) as Handler
      const requests: Array<Received> = []
      let inFlight = 0
      let maxInFlight = 0
      const entered = Effect.sync(() => void (maxInFlight = Math.max(maxInFlight, ++inFlight)))
      const left = Effect.sync(() => void inFlight--)
      const serve = Effect.andThen(
        Effect.acquireRelease(entered, () => left),
        handler
      )

      const client = HttpClient.make((request, url) =>
        Effect.suspend(() => {
          requests.push({ method: request.method, url, headers: request.headers, body: textOf(request) })
          // The origin is somewhere else: what is true of the client's fiber, as its deadline, is not of the handler's.
          const served = Effect.updateContext(answer(serve, request), (_: Context.Context<never>) => context)
          return Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(Effect.forkIn(served, scope), (fiber) =>
              Effect.onInterrupt(restore(Fiber.join(fiber)), () => Fiber.interrupt(fiber))
            )
          )
        })
      )
      const origin: Origin = {
        requests,
        get inFlight() {
          return inFlight
        },
        get maxInFlight() {
          return maxInFlight
        }
      }
      return Context.make(Origin, origin).pipe(Context.add(HttpClient.HttpClient, client))
    })
  )

/** What the routes need, to be built and for each request. */
export type Needs<R> = Exclude<
  HttpRouter.Request.Without<R> | HttpRouter.Request.Only<"Requires", R> | HttpRouter.Request.Only<"GlobalRequires", R>,
  HttpRouter.HttpRouter
>

type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  HttpServerRequest.HttpServerRequest | Scope.Scope
>

const answer = (handler: Handler, request: HttpClientRequest): Effect.Effect<HttpClientResponse> =>
  Effect.suspend(() => {
    let response = HttpServerResponse.empty({ status: 500 })
    const sent = HttpEffect.toHandled(handler, (_, given) =>
      Effect.sync(() => void (response = HttpEffect.scopeTransferToStream(given)))
    )
    return Effect.exit(sent).pipe(
      Effect.map(() => HttpServerResponse.toClientResponse(response, { request })),
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromClientRequest(request))
    )
  })

const textOf = ({ body }: HttpClientRequest): string =>
  body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
