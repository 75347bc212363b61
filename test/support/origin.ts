/**
 * A loopback HTTP server that does what a test tells it to: answers, limits, drops, hangs, or never stops sending.
 *
 * ```ts
 * const origin = yield* Origin.start({
 *   "/ok": { body: { id: 1 } },
 *   "/flaky": [{ status: 503 }, { fault: "drop" }, { body: "third time" }],
 *   "/echo": (request) => ({ body: request.body, delay: "1 second" })
 * })
 * yield* Effect.forkChild(client.get(`${origin.url}/echo`))
 * yield* origin.arrived("/echo")
 * yield* TestClock.adjust("1 second")
 * ```
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface Reply {
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text and bytes go out as they are, everything else as JSON. */
  readonly body?: unknown
  /** How long to wait before answering, by the Clock of whoever started the origin: a TestClock in `it.effect`. */
  readonly delay?: Duration.Input
  /**
   * - `drop`: the connection is reset before anything was answered
   * - `hang`: nothing is ever answered
   * - `cut`: headers and body are sent, more was announced, and the connection is reset
   * - `stall`: headers and body are sent, and then nothing more, for ever
   * - `endless`: the body is sent again and again, as fast as the client reads
   */
  readonly fault?: "drop" | "hang" | "cut" | "stall" | "endless"
}

export interface Request {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
  /** How many requests this path has had, this one included. */
  readonly attempt: number
}

export type Handler = (request: Request) => Reply | Effect.Effect<Reply>

/** By path, `"*"` for all others: one reply, a reply per request (the last one stays), or a function. */
export type Routes = Readonly<Record<string, Reply | ReadonlyArray<Reply> | Handler>>

export interface Origin {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  readonly url: string
  /** Every request whose headers and body have arrived, in that order. */
  readonly requests: ReadonlyArray<Request>
  /** How many of them had this path; all of them without one. */
  readonly count: (path?: string) => number
  /** Requests that are neither answered nor given up by the client. */
  readonly inFlight: () => number
  readonly maxInFlight: () => number
  /** Bytes of bodies handed to the network so far. */
  readonly sent: () => number
  /** Completes once `path` has had `count` requests (default 1) and the last has reached its delay. */
  readonly arrived: (path: string, count?: number) => Effect.Effect<void>
  /** Completes once no request is in flight: answered, or the client closed the connection. */
  readonly idle: Effect.Effect<void>
}

/** Starts an origin on a free port of 127.0.0.1; it stops, and drops its connections, with the scope. */
export const start = (script: Routes | Handler): Effect.Effect<Origin, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const requests: Array<Request> = []
    const counts = new Map<string, number>()
    const fibers = new Set<Fiber.Fiber<void>>()
    const waiting = new Set<() => void>()
    const changed = () => waiting.forEach((check) => check())
    let inFlight = 0
    let maxInFlight = 0
    let sent = 0

    const until = (condition: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (condition()) return Effect.void
        const done = Deferred.makeUnsafe<void>()
        const check = () => void (condition() && Deferred.doneUnsafe(done, Effect.void))
        waiting.add(check)
        return Effect.ensuring(
          Deferred.await(done),
          Effect.sync(() => waiting.delete(check))
        )
      })

    const answer = (request: Request, response: Http.ServerResponse): Effect.Effect<void> =>
      Effect.gen(function* () {
        const reply = yield* replyTo(script, request)
        if (reply.delay !== undefined) yield* Effect.sleep(reply.delay)
        if (reply.fault === "hang") return
        if (reply.fault === "drop") return void response.socket?.resetAndDestroy()
        const body = encode(reply.body)
        response.writeHead(reply.status ?? 200, {
          ...(reply.fault === undefined && { "content-length": body.length }),
          ...(reply.fault === "cut" && { "content-length": body.length + 1 }),
          ...(typeof reply.body === "object" && !(reply.body instanceof Uint8Array) && jsonType),
          ...reply.headers
        })
        const repeated = body.length > 0 ? body : filler
        const pump = () => {
          do sent += repeated.length
          while (!response.destroyed && response.write(repeated))
        }
        switch (reply.fault) {
          case undefined:
            sent += body.length
            return void response.end(body)
          case "cut":
            sent += body.length
            return void response.write(body, () => response.socket?.resetAndDestroy())
          case "stall":
            sent += body.length
            response.flushHeaders()
            return void response.write(body)
          case "endless":
            response.on("drain", pump)
            return pump()
        }
      }).pipe(
        // A handler that throws is a mistake in the test: let the client see it instead of waiting for ever.
        Effect.catchDefect((defect) => Effect.sync(() => void response.writeHead(500).end(String(defect))))
      )

    const server = Http.createServer((incoming, response) => {
      inFlight += 1
      maxInFlight = Math.max(maxInFlight, inFlight)
      const chunks: Array<Uint8Array> = []
      // A reset connection is what some tests ask for; it must not end the process.
      incoming.on("error", () => {})
      response.on("error", () => {})
      incoming.on("data", (chunk: Uint8Array) => chunks.push(chunk))
      let fiber: Fiber.Fiber<void> | undefined
      incoming.on("end", () => {
        const url = new URL(incoming.url ?? "/", "http://origin")
        const attempt = (counts.get(url.pathname) ?? 0) + 1
        counts.set(url.pathname, attempt)
        const request: Request = {
          method: incoming.method ?? "GET",
          path: url.pathname,
          query: url.searchParams,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString(),
          attempt
        }
        requests.push(request)
        fiber = Effect.runForkWith(context)(answer(request, response))
        fibers.add(fiber)
        changed()
      })
      response.on("close", () => {
        inFlight -= 1
        if (fiber !== undefined) {
          fibers.delete(fiber)
          fiber.interruptUnsafe()
        }
        changed()
      })
    })

    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        }).pipe(Effect.andThen(Effect.suspend(() => Fiber.interruptAll(fibers))))
    )

    const count = (path?: string) => (path === undefined ? requests.length : (counts.get(path) ?? 0))
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      requests,
      count,
      inFlight: () => inFlight,
      maxInFlight: () => maxInFlight,
      sent: () => sent,
      arrived: (path, times = 1) => until(() => count(path) >= times),
      idle: until(() => inFlight === 0)
    }
  })

const replyTo = (script: Routes | Handler, request: Request): Effect.Effect<Reply> => {
  const entry = typeof script === "function" ? script : (script[request.path] ?? script["*"] ?? notFound)
  if (typeof entry === "function") {
    const reply = entry(request)
    return Effect.isEffect(reply) ? reply : Effect.succeed(reply)
  }
  if (!Array.isArray(entry)) return Effect.succeed(entry as Reply)
  return Effect.succeed(entry[Math.min(request.attempt, entry.length) - 1] ?? notFound)
}

const notFound: Reply = { status: 404, body: "the script of this origin has no such path" }
const jsonType = { "content-type": "application/json" }
const filler = new Uint8Array(64 * 1024).fill(46)

const encode = (body: unknown): Uint8Array => {
  if (body === undefined) return new Uint8Array()
  if (body instanceof Uint8Array) return body
  return new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body))
}
