/** Requests in plain words, against a real server: what it is sent, and what becomes of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Origin from "../support/origin.ts"

const noJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }

const withOrigin = <A, E>(
  script: Origin.Routes | Origin.Handler,
  body: (origin: Origin.Origin) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.flatMap(Origin.start(script), body).pipe(
    Effect.provideService(Random.Random, noJitter),
    Effect.provide(Http.layer())
  )

/** A server that handles its requests before they have arrived. */
const serve = (listener: RequestListener): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((request, response) => {
          request.on("error", () => {})
          response.on("error", () => {})
          listener(request, response)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe("Fetch.send", () => {
  it.effect("sends JSON, forms, text and bytes with their types and lengths", () =>
    withOrigin({ "*": { body: "ok", headers: { "content-type": "text/plain" } } }, (origin) =>
      Effect.gen(function* () {
        const { url } = origin
        assert.strictEqual(
          (yield* Fetch.send({ url, json: { name: "Zoë", none: undefined, list: [1, null] } })).text,
          "ok"
        )
        yield* Fetch.send({ url, method: "PUT", form: { a: "1 2", b: ["x", "y"] } })
        yield* Fetch.send({ url, body: "für" })
        yield* Fetch.send({ url, body: new Uint8Array([1, 2, 3]), headers: { "content-type": "image/png" } })
        yield* Fetch.send({ url: `${url}/find?a=1`, query: { b: "2&3" } })
        const [json, form, text, raw, get] = origin.requests
        assert.strictEqual(json?.method, "POST")
        assert.strictEqual(json?.headers["content-type"], "application/json")
        assert.strictEqual(json?.body, '{"name":"Zoë","list":[1,null]}')
        assert.strictEqual(json?.headers["content-length"], String(bytes(json?.body ?? "").length))
        assert.strictEqual(form?.method, "PUT")
        assert.include(form?.headers["content-type"] ?? "", "application/x-www-form-urlencoded")
        assert.strictEqual(form?.body, "a=1+2&b=x&b=y")
        assert.strictEqual(text?.body, "für")
        assert.include(text?.headers["content-type"] ?? "", "text/plain")
        assert.strictEqual(raw?.headers["content-type"], "image/png")
        assert.strictEqual(raw?.headers["content-length"], "3")
        assert.strictEqual(get?.method, "GET")
        assert.deepEqual(
          [...(get?.query ?? [])],
          [
            ["a", "1"],
            ["b", "2&3"]
          ]
        )
      })
    )
  )

  it.effect("is taken by every other function, as a step", () =>
    withOrigin({ "*": (request) => ({ body: { got: request.body } }) }, (origin) =>
      Effect.gen(function* () {
        const Echo = Schema.Struct({ got: Schema.String })
        const { got } = yield* Fetch.json(Echo)({ url: origin.url, method: "POST", json: [1] })
        assert.strictEqual(got, "[1]")
        assert.strictEqual(yield* Fetch.text({ method: "PATCH" })({ url: origin.url, json: 2 }), '{"got":"2"}')
        assert.strictEqual(origin.requests[1]?.method, "PATCH")
      })
    )
  )

  it.effect("refuses what has no form to be sent in, in words, and sends nothing", () =>
    withOrigin({}, (origin) =>
      Effect.gen(function* () {
        const { url } = origin
        const loop: Record<string, unknown> = {}
        loop["self"] = loop
        const cases: ReadonlyArray<readonly [Fetch.Message, string]> = [
          [{ url, json: { a: { b: NaN } } }, 'its JSON has NaN, which JSON has no form for at "b"'],
          [{ url, json: [1, Infinity] }, "Infinity"],
          [{ url, json: [undefined] }, "undefined"],
          [{ url, json: { n: 10n } }, "a bigint"],
          [{ url, json: 1n }, "a bigint"],
          [{ url, json: () => 1 }, "function"],
          [{ url, json: { a: "\ud800" } }, "half of a character"],
          [{ url, json: loop }, "cannot be written as JSON"],
          [{ url, form: { a: "\udfff" } }, 'its form field "a" has half of a character'],
          [{ url, query: { "q\ud800": "1" } }, "query parameter"],
          [{ url, body: "\ud800" }, "half of a character"],
          [{ url, multipart: { a: "\ud800" } }, "half of a character"],
          [{ url, multipart: { a: { name: "\ud800", content: "" } } }, "half of a character"],
          [{ url, multipart: { a: { name: "x", type: "text/plain\r\nx: y", content: "" } } }, "is no media type"],
          [{ url, json: 1, body: "2" } as never, "more than one of"],
          [{ url, body: 5 } as never, "neither text nor bytes nor a stream"]
        ]
        for (const [message, expected] of cases) {
          const error = yield* Effect.flip(Fetch.send(message))
          assert.strictEqual(error.reason, "Encode", expected)
          assert.include(error.message, expected)
          assert.include(error.message, "correct what is sent")
        }
        const error = yield* Effect.flip(Fetch.send({ url: "nowhere", json: 1 }))
        assert.strictEqual(error.reason, "Url")
        assert.strictEqual(origin.count(), 0)
      })
    )
  )

  it.effect("sends forms with files, whose names and contents cannot end their part", () =>
    Effect.gen(function* () {
      const parsed: Array<FormData> = []
      const url = yield* serve((request, response) => {
        const chunks: Array<Uint8Array> = []
        request.on("data", (chunk: Uint8Array) => chunks.push(chunk))
        request.on("end", async () => {
          const headers = { "content-type": request.headers["content-type"] ?? "" }
          parsed.push(await new Response(Buffer.concat(chunks), { headers }).formData())
          response.end(request.headers["content-length"] ?? "chunked")
        })
      })
      const nasty = 'a"b\r\nContent-Type: evil/x\r\n\r\n--skein-0000'
      const whole = yield* Fetch.send({
        url,
        multipart: {
          [nasty]: "one\ntwo",
          several: ["1", "2"],
          file: { name: 'zü".txt', type: "text/plain", content: `--skein-${"0".repeat(32)}--` }
        }
      })
      const length = yield* Fetch.text()({
        url,
        multipart: { a: "1", file: { name: "b.bin", content: Stream.make(bytes("ab"), bytes("c")), size: 3 } }
      })
      const chunked = yield* Fetch.text()({
        url,
        multipart: { file: { name: "b.bin", content: Stream.make(bytes("abc")) } }
      })
      assert.isTrue(Number(new TextDecoder().decode(whole.body)) > 0)
      assert.isTrue(Number(length) > 0)
      assert.strictEqual(chunked, "chunked")
      const [first, second, third] = parsed
      assert.deepEqual([...first!.keys()].slice(1), ["several", "several", "file"])
      assert.strictEqual([...first!.values()][0], "one\r\ntwo")
      assert.deepEqual(first!.getAll("several"), ["1", "2"])
      const file = first!.get("file") as File
      assert.strictEqual(file.type, "text/plain")
      assert.strictEqual(yield* Effect.promise(() => file.text()), `--skein-${"0".repeat(32)}--`)
      for (const form of [second, third]) {
        assert.strictEqual(yield* Effect.promise(() => (form!.get("file") as File).text()), "abc")
      }
    }).pipe(Effect.provide(Http.layer()))
  )
})

describe("Fetch.send: bodies that are streams", () => {
  it.effect("are made no faster than the server takes them, and stop when nobody waits any more", () =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<IncomingMessage>()
      const closed = yield* Deferred.make<void>()
      const url = yield* serve((request) => {
        request.pause()
        Deferred.doneUnsafe(arrived, Effect.succeed(request))
      })
      let made = 0
      let open = 0
      const piece = new Uint8Array(64 * 1024)
      const endless = Stream.fromEffectRepeat(Effect.sync(() => (made++, piece))).pipe(
        Stream.ensuring(Effect.sync(() => void (open--, Deferred.doneUnsafe(closed, Effect.void))))
      )
      const body = Stream.suspend(() => (open++, endless))
      const fiber = yield* Effect.forkChild(Fetch.send({ url, body }, { timeout: Infinity }))
      const request = yield* Deferred.await(arrived)
      // It stops by itself: until the numbers stay.
      let before = -1
      while (before !== made) {
        before = made
        yield* Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 50)))
      }
      assert.isBelow(made, 1024)
      const gone = new Promise<void>((resolve) => request.socket.once("close", () => resolve()))
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
      // Who does not read does not see the end either.
      request.resume()
      yield* Effect.promise(() => gone)
      assert.strictEqual(open, 0)
    }).pipe(Effect.provide(Http.layer()))
  )

  it.effect("are run again for another attempt and another place, where that may be", () =>
    withOrigin(
      {
        "/moved": { status: 307, headers: { location: "/put" } },
        "/put": [{ status: 503 }, { body: "ok" }],
        "/post": { status: 503 }
      },
      (origin) =>
        Effect.gen(function* () {
          const body = Stream.make(bytes("one "), bytes("two"))
          yield* Fetch.send({ url: `${origin.url}/moved`, method: "PUT", body })
          const puts = origin.requests.filter(({ path }) => path === "/put")
          assert.deepEqual(
            puts.map((request) => request.body),
            ["one two", "one two"]
          )
          const error = yield* Effect.flip(Fetch.send({ url: `${origin.url}/post`, body }))
          assert.strictEqual(error.status, 503)
          assert.strictEqual(origin.count("/post"), 1)
        })
    )
  )

  it.effect("fail where they give less when they are run again", () =>
    withOrigin({ "/": { status: 503 } }, (origin) =>
      Effect.gen(function* () {
        const once = [bytes("one"), bytes("two")][Symbol.iterator]()
        const body = Stream.fromIterable({ [Symbol.iterator]: () => once })
        const error = yield* Effect.flip(Fetch.send({ url: origin.url, method: "PUT", body }))
        assert.strictEqual(error.reason, "Encode")
        assert.include(error.message, "gave 6 bytes before, and 0 when it was run again")
        assert.strictEqual(origin.count(), 1)
      })
    )
  )

  it.effect("tell their own failure from one of the connection, and are not retried then", () =>
    withOrigin({ "/": { body: "ok" } }, (origin) =>
      Effect.gen(function* () {
        const body = Stream.concat(Stream.make(bytes("half")), Stream.fail(new Error("the disk is gone")))
        const error = yield* Effect.flip(Fetch.send({ url: origin.url, method: "PUT", body }))
        assert.strictEqual(error.reason, "Encode")
        assert.include(error.message, "the disk is gone")
        assert.isFalse(error.retryable)
        assert.strictEqual(origin.count(), 0)
      })
    )
  )

  it.effect("have the length that their message names, or fail", () =>
    withOrigin({ "/": { body: "ok" } }, (origin) =>
      Effect.gen(function* () {
        const body = Stream.make(bytes("abc"))
        yield* Fetch.send({ url: origin.url, body, headers: { "content-length": "3" } })
        assert.strictEqual(origin.requests[0]?.headers["content-length"], "3")
        yield* Effect.flip(Fetch.send({ url: origin.url, body, headers: { "content-length": "5" } }))
        assert.strictEqual(origin.count(), 1)
      })
    )
  )

  it.effect("hear a server that answers before it has read them", () =>
    Effect.gen(function* () {
      const sockets = new Set<Socket>()
      const url = yield* serve((request, response) => {
        sockets.add(request.socket)
        request.pause()
        const headers = request.url === "/closes" ? { connection: "close" } : {}
        response.writeHead(413, { ...headers, "content-type": "text/plain" }).end("too much")
      })
      let open = 0
      const piece = new Uint8Array(64 * 1024)
      const endless = Stream.suspend(() => {
        open++
        return Stream.ensuring(
          Stream.fromEffectRepeat(Effect.succeed(piece)),
          Effect.sync(() => void open--)
        )
      })
      for (const path of ["/keeps", "/closes"]) {
        const error = yield* Effect.flip(Fetch.send({ url: url + path, method: "PUT", body: endless }))
        assert.strictEqual(error.status, 413, path)
      }
      while (open > 0) yield* Effect.yieldNow
      assert.strictEqual(open, 0)
    }).pipe(Effect.provide(Http.layer()))
  )
})

describe("Fetch.stream and Fetch.head", () => {
  it.effect("gives the body as it arrives, and closes the connection where nobody reads on", () =>
    withOrigin({ "/": { body: "0123456789", fault: "endless" } }, (origin) =>
      Effect.gen(function* () {
        const some = yield* Fetch.stream()(origin.url).pipe(Stream.take(3), Stream.runCollect)
        assert.isTrue(some.length > 0)
        yield* origin.idle
      })
    )
  )

  it.effect("holds its slot until it is read, and fails where the body breaks off", () =>
    withOrigin({ "/cut": { body: "half", fault: "cut" }, "/ok": { body: "ok" } }, (origin) =>
      Effect.gen(function* () {
        const both = Stream.flatMap(Fetch.stream()(`${origin.url}/ok`), (piece) =>
          Stream.fromEffect(Effect.as(Effect.yieldNow, piece))
        )
        const all = yield* Effect.all([Stream.runCollect(both), Fetch.text()(`${origin.url}/ok`)], { concurrency: 2 })
        assert.strictEqual(all[1], "ok")
        const error = yield* Effect.flip(Stream.runDrain(Fetch.stream({ retries: 0 })(`${origin.url}/cut`)))
        assert.strictEqual(error.reason, "Connect")
        assert.strictEqual(origin.maxInFlight(), 1)
      }).pipe(Fetch.withPolicy({ concurrency: 1 }))
    )
  )

  it.effect("is limited only where a size is given", () =>
    withOrigin({ "/": { body: new Uint8Array(20 * 1024 * 1024) } }, (origin) =>
      Effect.gen(function* () {
        const size = (options: Fetch.Options) =>
          Stream.runFold(
            Fetch.stream(options)(origin.url),
            () => 0,
            (sum, piece) => sum + piece.length
          )
        assert.strictEqual(yield* size({}), 20 * 1024 * 1024)
        assert.strictEqual((yield* Effect.flip(size({ maxBody: 1000 }))).reason, "TooLarge")
      })
    )
  )

  it.effect("asks for the head alone", () =>
    withOrigin({ "/": { headers: { "content-length": "10", etag: '"1"' } } }, (origin) =>
      Effect.gen(function* () {
        const head = yield* Fetch.head()(origin.url)
        assert.deepEqual([head.status, head.headers["etag"], head.url], [200, '"1"', `${origin.url}/`])
        assert.strictEqual(origin.requests[0]?.method, "HEAD")
      })
    )
  )
})
