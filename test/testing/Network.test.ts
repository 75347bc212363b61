import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Fetch } from "skein"
import { Network, Origin, Sim } from "skein/testing"

const through = (options: Network.Options, body: HttpServerResponse.HttpServerResponse = HttpServerResponse.empty()) =>
  Layer.provideMerge(Network.layer(options), Origin.layer(HttpRouter.add("*", "*", body)))

const get = HttpClient.get("http://origin:80/")
const ask = Fetch.text({ retries: 0, timeout: "1 minute" })

describe("Network", () => {
  it.effect("takes its latency both ways", () =>
    Effect.gen(function* () {
      const run = yield* Sim.run(Effect.provide(get, through({ latency: "30 millis" })))
      assert.strictEqual(run.time, 60)
    })
  )

  it.effect("draws a latency from its range for each way, the shortest on a good day", () =>
    Effect.gen(function* () {
      const range = { latency: { min: "10 millis", max: "1010 millis" } } as const
      const timed = Effect.provide(get, through(range))
      assert.strictEqual((yield* Sim.run(timed)).time, 20)
      const times = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, seed) => seed),
        (seed) => Effect.map(Sim.run(timed, { seed, strategy: "random" }), ({ time }) => time)
      )
      assert.isAtLeast(Math.min(...times), 20)
      assert.isAtMost(Math.max(...times), 2020)
      assert.isAbove(Math.max(...times) - Math.min(...times), 1000)
      // Both ways the same would give even multiples only.
      assert.isTrue(times.some((time) => ((time - 20) / 100) % 2 === 1))
    })
  )

  it.effect("lets bodies through at its bandwidth, there and back", () =>
    Effect.gen(function* () {
      const sent = HttpClient.post("http://origin/", { body: HttpBody.text("12345") })
      assert.strictEqual((yield* Sim.run(Effect.provide(sent, through({ bandwidth: 10 })))).time, 500)

      const body = Stream.fromIterable(["ab", "cdef"]).pipe(Stream.encodeText)
      const arrivals = Effect.gen(function* () {
        const response = yield* get
        return yield* Stream.runCollect(Stream.mapEffect(response.stream, (chunk) => sized(chunk)))
      })
      const run = yield* Sim.run(Effect.provide(arrivals, through({ bandwidth: 2 }, HttpServerResponse.stream(body))))
      assert.deepStrictEqual(
        run.exit,
        Exit.succeed([
          [2, 1000],
          [4, 3000]
        ])
      )
    })
  )

  it.effect("lets every way of reading a body see the same bytes", () =>
    Effect.gen(function* () {
      const read = Effect.gen(function* () {
        const response = yield* get
        const bytes = new Uint8Array(yield* response.arrayBuffer)
        const { headers, status, url } = response
        return [yield* response.json, yield* response.text, bytes.length, status, url, headers["content-type"]]
      })
      const form = Effect.gen(function* () {
        const { formData, urlParamsBody } = yield* get
        return [(yield* formData).get("a"), yield* urlParamsBody]
      })
      const answer = HttpServerResponse.jsonUnsafe({ n: 1 }, { status: 201 })
      const run = yield* Sim.run(Effect.provide(read, through({ bandwidth: 1000 }, answer)))
      const expected = [{ n: 1 }, '{"n":1}', 7, 201, "http://origin/", "application/json"]
      assert.deepStrictEqual(run.exit, Exit.succeed(expected))

      const fields = HttpServerResponse.urlParams({ a: "1" })
      const filled = yield* Sim.run(Effect.provide(form, through({ bandwidth: 1000 }, fields)))
      assert.deepStrictEqual(filled.exit, Exit.succeed(["1", UrlParams.fromInput({ a: "1" })]))
    })
  )

  it.effect("loses requests, and replies to requests that were served, without a word", () =>
    Effect.gen(function* () {
      const lossy = through({ loss: 0.5 }, HttpServerResponse.stream(Stream.make(new Uint8Array(1))))
      const asked = Effect.gen(function* () {
        const end = yield* Effect.result(ask("http://origin/"))
        const { inFlight, requests } = yield* Origin.Origin
        return `${end._tag}, ${requests.length} served, ${inFlight} open`
      }).pipe(Effect.provide(lossy))
      const ends = new Set<string>()
      for (let seed = 0; seed < 30; seed++) {
        const run = yield* Sim.run(asked, { seed, strategy: "random" })
        ends.add(`${yield* run.exit} after ${run.time} ms`)
      }
      assert.deepStrictEqual(
        ends,
        new Set([
          "Success, 1 served, 0 open after 0 ms",
          "Failure, 0 served, 0 open after 60000 ms",
          "Failure, 1 served, 0 open after 60000 ms"
        ])
      )
      assert.strictEqual(yield* (yield* Sim.run(asked)).exit, "Success, 1 served, 0 open")
    })
  )

  it.effect("is cut from hosts and mended, and says nothing", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const network = yield* Network.Network
        const reason = (url: string) =>
          Effect.match(ask(url), { onSuccess: () => "fine", onFailure: ({ reason }) => reason })
        const both = Effect.all([reason("http://a:81/"), reason("http://b:82/")])
        yield* network.cut("a", "b:82")
        const cut = yield* both
        yield* network.mend("a")
        const half = yield* both
        yield* network.mend("b:82")
        const whole = yield* both
        return [cut, half, whole]
      })
      const run = yield* Sim.run(Effect.provide(program, through({})))
      const expected = [
        ["Timeout", "Timeout"],
        ["fine", "Timeout"],
        ["fine", "fine"]
      ]
      assert.deepStrictEqual(run.exit, Exit.succeed(expected))
    })
  )

  it.effect("loses what is under way when it is cut", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.flip(ask("http://origin/")))
        // The request has arrived, its reply is on the way.
        yield* Effect.sleep("15 millis")
        yield* (yield* Network.Network).cut("origin")
        const { reason } = yield* Fiber.join(fiber)
        return [reason, (yield* Origin.Origin).requests.length]
      })
      const run = yield* Sim.run(Effect.provide(program, through({ latency: "10 millis" })))
      assert.deepStrictEqual(run.exit, Exit.succeed(["Timeout", 1]))
    })
  )

  it.effect("closes a reply that is given up on the way", () =>
    Effect.gen(function* () {
      const streamed = HttpServerResponse.stream(Stream.never)
      const program = Effect.gen(function* () {
        yield* Effect.timeoutOption(get, "15 millis")
        const { inFlight, maxInFlight } = yield* Origin.Origin
        return [inFlight, maxInFlight]
      })
      const run = yield* Sim.run(Effect.provide(program, through({ latency: "10 millis" }, streamed)))
      assert.deepStrictEqual(run.exit, Exit.succeed([0, 1]))
    })
  )

  it.effect("leaves a request without an address to its client", () =>
    Effect.gen(function* () {
      const run = yield* Sim.run(Effect.provide(Effect.flip(HttpClient.get("/relative")), through({ latency: 5 })))
      assert.strictEqual((yield* run.exit).reason._tag, "InvalidUrlError")
    })
  )
})

const sized = (chunk: Uint8Array) =>
  Effect.clockWith((clock) => Effect.succeed([chunk.length, clock.currentTimeMillisUnsafe()]))
