/** A server with one thing on it that can be asked for in parts, changed, and cut off on the way. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"

export interface Thing {
  body: string | Uint8Array
  etag?: string | undefined
  modified?: Date | undefined
  /** Default true. */
  ranges?: boolean
  gzip?: boolean
  headers?: Record<string, string>
  /** After how many bytes of body the connection breaks, request by request; none where they are used up. */
  cuts?: Array<number | undefined>
  /** Answers itself, where it gives true. */
  answer?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
}

export interface Shelf {
  readonly url: string
  readonly thing: Thing
  /** Ranges that were asked for, a request each; "" for none. */
  readonly asked: Array<string>
  readonly requests: Array<IncomingMessage>
}

export const start = (thing: Thing): Effect.Effect<Shelf, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Shelf & { close: () => Promise<void> }>((resume) => {
        const asked: Array<string> = []
        const requests: Array<IncomingMessage> = []
        const server = createServer((request, response) => {
          response.on("error", () => {})
          asked.push(request.headers.range ?? "")
          requests.push(request)
          if (thing.answer?.(request, response) !== true) give(thing, request, response)
        })
        server.listen(0, "127.0.0.1", () => {
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/thing`
          const close = () => {
            server.closeAllConnections()
            return new Promise<void>((done) => server.close(() => done()))
          }
          resume(Effect.succeed({ url, thing, asked, requests, close }))
        })
      }),
      ({ close }) => Effect.promise(close)
    ),
    (shelf) => shelf
  )

const give = (thing: Thing, request: IncomingMessage, response: ServerResponse): void => {
  const plain = Buffer.from(thing.body)
  const whole = thing.gzip === true ? gzipSync(plain) : plain
  const validators = [thing.etag, thing.modified?.toUTCString()].filter((one) => one !== undefined)
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")
  const isStill = request.headers["if-range"] === undefined || validators.includes(`${request.headers["if-range"]}`)
  const from = range !== null && isStill && thing.ranges !== false ? Number(range[1]) : undefined
  response.setHeader("date", new Date().toUTCString())
  if (thing.etag !== undefined) response.setHeader("etag", thing.etag)
  if (thing.modified !== undefined) response.setHeader("last-modified", thing.modified.toUTCString())
  if (thing.gzip === true) response.setHeader("content-encoding", "gzip")
  for (const [name, value] of Object.entries(thing.headers ?? {})) response.setHeader(name, value)
  if (from !== undefined && from >= whole.length) {
    response.writeHead(416, { "content-range": `bytes */${whole.length}` }).end()
    return
  }
  const part = whole.subarray(from ?? 0)
  const cut = thing.cuts?.shift()
  response.writeHead(from === undefined ? 200 : 206, {
    "content-length": part.length,
    ...(from !== undefined && { "content-range": `bytes ${from}-${whole.length - 1}/${whole.length}` })
  })
  if (cut === undefined || request.method === "HEAD") response.end(part)
  else response.write(part.subarray(0, cut), () => response.socket?.destroy())
}
