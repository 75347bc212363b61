import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Serve } from "skein/node"
import * as Raw from "../support/raw.ts"

const whole = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) =>
  Effect.map(text, (text) => HttpServerResponse.text(`${text.length} bytes`))
)
const streamed = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ stream }) =>
  Effect.map(
    Stream.runFold(
      stream,
      () => 0,
      (sum, chunk) => sum + chunk.length
    ),
    (sum) => HttpServerResponse.text(`${sum} bytes`)
  )
)
const routes = Layer.mergeAll(
  HttpRouter.add("POST", "/whole", whole),
  HttpRouter.addAll([HttpRouter.route("POST", "/streamed", streamed)], { prefix: "/v1" }),
  HttpRouter.add(
    "GET",
    "/:name",
    Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.text(`<${name}>`))
  )
)

const chunked = (path: string, chunks: ReadonlyArray<string>): string =>
  Raw.request(
    "POST",
    path,
    { "transfer-encoding": "chunked" },
    [...chunks, ""].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")
  )

/** What is answered to these bytes, to the end of it. */
const answer = (options: Partial<Serve.Options>, bytes: string, until: string) =>
  Effect.gen(function* () {
    const { port } = yield* Serve.http(routes, { port: 0, ...options })
    const client = yield* Raw.open(port)
    client.send(bytes)
    return yield* client.says(until)
  }).pipe(Effect.scoped)

describe("Serve.http takes no more than", () => {
  describe.concurrent("maxBody", () => {
    const fits = "x".repeat(1000)
    const body = `${fits}y`
    for (const path of ["/whole", "/v1/streamed"]) {
      it.effect(`of a body that says its length, at ${path}`, () =>
        Effect.gen(function* () {
          const send = (body: string) => Raw.request("POST", path, { "content-length": String(body.length) }, body)
          yield* answer({ maxBody: 1000 }, send(fits), "1000 bytes")
          yield* answer({ maxBody: 1000 }, send(body), "413 Payload Too Large")
        })
      )

      it.effect(`of a body in chunks, at ${path}`, () =>
        Effect.gen(function* () {
          yield* answer({ maxBody: 1000 }, chunked(path, [fits]), "1000 bytes")
          yield* answer({ maxBody: 1000 }, chunked(path, [fits, "y"]), "413 Payload Too Large")
        })
      )
    }

    it.effect("before it arrives, where its length says so", () =>
      answer({ maxBody: 1000 }, Raw.request("POST", "/whole", { "content-length": "1001" }), "413 Payload Too Large")
    )
  })

  it.effect("maxHeaders", () => answer({ maxHeaders: 1000 }, Raw.get("/a", { x: "y".repeat(2000) }), "431 "))

  it.effect("the time for headers, of a client that is slow with them", () =>
    Effect.gen(function* () {
      const { port } = yield* Serve.http(routes, { port: 0, headersWithin: "50 millis" })
      const client = yield* Raw.open(port)
      client.send("GET /a HTTP/1.1\r\nhost: ")
      expect(yield* client.ended).toContain("408 Request Timeout")
    }).pipe(Effect.scoped)
  )

  it.effect("the time for a request, of a client that is slow with its body", () =>
    Effect.gen(function* () {
      const { port } = yield* Serve.http(routes, { port: 0, requestWithin: "50 millis" })
      const client = yield* Raw.open(port)
      client.send(Raw.request("POST", "/whole", { "content-length": "10" }, "half "))
      expect(yield* client.ended).toContain("408 Request Timeout")
    }).pipe(Effect.scoped)
  )

  it.effect("one request in one place of a connection: pipelined ones are answered in order", () =>
    Effect.gen(function* () {
      const received = yield* answer({}, Raw.get("/a") + Raw.get("/b") + Raw.get("/c"), "<c>")
      expect(received.match(/<.>/g)).toEqual(["<a>", "<b>", "<c>"])
    })
  )

  describe.concurrent("what HTTP allows", () => {
    for (const [what, bytes] of [
      ["two lengths", Raw.request("POST", "/whole", { "content-length": "5", "Content-Length": "6" }, "hello")],
      [
        "a length and chunks",
        Raw.request("POST", "/whole", { "content-length": "5", "transfer-encoding": "chunked" }, "0\r\n\r\n")
      ],
      ["a line break in a name", "GET / HTTP/1.1\r\nhost: a\r\nb\nad: c\r\n\r\n"],
      ["no host", "GET / HTTP/1.1\r\n\r\n"],
      ["no HTTP", "hello\r\n\r\n"]
    ] as const) {
      it.effect(`and not ${what}`, () => answer({}, bytes, "400 Bad Request"))
    }
  })

  it("what makes sense as an option", () => {
    const start = (options: Partial<Serve.Options>) => () => Serve.http(routes, { port: 0, ...options })
    expect(start({ queue: -1 })).toThrow("Serve.http: queue must be a whole number, 0 or more, or Infinity; got -1")
    expect(start({ maxBody: NaN })).toThrow("Serve.http: maxBody must be a whole number")
    expect(start({ drainWithin: NaN })).toThrow("Serve.http: drainWithin must be a duration")
  })
})
