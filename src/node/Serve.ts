/**
 * Answers requests over Effect's HTTP server: each is a task of the server's group, with a deadline, let in by a limiter, cancelled when its
 * client leaves, and finished before the server ends.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Options, Server } from "./serve/Contract.ts"
import { Routes } from "./serve/Routes.ts"
import * as Serving from "./serve/Serving.ts"
import type { ServeError } from "./ServeError.ts"

export type { Options, Server, State, Status } from "./serve/Contract.ts"
export { ServeError } from "./ServeError.ts"

/** What a handler may need without its being provided: the request, a scope that ends with it, and what answers with files need. */
export type Provided =
  | HttpServerRequest.HttpServerRequest
  | Scope.Scope
  | HttpPlatform.HttpPlatform
  | Etag.Generator
  | NodeServices.NodeServices

/** What is left to provide for routes. */
type Needed<R> = Exclude<
  HttpRouter.Request.Without<R> | HttpRouter.Request.Only<"Requires", R> | HttpRouter.Request.Only<"GlobalRequires", R>,
  HttpRouter.HttpRouter | Provided
>

/**
 * Listens, and answers requests by routes of Effect's `HttpRouter` or by one handler, until the scope ends or the server is drained. Each
 * request is a task of the server's group, named by method and route, as "GET /cities/:id", and cancelled when its client leaves. What a
 * handler fails or dies with is logged once and answered with 500, or with what the error itself has for an answer; other requests go on.
 *
 * The first signal under `Main.run` drains the server; the program ends well once `await` has.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as HttpServerResponse from "effect/http/HttpServerResponse"
 * import { Fetch } from "skein"
 * import { Main, Serve } from "skein/node"
 *
 * const routes = HttpRouter.add("GET", "/cities/:id",
 *   Effect.map(HttpRouter.params, ({ id }) => HttpServerResponse.text(`city ${id}`))
 * )
 * const program = Effect.gen(function*() {
 *   const server = yield* Serve.http(routes, { port: 0, deadline: "5 seconds" })
 *   const city = yield* Fetch.text()(`${server.url}/cities/7`)
 *   yield* server.drain
 *   return city
 * })
 *
 * await Effect.runPromise(Effect.scoped(Effect.provide(program, Main.layer))) // => "city 7"
 * ```
 */
export const http: {
  <A, E, R>(
    routes: Layer.Layer<A, E, R>,
    options: Options
  ): Effect.Effect<Server, HttpRouter.Request.Without<E> | ServeError, Needed<R> | Scope.Scope>
  <E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
    options: Options
  ): Effect.Effect<Server, ServeError, Exclude<R, Provided> | Scope.Scope>
} = (
  given:
    | Layer.Layer<unknown, unknown, unknown>
    | Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, unknown>,
  options: Options
  // oxlint-disable-next-line typescript/no-explicit-any -- what is needed is in the types above
): Effect.Effect<Server, any, any> => {
  const settings = Serving.settingsOf(options)
  return Effect.gen(function* () {
    const routes = new Routes()
    const services = yield* Layer.build(NodeHttpServer.layerHttpServices)
    const started = Effect.isEffect(given)
      ? Serving.start(given, routes, settings)
      : Effect.flatMap(
          Layer.build(Layer.provideMerge(given, routes.layer) as Layer.Layer<HttpRouter.HttpRouter>),
          (built) => Serving.start(built.mapUnsafe.get(HttpRouter.HttpRouter.key).asHttpEffect(), routes, settings)
        )
    return yield* Effect.provideContext(started, services)
  })
}
