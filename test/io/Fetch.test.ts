import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Deadline, Fetch } from "skein"
import { Http } from "skein/node"
import { Attempt } from "../../src/pipeline/context/Attempt.ts"
import * as Meter from "../../src/pipeline/context/Meter.ts"
import * as Origin from "../support/origin.ts"

const Repo = Schema.Struct({ name: Schema.String, owner: Schema.Struct({ id: Schema.Number }) })
const repo = { name: "skein", owner: { id: 7 } }

/** Chance that always picks the shortest wait, so that retries over a real network need no time. */
const noJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }

const withOrigin = <A, E>(
  script: Origin.Routes | Origin.Handler,
  body: (origin: Origin.Origin) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.flatMap(Origin.start(script), body).pipe(
    Effect.provideService(Random.Random, noJitter),
    Effect.provide(Http.layer())
  )

describe("Fetch: what it gives", () => {
  it.effect("decodes JSON through a schema", () =>
    withOrigin({ "/repo": { body: repo } }, (origin) =>
      Effect.gen(function* () {
        assert.deepEqual(yield* Fetch.json(Repo)(`${origin.url}/repo`), repo)
        assert.deepEqual(yield* Fetch.json(Repo)(new URL("/repo", origin.url)), repo)
        assert.deepEqual(yield* Fetch.json(Repo)(HttpClientRequest.get(`${origin.url}/repo`)), repo)
        assert.strictEqual(origin.requests[0]?.headers.accept, "application/json")
      })
    )
  )

  it.effect("decodes JSON as JSON: a date is its text there", () =>
    withOrigin({ "/": { body: { at: "2026-01-02T03:04:05.000Z" } } }, (origin) =>
      Effect.gen(function* () {
        const { at } = yield* Fetch.json(Schema.Struct({ at: Schema.Date }))(origin.url)
        assert.strictEqual(at.getTime(), Date.UTC(2026, 0, 2, 3, 4, 5))
      })
    )
  )

  it.effect("decodes text by its charset", () =>
    withOrigin(
      {
        "/latin": {
          body: new Uint8Array([0x66, 0xfc, 0x72]),
          headers: { "content-type": "text/plain; charset=ISO-8859-1" }
        },
        "/utf8": { body: "für" },
        "/unknown": { body: "für", headers: { "content-type": "text/plain; charset=klingon" } }
      },
      (origin) =>
        Effect.gen(function* () {
          for (const path of ["/latin", "/utf8", "/unknown"]) {
            assert.strictEqual(yield* Fetch.text()(origin.url + path), "für", path)
          }
        })
    )
  )

  it.effect("gives bytes as they are, whatever their number of pieces", () =>
    withOrigin(
      (request) => ({
        body: new Uint8Array(300_000).fill(9),
        // Of an encoded body nothing is known before it has come.
        headers: request.path === "/pieces" ? { "content-encoding": "identity" } : {}
      }),
      (origin) =>
        Effect.gen(function* () {
          for (const path of ["/whole", "/pieces"]) {
            const body = yield* Fetch.bytes()(origin.url + path)
            assert.strictEqual(body.length, 300_000)
            assert.isTrue(body.every((byte) => byte === 9))
          }
        })
    )
  )

  it.effect("gives a page with all that is known of it", () =>
    withOrigin(
      {
        "/old": { status: 301, headers: { location: "/page?a=1#top" } },
        "/page": { body: "<p>hi", headers: { "content-type": "text/html", "x-extra": "1" } },
        "/image": { body: new Uint8Array([1, 2]), headers: { "content-type": "image/png" } }
      },
      (origin) =>
        Effect.gen(function* () {
          const page = yield* Fetch.page()(`${origin.url}/old`)
          assert.strictEqual(page.status, 200)
          assert.strictEqual(page.contentType, "text/html")
          assert.strictEqual(page.headers["x-extra"], "1")
          assert.strictEqual(page.url, `${origin.url}/page?a=1`)
          assert.strictEqual(page.text, "<p>hi")
          assert.strictEqual(page.body.length, 5)
          assert.isTrue(Duration.isDuration(page.duration))
          assert.isUndefined((yield* Fetch.page()(`${origin.url}/image`)).text)
        })
    )
  )

  it.effect("takes another status for an answer only where `accept` says so", () =>
    withOrigin({ "/gone": { status: 410, body: "gone" } }, (origin) =>
      Effect.gen(function* () {
        const page = yield* Fetch.page({ accept: (status) => status === 410 })(`${origin.url}/gone`)
        assert.strictEqual(page.status, 410)
        const error = yield* Effect.flip(Fetch.page()(`${origin.url}/gone`))
        assert.strictEqual(error.status, 410)
      })
    )
  )

  it.effect("has no body to wait for after HEAD and 204", () =>
    withOrigin({ "/head": { headers: { "content-length": "10" } }, "/none": { status: 204 } }, (origin) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Fetch.bytes({ method: "HEAD", maxBody: 5 })(`${origin.url}/head`)).length, 0)
        assert.strictEqual((yield* Fetch.bytes()(`${origin.url}/none`)).length, 0)
      })
    )
  )

  it.effect("sends method, headers and body; options go before the request, the request before the layer", () =>
    withOrigin({ "*": { body: repo } }, (origin) =>
      Effect.gen(function* () {
        const request = HttpClientRequest.post(`${origin.url}/a`).pipe(
          HttpClientRequest.setHeaders({ "user-agent": "mine", "x-a": "request", "x-b": "request" }),
          HttpClientRequest.bodyJsonUnsafe({ n: 1 })
        )
        yield* Fetch.json(Repo, { headers: { "x-b": "options" } })(request)
        yield* Fetch.json(Repo)(`${origin.url}/b`)
        const [first, second] = origin.requests
        assert.strictEqual(first?.method, "POST")
        assert.strictEqual(first?.body, '{"n":1}')
        assert.strictEqual(first?.headers["user-agent"], "mine")
        assert.strictEqual(first?.headers["x-a"], "request")
        assert.strictEqual(first?.headers["x-b"], "options")
        assert.strictEqual(second?.headers["user-agent"], "skein-test")
      }).pipe(Effect.provide(Fetch.layer({ userAgent: "skein-test" })))
    )
  )

  it.effect("counts the bytes of bodies for the pipeline that runs it", () =>
    withOrigin(
      { "/a": { body: "12345" }, "/b": { body: "123", headers: { "content-encoding": "identity" } } },
      (origin) =>
        Effect.gen(function* () {
          const meter = Meter.make()
          const both = Effect.andThen(Fetch.text()(`${origin.url}/a`), Fetch.text()(`${origin.url}/b`))
          yield* Effect.provideService(both, Meter.Meter, meter)
          assert.strictEqual(meter.bytes, 8)
        })
    )
  )
})

describe("Fetch: why it fails", () => {
  it.effect("url: says what is not one, and sends nothing", () =>
    withOrigin({}, (origin) =>
      Effect.gen(function* () {
        for (const target of ["not a url", "/relative", "", "ftp://example.com/x", "file:///etc/passwd", "http://"]) {
          const error = yield* Effect.flip(Fetch.text()(target))
          assert.strictEqual(error.reason, "Url", target)
          assert.include(error.message, target)
          assert.include(error.message, "https://example.com/page")
        }
        assert.strictEqual(origin.count(), 0)
      })
    )
  )

  it.effect("connect: nothing listens there", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(Effect.map(Origin.start({}), (origin) => origin.url))
      const error = yield* Effect.flip(Fetch.text({ retries: 0 })(url))
      assert.strictEqual(error.reason, "Connect")
      assert.include(error.message, `GET ${url}/: nothing listens there (ECONNREFUSED)`)
    }).pipe(Effect.provide(Http.layer()))
  )

  it.effect("connect: the connection breaks before, or in the middle of the answer", () =>
    withOrigin({ "/drop": { fault: "drop" }, "/cut": { fault: "cut", body: "half" } }, (origin) =>
      Effect.gen(function* () {
        for (const path of ["/drop", "/cut"]) {
          const error = yield* Effect.flip(Fetch.text({ retries: 0 })(origin.url + path))
          assert.strictEqual(error.reason, "Connect", path)
          assert.include(error.message, path)
        }
      })
    )
  )

  it.effect("timeout: no complete answer within the time for one attempt", () =>
    withOrigin({ "/hang": { fault: "hang" }, "/stall": { fault: "stall", body: "a" } }, (origin) =>
      Effect.gen(function* () {
        for (const path of ["/hang", "/stall"]) {
          const fiber = yield* Effect.forkChild(
            Effect.flip(Fetch.text({ retries: 0, timeout: "5 seconds" })(origin.url + path))
          )
          yield* origin.arrived(path)
          yield* TestClock.adjust("5 seconds")
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.reason, "Timeout")
          assert.include(error.message, "5s")
          yield* origin.idle
        }
      })
    )
  )

  it.effect("status: names it and what to do", () =>
    withOrigin(
      (request) => ({ status: Number(request.path.slice(1)), body: "no" }),
      (origin) =>
        Effect.gen(function* () {
          const advice = {
            404: "check the address",
            401: "check the credentials",
            418: "check the address",
            501: "try again later"
          }
          for (const [status, words] of Object.entries(advice)) {
            const error = yield* Effect.flip(Fetch.text()(`${origin.url}/${status}`))
            assert.strictEqual(error.reason, "Status")
            assert.strictEqual(error.status, Number(status))
            assert.include(error.message, `answered ${status}`)
            assert.include(error.message, words)
            assert.strictEqual(origin.count(`/${status}`), 1)
          }
        })
    )
  )

  it.effect("tooLarge: as announced, nothing is read", () =>
    withOrigin({ "/big": { body: new Uint8Array(1001) } }, (origin) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Fetch.bytes({ maxBody: 1000 })(`${origin.url}/big`))
        assert.strictEqual(error.reason, "TooLarge")
        assert.strictEqual(error.limit, 1000)
        assert.include(error.message, "1001 bytes")
        assert.include(error.message, "maxBody")
        assert.strictEqual(origin.count(), 1)
        assert.strictEqual((yield* Fetch.bytes({ maxBody: 1001 })(`${origin.url}/big`)).length, 1001)
      })
    )
  )

  it.effect("tooLarge: while it arrives, and the connection is dropped", () =>
    withOrigin({ "/endless": { fault: "endless" } }, (origin) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Fetch.bytes({ maxBody: 100_000 })(`${origin.url}/endless`))
        assert.strictEqual(error.reason, "TooLarge")
        yield* origin.idle
        assert.isBelow(origin.sent(), 32 * 1024 * 1024)
      })
    )
  )

  it.effect("body: it is not JSON", () =>
    withOrigin({ "/page": { body: "<html>", headers: { "content-type": "text/html" } } }, (origin) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Fetch.json(Repo)(`${origin.url}/page`))
        assert.strictEqual(error.reason, "Decode")
        assert.include(error.message, `${origin.url}/page`)
        assert.include(error.message, "text/html")
        assert.strictEqual(origin.count(), 1)
      })
    )
  )

  it.effect("schema: names the field and the URL", () =>
    withOrigin({ "/repo": { body: { name: "x", owner: { id: "seven" } } }, "/list": { body: [] } }, (origin) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Fetch.json(Repo)(`${origin.url}/repo`))
        assert.strictEqual(error.reason, "Decode")
        assert.include(error.message, `${origin.url}/repo`)
        assert.include(error.message, "`owner.id`")
        assert.include(error.message, '"seven"')
        assert.strictEqual(origin.count(), 1)
        assert.strictEqual((yield* Effect.flip(Fetch.json(Repo)(`${origin.url}/list`))).reason, "Decode")
      })
    )
  )

  it.effect("schema: the JSON is nested deeper than the stack", () => {
    type Tree = number | ReadonlyArray<Tree>
    const Tree: Schema.Codec<Tree> = Schema.Union([
      Schema.Number,
      Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    ])
    const body = "[".repeat(100_000) + "]".repeat(100_000)
    return withOrigin({ "/": { body } }, (origin) =>
      Effect.gen(function* () {
        const deep = yield* Effect.flip(Fetch.json(Tree)(origin.url))
        assert.strictEqual(deep.reason, "Decode")
        assert.include(deep.message, "its JSON is nested too deep")
        for (const schema of [Repo, Schema.Array(Schema.String), Schema.String]) {
          const error = yield* Effect.flip(Fetch.json(schema as Schema.Codec<unknown>)(origin.url))
          assert.strictEqual(error.reason, "Decode")
          assert.isBelow(error.message.length, 1000)
        }
        yield* Fetch.json(Schema.Json)(origin.url)
      })
    )
  })

  it.effect("redirect: too often, or to where nothing can be fetched", () =>
    withOrigin(
      {
        "/loop": { status: 302, headers: { location: "/loop" } },
        "/ftp": { status: 302, headers: { location: "ftp://example.com/" } }
      },
      (origin) =>
        Effect.gen(function* () {
          const loop = yield* Effect.flip(Fetch.text({ redirects: 3, accept: () => true })(`${origin.url}/loop`))
          assert.strictEqual(loop.reason, "Redirect")
          assert.include(loop.message, "more than 3 times")
          assert.strictEqual(origin.count("/loop"), 4)
          const ftp = yield* Effect.flip(Fetch.text()(`${origin.url}/ftp`))
          assert.strictEqual(ftp.reason, "Redirect")
          assert.include(ftp.message, "ftp://example.com/")
          const page = yield* Fetch.page({ redirects: 0, accept: () => true })(`${origin.url}/loop`)
          assert.strictEqual(page.status, 302)
        })
    )
  )
})

describe("Fetch: redirects", () => {
  it.effect("keep the method where the status says so, and take nothing secret elsewhere", () =>
    withOrigin({ "*": { body: "there" } }, (there) =>
      withOrigin(
        {
          "/see": { status: 303, headers: { location: "/there" } },
          "/keep": { status: 307, headers: { location: "/there" } },
          "/away": { status: 307, headers: { location: `${there.url}/there` } },
          "/there": { body: "here" }
        },
        (origin) =>
          Effect.gen(function* () {
            const post = (path: string) =>
              HttpClientRequest.post(origin.url + path).pipe(
                HttpClientRequest.bearerToken("hush"),
                HttpClientRequest.bodyText("body")
              )
            yield* Fetch.text()(post("/see"))
            yield* Fetch.text()(post("/keep"))
            yield* Fetch.text()(post("/away"))
            const [, seen, , kept] = origin.requests
            assert.deepInclude(seen, { method: "GET", body: "" })
            assert.deepInclude(kept, { method: "POST", body: "body" })
            assert.strictEqual(kept?.headers.authorization, "Bearer hush")
            assert.deepInclude(there.requests[0], { method: "POST", body: "body" })
            assert.isUndefined(there.requests[0]?.headers.authorization)
          })
      )
    )
  )
})

describe("Fetch: retries", () => {
  it.effect("what may be another answer next time, up to 4 attempts", () =>
    withOrigin(
      (request) => ({ status: request.attempt < 4 ? Number(request.path.slice(1)) : 200, body: "ok" }),
      (origin) =>
        Effect.gen(function* () {
          for (const status of [408, 425, 429, 500, 502, 503, 504]) {
            assert.strictEqual(yield* Fetch.text()(`${origin.url}/${status}`), "ok")
            assert.strictEqual(origin.count(`/${status}`), 4)
          }
        })
    )
  )

  it.effect("a connection that breaks", () =>
    withOrigin({ "/": [{ fault: "drop" }, { fault: "cut", body: "x" }, { body: "ok" }] }, (origin) =>
      Effect.gen(function* () {
        const meter = Meter.make()
        assert.strictEqual(yield* Effect.provideService(Fetch.text()(origin.url), Meter.Meter, meter), "ok")
        assert.strictEqual(meter.retries, 2)
      })
    )
  )

  it.effect("gives up after the last attempt, with its error", () =>
    withOrigin({ "*": { status: 503 } }, (origin) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Effect.flip(Fetch.text()(`${origin.url}/a`))).status, 503)
        assert.strictEqual(origin.count("/a"), 4)
        yield* Effect.flip(Fetch.text({ retries: 1 })(`${origin.url}/b`))
        assert.strictEqual(origin.count("/b"), 2)
        const get = Fetch.text()
        yield* Effect.flip(get(`${origin.url}/c`).pipe(Effect.provide(Fetch.layer({ retries: 2 }))))
        assert.strictEqual(origin.count("/c"), 3)
        yield* Effect.flip(get(`${origin.url}/d`))
        assert.strictEqual(origin.count("/d"), 4)
      })
    )
  )

  it.effect("not what may not be sent twice, unless it carries a key for that", () =>
    withOrigin({ "*": { status: 503 } }, (origin) =>
      Effect.gen(function* () {
        for (const method of ["POST", "PATCH"] as const) {
          yield* Effect.flip(Fetch.text({ method })(`${origin.url}/${method}`))
          assert.strictEqual(origin.count(`/${method}`), 1)
        }
        for (const method of ["PUT", "DELETE", "OPTIONS", "HEAD"] as const) {
          yield* Effect.flip(Fetch.text({ method })(`${origin.url}/${method}`))
          assert.strictEqual(origin.count(`/${method}`), 4)
        }
        yield* Effect.flip(Fetch.text({ method: "POST", headers: { "Idempotency-Key": "k1" } })(`${origin.url}/keyed`))
        assert.strictEqual(origin.count("/keyed"), 4)
      })
    )
  )

  it.effect("sends the key of the element, the same with each attempt", () =>
    withOrigin({ "*": { status: 503 } }, (origin) =>
      Effect.gen(function* () {
        const post = Fetch.text({ method: "POST", idempotencyKey: true })
        const keys = (path: string) =>
          origin.requests.filter((one) => one.path === path).map((one) => one.headers["idempotency-key"])
        yield* Effect.flip(post(`${origin.url}/step`)).pipe(
          Effect.provideService(Attempt, { key: "repos/42", count: 1 })
        )
        assert.deepEqual(
          keys("/step"),
          Array.from({ length: 4 }, () => "repos/42")
        )
        yield* Effect.flip(post(`${origin.url}/alone`))
        assert.strictEqual(keys("/alone").length, 4)
        assert.strictEqual(new Set(keys("/alone")).size, 1)
        assert.match(keys("/alone")[0] as string, /^[0-9a-f]{32}$/)
      })
    )
  )
})

/** A client without a network: what each request gets, and when it was sent. */
const scripted = (...answers: ReadonlyArray<Effect.Effect<Response, HttpClientError.HttpClientError> | Response>) => {
  const sent: Array<number> = []
  const client = HttpClient.make((request) =>
    Effect.clockWith((clock) => {
      const answer = answers[Math.min(sent.push(clock.currentTimeMillisUnsafe()), answers.length) - 1]!
      const response = Effect.isEffect(answer) ? answer : Effect.succeed(answer.clone())
      return Effect.map(response, (web) => HttpClientResponse.fromWeb(request, web))
    })
  )
  return { sent, client }
}

const busy = (headers: Record<string, string> = {}) => new Response(null, { status: 503, headers })

/** Runs it until `after` has passed: what it gave, if it has. */
const runFor = <A, E>(
  client: HttpClient.HttpClient,
  after: Duration.Input,
  effect: Effect.Effect<A, E, HttpClient.HttpClient>
) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.provideService(effect, HttpClient.HttpClient, client))
    yield* TestClock.adjust(after)
    return yield* Effect.exit(Fiber.join(fiber))
  })

/** Chance that always picks the longest wait. */
const allJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 1 }

describe("Fetch: time", () => {
  it.effect("waits before each retry up to twice as long as before the last, never longer than 30 seconds", () =>
    Effect.gen(function* () {
      const { sent, client } = scripted(busy())
      yield* runFor(client, "2 minutes", Fetch.text({ retries: 9 })("http://host/")).pipe(
        Effect.provideService(Random.Random, allJitter)
      )
      assert.deepEqual(sent, [0, 250, 750, 1750, 3750, 7750, 15_750, 31_750, 61_750, 91_750])
    })
  )

  it.effect("waits as long as `Retry-After` says, in seconds or as a date", () =>
    Effect.gen(function* () {
      const date = new Date(32_000).toUTCString()
      const { sent, client } = scripted(
        busy({ "retry-after": "12" }),
        busy({ "retry-after": date }),
        new Response("ok")
      )
      const exit = yield* runFor(client, "1 minute", Fetch.text()("http://host/"))
      assert.deepEqual(exit, Exit.succeed("ok"))
      assert.deepEqual(sent, [0, 12_000, 32_000])
    })
  )

  it.effect("does not wait for longer than 60 seconds, but says how long it would have been", () =>
    Effect.gen(function* () {
      const { sent, client } = scripted(busy({ "retry-after": "61" }))
      const error = yield* Effect.flip(Fetch.text()("http://host/")).pipe(
        Effect.provideService(HttpClient.HttpClient, client)
      )
      assert.strictEqual(error.retryAfter, 61_000)
      assert.include(error.message, "try again in 61 s")
      assert.strictEqual(sent.length, 1)
    })
  )

  it.effect("gives each attempt its time, and all of them theirs", () =>
    Effect.gen(function* () {
      const hanging = scripted(Effect.never)
      const get = Fetch.text({ timeout: "10 seconds", total: "25 seconds" })
      const exit = yield* runFor(hanging.client, "25 seconds", Effect.flip(get("http://host/"))).pipe(
        Effect.provideService(Random.Random, noJitter)
      )
      assert.deepEqual(hanging.sent, [0, 10_000, 20_000])
      assert.isTrue(Exit.isSuccess(exit) && exit.value.reason === "Timeout" && exit.value.message.includes("25s"))
    })
  )

  it.effect("does not repeat a POST whose answer did not come", () =>
    Effect.gen(function* () {
      const hanging = scripted(Effect.never)
      const exit = yield* runFor(hanging.client, "1 hour", Effect.flip(Fetch.text({ method: "POST" })("http://host/")))
      assert.deepEqual(hanging.sent, [0])
      assert.isTrue(Exit.isSuccess(exit) && exit.value.reason === "Timeout" && exit.value.message.includes("30s"))
    })
  )

  it.effect("spends a token of the rate on every attempt, and waits for it outside of the attempt's time", () =>
    Effect.gen(function* () {
      const { sent, client } = scripted(busy(), new Response("ok"))
      const get = Fetch.text({ timeout: "1 second" })
      const all = Effect.all(["http://a/", "http://b/", "http://c/"].map(get), { concurrency: "unbounded" })
      const exit = yield* runFor(client, "1 minute", all).pipe(
        Effect.provideService(Random.Random, noJitter),
        Effect.provide(Fetch.layer({ rate: { limit: 1, per: "10 seconds" } }))
      )
      assert.deepEqual(exit, Exit.succeed(["ok", "ok", "ok"]))
      assert.deepEqual(sent, [0, 10_000, 20_000, 30_000])
    })
  )
})

describe("Fetch: limits", () => {
  it.effect("so many requests to one host at once, and the others do not wait for them", () =>
    withOrigin({ "*": { delay: "1 second", body: "ok" } }, (slow) =>
      withOrigin({ "*": { body: "ok" } }, (other) =>
        Effect.gen(function* () {
          const get = Fetch.text()
          const many = yield* Effect.forkChild(
            Effect.all(
              Array.from({ length: 9 }, () => get(slow.url)),
              { concurrency: "unbounded" }
            )
          )
          for (const arrived of [3, 6, 9]) {
            yield* slow.arrived("/", arrived)
            assert.strictEqual(yield* get(other.url), "ok")
            assert.strictEqual(slow.inFlight(), 3)
            yield* TestClock.adjust("1 second")
          }
          assert.lengthOf(yield* Fiber.join(many), 9)
          assert.strictEqual(slow.maxInFlight(), 3)
        }).pipe(Effect.provide(Fetch.layer({ perHost: 3 })))
      )
    )
  )

  it.effect("gives the slot back while it waits for the next attempt", () =>
    Effect.gen(function* () {
      const { sent, client } = scripted(busy(), new Response("ok"))
      const both = Effect.all([Fetch.text()("http://host/1"), Fetch.text()("http://host/2")], {
        concurrency: "unbounded"
      })
      yield* Effect.provide(runFor(client, "1 minute", both), Fetch.layer({ perHost: 1 })).pipe(
        Effect.provideService(Random.Random, allJitter)
      )
      assert.deepEqual(sent, [0, 0, 250])
    })
  )

  it.effect("an inner layer changes what it names and keeps the rest", () =>
    Effect.gen(function* () {
      const { sent, client } = scripted(busy())
      const get = Effect.flip(Fetch.text()("http://host/")).pipe(
        Effect.provide(Fetch.layer({ timeout: "1 second" })),
        Effect.provide(Fetch.layer({ retries: 1, timeout: "9 seconds" }))
      )
      yield* Effect.provideService(runFor(client, "1 minute", get), Random.Random, noJitter)
      assert.strictEqual(sent.length, 2)
    })
  )
})

describe("Fetch: letting go", () => {
  it.effect("interruption closes the connection, before and in the middle of the answer", () =>
    withOrigin(
      { "/hang": { fault: "hang" }, "/stall": { fault: "stall", body: "a" }, "/endless": { fault: "endless" } },
      (origin) =>
        Effect.gen(function* () {
          for (const path of ["/hang", "/stall", "/endless"]) {
            const fiber = yield* Effect.forkChild(Fetch.bytes({ maxBody: Infinity })(origin.url + path))
            yield* origin.arrived(path)
            yield* Fiber.interrupt(fiber)
            yield* origin.idle
          }
        })
    )
  )

  it.effect("a deadline around it closes the connection", () =>
    withOrigin({ "/hang": { fault: "hang" } }, (origin) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          Effect.flip(Deadline.within(Fetch.text()(`${origin.url}/hang`), "2 seconds"))
        )
        yield* origin.arrived("/hang")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "DeadlineExceeded")
        yield* origin.idle
      })
    )
  )

  it.effect("a refused answer leaves no connection behind, however large its body", () =>
    withOrigin(
      {
        "/endless": { status: 404, fault: "endless" },
        "/moved": { status: 302, fault: "endless", headers: { location: "/ok" } },
        "/ok": { body: "ok" }
      },
      (origin) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Effect.flip(Fetch.text()(`${origin.url}/endless`))).status, 404)
          assert.strictEqual(yield* Fetch.text()(`${origin.url}/moved`), "ok")
          yield* origin.idle
        })
    )
  )
})

describe("Fetch: secrets", () => {
  it.effect("credentials of a URL go into a header and into no message", () =>
    withOrigin({ "/ok": { body: "ok" }, "/bad": { status: 404 }, "/drop": { fault: "drop" } }, (origin) =>
      Effect.gen(function* () {
        const secret = origin.url.replace("http://", "http://ann:p%40ss@")
        assert.strictEqual(yield* Fetch.text()(`${secret}/ok`), "ok")
        assert.strictEqual(origin.requests[0]?.headers.authorization, `Basic ${btoa("ann:p@ss")}`)
        assert.strictEqual((yield* Fetch.page()(`${secret}/ok`)).url, `${origin.url}/ok`)
        for (const target of [`${secret}/bad`, `${secret}/drop`, "http://ann:p%40ss@", "ftp://ann:p%40ss@host/"]) {
          const error = yield* Effect.flip(Fetch.text()(target))
          for (const shown of [error.message, error.url, JSON.stringify(error), String(error)]) {
            assert.notInclude(shown, "p%40ss", target)
            assert.notInclude(shown, "p@ss", target)
          }
        }
      })
    )
  )

  it.effect("neither the secrets of parameters nor of headers are shown", () =>
    withOrigin({ "*": { status: 403 } }, (origin) =>
      Effect.gen(function* () {
        const request = HttpClientRequest.get(`${origin.url}/?Signature=hush&page=2`).pipe(
          HttpClientRequest.bearerToken("hush")
        )
        const error = yield* Effect.flip(Fetch.text()(request))
        assert.include(error.message, "page=2")
        assert.notInclude(JSON.stringify(error) + error.message, "hush")
      })
    )
  )
})
