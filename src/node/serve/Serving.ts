/** A server from its first connection to its last: the body of its group. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as Cause from "effect/Cause"
import * as ByteSize from "effect/ByteSize"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constTrue } from "effect/Function"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { createServer, type ServerOptions } from "node:http"
import * as Foreign from "../../concurrency/base/Foreign.ts"
import { millisOf } from "../../concurrency/base/Lasting.ts"
import * as Log from "../../concurrency/base/Log.ts"
import * as Options from "../../concurrency/base/Options.ts"
import * as Cancel from "../../concurrency/Cancel.ts"
import * as Deadline from "../../concurrency/Deadline.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import { ServeError } from "../ServeError.ts"
import { Admission, later } from "./Admission.ts"
import { Connections } from "./Connections.ts"
import type { Options as ServeOptions, Server, State } from "./Contract.ts"
import { Requests } from "./Requests.ts"
import type { Routes } from "./Routes.ts"

export type Handler<R> = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  R | HttpServerRequest.HttpServerRequest | Scope.Scope
>

/** Opens the group of a server and gives the server once it listens. The end of the scope cancels what runs. */
export const start = <R>(
  handler: Handler<R>,
  routes: Routes,
  settings: Settings
): Effect.Effect<Server, ServeError, R | Scope.Scope> =>
  Effect.gen(function* () {
    const began = yield* Deferred.make<Server, ServeError>()
    const asked = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<void>()
    // What a handler spawns belongs to the program that serves.
    const outside = yield* TaskGroup.capture
    const body = serve(outside(handler), routes, settings, {
      began: (server) => Deferred.succeed(began, server),
      asked: Deferred.await(asked),
      drain: Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(ended)),
      ended: Deferred.await(ended)
    })
    yield* TaskGroup.open(body, { name: settings.name }).pipe(
      Effect.onExit((exit) =>
        Effect.andThen(
          // Nothing but listening fails.
          exit._tag === "Failure" ? Deferred.failCause(began, exit.cause as Cause.Cause<ServeError>) : Effect.void,
          // How a server ends is no failure of whoever waits for that.
          Deferred.succeed(ended, undefined)
        )
      ),
      Effect.forkScoped
    )
    return yield* Deferred.await(began)
  }) as Effect.Effect<Server, ServeError, R | Scope.Scope>

interface Told {
  readonly began: (server: Server) => Effect.Effect<unknown>
  /** Waits until somebody asks for the end. */
  readonly asked: Effect.Effect<void>
  readonly drain: Effect.Effect<void>
  readonly ended: Effect.Effect<void>
}

const serve = <R>(handler: Handler<R>, routes: Routes, settings: Settings, told: Told) =>
  Effect.gen(function* () {
    const { host, port } = settings
    const group = yield* TaskGroup.current()
    const node = createServer(settings.node)
    const unbegun = later(settings.retryAfter)
    const admission = new Admission(settings.limiter, settings.queue, unbegun)
    const connections = new Connections(node, settings.maxSockets)
    const requests = new Requests({ ...settings, admission, connections, routes, unbegun })
    let state: State = "serving"

    const http = yield* NodeHttpServer.make(() => node, {
      host,
      port,
      disablePreemptiveShutdown: true,
      websocket: { maxPayload: settings.maxBody }
    }).pipe(Effect.mapError(({ cause }) => new ServeError({ host, port, detail: Foreign.messageOf(cause) })))
    yield* listensOn(node)
    // From the last to the first: no more connections, then whoever is still at work is cancelled, and then none is left.
    yield* Effect.addFinalizer(() => connections.end)
    yield* http.serve(requests.answering(handler), requests.tasked as never).pipe(withReferences(settings))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        state = "stopped"
        connections.refuse()
      })
    )
    yield* told.began({
      url: NetAddress.formatUrlUnsafe(http.address),
      port: NetAddress.isUnixPathAddress(http.address) ? port : http.address.port,
      status: Effect.sync(() => ({
        state,
        running: requests.running,
        waiting: admission.waiting,
        answered: requests.answered,
        shed: admission.shed
      })),
      drain: told.drain,
      await: told.ended
    })

    const why = yield* Effect.raceFirst(
      Effect.map(Cancel.stopRequested, ({ message }) => message),
      Effect.as(told.asked, "the server is drained")
    )
    state = "draining"
    connections.refuse()
    requests.isDraining = true
    yield* group.stop(why)
    yield* Effect.all([requests.tell, connections.quiet], { concurrency: "unbounded", discard: true }).pipe(
      Deadline.moveOn(settings.drainWithin)
    )
  }).pipe(Effect.scoped)

/** A socket that cannot be accepted, as there are too many, is no reason to end. */
const listensOn = (node: ReturnType<typeof createServer>) =>
  Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
    node.on("error", (error) => {
      Effect.runForkWith(fiber.context)(Log.error(`The server could not accept a connection: ${error.message}`))
    })
    return Effect.void
  })

const withReferences =
  ({ maxBody }: Settings) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const bounded = Effect.provideService(effect, HttpIncomingMessage.MaxBodySize, ByteSize.fromInputUnsafe(maxBody))
      // Spans that nobody can see cost as much as others.
      return fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
        ? Effect.provideService(bounded, HttpMiddleware.TracerDisabledWhen, constTrue)
        : bounded
    })

export interface Settings {
  readonly host: string
  readonly name: string
  readonly queue: number
  readonly maxBody: number
  readonly maxSockets: number
  readonly port: number
  readonly limiter: ServeOptions["limiter"]
  readonly deadlineHeader: ServeOptions["deadlineHeader"]
  readonly drainWithin: Duration.Input
  /** Milliseconds. */
  readonly deadline: number
  /** Seconds. */
  readonly retryAfter: number
  readonly node: ServerOptions
}

/** Throws where an option makes no sense. */
export const settingsOf = (options: ServeOptions): Settings => {
  const { host = "127.0.0.1", maxBody = 1 << 20, maxHeaders = 16 << 10, maxSockets = 1000, name = "server" } = options
  const { deadline = "30 seconds", drainWithin = "20 seconds", queue = 256, retryAfter = "1 second" } = options
  const { headersWithin = "10 seconds", keepAlive = "5 seconds", requestWithin = "1 minute" } = options
  const at = "Serve.http:"
  Options.checkWhole(`${at} port`, options.port, 0)
  Options.checkWhole(`${at} queue`, queue, 0, "unlimited")
  Options.checkWhole(`${at} maxBody`, maxBody, 0)
  Options.checkWhole(`${at} maxHeaders`, maxHeaders, 1)
  Options.checkWhole(`${at} maxSockets`, maxSockets, 0)
  const durations = { deadline, drainWithin, retryAfter, headersWithin, keepAlive, requestWithin }
  for (const [key, duration] of Object.entries(durations)) Options.checkDuration(`${at} ${key}`, duration)
  return {
    host,
    name,
    queue,
    maxBody,
    maxSockets,
    drainWithin,
    port: options.port,
    limiter: options.limiter,
    deadline: millisOf(deadline),
    deadlineHeader: options.deadlineHeader,
    retryAfter: Math.ceil(millisOf(retryAfter) / 1000),
    node: {
      maxHeaderSize: maxHeaders,
      headersTimeout: Math.min(millisOf(headersWithin), millisOf(requestWithin)),
      requestTimeout: millisOf(requestWithin),
      keepAliveTimeout: millisOf(keepAlive),
      // How late both can be found out.
      connectionsCheckingInterval: Math.min(1000, millisOf(headersWithin), millisOf(requestWithin)),
      // As HTTP says, and not as some clients have it.
      requireHostHeader: true,
      insecureHTTPParser: false
    }
  }
}
