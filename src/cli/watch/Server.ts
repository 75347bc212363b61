/** The server of the page: on this machine alone, over Effect's. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { CommandError } from "../usage/CommandError.ts"
import * as Feed from "./Feed.ts"
import * as Html from "./Html.ts"
import * as Rules from "./Rules.ts"

/** Pages that look at once. */
const mostPages = 8

export interface Opened {
  readonly port: number
  readonly token: string
  /** What to open: the token is behind the `#`, which a browser tells no server and no other page. */
  readonly url: string
}

/** Serves for as long as the scope is open. */
export const open = (process: Feed.Process, port: number): Effect.Effect<Opened, CommandError, Scope.Scope> =>
  Effect.gen(function* () {
    // A page asks for little: what is larger or slower than that is none of ours.
    const node = createServer({ maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000 })
    node.maxConnections = 64
    const server = yield* Effect.mapError(
      NodeHttpServer.make(() => node, { host: "127.0.0.1", port, disablePreemptiveShutdown: true }),
      (error) => notOpen(port, error)
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    const at = { port: portOf(node.address()), token: randomBytes(32).toString("base64url") }
    yield* server.serve(answer(process, at))
    return { ...at, url: `http://127.0.0.1:${at.port}/#${at.token}` }
  })

const notOpen = (port: number, error: { readonly cause: unknown }): CommandError => {
  const { cause } = error
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  const why =
    code === "EADDRINUSE" ? "another program listens there" : code === "EACCES" ? "that is not allowed" : cause
  return new CommandError(
    `Could not open the page on port ${port}: ${String(why)}. Leave out --port, and one that is free is taken.`,
    { cause }
  )
}

const portOf = (address: ReturnType<ReturnType<typeof createServer>["address"]>): number =>
  typeof address === "object" && address !== null ? address.port : 0

type Response = HttpServerResponse.HttpServerResponse

const answer = (process: Feed.Process, at: { readonly port: number; readonly token: string }) => {
  const page = HttpServerResponse.text(Html.page, {
    contentType: "text/html; charset=utf-8",
    headers: { ...headers, "content-security-policy": Html.policy }
  })
  let pages = 0
  const live: Effect.Effect<Response> = Effect.suspend(() => {
    if (pages >= mostPages) return Effect.succeed(told(503, `${mostPages} pages look already: close one`))
    return Effect.succeed(
      HttpServerResponse.stream(
        Stream.ensuring(
          Stream.suspend(() => {
            pages += 1
            return Feed.snapshots(process)
          }),
          Effect.sync(() => (pages -= 1))
        ),
        { contentType: "text/event-stream", headers }
      )
    )
  })
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
    const refusal = Rules.refusal(
      {
        method,
        target: url,
        // Of a request that names a whole URL, Effect takes the host from there.
        host: headers["host"],
        origin: headers["origin"],
        authorization: headers["authorization"]
      },
      at
    )
    if (refusal !== undefined) return Effect.succeed(told(refusal.status, refusal.why, refusal.allow))
    return url === "/" ? Effect.succeed(page) : live
  })
}

/** Nothing is kept, framed, guessed at or told to others. */
const headers: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const told = (status: number, why: string, allow?: string): Response =>
  HttpServerResponse.text(`${why}\n`, {
    status,
    contentType: "text/plain; charset=utf-8",
    headers: { ...headers, ...(allow !== undefined && { allow }) }
  })
