import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { Db, Fetch, Pipeline } from "skein"
import { Http } from "skein/node"
import { connect, within } from "../support/database.ts"
import { databases } from "../support/databases.ts"
import * as Origin from "../support/origin.ts"

interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** A client without a network; `answer` is told how many requests to that path there were before. */
const clientOf = (answer: (seen: Seen, before: number) => Response) => {
  const seen: Array<Seen> = []
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      const path = `${url.pathname}${url.search}`
      const one = { method: request.method, path, headers: request.headers }
      const before = seen.filter((other) => other.path === path).length
      seen.push(one)
      return HttpClientResponse.fromWeb(request, answer(one, before))
    })
  )
  return { client, seen }
}

const base = "http://a.example"
const text = (headers: Record<string, string>, body = "ok", status = 200) => new Response(body, { status, headers })
const get = (path: string, options: Fetch.Options = {}) => Fetch.text({ retries: 0, ...options })(`${base}${path}`)
const Held = Schema.Struct({ target: Schema.String, headers: Schema.String, body: Schema.Uint8Array })
const held = Db.query(Held)`SELECT target, headers, body FROM skein_http`
const count = Effect.map(held, ({ length }) => length)

describe.each(databases)("Fetch.cache in $database", ({ url, direct }) => {
  const inDb = within(url)
  const cached =
    (client: { readonly client: HttpClient.HttpClient }, options?: Fetch.CacheOptions) =>
    <A, E>(body: Effect.Effect<A, E, Db.Db | HttpClient.HttpClient>) =>
      inDb(Effect.provide(Effect.provideService(body, HttpClient.HttpClient, client.client), Fetch.cache(options)))

  it.effect("gives a fresh answer without asking, and asks for it again when it is not", () => {
    const site = clientOf((_, before) => text({ "cache-control": "max-age=60", "x-n": `${before}` }, `body ${before}`))
    return cached(site)(
      Effect.gen(function* () {
        assert.strictEqual(yield* get("/a"), "body 0")
        yield* TestClock.adjust("59 seconds")
        const page = yield* Fetch.page()(`${base}/a#part`)
        assert.deepEqual([page.text, page.status, page.headers["x-n"], page.url], ["body 0", 200, "0", `${base}/a`])
        assert.strictEqual(site.seen.length, 1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* get("/a"), "body 1")
        assert.strictEqual(yield* get("/a"), "body 1")
        assert.strictEqual(yield* count, 1)
      })
    )
  })

  it.effect("asks whether a stale one is still the same, and takes 304 for yes, with its headers", () => {
    const site = clientOf(({ headers }, before) => {
      const control = { "cache-control": before === 1 ? "max-age=10" : "no-cache", "x-n": `${before}` }
      return headers["if-none-match"] === '"v1"' && headers["if-modified-since"] !== undefined
        ? new Response(null, { status: 304, headers: { ...control, etag: 'W/"v1"', "content-length": "5" } })
        : text({ ...control, etag: '"v1"', "last-modified": "Tue, 15 Nov 1994 12:45:26 GMT" }, "body")
    })
    return cached(site)(
      Effect.gen(function* () {
        const ask = Effect.map(Fetch.page()(`${base}/a`), ({ headers, status, text }) => [text, status, headers["x-n"]])
        assert.deepEqual(yield* ask, ["body", 200, "0"])
        assert.deepEqual(yield* ask, ["body", 200, "1"])
        // It is fresh by what 304 said.
        yield* TestClock.adjust("9 seconds")
        assert.deepEqual(yield* ask, ["body", 200, "1"])
        yield* TestClock.adjust("1 second")
        assert.deepEqual(yield* ask, ["body", 200, "2"])
        assert.strictEqual(site.seen.length, 3)
      })
    )
  })

  it.effect("asks without condition where 304 is about another answer", () => {
    const site = clientOf(({ headers }, before) =>
      headers["if-none-match"] === undefined
        ? text({ etag: `"v${before}"` }, `body ${before}`)
        : new Response(null, { status: 304, headers: { etag: '"other"' } })
    )
    return cached(site)(
      Effect.gen(function* () {
        assert.strictEqual(yield* get("/a"), "body 0")
        assert.strictEqual(yield* get("/a"), "body 2")
      })
    )
  })

  it.effect("keeps what may be kept, and nothing else", () => {
    const fresh = "max-age=60"
    const kinds: Record<string, readonly [asked: number, Record<string, string>, Fetch.Options?, number?]> = {
      plain: [1, { "cache-control": fresh }],
      private: [1, { "cache-control": "private, max-age=60" }],
      quoted: [1, { "cache-control": 'x="a, no-store", MAX-AGE="60"' }],
      expires: [1, { date: "Thu, 01 Jan 1970 00:00:00 GMT", expires: "Thu, 01 Jan 1970 00:01:00 GMT" }],
      "no-store": [2, { "cache-control": "no-store, max-age=60" }],
      "no-cache": [2, { "cache-control": "no-cache, max-age=60" }],
      aged: [2, { "cache-control": fresh, age: "60" }],
      nonsense: [2, { "cache-control": "max-age=soon" }],
      expired: [2, { date: "Thu, 01 Jan 1970 00:00:00 GMT", expires: "0" }],
      "max-age before expires": [
        2,
        {
          "cache-control": "max-age=0",
          date: "Thu, 01 Jan 1970 00:00:00 GMT",
          expires: "Thu, 01 Jan 1970 00:01:00 GMT"
        }
      ],
      "says nothing": [2, {}],
      "varies by all": [2, { "cache-control": fresh, vary: "accept, *" }],
      "varies by cookie": [2, { "cache-control": fresh, vary: "Cookie" }],
      "with a token": [2, { "cache-control": fresh }, { headers: { authorization: "Bearer abc" } }],
      "with a cookie": [2, { "cache-control": fresh }, { headers: { cookie: "a=b" } }],
      "with a key that is named": [
        2,
        { "cache-control": fresh },
        { headers: { "x-mine": "1" }, secretParameters: ["x-mine"] }
      ],
      "with a token, public": [
        1,
        { "cache-control": "public, max-age=60" },
        { headers: { authorization: "Bearer abc" } }
      ],
      "not wanted kept": [2, { "cache-control": fresh }, { headers: { "cache-control": "no-store" } }],
      "wanted new": [2, { "cache-control": fresh }, { headers: { "cache-control": "no-cache" } }],
      "a part": [2, { "cache-control": fresh }, { headers: { range: "bytes=0-" } }],
      head: [2, { "cache-control": fresh }, { method: "HEAD" }],
      post: [2, { "cache-control": fresh }, { method: "POST" }],
      gone: [1, { "cache-control": fresh }, { accept: () => true }, 410],
      failing: [2, { "cache-control": fresh }, { accept: () => true }, 500],
      off: [2, { "cache-control": fresh }, { cache: false }]
    }
    const site = clientOf(({ path }) => {
      const [, headers, , status = 200] = kinds[decodeURIComponent(path.slice(1))]!
      return text(headers, "ok", status)
    })
    return cached(site)(
      Effect.gen(function* () {
        const asked: Record<string, number> = {}
        for (const [kind, [, , options]] of Object.entries(kinds)) {
          const path = `/${encodeURIComponent(kind)}`
          yield* get(path, options)
          yield* get(path, options)
          asked[kind] = site.seen.filter((one) => one.path === path).length
        }
        assert.deepEqual(asked, Object.fromEntries(Object.entries(kinds).map(([kind, [times]]) => [kind, times])))
      })
    )
  })

  it.effect("is off in a region that says so, and for bodies that are streams", () => {
    const site = clientOf(() => text({ "cache-control": "max-age=60" }))
    return cached(site)(
      Effect.gen(function* () {
        const off = Fetch.withPolicy({ cache: false })
        yield* get("/a").pipe(off)
        assert.strictEqual(yield* count, 0)
        yield* get("/a")
        yield* get("/a").pipe(off)
        yield* get("/a", { cache: true }).pipe(off)
        assert.strictEqual(site.seen.length, 3)
      })
    )
  })

  it.effect("tells answers apart by what is sent, and forgets them when the address is written to", () => {
    const site = clientOf(({ headers }) =>
      text({ "cache-control": "max-age=60", vary: "accept-language" }, headers["accept-language"])
    )
    return cached(site)(
      Effect.gen(function* () {
        const by = (language: string) => get("/a", { headers: { "accept-language": language } })
        assert.deepEqual(yield* Effect.all([by("de"), by("en"), by("de"), by("en")]), ["de", "en", "de", "en"])
        assert.strictEqual(site.seen.length, 2)
        yield* Fetch.send({ method: "PUT", url: `${base}/a`, body: "new" })
        assert.strictEqual(yield* count, 0)
        yield* by("de")
        assert.strictEqual(site.seen.length, 4)
      })
    )
  })

  it.effect("keeps a redirect's target under its own address, and what it gives passes the policy", () => {
    const site = clientOf(({ path }) =>
      path === "/from"
        ? new Response(null, { status: 302, headers: { location: "/to" } })
        : text({ "cache-control": "max-age=60" }, "0123456789", path === "/gone" ? 404 : 200)
    )
    return cached(site)(
      Effect.gen(function* () {
        assert.strictEqual(yield* get("/from"), "0123456789")
        assert.strictEqual(yield* get("/to"), "0123456789")
        assert.strictEqual(yield* get("/from"), "0123456789")
        assert.deepEqual(
          site.seen.map(({ path }) => path),
          ["/from", "/to", "/from"]
        )
        assert.strictEqual((yield* Effect.flip(get("/to", { maxBody: 5 }))).reason, "TooLarge")
        yield* get("/gone", { accept: () => true })
        assert.strictEqual((yield* Effect.flip(get("/gone"))).status, 404)
        assert.strictEqual((yield* Effect.flip(Fetch.json(Schema.String)(`${base}/to`))).reason, "Decode")
      })
    )
  })

  it.effect("takes no turn and no slot for what it need not ask", () => {
    const site = clientOf(({ path }) =>
      path === "/robots.txt" ? text({}, "User-agent: *\nCrawl-delay: 60") : text({ "cache-control": "max-age=600" })
    )
    return cached(site)(
      Effect.gen(function* () {
        yield* get("/a", { robots: true })
        yield* Effect.all(
          Array.from({ length: 5 }, () => get("/a", { robots: true, rate: { limit: 1, per: "1 hour" } }))
        )
        assert.strictEqual(site.seen.length, 2)
      })
    )
  })

  it.effect("holds no address, cookie or token that could be read", () => {
    const site = clientOf(() =>
      text({ "cache-control": "public, max-age=60", "set-cookie": "sid=s3cr3t", "x-auth-token": "s3cr3t", "x-a": "b" })
    )
    return cached(site)(
      Effect.gen(function* () {
        yield* get("/a?token=s3cr3t", { headers: { authorization: "s3cr3t" } })
        const [row] = yield* held
        assert.deepEqual(JSON.parse(row!.headers), {
          "cache-control": "public, max-age=60",
          "content-type": "text/plain;charset=UTF-8",
          "x-a": "b"
        })
        assert.match(row!.target, /^[0-9a-f]{64}$/)
        const { sql } = yield* Db.Db
        assert.notInclude(JSON.stringify(yield* sql`SELECT target, variant, headers FROM skein_http`), "s3cr3t")
      })
    )
  })

  it.effect("passes over rows that are not its own, and goes on without its table", () =>
    Effect.gen(function* () {
      const site = clientOf((_, before) => text({ "cache-control": "max-age=60" }, `body ${before}`))
      const spoiled = (change: string, path: string) =>
        Effect.gen(function* () {
          yield* get(path)
          yield* (yield* Db.Db).sql.unsafe(change)
          return [yield* get(path), yield* get(path)]
        })
      yield* cached(site)(
        Effect.gen(function* () {
          assert.deepEqual(yield* spoiled("UPDATE skein_http SET headers = '{'", "/1"), ["body 1", "body 1"])
          assert.deepEqual(yield* spoiled("UPDATE skein_http SET headers = '{\"a\\nb\": 1}'", "/2"), [
            "body 1",
            "body 1"
          ])
          assert.deepEqual(yield* spoiled("UPDATE skein_http SET headers = 'null'", "/3"), ["body 1", "body 1"])
          assert.deepEqual(yield* spoiled("UPDATE skein_http SET size = 3", "/4"), ["body 1", "body 1"])
          assert.deepEqual(yield* spoiled("UPDATE skein_http SET status = 7", "/5"), ["body 1", "body 1"])
          assert.deepEqual(yield* spoiled("UPDATE skein_http SET at = 9000000000000", "/6"), ["body 1", "body 1"])
          assert.deepEqual(yield* spoiled("DROP TABLE skein_http", "/7"), ["body 1", "body 2"])
        })
      )
    })
  )

  it.effect("keeps to its size, and drops what was not used for the longest time", () => {
    const site = clientOf(() => text({ "cache-control": "max-age=99999999" }, "x".repeat(9 * 1024)))
    return cached(site, { maxSize: 400 * 1024 })(
      Effect.gen(function* () {
        for (let i = 0; i < 100; i += 1) {
          yield* get(`/${i}`)
          yield* TestClock.adjust("2 minutes")
          yield* get("/0")
        }
        assert.isAtMost(yield* count, 40)
        assert.isAtLeast(yield* count, 30)
        assert.strictEqual(site.seen.filter(({ path }) => path === "/0").length, 1)
        const asked = site.seen.length
        for (const path of ["/0", "/99", "/90"]) yield* get(path)
        assert.strictEqual(site.seen.length, asked)
        yield* get("/1")
        assert.strictEqual(site.seen.length, asked + 1)
      })
    )
  })

  it.effect("keeps nothing that is too large for it, or that nobody asked for in so long", () => {
    const site = clientOf(({ path }) =>
      text({ "cache-control": "max-age=99999999" }, "x".repeat(Number(path.slice(1))))
    )
    return inDb(
      Effect.gen(function* () {
        const run = (...paths: ReadonlyArray<string>) =>
          Effect.forEach(paths, (path) => get(path)).pipe(
            Effect.provideService(HttpClient.HttpClient, site.client),
            Effect.provide(Fetch.cache({ maxSize: 160 * 1024, maxAge: "2 days" }))
          )
        yield* run("/9000", "/11000")
        assert.strictEqual(yield* count, 1)
        yield* TestClock.adjust("2 days")
        yield* run("/9000")
        assert.strictEqual(site.seen.length, 2)
        yield* TestClock.adjust("2 days")
        yield* TestClock.adjust("1 millis")
        yield* run()
        assert.strictEqual(yield* count, 0)
      })
    )
  })

  it.live("works while a pipeline commits to the same database, over a real connection", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const origin = yield* Origin.start((request) => ({
          headers: { "cache-control": "max-age=3600", etag: '"1"' },
          body: request.path
        }))
        const place = yield* url
        const Page = Schema.Struct({ n: Schema.Int, text: Schema.String })
        const run = (name: string) =>
          Pipeline.run(
            Pipeline.from(Array.from({ length: 60 }, (_, n) => n)).pipe(
              Pipeline.map((n) => Effect.map(Fetch.text()(`${origin.url}/${n % 50}`), (text) => ({ n, text })), {
                concurrency: 8
              }),
              Pipeline.to(Db.table("pages", Page, { key: "n" }))
            ),
            { name, maxRows: 3 }
          )
        const db = yield* connect(place)
        const inIt = Effect.provide([Fetch.cache().pipe(Layer.provide(Layer.succeed(Db.Db, db))), Http.layer()])
        yield* Effect.provideService(inIt(run("one")), Db.Db, db)
        const asked = origin.count()
        assert.isAtMost(asked, 60)
        yield* Effect.provideService(inIt(run("two")), Db.Db, db)
        assert.strictEqual(origin.count(), asked)
        const [rows] = yield* direct(place, "SELECT count(*) AS n FROM pages WHERE text = '/' || (n % 50)")
        assert.strictEqual(Number(rows!["n"]), 60)
      })
    )
  )

  it.live("may be used inside of a transaction, and by several programs that make its table at once", () => {
    const site = clientOf(() => text({ "cache-control": "max-age=60" }))
    return Effect.scoped(
      Effect.gen(function* () {
        const place = yield* url
        const one = yield* connect(place)
        const two = yield* connect(place)
        const inIt = (db: Db.Db) =>
          Db.transaction(get("/a")).pipe(
            Effect.provide(Fetch.cache()),
            Effect.provideService(Db.Db, db),
            Effect.provideService(HttpClient.HttpClient, site.client)
          )
        yield* Effect.all([inIt(one), inIt(two)], { concurrency: 2 })
        yield* inIt(two)
        assert.isAtMost(site.seen.length, 2)
      })
    )
  })
})

describe("Fetch.cache", () => {
  it("refuses options that make no sense", () => {
    assert.throws(() => Fetch.cache({ maxSize: 0 }), /Fetch\.cache: maxSize must be a whole number/)
    assert.throws(() => Fetch.cache({ maxAge: -1 }), /Fetch\.cache: maxAge must be a duration/)
    assert.throws(() => Fetch.layer({ cache: "no" as never }), /Fetch\.layer: cache must be true or false; got "no"/)
    assert.throws(() => Fetch.text({ robots: 1 as never }), /Fetch: robots must be true or false; got 1/)
  })
})
