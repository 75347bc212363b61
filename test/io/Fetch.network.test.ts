import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { Origin } from "skein/testing"
import { Lookup } from "../../src/node/http/HttpWays.ts"
import { isPublic, type Lookup as LookupFunction } from "../../src/node/http/PublicNetwork.ts"
import * as Server from "../support/wire.ts"

const shared = Server.shared()

/** A resolver that gives these answers, one after the other, the last one for ever, and keeps what it was asked. */
const played = (...answers: ReadonlyArray<ReadonlyArray<string>>) => {
  const asked: Array<string> = []
  const lookup: LookupFunction = (host, options, done) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]!
    asked.push(host)
    const found = answer.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
    if (options.all === true) return done(null, found)
    done(null, found[0]!.address, found[0]!.family)
  }
  return { asked, layer: Layer.provide(Http.layer(), Layer.succeed(Lookup)(lookup)) }
}

const anywhere = "93.184.215.14"

describe("network: public", () => {
  it("takes addresses for public that IANA has handed out, and no others", () => {
    const inside = [
      "0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1",
      "172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1",
      "239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:7f00:1",
      "::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::8.8.8.8",
      "100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 4000::1 5f00::1 fc00::1",
      "fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1"
    ]
    for (const address of inside.join(" ").split(" ")) assert.isFalse(isPublic(address), address)
    const outside = `${anywhere} 8.8.8.8 100.63.255.255 172.32.0.1 192.0.1.1 2606:2800:21f:cb07::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8`
    for (const address of outside.split(" ")) assert.isTrue(isPublic(address), address)
    assert.isFalse(isPublic("localhost"))
  })

  const blocked = (url: string, layer: Layer.Layer<HttpClient.HttpClient> = Http.layer()) =>
    Effect.flip(Fetch.text({ network: "public" })(url)).pipe(Effect.provide(layer))

  const spellings = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "１２７.0.0.1",
    "0.0.0.0",
    "localhost"
  ]
  for (const host of spellings) {
    it.live(`refuses http://${host}/ without a connection`, () =>
      Effect.gen(function* () {
        const server = yield* Server.Server
        const { connections } = yield* server.seen
        const error = yield* blocked(`http://${host}:${server.port.plain}/ok`)
        assert.deepInclude(error, { reason: "Blocked", attempt: 1, retryable: false })
        assert.include(error.detail, '`network` is "public"')
        assert.strictEqual((yield* server.seen).connections, connections)
      }).pipe(Effect.provide(shared))
    )
  }

  it.live("asks nobody where this machine is", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      yield* server.clear
      const { asked, layer } = played([anywhere])
      for (const host of ["localhost", "localhost.", "LOCALHOST", "api.localhost", "a.b.localhost."]) {
        for (const proxy of [false, `http://127.0.0.1:${server.port.proxy}`] as const) {
          const get = Fetch.text({ network: "public", proxy })(`http://${host}:${server.port.plain}/ok`)
          const error = yield* Effect.flip(Effect.provide(get, layer))
          assert.deepInclude(error, { reason: "Blocked", attempt: 1, retryable: false })
          assert.include(error.detail, `${host.toLowerCase()} is no address of the public internet`)
        }
      }
      assert.deepEqual(asked, [])
      assert.lengthOf((yield* server.seen).requests, 0)
    }).pipe(Effect.provide(shared))
  )

  it.live("says which address of which host, and takes none of a host with one inside", () =>
    Effect.gen(function* () {
      const { asked, layer } = played([anywhere, "fd00:ec2::254"])
      const error = yield* blocked("http://rebound.test/latest/meta-data", layer)
      assert.strictEqual(
        error.message,
        'GET http://rebound.test/latest/meta-data: rebound.test is fd00:ec2::254, which is no address of the public internet, and `network` is "public"; change the policy to allow it'
      )
      assert.deepEqual(asked, ["rebound.test"])
      const secure = yield* blocked("https://rebound.test/", layer)
      assert.strictEqual(secure.reason, "Blocked")
    })
  )

  it.live("uses no connection that was made without it, and the other way round", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const url = `http://localhost:${server.port.plain}/ok`
      const get = Fetch.text({ retries: 0 })(url)
      assert.strictEqual(yield* get, "ok")
      const error = yield* Effect.flip(get.pipe(Fetch.withPolicy({ network: "public" })))
      assert.strictEqual(error.reason, "Blocked")
      assert.strictEqual(yield* get, "ok")
    }).pipe(Effect.provide([played(["127.0.0.1"]).layer, shared]))
  )

  describe("through a proxy", () => {
    const through = (port: number) => ({ network: "public", proxy: `http://127.0.0.1:${port}`, retries: 0 }) as const

    it.live("is sent to the address that was checked: a name that is bound again does not pass", () =>
      Effect.gen(function* () {
        const server = yield* Server.Server
        yield* server.clear
        const { asked, layer } = played([anywhere], ["127.0.0.1"])
        const text = Fetch.text(through(server.port.proxy))(`http://rebound.test:${server.port.plain}/echo`)
        const echoed = JSON.parse(yield* Effect.provide(text, layer)) as { headers: Record<string, string> }
        assert.strictEqual(echoed.headers["host"], `rebound.test:${server.port.plain}`)
        const [connect] = (yield* server.seen).requests
        assert.deepInclude(connect, { method: "CONNECT", target: `${anywhere}:${server.port.plain}`, at: "proxy" })
        assert.deepEqual(asked, ["rebound.test"])
      }).pipe(Effect.provide(shared))
    )

    it.live("is refused where it leads inside, by name, address or redirect", () =>
      Effect.gen(function* () {
        const server = yield* Server.Server
        const { plain, proxy } = server.port
        yield* server.clear
        const get = (url: string, ...answers: ReadonlyArray<ReadonlyArray<string>>) =>
          Effect.flip(Fetch.text(through(proxy))(url)).pipe(Effect.provide(played(...answers).layer))
        for (const url of [`http://inside.test:${plain}/ok`, `http://127.0.0.1:${plain}/ok`, "https://inside.test/"]) {
          assert.strictEqual((yield* get(url, ["10.0.0.1"])).reason, "Blocked")
        }
        assert.lengthOf((yield* server.seen).requests, 0)
        for (const to of [`http://127.0.0.1:${plain}/ok`, `http://second.test:${plain}/ok`, `//[::1]:${plain}/ok`]) {
          yield* server.clear
          const first = `http://first.test:${plain}/location?to=${encodeURIComponent(to)}`
          const error = yield* get(first, [anywhere], ["192.168.0.1"])
          assert.strictEqual(error.reason, "Blocked")
          assert.include(error.url, "/ok")
          assert.strictEqual(yield* server.count("/ok"), 0)
        }
      }).pipe(Effect.provide(shared))
    )
  })

  it.live("is asked of no client that does not know it", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      yield* server.clear
      const get = Effect.flip(Fetch.text({ network: "public" })(`${server.url}/ok`))
      const wrapped = Layer.effect(HttpClient.HttpClient)(
        Effect.map(
          HttpClient.HttpClient,
          HttpClient.transform((sent) => sent)
        )
      )
      const other = Origin.layer(HttpRouter.add("GET", "/ok", HttpServerResponse.text("ok")))
      for (const layer of [Layer.provide(wrapped, Http.layer()), other]) {
        const error = yield* Effect.provide(get, layer)
        assert.deepInclude(error, { reason: "Blocked", attempt: 1 })
        assert.include(error.detail, "only the client of `Http.layer` itself keeps it")
      }
      assert.lengthOf((yield* server.seen).requests, 0)
    }).pipe(Effect.provide(shared))
  )
})
