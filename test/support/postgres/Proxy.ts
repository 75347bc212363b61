/** Stands between a client and a server, and breaks the connection around a COMMIT or ROLLBACK. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"

/**
 * What becomes of a COMMIT or ROLLBACK. Swallowed: the connection stays open, and nothing passes any more. Cut: it is closed on both
 * sides. "both cut" sends the request on and closes both sides at once, so that nobody knows who is first.
 */
export type Fault = "request swallowed" | "request cut" | "reply swallowed" | "reply cut" | "both cut"

export const faults: ReadonlyArray<Fault> = [
  "request swallowed",
  "request cut",
  "reply swallowed",
  "reply cut",
  "both cut"
]

export interface Proxy {
  /** As the one of the server, through here. */
  readonly url: string
  /** What to do from now on; `undefined` to pass everything. */
  fault: Fault | undefined
  /** How many it was done to. */
  done: number
}

export const open = (to: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => start(to)),
      ({ close }) => Effect.promise(close)
    ),
    ({ proxy }) => proxy
  )

const start = async (to: string) => {
  const target = new URL(to)
  const { hostname, port: serverPort } = target
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(serverPort === "" ? 5432 : serverPort), hostname)
    let isDeaf = false
    let isMute = false
    const cut = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
    }
    client.on("data", (data) => {
      if (isDeaf) return
      const { fault } = proxy
      if (fault === undefined || !/(?:COMMIT|ROLLBACK)\0/.test(data.toString("latin1")))
        return void upstream.write(data)
      proxy.done++
      if (fault === "request swallowed") isDeaf = true
      if (fault === "request cut") cut()
      if (fault === "reply swallowed" || fault === "reply cut") {
        isMute = true
        upstream.write(data)
        if (fault === "reply cut") upstream.once("data", cut)
      }
      if (fault === "both cut") upstream.write(data, cut)
    })
    upstream.on("data", (data) => {
      if (!isMute) client.write(data)
    })
    client.on("close", () => upstream.destroy())
    upstream.on("close", () => {
      if (!isMute && !isDeaf) client.destroy()
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { readonly port: number }
  target.hostname = "127.0.0.1"
  target.port = String(port)
  const proxy: Proxy = { url: target.href, fault: undefined, done: 0 }
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, "close")
  }
  return { proxy, close }
}
