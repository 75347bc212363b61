import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { Origin } from "skein/testing"
import { CookieJar } from "tough-cookie"
import * as Server from "../support/wire.ts"

const shared = Server.shared()
const withHttp = Effect.provide([Http.layer({ tls: { ca: Server.certificate("valid") } }), shared])

const cookieOf = (text: string): string | undefined =>
  (JSON.parse(text) as { headers: Record<string, string> }).headers["cookie"]

/** A redirect that sets this cookie, from the one door to `/echo` of another; what is sent there. */
const sentOn = (cookie: string, to = "/echo", from = "", options?: Fetch.Options) =>
  Effect.gen(function* () {
    const { url } = yield* Server.Server
    const query = new URLSearchParams({ cookie, to })
    return cookieOf(yield* Fetch.text({ retries: 0, ...options })(`${from === "" ? url : from}/login?${query}`))
  })

describe("Fetch: cookies", () => {
  it.live("that a redirect sets go with it, and not into the next request", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const get = Fetch.page()
      const page = yield* get(`${url}/page`)
      assert.deepInclude(page, { url: `${url}/page`, text: "session=yes" })
      assert.isUndefined(cookieOf(yield* Fetch.text()(`${url}/echo`)))
    }).pipe(withHttp)
  )

  it.live("are kept and sent by the rules of browsers", () =>
    Effect.gen(function* () {
      const { port } = yield* Server.Server
      // All of these hosts are the same server, by the proxy.
      const options = { proxy: `http://127.0.0.1:${port.proxy}` }
      const at = (host: string) => `http://${host}:${port.plain}`
      const cases: ReadonlyArray<readonly [cookie: string, to: string, sent: string | undefined]> = [
        ["a=1", "/echo", "a=1"],
        ["a=1%20b; Path=/", "/echo", "a=1%20b"],
        ["a=1; Path=/echo", "/echo", "a=1"],
        ["a=1; Path=/other", "/echo", undefined],
        ["a=1; Secure", "/echo", undefined],
        ["__Host-a=1; Path=/", "/echo", undefined],
        ["a=1; HttpOnly; SameSite=Strict", "/echo", "a=1"],
        ["a=1; Max-Age=0", "/echo", undefined],
        ["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/echo", undefined],
        [`a=${"1".repeat(5000)}`, "/echo", undefined],
        ["nonsense", "/echo", undefined],
        ["a=1", `${at("sub.www.example.com")}/echo`, undefined],
        ["a=1; Domain=www.example.com", `${at("sub.www.example.com")}/echo`, "a=1"],
        ["a=1; Domain=.example.com", `${at("other.example.com")}/echo`, "a=1"],
        ["a=1; Domain=example.org", "/echo", undefined],
        ["a=1; Domain=example.org", `${at("example.org")}/echo`, undefined],
        ["a=1; Domain=com", "/echo", undefined],
        ["a=1; Domain=com", `${at("example.com")}/echo`, undefined]
      ]
      for (const [cookie, to, sent] of cases) {
        assert.strictEqual(yield* sentOn(cookie, to, at("www.example.com"), options), sent, `${cookie} ${to}`)
      }
      const secure = `https://127.0.0.1:${port.valid}`
      assert.strictEqual(yield* sentOn("a=1; Secure", "/echo", secure), "a=1")
    }).pipe(withHttp)
  )

  it.live("of one's own go first, and to no other origin", () =>
    Effect.gen(function* () {
      const { port } = yield* Server.Server
      const own = { headers: { cookie: "own=1" } }
      assert.strictEqual(yield* sentOn("a=1", "/echo", "", own), "own=1; a=1")
      assert.strictEqual(yield* sentOn("a=1", `https://127.0.0.1:${port.valid}/echo`, "", own), "a=1")
    }).pipe(withHttp)
  )

  it.live("are none with `false`", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* sentOn("a=1", "/echo", "", { cookies: false }))
    }).pipe(withHttp)
  )

  it.live("are those of all requests over a client with shared ones", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const set = (cookie: string) => Fetch.text()(`${url}/set?${new URLSearchParams({ cookie })}`)
      const echo = Effect.map(Fetch.text()(`${url}/echo`), cookieOf)
      const both = Effect.all([set("kept=1"), set("b=2; Path=/")], { concurrency: 2 })
      yield* both.pipe(Fetch.withPolicy({ cookies: true }))
      const kept = (yield* Fetch.withPolicy({ cookies: true })(echo)) ?? ""
      assert.deepEqual(kept.split("; ").toSorted(), ["b=2", "kept=1"])
      assert.isUndefined(yield* echo)
      const other = Effect.provide(Fetch.withPolicy({ cookies: true })(echo), Http.layer())
      assert.isUndefined(yield* other)
    }).pipe(withHttp)
  )

  it.live("are kept in a jar of one's own", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const jar = new CookieJar()
      yield* Effect.promise(() => jar.setCookie("mine=1", `${url}/`))
      const text = Fetch.text({ cookies: jar })
      yield* text(`${url}/set?${new URLSearchParams({ cookie: "theirs=2" })}`)
      assert.strictEqual(cookieOf(yield* text(`${url}/echo`)), "mine=1; theirs=2")
      assert.strictEqual(yield* Effect.promise(() => jar.getCookieString(`${url}/`)), "mine=1; theirs=2")
    }).pipe(withHttp)
  )

  it.effect("work over any client", () => {
    const page = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      headers["cookie"] === undefined
        ? HttpServerResponse.redirect("/page", { headers: { "set-cookie": "a=1; Path=/" } })
        : HttpServerResponse.text(headers["cookie"])
    )
    return Fetch.text()("http://origin/page").pipe(
      Effect.map((text) => assert.strictEqual(text, "a=1")),
      Effect.provide(Origin.layer(HttpRouter.add("GET", "/page", page)))
    )
  })

  it.live("do not fill the memory, however many a server sets", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const set = Fetch.text({ cookies: true })
      yield* set(`${url}/set-many?count=200`)
      assert.lengthOf((cookieOf(yield* set(`${url}/echo`)) ?? "").split("; "), 50)
    }).pipe(withHttp)
  )

  it("are an option that is checked", () => {
    assert.throws(
      () => Fetch.layer({ cookies: "shared" as never }),
      TypeError,
      'Fetch.layer: cookies must be "redirects", true, false, or a jar with getCookieString and setCookie'
    )
  })
})
