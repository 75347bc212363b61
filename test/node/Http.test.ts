import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { AsyncLocalStorage } from "node:async_hooks"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import * as NodeHttp from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Http } from "skein/node"
import * as Origin from "../support/origin.ts"

const withHttp = <A, E>(
  body: Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>,
  options?: Http.Options
): Effect.Effect<A, E, Scope.Scope> => Effect.provide(body, Http.layer(options))

/** One turn of the event loop: lets sockets do what they can do now. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** A server of which the connections are counted, too. */
const serve = (listener: NodeHttp.RequestListener) =>
  Effect.gen(function* () {
    let connections = 0
    const server = NodeHttp.createServer(listener).on("connection", () => (connections += 1))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
    )
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, connections: () => connections }
  })

describe("Http: responses", () => {
  it.effect("are read as text, JSON, parameters, form, bytes or a stream", () =>
    withHttp(
      Effect.gen(function* () {
        const form = { "content-type": "application/x-www-form-urlencoded" }
        const origin = yield* Origin.start({
          "/json": { body: { a: [1] } },
          "/form": { body: "a=1&b=2", headers: form }
        })
        const json = yield* HttpClient.get(`${origin.url}/json#fragment`)
        assert.strictEqual(json.status, 200)
        assert.strictEqual(json.url, `${origin.url}/json`)
        assert.strictEqual(json.headers["content-type"], "application/json")
        assert.deepEqual(yield* json.json, { a: [1] })
        assert.strictEqual(yield* json.text, '{"a":[1]}')
        assert.strictEqual((yield* json.arrayBuffer).byteLength, 9)
        const params = yield* Effect.flatMap(HttpClient.get(`${origin.url}/form`), (response) => response.urlParamsBody)
        assert.deepEqual(
          [...params],
          [
            ["a", "1"],
            ["b", "2"]
          ]
        )
        const data = yield* Effect.flatMap(HttpClient.get(`${origin.url}/form`), (response) => response.formData)
        assert.strictEqual(data.get("b"), "2")
        const streamed = yield* HttpClient.get(`${origin.url}/json`)
        assert.strictEqual(yield* Stream.mkString(Stream.decodeText(streamed.stream)), '{"a":[1]}')
      })
    )
  )

  it.effect("come in pieces, after early hints, with several cookies, or empty", () =>
    withHttp(
      Effect.gen(function* () {
        const server = yield* serve((request, response) => {
          if (request.url === "/empty") return void response.writeHead(204).end()
          response.writeEarlyHints({ link: "</style.css>; rel=preload" })
          response.setHeader("set-cookie", ["a=1", "b=2"])
          response.write("one ")
          setImmediate(() => response.end("two"))
        })
        const response = yield* HttpClient.get(server.url)
        assert.strictEqual(response.status, 200)
        assert.deepEqual(Object.keys(response.cookies.cookies), ["a", "b"])
        assert.strictEqual(yield* response.text, "one two")
        const empty = yield* HttpClient.get(`${server.url}empty`)
        assert.strictEqual(empty.status, 204)
        assert.strictEqual(yield* empty.text, "")
      })
    )
  )

  it.effect("are inspected without their secrets", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start({ "*": { headers: { "set-cookie": "token=hush" } } })
        const request = HttpClientRequest.bearerToken(HttpClientRequest.get(origin.url), "hush")
        const response = yield* HttpClient.execute(request)
        assert.notInclude(JSON.stringify(response), "hush")
        assert.include(JSON.stringify(response), "200")
      })
    )
  )
})

describe("Http: requests", () => {
  it.effect("carry bytes, streams and forms", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start((request) => ({ body: request.body }))
        const send = (body: HttpBody.HttpBody) =>
          HttpClient.post(origin.url, { body }).pipe(Effect.flatMap((response) => response.text))
        assert.strictEqual(yield* send(HttpBody.text("hello")), "hello")
        assert.strictEqual(yield* send(HttpBody.stream(Stream.make("a", "b").pipe(Stream.encodeText))), "ab")
        const form = new FormData()
        form.append("field", "value")
        assert.include(yield* send(HttpBody.formData(form)), 'name="field"')
      })
    )
  )

  it.effect("to what is not a URL, or with what cannot be sent, fail and do not throw", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start({})
        assert.strictEqual((yield* Effect.flip(HttpClient.get("nowhere"))).reason._tag, "InvalidUrlError")
        const request = HttpClientRequest.setHeader(HttpClientRequest.get(origin.url), "x-bad", "a\nb")
        assert.strictEqual((yield* Effect.flip(HttpClient.execute(request))).reason._tag, "TransportError")
      })
    )
  )

  it.effect("have a span only when asked for", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start({ "*": { body: "ok" } })
      const get = Effect.withSpan(HttpClient.get(origin.url), "test")
      yield* withHttp(get)
      yield* withHttp(get, { spans: true })
      assert.isUndefined(origin.requests[0]?.headers.traceparent)
      assert.isString(origin.requests[1]?.headers.traceparent)
    })
  )
})

describe("Http: connections", () => {
  it.effect("serve one request after the other", () =>
    withHttp(
      Effect.gen(function* () {
        const server = yield* serve((_, response) => void response.end("ok"))
        const get = Effect.flatMap(HttpClient.get(server.url), (response) => response.text)
        yield* Effect.forEach(Array.from({ length: 200 }), () => get, { discard: true, concurrency: 5 })
        assert.strictEqual(server.connections(), 5)
        yield* Effect.forEach(Array.from({ length: 20 }), () => get, { discard: true })
        assert.strictEqual(server.connections(), 5)
      })
    )
  )

  it.effect("serve those who wait in the order of coming, whatever becomes of the one before", () =>
    withHttp(
      Effect.gen(function* () {
        const asked: Array<string> = []
        const server = yield* serve(({ url = "" }, response) => {
          asked.push(url)
          if (url === "/broken") return void response.destroy()
          if (url === "/last") response.setHeader("connection", "close")
          response.end(url)
        })
        const paths = ["a", "broken", "b", "last", "c", "\n", "d", "broken", "e"]
        const got = yield* Effect.forEach(
          paths,
          (path) =>
            HttpClient.get(server.url + path.trim(), path === "\n" ? { headers: { "a-b": "\n" } } : {}).pipe(
              Effect.flatMap((response) => response.text),
              Effect.catchTag("HttpClientError", ({ reason }) => Effect.succeed(reason._tag))
            ),
          { concurrency: "unbounded" }
        )
        const broken = "TransportError"
        assert.deepEqual(got, ["/a", broken, "/b", "/last", "/c", broken, "/d", broken, "/e"])
        assert.deepEqual(asked, ["/a", "/broken", "/b", "/last", "/c", "/d", "/broken", "/e"])
        assert.strictEqual(server.connections(), 4)
      }),
      { connections: 1 }
    )
  )

  it.effect("are not lost to requests that nobody waits for any more", () =>
    withHttp(
      Effect.gen(function* () {
        const answer = yield* Deferred.make<void>()
        const server = yield* serve((_, response) => {
          void Effect.runPromise(Deferred.await(answer)).then(() => response.end("ok"))
        })
        const get = Effect.flatMap(HttpClient.get(server.url), (response) => response.text)
        const [first, second, third] = yield* Effect.all([get, get, get].map((each) => Effect.forkChild(each)))
        yield* turn
        yield* Fiber.interrupt(second!)
        yield* Deferred.succeed(answer, undefined)
        assert.strictEqual(yield* Fiber.join(first!), "ok")
        assert.strictEqual(yield* Fiber.join(third!), "ok")
        assert.strictEqual(server.connections(), 1)
      }),
      { connections: 1 }
    )
  )

  it.effect("are made again where the other side has closed them all", () =>
    withHttp(
      Effect.gen(function* () {
        const sockets: Array<Socket> = []
        const server = yield* serve(({ socket }, response) => {
          sockets.push(socket)
          response.end("ok")
        })
        const get = Effect.flatMap(HttpClient.get(server.url), (response) => response.text)
        for (let round = 1; round <= 3; round++) {
          assert.deepEqual(yield* Effect.all([get, get], { concurrency: 2 }), ["ok", "ok"])
          assert.strictEqual(server.connections(), 2 * round)
          // The one that was used last: the other one is still there.
          yield* get
          sockets.at(-1)!.destroy()
          for (let turns = 0; turns < 50; turns++) yield* turn
          yield* get
          assert.strictEqual(server.connections(), 2 * round)
          sockets.forEach((socket) => socket.destroy())
          for (let turns = 0; turns < 50; turns++) yield* turn
        }
      }),
      { connections: 2 }
    )
  )

  it.effect("lead whoever watches requests to where they were made", () =>
    withHttp(
      Effect.gen(function* () {
        const maker = new AsyncLocalStorage<number>()
        const made: Array<unknown> = []
        const note = () => void made.push(maker.getStore())
        subscribe("undici:request:create", note)
        yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("undici:request:create", note)))
        const server = yield* serve((_, response) => void response.end("ok"))
        const context = yield* Effect.context<HttpClient.HttpClient>()
        const get = Effect.flatMap(HttpClient.get(server.url), (response) => response.text)
        yield* Effect.promise(() =>
          Promise.all([1, 2, 3].map((i) => maker.run(i, () => Effect.runPromiseWith(context)(get))))
        )
        assert.deepEqual(made, [1, 2, 3])
      }),
      { connections: 1 }
    )
  )

  it.effect("are never more than allowed", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start({ "*": { delay: "1 second", body: "ok" } })
        const get = Effect.flatMap(HttpClient.get(origin.url), (response) => response.text)
        const all = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 6 }, () => get),
            { concurrency: 6 }
          )
        )
        for (const arrived of [2, 4, 6]) {
          yield* origin.arrived("/", arrived)
          for (let turns = 0; turns < 50; turns++) yield* turn
          assert.strictEqual(origin.inFlight(), 2)
          yield* TestClock.adjust("1 second")
        }
        assert.lengthOf(yield* Fiber.join(all), 6)
        assert.strictEqual(origin.maxInFlight(), 2)
      }),
      { connections: 2 }
    )
  )

  it.effect("wait for a reader that is slower than they are", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start({ "*": { fault: "endless" } })
        const response = yield* HttpClient.get(origin.url)
        let sent = -1
        // Once all the buffers in between are full, nothing more is sent; without that, this would go on for ever.
        for (let still = 0; still < 200; still = sent === origin.sent() ? still + 1 : 0) {
          sent = origin.sent()
          yield* turn
        }
        let read = 0
        const enough = Stream.takeUntil(response.stream, (chunk) => (read += chunk.length) > sent + 10_000_000)
        yield* Stream.runDrain(enough)
        yield* origin.idle
      })
    )
  )

  it.effect("close when a request is interrupted, waiting or not yet sent", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start({ "*": { fault: "hang" } })
        const first = yield* Effect.forkChild(HttpClient.get(origin.url))
        yield* origin.arrived("/")
        const second = yield* Effect.forkChild(HttpClient.get(origin.url))
        yield* turn
        yield* Fiber.interrupt(second)
        yield* Fiber.interrupt(first)
        yield* origin.idle
        for (let turns = 0; turns < 50; turns++) yield* turn
        assert.strictEqual(origin.count(), 1)
      }),
      { connections: 1 }
    )
  )

  it.effect("close when the reading of a body is interrupted", () =>
    withHttp(
      Effect.gen(function* () {
        const origin = yield* Origin.start({ "*": { fault: "stall", body: "a" } })
        const response = yield* HttpClient.get(origin.url)
        const fiber = yield* Effect.forkChild(response.arrayBuffer)
        yield* turn
        yield* Fiber.interrupt(fiber)
        yield* origin.idle
      })
    )
  )

  it.effect("close when nobody has read a response by the time it is collected", () =>
    withHttp(
      Effect.gen(function* () {
        setFlagsFromString("--expose-gc")
        const collect = runInNewContext("gc") as () => void
        const origin = yield* Origin.start({ "*": { fault: "endless" } })
        yield* Effect.asVoid(HttpClient.get(origin.url))
        while (origin.inFlight() > 0) {
          collect()
          yield* turn
        }
      })
    )
  )

  it.effect("close with the layer", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start({ "*": { fault: "hang" } })
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Http.layer({ connections: 1 }), scope)
      const fiber = yield* Effect.forkChild(Effect.provide(Effect.flip(HttpClient.get(origin.url)), context))
      yield* origin.arrived("/")
      const waiting = yield* Effect.forkChild(Effect.provide(Effect.flip(HttpClient.get(origin.url)), context))
      yield* turn
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "TransportError")
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "TransportError")
      const late = yield* Effect.provide(Effect.flip(HttpClient.get(origin.url)), context)
      assert.strictEqual(late.reason._tag, "TransportError")
      yield* origin.idle
    })
  )
})
