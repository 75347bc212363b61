/** A network between an `HttpClient` and what it reaches: slow, narrow, lossy, cut. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Choices from "./Choices.ts"
import { note } from "./sim/Control.ts"
import * as HttpReply from "./fault/HttpReply.ts"

export interface Options {
  /** Of a request, and again of its reply; between `min` and `max` it is drawn for each. Default none. */
  readonly latency?: Choices.Latency | undefined
  /** Bytes per second of each body, of requests and replies, default unlimited. Requests that stream their body, or send a form, are not slowed. */
  readonly bandwidth?: number | undefined
  /** The probability that a request is lost, and again that its reply is: nobody is told, and the client waits. */
  readonly loss?: number | undefined
}

/** The network that a layer has made, to be cut while the program runs. */
export interface Network {
  /** From now on, what is under way to or from these hosts is lost; one is named with or without its port. */
  readonly cut: (...hosts: ReadonlyArray<string>) => Effect.Effect<void>
  /** Requests sent from now on reach these hosts again. */
  readonly mend: (...hosts: ReadonlyArray<string>) => Effect.Effect<void>
}

/**
 * The network that `layer` makes, for whoever wants to cut it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as HttpServerResponse from "effect/http/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 * import { Fetch } from "skein"
 * import { Network, Origin, Sim } from "skein/testing"
 * import * as Exit from "effect/Exit"
 *
 * const origin = Origin.layer(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")))
 * const program = Effect.gen(function*() {
 *   const network = yield* Network.Network
 *   yield* network.cut("origin")
 *   const error = yield* Effect.flip(Fetch.text({ retries: 0 })("http://origin/"))
 *   yield* network.mend("origin")
 *   return [error.reason, yield* Fetch.text()("http://origin/")]
 * }).pipe(Effect.provide(Layer.provide(Network.layer({}), origin)))
 *
 * const run = await Effect.runPromise(Sim.run(program))
 * run.exit // => Exit.succeed(["Timeout", "hello"])
 * ```
 */
export const Network: Context.Service<Network, Network> = Context.Service("skein/testing/Network")

/**
 * Puts a network between any `HttpClient` and its origins. What takes time sleeps, so that under a simulated clock it
 * takes none; what chance decides is drawn, replayed and shrunk with the run.
 *
 * @example
 * ```ts
 * import * as Duration from "effect/Duration"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import * as HttpRouter from "effect/http/HttpRouter"
 * import * as HttpServerResponse from "effect/http/HttpServerResponse"
 * import * as Layer from "effect/Layer"
 * import { Fetch } from "skein"
 * import { Network, Origin, Sim } from "skein/testing"
 *
 * const origin = Origin.layer(HttpRouter.add("GET", "/", HttpServerResponse.text("hello")))
 * const far = Network.layer({ latency: "100 millis", bandwidth: 5 })
 *
 * const program = Effect.gen(function*() {
 *   const network = yield* Network.Network
 *   const [took] = yield* Effect.timed(Fetch.text()("http://origin/"))
 *   yield* network.cut("origin")
 *   const error = yield* Effect.flip(Fetch.text({ retries: 0, timeout: "5 seconds" })("http://origin/"))
 *   return [Duration.toMillis(took), error.reason]
 * }).pipe(Effect.provide(Layer.provide(far, origin)))
 *
 * const run = await Effect.runPromise(Sim.run(program, { seed: 1 }))
 * run.exit // => Exit.succeed([1200, "Timeout"])
 * ```
 */
export const layer = (options: Options): Layer.Layer<HttpClient.HttpClient | Network, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(HttpClient.HttpClient, (client) => {
      const { bandwidth = Infinity, loss = 0 } = options
      const latency = options.latency === undefined ? Effect.void : Choices.latency(options.latency)
      const unreachable = new Set<string>()

      /** One way: true if it gets there. */
      const travel = ({ host, hostname }: URL, bytes: number): Effect.Effect<boolean> =>
        latency.pipe(
          Effect.andThen(pass((bytes / bandwidth) * 1000)),
          Effect.andThen(loss === 0 ? Effect.succeed(false) : Choices.happens(loss)),
          Effect.map((lost) => !lost && !unreachable.has(host) && !unreachable.has(hostname)),
          Effect.tap((arrived) => (arrived ? Effect.void : note(`lost on the way: ${host}`)))
        )

      const carried = HttpClient.transform(client, (sent, request) => {
        const url = HttpClientRequest.toUrl(request)
        // What has no address fails by itself.
        if (Option.isNone(url)) return sent
        const receive = (reply: HttpClientResponse) =>
          travel(url.value, 0).pipe(
            Effect.onInterrupt(() => HttpReply.release(reply)),
            Effect.flatMap((arrived) =>
              arrived
                ? Effect.succeed(narrowed(reply, bandwidth))
                : Effect.andThen(HttpReply.release(reply), Effect.never)
            )
          )
        return Effect.flatMap(travel(url.value, sizeOf(request)), (arrived) =>
          arrived ? Effect.flatMap(sent, receive) : Effect.never
        )
      })
      const network: Network = {
        cut: (...hosts) =>
          Effect.map(note(`cuts ${hosts.join(", ")}`), () => hosts.forEach((host) => unreachable.add(host))),
        mend: (...hosts) =>
          Effect.map(note(`mends ${hosts.join(", ")}`), () => hosts.forEach((host) => unreachable.delete(host)))
      }
      return Context.make(Network, network).pipe(Context.add(HttpClient.HttpClient, carried))
    })
  )

const sizeOf = ({ body }: HttpClientRequest.HttpClientRequest): number =>
  body._tag === "Uint8Array" ? body.body.length : 0

const pass = (millis: number): Effect.Effect<void> => (millis > 0 ? Effect.sleep(millis) : Effect.void)

const narrowed = (reply: HttpClientResponse, bandwidth: number): HttpClientResponse =>
  bandwidth === Infinity
    ? reply
    : HttpReply.withBody(
        reply,
        Stream.tap(reply.stream, (chunk) => pass((chunk.length / bandwidth) * 1000))
      )
