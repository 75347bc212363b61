/** A client that sends what it is told, byte by byte, whether or not that is HTTP. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { connect, type Socket } from "node:net"

export interface Client {
  readonly socket: Socket
  readonly send: (text: string | Uint8Array) => void
  /** All that came so far, once the text stands in it; dies when the connection ends without. */
  readonly says: (text: string) => Effect.Effect<string>
  /** All that came, once the connection is closed. */
  readonly ended: Effect.Effect<string>
  /** Goes away without a word. */
  readonly reset: () => void
}

export const open = (port: number): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Client>((resume) => {
      let received = ""
      let isOver = false
      const looking = new Set<() => void>()
      const socket = connect({ port, host: "127.0.0.1" }, () => resume(Effect.succeed(client)))
      const look = () => looking.forEach((one) => one())
      socket.on("data", (bytes) => {
        received += bytes.toString("latin1")
        look()
      })
      socket.on("error", () => {})
      socket.on("close", () => {
        isOver = true
        look()
      })
      const until = (found: () => Effect.Effect<string> | undefined) =>
        Effect.callback<string>((resume) => {
          const one = () => {
            const result = found()
            if (result === undefined) return
            looking.delete(one)
            resume(result)
          }
          looking.add(one)
          one()
        })
      const client: Client = {
        socket,
        send: (text) => void socket.write(text),
        says: (text) =>
          until(() =>
            received.includes(text)
              ? Effect.succeed(received)
              : isOver
                ? Effect.die(new Error(`no ${text} in: ${received}`))
                : undefined
          ),
        ended: until(() => (isOver ? Effect.succeed(received) : undefined)),
        reset: () => void socket.resetAndDestroy()
      }
    }),
    ({ socket }) => Effect.sync(() => void socket.destroy())
  )

/** A request with an empty body. */
export const get = (path: string, headers: Readonly<Record<string, string>> = {}): string =>
  request("GET", path, headers)

export const request = (
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = ""
): string => {
  const lines = Object.entries({ host: "127.0.0.1", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`
}
