import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as TestClock from "effect/testing/TestClock"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { Robots } from "../../src/io/fetch/policy/Robots.ts"
import * as Origin from "../support/origin.ts"

type Web = Response | Effect.Effect<Response>

/** A client without a network. */
const clientOf = (answer: (url: URL, headers: Readonly<Record<string, string>>) => Web) => {
  const seen: Array<{ readonly at: number; readonly url: string }> = []
  const client = HttpClient.make((request, url) =>
    Effect.clockWith((clock) => {
      seen.push({ at: clock.currentTimeMillisUnsafe(), url: url.href })
      const given = answer(url, request.headers)
      return Effect.map(Effect.isEffect(given) ? given : Effect.succeed(given), (web) =>
        HttpClientResponse.fromWeb(request, web)
      )
    })
  )
  return {
    client,
    seen,
    count: (path: string) => seen.filter(({ url }) => new URL(url).pathname === path).length,
    pages: () => seen.filter(({ url }) => !url.endsWith("/robots.txt"))
  }
}

/** A site whose robots.txt is this. */
const site = (robots: string | Uint8Array<ArrayBuffer>) =>
  clientOf(({ pathname }) => new Response(pathname === "/robots.txt" ? robots : "ok"))

const get = (url: string, options: Fetch.Options = {}) => Fetch.text({ robots: true, retries: 0, ...options })(url)

const by =
  ({ client }: { readonly client: HttpClient.HttpClient }) =>
  <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient>) =>
    Effect.provideService(effect, HttpClient.HttpClient, client)

/** Which of these paths may be asked for. */
const allowed = (
  robots: string | Uint8Array<ArrayBuffer>,
  paths: ReadonlyArray<string>,
  userAgent = "skein/1.0 (+x)"
) =>
  Effect.map(
    by(site(robots))(Effect.forEach(paths, (path) => Effect.exit(get(`http://a.example${path}`, { userAgent })))),
    (exits) => paths.filter((_, i) => exits[i]!._tag === "Success")
  )

describe("the policy `robots`", () => {
  it.effect("is off unless it is asked for", () =>
    Effect.gen(function* () {
      const forbidding = site("User-agent: *\nDisallow: /")
      assert.strictEqual(yield* by(forbidding)(Fetch.text()("http://a.example/x")), "ok")
      assert.strictEqual(forbidding.count("/robots.txt"), 0)
    })
  )

  it.effect("sends nothing that robots.txt forbids, and says so", () =>
    Effect.gen(function* () {
      const two = site(
        "# ours\nUser-agent: *\nDisallow: /all\n\nUser-agent: Skein\nUser-agent: other\nDisallow: /private"
      )
      const error = yield* Effect.flip(by(two)(get("http://a.example/private/x?key=1")))
      assert.deepInclude({ ...error }, { reason: "Blocked", retryable: false, attempt: 0 })
      assert.strictEqual(
        error.message,
        'GET http://a.example/private/x?key=***: line 7 of its robots.txt forbids it to user agent "skein"; change the policy to allow it'
      )
      const other = yield* Effect.flip(by(two)(get("http://a.example/all", { userAgent: "Mozilla/5.0" })))
      assert.match(other.message, /line 3 of its robots\.txt forbids it to user agent "\*"/)
      assert.strictEqual(yield* by(two)(get("http://a.example/all")), "ok")
      assert.strictEqual(two.pages().length, 1)
      assert.strictEqual(two.count("/robots.txt"), 1)
    })
  )

  it.effect("reads rules as RFC 9309 says", () =>
    Effect.gen(function* () {
      const paths = [
        "/",
        "/a",
        "/a/b",
        "/a/b/c",
        "/x.gif",
        "/x.gif?y",
        "/caf%C3%A9",
        "/%7Ename",
        "/st*r",
        "/mo$ney",
        "/A"
      ]
      const of = (...lines: ReadonlyArray<string>) => allowed(["User-agent: *", ...lines].join("\n"), paths)
      const without = (...gone: ReadonlyArray<string>) => paths.filter((path) => !gone.includes(path))
      assert.deepEqual(yield* of("Disallow:"), paths)
      assert.deepEqual(yield* of("Disallow: /a"), without("/a", "/a/b", "/a/b/c"))
      assert.deepEqual(yield* of("Disallow: /a", "Allow: /a/b"), without("/a"))
      assert.deepEqual(yield* of("Disallow: /a/b", "Allow: /a/b"), paths)
      assert.deepEqual(yield* of("DISALLOW : /*.gif$ # pictures"), without("/x.gif"))
      assert.deepEqual(yield* of("Disallow: /*/*/c"), without("/a/b/c"))
      assert.deepEqual(yield* of("Disallow: /café"), without("/caf%C3%A9"))
      assert.deepEqual(yield* of("Disallow: /caf%c3%a9"), without("/caf%C3%A9"))
      assert.deepEqual(yield* of("Disallow: /~name"), without("/%7Ename"))
      assert.deepEqual(yield* of("Disallow: /%61/b"), without("/a/b", "/a/b/c"))
      assert.deepEqual(yield* of("Disallow: /st%2Ar"), without("/st*r"))
      assert.deepEqual(yield* of("Disallow: /mo$ney"), without("/mo$ney"))
      assert.deepEqual(yield* of("Disallow: /", "Allow: /$"), ["/"])
    })
  )

  it.effect("takes groups together, whatever stands between their lines", () =>
    Effect.gen(function* () {
      const paths = ["/a", "/b", "/c"]
      const groups =
        "user-agent: SKEIN\r\nDisallow: /a\rUser-agent: x\nDisallow: /c\n\nUser-Agent: skein/2.0\nDisallow: /b"
      assert.deepEqual(yield* allowed(groups, paths), ["/c"])
      assert.deepEqual(yield* allowed(groups, paths, "skeins"), paths)
      const between = "User-agent: skein\nSitemap: http://a.example/map\n\nUser-agent: x\nnonsense\nDisallow: /a"
      assert.deepEqual(yield* allowed(between, paths), ["/b", "/c"])
      const mark = new Uint8Array([0xef, 0xbb, 0xbf, ...new TextEncoder().encode("User-agent: *\nDisallow: /a")])
      assert.deepEqual(yield* allowed(mark, paths), ["/b", "/c"])
      assert.deepEqual(yield* allowed("<!doctype html><title>a: b</title>", paths), paths)
      assert.deepEqual(yield* allowed("User-agent:\nDisallow: /\nUser-agent: *\nDisallow: /b", paths), ["/a", "/c"])
      assert.deepEqual(yield* allowed(new Uint8Array([0xff, 0xfe, 0, 10, 0x80]), paths), paths)
    })
  )

  it.effect("reads no more than 500 KiB, and no line that is cut there", () =>
    Effect.gen(function* () {
      const start = "User-agent: *\nDisallow: /a\n"
      let sent = 0
      const rest = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          const text = sent === 0 ? `${start}${"#".repeat(500 * 1024)}\nDisallow: /` : "private\n"
          sent += text.length
          controller.enqueue(new TextEncoder().encode(text))
        }
      })
      const endless = clientOf(({ pathname }) => new Response(pathname === "/robots.txt" ? rest : "ok"))
      assert.strictEqual((yield* Effect.flip(by(endless)(get("http://a.example/a")))).reason, "Blocked")
      assert.strictEqual(yield* by(endless)(get("http://a.example/b")), "ok")
      assert.isBelow(sent, 600_000)
    })
  )

  it.effect("asks each origin once for all who ask, for a day", () =>
    Effect.gen(function* () {
      const slow = clientOf(({ pathname }) =>
        pathname === "/robots.txt"
          ? Effect.delay(
              Effect.sync(() => new Response("")),
              "1 second"
            )
          : new Response("ok")
      )
      const many = Array.from({ length: 50 }, (_, i) => get(`http://a.example/${i}`, { concurrency: 1, perHost: 1 }))
      const all = yield* Effect.forkChild(by(slow)(Effect.all(many, { concurrency: "unbounded" })))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(all)).length, 50)
      assert.strictEqual(slow.count("/robots.txt"), 1)
      const again = (url: string) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(by(slow)(get(url)))
          yield* TestClock.adjust("1 second")
          return yield* Fiber.join(fiber)
        })
      yield* TestClock.adjust("23 hours")
      yield* again("http://a.example/x")
      assert.strictEqual(slow.count("/robots.txt"), 1)
      yield* again("http://a.example:81/x")
      yield* again("https://a.example/x")
      assert.strictEqual(slow.count("/robots.txt"), 3)
      yield* TestClock.adjust("1 hour")
      yield* again("http://a.example/x")
      assert.strictEqual(slow.count("/robots.txt"), 4)
    })
  )

  it.effect("asks again for those who wait, where who asked first is gone", () =>
    Effect.gen(function* () {
      const slow = clientOf(({ pathname }) =>
        pathname === "/robots.txt"
          ? Effect.delay(
              Effect.sync(() => new Response("")),
              "1 second"
            )
          : new Response("ok")
      )
      const first = yield* Effect.forkChild(by(slow)(get("http://a.example/1")))
      const second = yield* Effect.forkChild(by(slow)(get("http://a.example/2")))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(second), "ok")
    })
  )

  it("remembers a thousand origins, and drops the one that was not asked for the longest time", () => {
    const robots = new Robots<never>()
    const origins = Array.from({ length: 1000 }, (_, i) => robots.of(`http://h${i}.example`))
    assert.strictEqual(robots.of("http://h0.example"), origins[0])
    robots.of("http://one.more.example")
    assert.strictEqual(robots.of("http://h0.example"), origins[0])
    assert.strictEqual(robots.of("http://h2.example"), origins[2])
    assert.notStrictEqual(robots.of("http://h1.example"), origins[1])
  })

  it.effect("lets everything through where there is none, and nothing for now where its server fails", () =>
    Effect.gen(function* () {
      const answering = (status: number, headers: Record<string, string> = {}) =>
        clientOf(({ pathname }) =>
          pathname === "/robots.txt"
            ? new Response("User-agent: *\nDisallow: /", { status, headers })
            : new Response("ok")
        )
      for (const status of [400, 401, 403, 404, 410, 451]) {
        assert.strictEqual(yield* by(answering(status))(get("http://a.example/x")), "ok", `${status}`)
      }
      for (const status of [429, 500, 501, 503]) {
        const failing = answering(status, { "retry-after": "7" })
        const error = yield* Effect.flip(by(failing)(get("http://a.example/x")))
        assert.deepInclude({ ...error }, { reason: "Blocked", retryable: true, retryAfter: 7000 }, `${status}`)
        assert.match(
          error.message,
          new RegExp(`its robots\\.txt could not be had, and may forbid it: answered ${status}; try again later$`)
        )
        assert.strictEqual(failing.pages().length, 0)
      }
    })
  )

  it.effect("asks for it again with the next attempt, once for all of them", () =>
    Effect.gen(function* () {
      let asked = 0
      const flaky = clientOf(({ pathname }) =>
        pathname === "/robots.txt" ? new Response("", { status: ++asked < 3 ? 503 : 200 }) : new Response("ok")
      )
      const calls = Array.from({ length: 10 }, (_, i) => get(`http://a.example/${i}`, { retries: 3 }))
      const all = yield* Effect.forkChild(by(flaky)(Effect.all(calls, { concurrency: "unbounded" })))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(all)).length, 10)
      assert.strictEqual(flaky.pages().length, 10)
      assert.isBelow(asked, 30)
    })
  )

  it.effect("follows five redirects to it, and takes more for none", () =>
    Effect.gen(function* () {
      const hopping = (hops: number) =>
        clientOf(({ pathname, searchParams }) => {
          const at = pathname === "/robots.txt" ? 0 : Number(searchParams.get("hop") ?? NaN)
          if (Number.isNaN(at)) return new Response("ok")
          if (at === hops) return new Response("User-agent: *\nDisallow: /x")
          return new Response(null, { status: 301, headers: { location: `http://b.example/hop?hop=${at + 1}` } })
        })
      assert.strictEqual(
        (yield* Effect.flip(by(hopping(5))(get("http://a.example/x", { redirects: 0 })))).reason,
        "Blocked"
      )
      assert.strictEqual(yield* by(hopping(6))(get("http://a.example/x")), "ok")
    })
  )

  it.effect("holds for where redirects lead, with one slot for all", () =>
    Effect.gen(function* () {
      const leading = clientOf(({ host, pathname }) => {
        if (pathname === "/robots.txt") return new Response(host === "b.example" ? "User-agent: *\nDisallow: /no" : "")
        if (host === "a.example") {
          return new Response(null, { status: 302, headers: { location: `http://b.example${pathname}` } })
        }
        return new Response("ok")
      })
      const options = { concurrency: 1, perHost: 1 }
      assert.strictEqual(yield* by(leading)(get("http://a.example/yes", options)), "ok")
      const error = yield* Effect.flip(by(leading)(get("http://a.example/no", options)))
      assert.deepInclude({ ...error }, { reason: "Blocked", url: "http://b.example/no" })
      assert.strictEqual(leading.pages().filter(({ url }) => url === "http://b.example/no").length, 0)
    })
  )

  it.effect("starts requests as far apart as the crawl delay says, up to a minute", () =>
    Effect.gen(function* () {
      const paced = (delay: string, userAgent = "skein") =>
        Effect.gen(function* () {
          const one = site(`User-agent: *\nCrawl-delay: ${delay}\nUser-agent: fast\nDisallow:`)
          yield* by(one)(get("http://a.example/0", { userAgent }))
          yield* TestClock.adjust("1 hour")
          // Several regions and functions, and one client.
          const calls = [1, 2, 3, 4].map((n) =>
            Fetch.withPolicy({ perHost: n })(get(`http://a.example/${n}`, { userAgent }))
          )
          const all = yield* Effect.forkChild(by(one)(Effect.all(calls, { concurrency: "unbounded" })))
          yield* TestClock.adjust("1 hour")
          yield* Fiber.join(all)
          const [, first, ...others] = one.pages().map(({ at }) => at)
          return [first!, ...others].map((at) => at - first!)
        })
      assert.deepEqual(yield* paced("2.5"), [0, 2500, 5000, 7500])
      assert.deepEqual(yield* paced("86400"), [0, 60_000, 120_000, 180_000])
      assert.deepEqual(yield* paced("Infinity"), [0, 60_000, 120_000, 180_000])
      for (const nothing of ["0", "-1", "soon", ""]) assert.deepEqual(yield* paced(nothing), [0, 0, 0, 0], nothing)
      assert.deepEqual(yield* paced("9", "fast"), [0, 0, 0, 0])
    })
  )

  it.effect("keeps to what the policy says of the network, and tells robots.txt no secrets", () =>
    Effect.gen(function* () {
      const headers: Array<Readonly<Record<string, string>>> = []
      const open = clientOf((_, given) => {
        headers.push(given)
        return new Response("")
      })
      yield* by(open)(get("http://me:secret@a.example/x", { headers: { "x-api-key": "abc" }, userAgent: "bot" }))
      assert.hasAnyKeys(headers[0], { "user-agent": "bot" })
      assert.doesNotHaveAnyKeys(headers[0], ["x-api-key", "authorization"])
      assert.strictEqual(headers[1]!["x-api-key"], "abc")

      const origin = yield* Origin.start({ "*": { body: "ok" } })
      const error = yield* Effect.flip(get(origin.url, { network: "public" })).pipe(Effect.provide(Http.layer()))
      assert.strictEqual(error.reason, "Blocked")
      assert.isFalse(error.retryable)
      assert.strictEqual(origin.count(), 0)
    })
  )

  it.live("holds for bodies that are read as streams, from a real server", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start({
        "/robots.txt": { body: "User-agent: *\nDisallow: /no" },
        "/yes": { body: "ok" }
      })
      const lines = Fetch.withPolicy({ robots: true })(Effect.flip(Fetch.text()(`${origin.url}/no`)))
      assert.strictEqual((yield* Effect.provide(lines, Http.layer())).reason, "Blocked")
      assert.strictEqual(yield* Effect.provide(get(`${origin.url}/yes`), Http.layer()), "ok")
      assert.strictEqual(origin.count("/no"), 0)
    })
  )
})
