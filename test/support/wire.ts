/**
 * A server with every fault, a proxy and certificates, in a process of its own: see `wire/Server.ts` for its paths.
 *
 * ```ts
 * const shared = Server.shared()
 *
 * it.live("fails", () =>
 *   Effect.gen(function* () {
 *     const server = yield* Server.Server
 *     const error = yield* Effect.flip(Fetch.text()(`${server.url}/half-closed`))
 *     yield* server.closed // no connection is open any more
 *   }).pipe(Effect.provide([shared, Http.layer()]))
 * )
 * ```
 */
import { afterAll, beforeAll } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import * as Child from "./child.ts"

export interface Request {
  /** By which of its doors. */
  readonly at: string
  readonly method: string
  readonly target: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface Seen {
  readonly requests: ReadonlyArray<Request>
  /** Connections of clients that are open now. */
  readonly open: number
  /** Of those, how many have asked for something that was not answered whole. */
  readonly busy: number
  /** All that there were. */
  readonly connections: number
}

type Port =
  | "plain"
  | "six"
  | "valid"
  | "expired"
  | "other"
  | "banner"
  | "proxy"
  | "secureProxy"
  | "askingProxy"
  | "refusingProxy"
  | "brokenProxy"
  | "silentProxy"
  | "closingProxy"

export interface Server {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  readonly url: string
  readonly port: Readonly<Record<Port, number>>
  readonly seen: Effect.Effect<Seen>
  /** Of requests to this path, by whatever door. */
  readonly count: (path: string) => Effect.Effect<number>
  /** Completes once the path has had a request. */
  readonly arrived: (path: string) => Effect.Effect<void>
  /** Forgets the requests so far. */
  readonly clear: Effect.Effect<void>
  /** Completes once no connection is open. */
  readonly closed: Effect.Effect<void>
  /** Completes once no connection is open on which anything is still to come. */
  readonly idle: Effect.Effect<void>
}

const file = (name: string): string => resolve(import.meta.dirname, "wire", name)

/** The certificate that the door of that name shows. */
export const certificate = (name: "valid" | "expired" | "other"): string =>
  readFileSync(file(`tls/${name}.crt`), "utf8")

export const Server: Context.Service<Server, Server> = Context.Service("test/Server")

const start: Effect.Effect<Server, never, Scope.Scope> = Effect.gen(function* () {
  const child = yield* Child.start([file("Server.ts")])
  let output = ""
  // Before the one that tells who waits.
  child.process.stdout?.prependListener("data", (text: string) => (output += text))
  yield* child.says("}\n")
  const port = JSON.parse(output.slice(output.indexOf("{"))) as Record<Port | "control", number>

  // Not by what is tested here.
  const ask = (path: string) =>
    Effect.promise(async () => (await (await fetch(`http://127.0.0.1:${port.control}${path}`)).json()) as Seen)
  const seen = ask("/_seen")
  /** Each look is a request and its answer, so that there is no waiting in between; bounded, not by time. */
  const until = (what: string, condition: (now: Seen) => boolean): Effect.Effect<void> =>
    Effect.gen(function* () {
      for (let looks = 0; looks < 2_000; looks++) if (condition(yield* seen)) return
      return yield* Effect.die(new Error(`The server never came to this: ${what}`))
    })

  return {
    url: `http://127.0.0.1:${port.plain}`,
    port,
    seen,
    count: (path) => Effect.map(seen, ({ requests }) => requests.filter((request) => request.path === path).length),
    arrived: (path) => until(`${path} was asked for`, ({ requests }) => requests.some((each) => each.path === path)),
    clear: Effect.asVoid(ask("/_clear")),
    closed: until("no connection is open", ({ open }) => open === 0),
    idle: until("nothing is still to come on a connection", ({ busy }) => busy === 0)
  }
})

/** One for all tests of a file. */
export const shared = (): Layer.Layer<Server> => {
  const scope = Scope.makeUnsafe()
  let server: Server
  beforeAll(async () => {
    server = await Effect.runPromise(Effect.provideService(start, Scope.Scope, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Layer.sync(Server, () => server)
}
