import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { Lookup } from "../../src/node/http/HttpWays.ts"
import type { Lookup as LookupFunction } from "../../src/node/http/PublicNetwork.ts"
import * as Server from "../support/wire.ts"

const fast = { backoff: { base: 0 }, retries: 2 } as const

const shared = Server.shared()

const withHttp = <A, E>(body: Effect.Effect<A, E, HttpClient.HttpClient | Server.Server>, options?: Http.Options) =>
  Effect.provide(body, [Http.layer(options), shared])

/** What the request fails with, where the server has seen it `times` times and no connection is left. */
const failure = (url: string, options?: Fetch.Options) =>
  Effect.gen(function* () {
    const server = yield* Server.Server
    yield* server.clear
    const error = yield* Effect.flip(Fetch.bytes({ ...fast, ...options })(url))
    yield* server.closed
    return { error, times: (yield* server.seen).requests.length }
  })

describe("Fetch over a real network", () => {
  describe("tries again what may be otherwise the next time", () => {
    const cut = "the connection was closed before the answer was complete"
    const cases: ReadonlyArray<readonly [path: string, detail: string]> = [
      ["/closed", cut],
      ["/reset", "the connection was reset (ECONNRESET)"],
      ["/half-closed", cut],
      ["/half-closed-head", cut],
      ["/chunk-cut", cut]
    ]
    for (const [path, detail] of cases) {
      it.live(`${path}: ${detail}`, () =>
        withHttp(
          Effect.gen(function* () {
            const { url } = yield* Server.Server
            const { error, times } = yield* failure(url + path)
            assert.strictEqual(error.reason, "Connect")
            assert.include(error.detail, detail)
            assert.isTrue(error.retryable)
            assert.strictEqual(error.attempt, 3)
            assert.strictEqual(times, 3)
            assert.instanceOf(error.cause, Error)
          })
        )
      )
    }

    it.live("but not what may do something twice", () =>
      withHttp(
        Effect.gen(function* () {
          const { url } = yield* Server.Server
          const { error, times } = yield* failure(`${url}/half-closed`, { method: "POST" })
          assert.deepInclude(error, { reason: "Connect", retryable: false, attempt: 1 })
          assert.strictEqual(times, 1)
        })
      )
    )

    it.live("where nothing listens", () =>
      withHttp(
        Effect.gen(function* () {
          const { error } = yield* failure("http://127.0.0.1:1/")
          assert.deepInclude(error, { reason: "Connect", attempt: 3, detail: "nothing listens there (ECONNREFUSED)" })
        })
      )
    )
  })

  describe("tries once what stays as it is", () => {
    const cases: ReadonlyArray<readonly [path: string, reason: Fetch.Reason, detail: string]> = [
      ["/no-http", "Protocol", "what it answered is no HTTP that can be read"],
      ["/http-0.9", "Protocol", "what it answered is no HTTP that can be read"],
      ["/chunk-bad", "Protocol", "Invalid character in chunk size"],
      ["/bare-lf", "Protocol", "Missing expected CR"],
      ["/folded", "Protocol", "its headers cannot be read"],
      ["/same-lengths", "Protocol", "there are two lengths"],
      ["/other-lengths", "Protocol", "there are two lengths"],
      ["/length-and-chunks", "Protocol", "its headers cannot be read"],
      ["/100", "Protocol", "it answered what was not asked for (bad response)"],
      ["/101", "Protocol", "it answered what was not asked for (bad upgrade)"],
      ["/1xx-endless", "Protocol", "it answers without end (1xx)"],
      ["/head-endless", "Protocol", "its headers are longer than 65536 bytes, the limit `maxHeaders`"],
      ["/head?size=70000", "Protocol", "its headers are longer than 65536 bytes, the limit `maxHeaders`"],
      ["/location?to=/a&to=/b", "Redirect", "it leads to 2 places at once"]
    ]
    for (const [path, reason, detail] of cases) {
      it.live(`${path}: ${detail}`, () =>
        withHttp(
          Effect.gen(function* () {
            const { url } = yield* Server.Server
            const { error, times } = yield* failure(url + path)
            assert.deepInclude(error, { reason, retryable: false, attempt: 1 })
            assert.include(error.detail, detail)
            assert.strictEqual(times, 1)
          })
        )
      )
    }

    it.live("the door of another protocol", () =>
      withHttp(
        Effect.gen(function* () {
          const { port } = yield* Server.Server
          const { error } = yield* failure(`http://127.0.0.1:${port.banner}/`)
          assert.deepInclude(error, { reason: "Protocol", attempt: 1 })
        })
      )
    )
  })

  describe("names of hosts", () => {
    const lookedUp = (answer: (host: string) => ReadonlyArray<string> | string) => {
      let asked = 0
      const lookup: LookupFunction = (host, _, done) => {
        asked += 1
        const found = answer(host)
        if (typeof found === "string") return done(Object.assign(new Error(found), { code: found }), [])
        const addresses = found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
        done(null, addresses)
      }
      return { asked: () => asked, layer: Layer.provide(Http.layer(), Layer.succeed(Lookup)(lookup)) }
    }

    it.live("that nobody has are looked up once, and again where nobody could say", () =>
      Effect.gen(function* () {
        const get = Effect.flip(Fetch.text(fast)("http://name.test/"))
        const none = lookedUp(() => "ENOTFOUND")
        const unknown = yield* Effect.provide(get, none.layer)
        assert.deepInclude(unknown, { reason: "Dns", attempt: 1, detail: "there is no host of that name (ENOTFOUND)" })
        assert.strictEqual(none.asked(), 1)
        const busy = lookedUp(() => "EAI_AGAIN")
        const later = yield* Effect.provide(get, busy.layer)
        assert.deepInclude(later, { reason: "Dns", attempt: 3, retryable: true })
        assert.strictEqual(busy.asked(), 3)
      })
    )

    it.live("with several addresses are reached by the one that answers", () =>
      Effect.gen(function* () {
        const { port } = yield* Server.Server
        const { layer } = lookedUp(() => ["::1", "127.0.0.1"])
        const text = Fetch.text({ retries: 0 })(`http://name.test:${port.plain}/ok`)
        assert.strictEqual(yield* Effect.provide(text, layer), "ok")
      }).pipe(Effect.provide(shared))
    )
  })

  describe("waits no longer than it is told", () => {
    for (const path of ["/slow-head", "/slow-half-head", "/slow-body"]) {
      it.effect(`${path}`, () =>
        withHttp(
          Effect.gen(function* () {
            const server = yield* Server.Server
            yield* server.clear
            const get = Fetch.text({ timeout: "30 seconds", retries: 0 })(server.url + path)
            const fiber = yield* Effect.forkChild(Effect.flip(get))
            yield* server.arrived(path)
            yield* TestClock.adjust("30 seconds")
            const error = yield* Fiber.join(fiber)
            assert.deepInclude(error, { reason: "Timeout", attempt: 1, elapsed: 30_000 })
            yield* server.closed
          })
        )
      )
    }
  })

  describe("takes what others take", () => {
    const answers: ReadonlyArray<readonly [path: string, options: Fetch.Options, text: string]> = [
      ["/long", {}, "12345"],
      ["/until-closed", {}, "12345"],
      ["/1xx-few", {}, "ok"],
      ["/head?size=20000", {}, "ok"],
      ["/head-many?count=600", {}, "ok"],
      ["/head?size=70000", { maxHeaders: 100_000 }, "ok"],
      ["/location?to=/a&to=/a", {}, "/a"],
      ["/location?to=/caf%C3%A9", {}, "/caf%C3%A9"],
      ["/location?to=/caf%25C3%25A9", {}, "/caf%C3%A9"],
      ["/location-latin1", {}, "/caf%E9"]
    ]
    for (const [path, options, text] of answers) {
      it.live(path, () =>
        withHttp(
          Effect.gen(function* () {
            const { url } = yield* Server.Server
            assert.strictEqual(yield* Fetch.text({ retries: 0, ...options })(url + path), text)
          })
        )
      )
    }

    it.live("a limit of headers that is lower, for one request and not for the next", () =>
      withHttp(
        Effect.gen(function* () {
          const { url } = yield* Server.Server
          const path = `${url}/head?size=2000`
          const error = yield* Effect.flip(Fetch.text({ maxHeaders: 1000 })(path))
          assert.deepInclude(error, { reason: "Protocol", attempt: 1, limit: 1000 })
          assert.strictEqual(yield* Fetch.text()(path), "ok")
        })
      )
    )

    it.live("addresses in `Link`, with their bytes", () =>
      withHttp(
        Effect.gen(function* () {
          const { url } = yield* Server.Server
          const { headers } = yield* Fetch.page()(`${url}/link`)
          assert.strictEqual(headers["link"], "</caf%C3%A9>; rel=next, </b>; rel=prev")
        })
      )
    )

    it.live("hosts of IPv6", () =>
      withHttp(
        Effect.gen(function* () {
          const { port } = yield* Server.Server
          // Not every machine has it.
          if (port.six === 0) return
          assert.strictEqual(yield* Fetch.text()(`http://[::1]:${port.six}/ok`), "ok")
        })
      )
    )
  })

  describe("a host that asks to wait", () => {
    for (const after of ["0", "-5", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT"]) {
      it.live(`of nonsense or the past, ${JSON.stringify(after).slice(1, -1)}: is asked again after the backoff`, () =>
        withHttp(
          Effect.gen(function* () {
            const server = yield* Server.Server
            yield* server.clear
            const url = `${server.url}/429?after=${encodeURIComponent(after)}`
            assert.strictEqual(yield* Fetch.text(fast)(url), "ok")
          })
        )
      )
    }

    it.effect("of a second: is asked again after it", () =>
      withHttp(
        Effect.gen(function* () {
          const server = yield* Server.Server
          yield* server.clear
          const fiber = yield* Effect.forkChild(Fetch.text(fast)(`${server.url}/429?after=1`))
          yield* server.arrived("/429")
          let waited = 0
          while (fiber.pollUnsafe() === undefined) {
            if (waited < 1000) assert.strictEqual(yield* server.count("/429"), 1)
            yield* TestClock.adjust(100)
            waited += 100
          }
          assert.strictEqual(yield* Fiber.join(fiber), "ok")
        })
      )
    )
  })

  describe("TLS", () => {
    const withServer = Effect.provide(shared)
    const get = (door: "valid" | "expired" | "other", options?: Http.Options, host = "127.0.0.1") =>
      Effect.gen(function* () {
        const { port } = yield* Server.Server
        return yield* withHttp(Fetch.text(fast)(`https://${host}:${port[door]}/ok`), options)
      })

    it.live("holds with an authority of one's own", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* get("valid", { tls: { ca: Server.certificate("valid") } }), "ok")
      }).pipe(withServer)
    )

    const refused: ReadonlyArray<readonly ["valid" | "expired" | "other", boolean, string]> = [
      ["valid", false, "nobody who is trusted (DEPTH_ZERO_SELF_SIGNED_CERT); to trust it, name its authority"],
      ["expired", true, "its certificate does not hold: certificate has expired (CERT_HAS_EXPIRED)"],
      ["other", true, "its certificate is for another host"]
    ]
    for (const [door, isTrusted, detail] of refused) {
      it.live(`is tried once where it does not: ${door}`, () =>
        Effect.gen(function* () {
          const server = yield* Server.Server
          const options = isTrusted ? { tls: { ca: [Server.certificate(door)] } } : {}
          const error = yield* Effect.flip(get(door, options))
          assert.deepInclude(error, { reason: "Tls", attempt: 1, retryable: false })
          assert.include(error.detail, detail)
          yield* server.closed
        }).pipe(withServer)
      )
    }

    it("is given as texts in PEM, and not as names of files", () => {
      const message = "Http.layer: tls must hold certificates and a key as texts in PEM: -----BEGIN …"
      for (const tls of [{ ca: "/etc/ca.crt" }, { ca: [""] }, { cert: "/a.crt", key: "/a.key" }, { ca: 5 as never }]) {
        assert.throws(() => Http.layer({ tls }), TypeError, message)
      }
    })

    it.live("is tried once where none is spoken", () =>
      withHttp(
        Effect.gen(function* () {
          const { port } = yield* Server.Server
          const error = yield* Effect.flip(Fetch.text(fast)(`https://127.0.0.1:${port.banner}/ok`))
          assert.deepInclude(error, { reason: "Tls", attempt: 1 })
          assert.include(error.detail, "no TLS is spoken there; is it http:?")
        })
      )
    )
  })
})
