import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { Wire } from "../../src/io/context/Wire.ts"
import { fromEnvironment } from "../../src/node/http/ProxySettings.ts"
import { connectTimeout } from "../../src/node/http/Tunnel.ts"
import * as Server from "../support/wire.ts"

const shared = Server.shared()
const trusting = { tls: { ca: Server.certificate("valid") } }
const fast = { backoff: { base: 0 }, retries: 2 } as const

/** With these variables, and no others of their kind, for who builds the client inside. */
const inEnvironment = <A, E, R>(variables: Readonly<Record<string, string>>, body: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name]
      Object.assign(process.env, variables)
      return before
    }),
    () => body,
    (before) =>
      Effect.sync(() => {
        for (const name of Object.keys(variables)) delete process.env[name]
        Object.assign(process.env, before)
      })
  )

describe("Http: the proxy of the environment", () => {
  const proxyFor = (variables: Readonly<Record<string, string>>, url: string): string | undefined =>
    fromEnvironment(variables)?.(new URL(url))?.origin

  it("is read as curl reads it", () => {
    const cases: ReadonlyArray<readonly [Readonly<Record<string, string>>, string, string | undefined]> = [
      [{}, "http://a.test/", undefined],
      [{ HTTP_PROXY: "http://p:1" }, "http://a.test/", "http://p:1"],
      [{ HTTP_PROXY: "http://p:1" }, "https://a.test/", undefined],
      [{ HTTPS_PROXY: "https://p:1" }, "https://a.test/", "https://p:1"],
      [{ HTTPS_PROXY: "http://p:1" }, "http://a.test/", undefined],
      [{ ALL_PROXY: "p:1" }, "http://a.test/", "http://p:1"],
      [{ ALL_PROXY: "http://p:1", HTTPS_PROXY: "http://q:1" }, "https://a.test/", "http://q:1"],
      [{ http_proxy: "http://p:1", HTTP_PROXY: "http://q:1" }, "http://a.test/", "http://p:1"],
      [{ http_proxy: " ", HTTP_PROXY: "http://q:1" }, "http://a.test/", "http://q:1"],
      // It is a header of the request there.
      [{ HTTP_PROXY: "http://p:1", REQUEST_METHOD: "GET" }, "http://a.test/", undefined],
      [{ http_proxy: "http://p:1", REQUEST_METHOD: "GET" }, "http://a.test/", "http://p:1"]
    ]
    for (const [variables, url, expected] of cases) {
      assert.strictEqual(proxyFor(variables, url), expected, JSON.stringify(variables))
    }
  })

  it("is left out for the hosts of NO_PROXY", () => {
    const cases: ReadonlyArray<readonly [list: string, url: string, isDirect: boolean]> = [
      ["a.test", "http://a.test/", true],
      ["a.test", "http://A.TEST./", true],
      ["a.test", "http://sub.a.test/", true],
      ["a.test", "http://ba.test/", false],
      [".a.test", "http://a.test/", true],
      [".a.test", "http://sub.a.test/", true],
      ["*.a.test", "http://sub.a.test/", true],
      ["b.test, a.test", "http://a.test/", true],
      ["b.test a.test", "http://a.test/", true],
      ["a.test:81", "http://a.test/", false],
      ["a.test:81", "http://a.test:81/", true],
      ["a.test:80", "http://a.test/", true],
      ["a.test:443", "https://a.test/", true],
      ["*", "http://a.test/", true],
      ["127.0.0.1", "http://127.0.0.1:8080/", true],
      ["0.0.1", "http://127.0.0.1/", false],
      ["10.0.0.0/8", "http://10.1.2.3/", true],
      ["10.0.0.0/8", "http://11.1.2.3/", false],
      ["10.0.0.0/99", "http://10.1.2.3/", false],
      ["::1", "http://[::1]/", true],
      ["[::1]", "http://[::1]:81/", true],
      ["[::1]:81", "http://[::1]:81/", true],
      ["[::1]:81", "http://[::1]/", false],
      ["fd00::/8", "http://[fd00::5]/", true],
      ["", "http://a.test/", false]
    ]
    for (const [list, url, isDirect] of cases) {
      const proxy = proxyFor({ ALL_PROXY: "http://p:1", NO_PROXY: list }, url)
      assert.strictEqual(proxy === undefined, isDirect, `${list} ${url}`)
    }
    assert.isUndefined(proxyFor({ ALL_PROXY: "http://p:1", no_proxy: "a.test", NO_PROXY: "b.test" }, "http://a.test/"))
  })

  it.live("is used for what is plain and for TLS, and not with `proxy: false`", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const { plain, proxy, valid } = server.port
      const variables = { HTTP_PROXY: `http://127.0.0.1:${proxy}`, https_proxy: `127.0.0.1:${proxy}`, NO_PROXY: "::1" }
      yield* server.clear
      const get = Fetch.text(fast)
      yield* inEnvironment(
        variables,
        Effect.gen(function* () {
          assert.strictEqual(yield* get(`http://name.test:${plain}/ok?a=1`), "ok")
          assert.strictEqual(yield* get(`https://127.0.0.1:${valid}/ok`), "ok")
          yield* get(`${server.url}/ok`).pipe(Fetch.withPolicy({ proxy: false }))
        }).pipe(Effect.provide(Http.layer(trusting)))
      )
      const seen = (yield* server.seen).requests.map(({ at, method, target }) => `${at} ${method} ${target}`)
      assert.deepEqual(seen, [
        `proxy GET http://name.test:${plain}/ok?a=1`,
        "plain GET /ok?a=1",
        `proxy CONNECT 127.0.0.1:${valid}`,
        "valid GET /ok",
        "plain GET /ok"
      ])
      yield* server.closed
    }).pipe(Effect.provide(shared))
  )

  it.live("fails a request with its name where it is none that can be used", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const get = Effect.provide(Effect.flip(Fetch.text(fast)(`${server.url}/ok`)), Http.layer())
      const error = yield* inEnvironment({ ALL_PROXY: "socks5://me:hush@127.0.0.1:1" }, get)
      assert.deepInclude(error, { reason: "Connect", attempt: 1 })
      assert.strictEqual(
        error.detail,
        "the proxy that ALL_PROXY names is no URL with http: or https:, which it has to be"
      )
    }).pipe(Effect.provide(shared))
  )
})

describe("Http: a proxy that is given", () => {
  const withHttp = Effect.provide([Http.layer(trusting), shared])

  it.live("is told who asks, and the host is not", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const { askingProxy, plain, valid } = server.port
      yield* server.clear
      for (const proxy of [
        `http://me:p%40ss@127.0.0.1:${askingProxy}`,
        Redacted.make(`http://me:p%40ss@127.0.0.1:${askingProxy}`)
      ]) {
        const echoed = yield* Fetch.text({ proxy })(`http://127.0.0.1:${plain}/echo`)
        assert.include(echoed, `"host":"127.0.0.1:${plain}"`)
        assert.strictEqual(yield* Fetch.text({ proxy })(`https://127.0.0.1:${valid}/ok`), "ok")
      }
      const tunnelled = (yield* server.seen).requests.filter(({ at }) => at === "valid")
      assert.isUndefined(tunnelled[0]?.headers["proxy-authorization"])
    }).pipe(withHttp)
  )

  it.live("may be one of TLS", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const { plain, secureProxy, valid } = server.port
      yield* server.clear
      const get = Fetch.text({ ...fast, proxy: `https://127.0.0.1:${secureProxy}` })
      for (const host of ["one.test", "two.test"]) assert.strictEqual(yield* get(`http://${host}:${plain}/ok`), "ok")
      assert.strictEqual(yield* get(`https://127.0.0.1:${valid}/ok`), "ok")
      const { requests } = yield* server.seen
      const hosts = requests.filter(({ at }) => at === "plain").map(({ headers }) => headers["host"])
      assert.deepEqual(hosts, [`one.test:${plain}`, `two.test:${plain}`])
      // It tells the first request of each connection: both hosts share one.
      const by = requests.filter(({ at }) => at === "secureProxy").map(({ method }) => method)
      assert.deepEqual(by, ["GET", "CONNECT"])
      const error = yield* Effect.flip(get(`http://one.test:${plain}/ok`)).pipe(Effect.provide(Http.layer()))
      assert.include(
        error.detail,
        `no connection to the proxy https://127.0.0.1:${secureProxy}: self-signed certificate`
      )
    }).pipe(withHttp)
  )

  it.live("leads to what is upgraded", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      yield* server.clear
      const asked = HttpClientRequest.get(`${server.url}/upgrade`).pipe(HttpClientRequest.setHeader("upgrade", "echo"))
      for (const proxy of [false, Redacted.make(`http://127.0.0.1:${server.port.proxy}`)] as const) {
        const wire = { network: "any", maxHeaders: 1000, proxy } as const
        const response = yield* Effect.provideService(HttpClient.execute(asked), Wire, wire)
        assert.strictEqual(response.status, 101)
        const socket = yield* response.upgrade
        const echo = Effect.gen(function* () {
          const reader = yield* socket.reader
          const writer = yield* socket.writer
          yield* writer.write("hello")
          return yield* reader.pull
        })
        const [said = ""] = yield* Effect.scoped(echo)
        assert.strictEqual(typeof said === "string" ? said : new TextDecoder().decode(said), "hello")
      }
      assert.strictEqual((yield* server.seen).requests[1]?.method, "CONNECT")
      yield* server.closed
    }).pipe(withHttp)
  )

  it.live("is named in what it refuses, without its password", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const { askingProxy, brokenProxy, closingProxy, plain, refusingProxy, valid } = server.port
      const here = `http://127.0.0.1:`
      const cases: ReadonlyArray<readonly [proxy: string, scheme: "http" | "https", attempts: number, detail: string]> =
        [
          [`${here}${askingProxy}`, "http", 1, `the proxy ${here}${askingProxy} asks for a user and password (407)`],
          [`${here}${askingProxy}`, "https", 1, `the proxy ${here}${askingProxy} asks for a user and password (407)`],
          [`http://me:hush@127.0.0.1:${askingProxy}`, "http", 1, "does not take its user and password (407)"],
          [`http://me:hush@127.0.0.1:${askingProxy}`, "https", 1, "does not take its user and password (407)"],
          [`${here}${refusingProxy}`, "https", 1, "does not connect to it: it answered 403"],
          [`${here}${brokenProxy}`, "https", 3, "does not connect to it: it answered 502"],
          [`${here}${closingProxy}`, "https", 3, `no connection to the proxy ${here}${closingProxy}: `],
          [`${here}1`, "http", 3, `no connection to the proxy ${here}1: `],
          [`${here}1`, "https", 3, `no connection to the proxy ${here}1: `]
        ]
      for (const [proxy, scheme, attempts, detail] of cases) {
        const url = `${scheme}://127.0.0.1:${scheme === "http" ? plain : valid}/ok`
        const error = yield* Effect.flip(Fetch.text({ ...fast, proxy })(url))
        assert.deepInclude(error, { reason: "Connect", attempt: attempts }, `${proxy} ${scheme}`)
        assert.include(error.detail, detail)
        assert.notInclude(error.message, "hush")
        yield* server.closed
      }
    }).pipe(withHttp)
  )

  /** Without the timers that would close a connection that does not come about, so that it is closed by who goes. */
  const withoutTimers = Effect.acquireRelease(
    Effect.sync(() => {
      const before = globalThis.setTimeout
      const only = (run: () => void, millis?: number) => before(millis === connectTimeout ? () => {} : run, millis)
      globalThis.setTimeout = only as typeof globalThis.setTimeout
      return before
    }),
    (before) => Effect.sync(() => (globalThis.setTimeout = before))
  )

  it.effect("that never answers is left when the client goes", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      yield* server.clear
      yield* withoutTimers
      const { silentProxy, valid } = server.port
      const proxy = `http://127.0.0.1:${silentProxy}`
      const target = `127.0.0.1:${valid}`
      yield* Effect.provide(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(
            Effect.flip(Fetch.text({ proxy, retries: 0, timeout: "5 seconds" })(`https://${target}/ok`))
          )
          yield* server.arrived(target)
          yield* TestClock.adjust("5 seconds")
          assert.strictEqual((yield* Fiber.join(fiber)).reason, "Timeout")
        }),
        Http.layer()
      )
      yield* server.closed
    }).pipe(Effect.provide(shared))
  )

  it("is a URL, or refused without being shown", () => {
    for (const proxy of ["me:hush@proxy", "socks5://me:hush@proxy", "", "http://", 5 as never, true as never]) {
      assert.throws(
        () => Fetch.layer({ proxy }),
        RangeError,
        'Fetch.layer: proxy must be false, "environment", or a URL like "http://proxy.example:3128"'
      )
    }
  })
})
