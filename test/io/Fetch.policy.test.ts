import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Deadline, Fetch } from "skein"
import { Http } from "skein/node"
import { Call } from "../../src/io/fetch/call/FetchCall.ts"
import * as Hosts from "../../src/io/fetch/policy/FetchHosts.ts"
import * as Origin from "../support/origin.ts"

interface Seen {
  readonly at: number
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
}

type Answering = Effect.Effect<Response, HttpClientError.HttpClientError>

/** A client without a network: `answer` is told how many requests there were before, and the clock's time is kept. */
const clientOf = (answer: (seen: Seen, before: number) => Answering | Response) => {
  const seen: Array<Seen> = []
  const running = new Map<string, number>()
  const most = new Map<string, number>()
  let cancelled = 0
  const client = HttpClient.make((request, url) =>
    Effect.clockWith((clock) => {
      const one = { at: clock.currentTimeMillisUnsafe(), url, headers: request.headers }
      const given = answer(one, seen.push(one) - 1)
      const count = (by: number) => {
        for (const name of ["", url.host]) {
          const now = (running.get(name) ?? 0) + by
          running.set(name, now)
          most.set(name, Math.max(most.get(name) ?? 0, now))
        }
      }
      count(1)
      return Effect.onExit(Effect.isEffect(given) ? given : Effect.succeed(given), (exit) => {
        count(-1)
        if (Exit.hasInterrupts(exit)) cancelled += 1
        return Effect.void
      }).pipe(Effect.map((web) => HttpClientResponse.fromWeb(request, web)))
    })
  )
  return {
    client,
    seen,
    times: () => seen.map(({ at }) => at - seen[0]!.at),
    most: (host = "") => most.get(host),
    cancelled: () => cancelled
  }
}

const after = (wait: Duration.Input, status = 200, headers: Record<string, string> = {}): Answering =>
  Effect.delay(
    Effect.sync(() => new Response("ok", { status, headers })),
    wait
  )

/** Runs it until so much time has passed: how it ended. */
const runFor = <A, E>(
  { client }: { readonly client: HttpClient.HttpClient },
  time: Duration.Input,
  effect: Effect.Effect<A, E, HttpClient.HttpClient>
) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.provideService(effect, HttpClient.HttpClient, client))
    yield* TestClock.adjust(time)
    assert.isDefined(fiber.pollUnsafe(), "still running")
    return yield* Fiber.join(fiber)
  })

const all = <const T extends ReadonlyArray<Effect.Effect<unknown, unknown, HttpClient.HttpClient>>>(effects: T) =>
  Effect.all(effects, { concurrency: "unbounded" })
const times = <A>(count: number, make: (i: number) => A) => Array.from({ length: count }, (_, i) => make(i))
const chance = (double: number): Random.Random => ({ nextIntUnsafe: () => 0, nextDoubleUnsafe: () => double })
const get = Fetch.text()

describe("Fetch policies: merging", () => {
  it.effect(
    "a region changes what it names, adds headers and secrets, and leaves the rest; undefined names nothing",
    () =>
      Effect.gen(function* () {
        const web = clientOf((_, before) => new Response(null, { status: before === 0 ? 503 : 404 }))
        const fetched = Fetch.text({ headers: { "x-call": "1" }, secretParameters: ["three"] })
        const error = yield* Effect.flip(
          fetched("http://host/?one=a1&Two=a2&three=a3&four=b").pipe(
            Fetch.withPolicy({
              headers: { "x-inner": "1", "x-both": "inner" },
              secretParameters: ["TWO"],
              retries: undefined
            }),
            Effect.provide(
              Fetch.layer({
                retries: 1,
                userAgent: "me",
                headers: { "x-outer": "1", "x-both": "outer" },
                secretParameters: ["one"]
              })
            ),
            Effect.provideService(HttpClient.HttpClient, web.client),
            Effect.provideService(Random.Random, chance(0))
          )
        )
        assert.strictEqual(error.attempt, 2)
        assert.deepInclude(web.seen[1]?.headers, {
          "x-outer": "1",
          "x-inner": "1",
          "x-both": "inner",
          "x-call": "1",
          "user-agent": "me"
        })
        assert.include(error.url, "one=***&Two=***&three=***&four=b")
      })
  )

  it.effect("layers and regions made inside a step share the slots of their client", () =>
    Effect.gen(function* () {
      const web = clientOf(() => after("1 second"))
      const step = (i: number) => Effect.provide(get(`http://host/${i}`), Fetch.layer({ perHost: 2 }))
      yield* runFor(web, "1 minute", all(times(16, step)))
      assert.strictEqual(web.most("host"), 2)
      const others = clientOf(() => after("1 second"))
      const region = (i: number) => Fetch.withPolicy({ concurrency: 4 })(get(`http://h${i}/`))
      yield* runFor(others, "1 minute", all(times(16, region)))
      assert.strictEqual(others.most(), 4)
    })
  )

  it.effect("limits that differ count each other's requests, in the order of coming", () =>
    Effect.gen(function* () {
      const web = clientOf(() => after("1 second"))
      const wide = times(3, (i) => Fetch.withPolicy({ perHost: 3 })(get(`http://host/wide${i}`)))
      const narrow = Fetch.withPolicy({ perHost: 1 })(get("http://host/narrow"))
      yield* runFor(web, "1 minute", all([...wide, narrow, ...wide]))
      assert.strictEqual(web.most(), 3)
      assert.deepEqual(web.times(), [0, 0, 0, 1000, 1000, 1000, 2000])
    })
  )

  it.effect("rates, in all and for each host, are shared by all that name the same", () =>
    Effect.gen(function* () {
      const web = clientOf(() => new Response("ok"))
      const rate = Fetch.layer({ ratePerHost: { limit: 2, per: "1 second" } })
      const urls = ["http://a/", "http://b/", "http://a/", "http://b/"]
      yield* runFor(web, "1 minute", all(urls.map((url) => Effect.provide(get(url), rate))))
      assert.deepEqual(web.times(), [0, 0, 500, 500])
      const other = clientOf(() => new Response("ok"))
      const both = Fetch.withPolicy({ rate: { limit: 1, per: "1 second" } })
      yield* runFor(other, "1 minute", all(urls.map((url) => both(get(url)))))
      assert.deepEqual(other.times(), [0, 1000, 2000, 3000])
    })
  )
})

/** A host that takes so many requests in each second, and refuses all others. */
const takes = (most: number, status: number, headers: Record<string, string>) => {
  const second = new Map<number, number>()
  return clientOf(({ at }) =>
    Effect.suspend(() => {
      const now = Math.floor(at / 1000)
      const count = (second.get(now) ?? 0) + 1
      second.set(now, count)
      return after("20 millis", count > most ? status : 200, count > most ? headers : {})
    })
  )
}

describe("P6 Fetch policies: what a host says", () => {
  it.effect("200 URLs are all fetched from a host that takes 10 a second and says when to come back", () =>
    Effect.gen(function* () {
      for (const concurrency of [16, 64, 200]) {
        const web = takes(10, 429, { "retry-after": "1" })
        const urls = times(200, (i) => `http://host/${i}`)
        const results = yield* runFor(
          web,
          "2 minutes",
          Effect.forEach(urls, (url) => Effect.result(get(url)), { concurrency })
        )
        assert.strictEqual(results.filter(Result.isFailure).length, 0)
        // Close to what it takes: neither much slower, nor with many requests that it refuses.
        assert.isBelow(web.times().at(-1)!, 40_000)
        assert.isBelow(web.seen.length, 200 + concurrency + 60)
      }
    })
  )

  it.effect("also where it takes 100 a minute, or refuses without saying until when", () =>
    Effect.gen(function* () {
      const web = takes(10, 429, {})
      const urls = times(200, (i) => `http://host/${i}`)
      const fetched = Effect.forEach(urls, (url) => Effect.result(get(url)), { concurrency: 64 })
      const results = yield* runFor(web, "5 minutes", fetched)
      assert.strictEqual(results.filter(Result.isFailure).length, 0)
    })
  )

  for (const status of [429, 503]) {
    it.effect(`after ${status} with Retry-After nobody asks until then, and no slot is held`, () =>
      Effect.gen(function* () {
        const web = clientOf((_, before) =>
          before === 0 ? new Response(null, { status, headers: { "retry-after": "5" } }) : new Response("ok")
        )
        const polite = Fetch.withPolicy({ perHost: 1 })
        const both = all(
          ["http://host/1", "http://host/2", "http://host/3", "http://other/"].map((url) => polite(get(url)))
        )
        yield* runFor(web, "1 minute", both)
        assert.deepEqual(
          web.seen.slice(0, 2).map(({ url }) => url.href),
          ["http://host/1", "http://other/"]
        )
        const [, other, ...later] = web.times()
        assert.strictEqual(other, 0)
        assert.strictEqual(later.length, 3)
        assert.isAtLeast(later[0]!, 5000)
        // One by one, and not all at once.
        assert.isTrue(later[1]! > later[0]! && later[2]! > later[1]!)
        // The one that was refused goes first: it has fewer attempts left.
        assert.strictEqual(web.seen[2]?.url.href, "http://host/1")
      })
    )
  }

  it.effect("what was under way, and what waits for a slot, hears it too", () =>
    Effect.gen(function* () {
      const web = clientOf((_, before) =>
        before < 2 ? after("1 second", 429, { "retry-after": "10" }) : new Response("ok")
      )
      yield* runFor(web, "5 minutes", all(times(6, (i) => Fetch.withPolicy({ perHost: 2 })(get(`http://host/${i}`)))))
      assert.strictEqual(web.seen.length, 8)
      assert.isTrue(web.times().every((at, i) => i < 2 || at >= 11_000))
    })
  )

  it.effect("a Retry-After of 0, in the past, or of no sense leaves the backoff as it is", () =>
    Effect.gen(function* () {
      for (const header of ["0", "-3", new Date(0).toUTCString(), "soon", ""]) {
        const web = clientOf(() => new Response(null, { status: 503, headers: { "retry-after": header } }))
        const error = yield* runFor(web, "1 minute", Effect.flip(get("http://host/"))).pipe(
          Effect.provideService(Random.Random, chance(1))
        )
        assert.deepEqual(web.times(), [0, 250, 750, 1750])
        assert.strictEqual(error.attempt, 4)
        assert.strictEqual(error.elapsed, 1750)
        assert.include(error.message, "attempt 4")
      }
    })
  )

  it.effect("who would have to wait for more than 60 seconds fails at once, without asking", () =>
    Effect.gen(function* () {
      const web = clientOf(() => new Response(null, { status: 429, headers: { "retry-after": "90" } }))
      const exits = yield* runFor(
        web,
        "1 second",
        all(times(3, () => Effect.flip(Fetch.withPolicy({ perHost: 1 })(get("http://host/")))))
      )
      assert.strictEqual(web.seen.length, 1)
      assert.deepEqual(
        exits.map(({ attempt, reason, retryAfter }) => [reason, attempt, retryAfter]),
        [
          ["Status", 1, 90_000],
          ["Status", 0, 90_000],
          ["Status", 0, 90_000]
        ]
      )
      assert.include(exits[1]!.message, "not sent, as its host answered 429")
      yield* TestClock.adjust("40 seconds")
      const late = yield* runFor(web, "1 minute", Effect.flip(get("http://host/")))
      assert.strictEqual(late.attempt, 1)
      assert.strictEqual(web.times()[1], 90_000)
    })
  )

  it.effect("who has less time than that does not wait for it", () =>
    Effect.gen(function* () {
      const web = clientOf(() => new Response(null, { status: 503, headers: { "retry-after": "30" } }))
      const impatient = Fetch.text({ total: "10 seconds" })
      const first = yield* runFor(web, "1 second", Effect.flip(impatient("http://host/")))
      assert.include(first.message, "answered 503, and the 10s for all attempts leaves no time to try again")
      const second = yield* runFor(web, "1 second", Effect.flip(impatient("http://host/")))
      assert.strictEqual(second.reason, "Timeout")
      assert.include(second.message, "asks to wait for 29s")
      const bounded = Deadline.within(Fetch.text({ retries: 9 })("http://other/"), "5 seconds", { name: "page" })
      const third = yield* runFor(web, "1 second", Effect.flip(bounded))
      assert.include(third.message, "answered 503, and the deadline around it leaves no time to try again")
      assert.strictEqual(web.seen.length, 2)
    })
  )
})

describe("Fetch policies: breaker", () => {
  const broken = { breaker: { failures: 2, reset: "30 seconds" }, retries: 0 } as const
  const flip = (url: string, policy: Fetch.Policy = broken) => Effect.flip(Fetch.withPolicy(policy)(get(url)))

  it.effect("after so many failures the host is left alone, until one that tries finds it back", () =>
    Effect.gen(function* () {
      let isDown = true
      const web = clientOf(() => after("1 second", isDown ? 500 : 200))
      yield* runFor(web, "2 seconds", flip("http://host/"))
      yield* runFor(web, "2 seconds", flip("http://host/"))
      const open = yield* runFor(web, "0 millis", flip("http://host/"))
      assert.deepInclude({ ...open }, { reason: "CircuitOpen", attempt: 0, retryAfter: 29_000, retryable: false })
      assert.include(open.message, "try again in 29 s")
      assert.strictEqual(web.seen.length, 2)
      yield* runFor(web, "1 second", get("http://other/").pipe(Fetch.withPolicy(broken), Effect.ignore))
      yield* TestClock.adjust("28 seconds")
      const [first, second] = yield* runFor(web, "1 second", all([flip("http://host/"), flip("http://host/")]))
      assert.deepEqual([first?.status, second?.reason], [500, "CircuitOpen"])
      isDown = false
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* runFor(web, "1 second", Fetch.withPolicy(broken)(get("http://host/"))), "ok")
      assert.strictEqual(yield* runFor(web, "1 second", Fetch.withPolicy(broken)(get("http://host/"))), "ok")
    })
  )

  it.effect("what shows that the host is there is no failure, and without a breaker nobody is held up", () =>
    Effect.gen(function* () {
      const web = clientOf((_, before) => new Response(null, { status: [500, 404, 500, 404, 500, 500, 500][before]! }))
      for (let i = 0; i < 6; i++)
        assert.strictEqual((yield* runFor(web, "0 millis", flip("http://host/"))).reason, "Status")
      assert.strictEqual((yield* runFor(web, "0 millis", flip("http://host/"))).reason, "CircuitOpen")
      assert.strictEqual(
        (yield* runFor(web, "0 millis", flip("http://host/", { ...broken, breaker: false }))).reason,
        "Status"
      )
    })
  )

  it.effect("one that tried and was cancelled leaves the next to try", () =>
    Effect.gen(function* () {
      const web = clientOf((_, before) => (before < 2 ? new Response(null, { status: 500 }) : after("5 seconds")))
      yield* runFor(web, "0 millis", flip("http://host/"))
      yield* runFor(web, "0 millis", flip("http://host/"))
      yield* TestClock.adjust("30 seconds")
      const tried = Deadline.moveOn(Fetch.withPolicy(broken)(get("http://host/")), "1 second")
      yield* runFor(web, "1 second", tried)
      assert.strictEqual(yield* runFor(web, "5 seconds", Fetch.withPolicy(broken)(get("http://host/"))), "ok")
    })
  )
})

describe("Fetch policies: hedging", () => {
  const hedge = { hedge: { after: "1 second" }, retries: 0 } as const

  it.effect("sends again what takes long, takes the answer that comes first, and cancels the other", () =>
    Effect.gen(function* () {
      const web = clientOf((_, before) => after(before === 0 ? "10 seconds" : "2 seconds"))
      assert.strictEqual(yield* runFor(web, "3 seconds", Fetch.withPolicy(hedge)(get("http://host/"))), "ok")
      assert.deepEqual(web.times(), [0, 1000])
      assert.strictEqual(web.cancelled(), 1)
    })
  )

  it.effect("sends no more than it may, and nothing again that is not to be sent twice or that came in time", () =>
    Effect.gen(function* () {
      const slow = clientOf(() => after("10 seconds"))
      const twice = { hedge: { after: "1 second", copies: 2 } } as const
      yield* runFor(slow, "10 seconds", Fetch.withPolicy(twice)(get("http://host/")))
      assert.deepEqual(slow.times(), [0, 1000, 2000])
      const post = clientOf(() => after("10 seconds"))
      yield* runFor(post, "10 seconds", Fetch.withPolicy(twice)(Fetch.text({ method: "POST" })("http://host/")))
      assert.strictEqual(post.seen.length, 1)
      const quick = clientOf(() => after("900 millis"))
      yield* runFor(quick, "1 minute", Fetch.withPolicy(twice)(get("http://host/")))
      assert.strictEqual(quick.seen.length, 1)
    })
  )

  it.effect("a failure counts only when no other is on its way", () =>
    Effect.gen(function* () {
      const first = clientOf(() => after("500 millis", 404))
      const error = yield* runFor(first, "1 minute", Effect.flip(Fetch.withPolicy(hedge)(get("http://host/"))))
      assert.deepEqual([error.status, first.seen.length], [404, 1])
      const web = clientOf((_, before) => (before === 0 ? after("2 seconds", 500) : after("5 seconds")))
      assert.strictEqual(yield* runFor(web, "6 seconds", Fetch.withPolicy(hedge)(get("http://host/"))), "ok")
    })
  )

  it.effect("each counts: it waits for a slot of its own, which the one that lost gives back", () =>
    Effect.gen(function* () {
      const web = clientOf(() => after("3 seconds"))
      const alone = Fetch.withPolicy({ ...hedge, perHost: 1 })
      yield* runFor(web, "3 seconds", alone(get("http://host/")))
      assert.strictEqual(web.seen.length, 1)
      const both = Fetch.withPolicy({ ...hedge, perHost: 2 })
      yield* runFor(web, "3 seconds", both(get("http://host/")))
      assert.strictEqual(web.seen.length, 3)
      yield* runFor(
        web,
        "3 seconds",
        all([get("http://host/"), get("http://host/")].map(Fetch.withPolicy({ perHost: 2 })))
      )
      assert.strictEqual(web.most(), 2)
    })
  )
})

describe("Fetch policies: onUnauthorized", () => {
  const guarded = (valid: () => string) =>
    clientOf(({ headers }) => after("1 second", headers["authorization"] === `Bearer ${valid()}` ? 200 : 401))

  it.effect("runs once for all who wait, and each is sent once more with what it gave; the next have it already", () =>
    Effect.gen(function* () {
      let valid = "t1"
      let runs = 0
      const web = guarded(() => valid)
      const onUnauthorized = (origin: string) =>
        Effect.delay(
          Effect.sync(() => ({ authorization: `Bearer ${origin === "http://host" ? `t${++runs}` : "none"}` })),
          "5 seconds"
        )
      const authorized = Fetch.withPolicy({ onUnauthorized, retries: 0 })
      const many = all(times(20, (i) => authorized(get(`http://host/${i}`))))
      assert.lengthOf(yield* runFor(web, "1 minute", many), 20)
      assert.deepEqual([runs, web.seen.length], [1, 40])
      yield* runFor(web, "1 minute", many)
      assert.deepEqual([runs, web.seen.length], [1, 60])
      valid = "t2"
      yield* runFor(web, "1 minute", many)
      assert.deepEqual([runs, web.seen.length], [2, 100])
    })
  )

  it.effect("never loops: who is refused with what it gave fails, and so do all who waited where it fails", () =>
    Effect.gen(function* () {
      let runs = 0
      const web = guarded(() => "right")
      const useless = () => Effect.sync(() => ({ authorization: `Bearer wrong${++runs}` }))
      const refused = yield* runFor(
        web,
        "1 minute",
        Effect.flip(Fetch.withPolicy({ onUnauthorized: useless })(get("http://host/")))
      )
      assert.deepEqual([refused.status, refused.attempt, runs], [401, 2, 1])

      const failing = () =>
        Effect.delay(
          Effect.suspend(() => Effect.fail(`no token (${++runs})`)),
          "1 second"
        )
      const failed = Fetch.withPolicy({ onUnauthorized: failing })
      const errors = yield* runFor(web, "1 minute", all(times(3, () => Effect.flip(failed(get("http://other/"))))))
      assert.deepEqual([errors.length, runs], [3, 2])
      for (const error of errors)
        assert.include(error.message, "answered 401, and `onUnauthorized` failed: no token (2)")

      const nothing = Fetch.withPolicy({ onUnauthorized: () => Effect.succeed({}) })
      const error = yield* runFor(web, "1 minute", Effect.flip(nothing(get("http://third/"))))
      assert.deepEqual([error.status, error.attempt], [401, 1])
    })
  )

  it.effect("may fetch the token itself, from the same host with one slot, and under the same policy", () =>
    Effect.gen(function* () {
      const web = clientOf(({ headers, url }) =>
        url.pathname === "/token" || headers["x-token"] === "ok" ? after("1 second") : after("1 second", 401)
      )
      const policy: Fetch.Policy = {
        perHost: 1,
        onUnauthorized: (origin) =>
          Effect.map(get(`${origin}/token`), (token) => ({ "x-token": token })).pipe(
            Effect.provideService(HttpClient.HttpClient, web.client)
          )
      }
      assert.strictEqual(yield* runFor(web, "1 minute", Fetch.withPolicy(policy)(get("http://host/"))), "ok")
      const denied: Fetch.Policy = {
        onUnauthorized: (origin) =>
          Effect.map(Fetch.withPolicy(denied)(get(`${origin}/denied`)), (token) => ({ "x-token": token })).pipe(
            Effect.provideService(HttpClient.HttpClient, web.client)
          )
      }
      const error = yield* runFor(web, "1 minute", Effect.flip(Fetch.withPolicy(denied)(get("http://host/"))))
      assert.include(error.message, "`onUnauthorized` failed")
    })
  )

  it.effect("one that was cancelled while it got new ones leaves that to the next", () =>
    Effect.gen(function* () {
      let runs = 0
      const web = guarded(() => "t2")
      const slow = Effect.suspend(() =>
        Effect.delay(Effect.succeed({ authorization: `Bearer t${runs}` }), "10 seconds")
      )
      const onUnauthorized = () =>
        Effect.andThen(
          Effect.sync(() => void runs++),
          slow
        )
      const authorized = Fetch.withPolicy({ onUnauthorized })
      const first = Deadline.moveOn(authorized(get("http://host/1")), "5 seconds")
      const [, text] = yield* runFor(web, "1 minute", all([first, authorized(get("http://host/2"))]))
      assert.deepEqual([text, runs], ["ok", 2])
    })
  )

  it.effect("what it gives goes to no other origin", () =>
    Effect.gen(function* () {
      const web = clientOf(({ headers, url }) =>
        url.host === "away"
          ? new Response("there")
          : headers["x-token"] === undefined
            ? new Response(null, { status: 401 })
            : new Response(null, { status: 302, headers: { location: "http://away/" } })
      )
      const onUnauthorized = () => Effect.succeed({ "x-token": "hush" })
      assert.strictEqual(
        yield* runFor(web, "1 minute", Fetch.withPolicy({ onUnauthorized })(get("http://host/"))),
        "there"
      )
      assert.isUndefined(web.seen.at(-1)?.headers["x-token"])
    })
  )
})

describe("Fetch policies: errors", () => {
  it.effect("say how often and for how long it was tried, and how the answer begins where it is text", () =>
    Effect.gen(function* () {
      const body = `{"why":"ü${"x".repeat(600)}"}`
      const web = clientOf(() => new Response(body, { status: 400, headers: { "content-type": "application/json" } }))
      const error = yield* runFor(web, "0 millis", Effect.flip(get("http://host/")))
      assert.deepEqual([error.attempt, error.elapsed], [1, 0])
      assert.strictEqual(error.excerpt, new TextDecoder().decode(new TextEncoder().encode(body).subarray(0, 500)))
      const echo = clientOf(
        ({ headers }) =>
          new Response(`no ${headers["authorization"]}${"-".repeat(100_000)}`, {
            status: 401,
            headers: { "content-type": "text/plain" }
          })
      )
      const fetched = Fetch.text({ headers: { authorization: "Bearer hush-hush" } })("http://host/")
      const echoed = yield* runFor(echo, "0 millis", Effect.flip(fetched))
      assert.match(echoed.excerpt ?? "", /^no \*{3}-+$/)
      const image = clientOf(() => new Response(body, { status: 400, headers: { "content-type": "image/png" } }))
      assert.isUndefined((yield* runFor(image, "0 millis", Effect.flip(get("http://host/")))).excerpt)
      const html = clientOf(() => new Response("<html>", { headers: { "content-type": "text/html" } }))
      for (const schema of [Schema.String, Schema.Number]) {
        const decode = yield* runFor(html, "0 millis", Effect.flip(Fetch.json(schema)("http://host/")))
        assert.deepInclude({ ...decode }, { reason: "Decode", excerpt: "<html>", attempt: 1 })
      }
    })
  )

  it.effect("say which time ended it", () =>
    Effect.gen(function* () {
      const web = clientOf(() => Effect.never)
      const timed = (options: Fetch.Options) =>
        runFor(web, "1 minute", Effect.flip(Fetch.text(options)("http://host/")))
      const one = yield* timed({ timeout: "5 seconds", retries: 0 })
      assert.include(one.message, "no complete answer within 5s, the time for one attempt")
      const whole = yield* timed({ total: "7 seconds" })
      assert.include(whole.message, "no complete answer within 7s, the time for all attempts")
      assert.deepEqual([whole.elapsed, whole.attempt], [7000, 1])
    })
  )

  it.effect("keep what caused them, and no secret with it", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(Effect.map(Origin.start({}), (origin) => origin.url))
      const request = HttpClientRequest.get(`${url}/?token=hush`).pipe(HttpClientRequest.bearerToken("hush"))
      const error = yield* Effect.flip(Fetch.text({ retries: 0 })(request))
      assert.strictEqual((error.cause as { readonly code?: string }).code, "ECONNREFUSED")
      assert.notInclude(JSON.stringify(error) + String(error) + JSON.stringify(error.cause), "hush")
    }).pipe(Effect.provide(Http.layer()))
  )

  it.effect("hide secrets in query and fragment by their usual names, and escape what a terminal obeys", () =>
    Effect.gen(function* () {
      const hidden = [
        "token=a",
        "access_token=a",
        "API_KEY=a",
        "apiKey=a",
        "key=a",
        "client_secret=a",
        "password=a",
        "sig=a"
      ]
      const plain = ["page=2", "monkey=a", "pageToken=a", "next_page_token=a", "author=a", "keyword=a", "hockey=a"]
      const address = `ftp://host/?${[...hidden, ...plain].join("&")}#id_token=a&top=1`
      const { url } = yield* Effect.flip(get(address))
      for (const parameter of hidden) assert.include(url, parameter.replace(/a$/, "***"))
      for (const parameter of plain) assert.include(url, parameter)
      const fragment = yield* Effect.flip(get("ftp://host/#id_token=a&top=1"))
      assert.strictEqual(fragment.url, "ftp://host/#id_token=***&top=1")
      assert.strictEqual((yield* Effect.flip(get("ftp://\u001b[31m\n"))).url, "ftp://\\u001b[31m\\u000a")
    }).pipe(Effect.provide(Http.layer()))
  )
})

describe("Fetch policies: redirects", () => {
  it.effect("five are followed, and no more", () =>
    Effect.gen(function* () {
      const web = clientOf(({ url }) => {
        const hop = Number(url.pathname.slice(1))
        return hop === 0
          ? new Response("there")
          : new Response(null, { status: 302, headers: { location: `/${hop - 1}` } })
      })
      assert.strictEqual(yield* runFor(web, "0 millis", get("http://host/5")), "there")
      const error = yield* runFor(web, "0 millis", Effect.flip(get("http://host/6")))
      assert.include(error.message, "redirected more than 5 times")
    })
  )

  it.effect("301, 302 and 303 turn POST into GET without its body, 307 and 308 keep it; HEAD stays HEAD", () =>
    Effect.gen(function* () {
      const got = (method: "POST" | "PUT" | "HEAD", status: number) =>
        Effect.gen(function* () {
          const requests: Array<HttpClientRequest.HttpClientRequest> = []
          const client = HttpClient.make((request) => {
            const first = requests.push(request) === 1
            const web = first ? new Response(null, { status, headers: { location: "/there" } }) : new Response("ok")
            return Effect.succeed(HttpClientResponse.fromWeb(request, web))
          })
          const request = HttpClientRequest.make(method)("http://host/").pipe(HttpClientRequest.bodyText("body"))
          yield* runFor({ client }, "0 millis", get(request))
          const { body, headers, method: then } = requests[1]!
          return `${then} ${body._tag} ${headers["content-type"] ?? "-"}`
        })
      for (const status of [301, 302, 303]) assert.strictEqual(yield* got("POST", status), "GET Empty -")
      for (const status of [307, 308]) assert.strictEqual(yield* got("POST", status), "POST Uint8Array text/plain")
      for (const status of [301, 302, 307]) assert.strictEqual(yield* got("PUT", status), "PUT Uint8Array text/plain")
      assert.strictEqual(yield* got("PUT", 303), "GET Empty -")
      assert.match(yield* got("HEAD", 303), /^HEAD/)
    })
  )

  it.effect("no header that is secret goes to another origin, whoever gave it", () =>
    Effect.gen(function* () {
      const secret = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "x-mine"]
      const web = clientOf(({ url }) =>
        url.origin === "http://host"
          ? new Response(null, { status: 307, headers: { location: "https://host/" } })
          : new Response("ok")
      )
      const headers = Object.fromEntries([...secret, "accept-language", "idempotency-key"].map((name) => [name, "x"]))
      const fetched = Fetch.text({ secretParameters: ["X-Mine"] })("http://host/")
      yield* runFor(web, "0 millis", Fetch.withPolicy({ headers })(fetched))
      assert.containsAllKeys(web.seen[0]?.headers, secret)
      for (const name of secret) assert.notProperty(web.seen[1]?.headers, name)
      assert.containsAllKeys(web.seen[1]?.headers, ["accept-language", "idempotency-key"])
    })
  )
})

describe("Fetch policies: open answers", () => {
  const call = new Call({ perHost: 1, timeout: "5 seconds" })
  const streaming = (...waits: ReadonlyArray<Duration.Input>) => {
    const pieces = Stream.mapEffect(Stream.fromIterable(waits), (wait) =>
      Effect.delay(Effect.succeed(new Uint8Array([1])), wait)
    )
    return clientOf(() => Effect.map(Stream.toReadableStreamEffect(pieces), (body) => new Response(body)))
  }

  it.effect("hold their slot until the body was read or the scope closes", () =>
    Effect.gen(function* () {
      const web = streaming("1 second", "1 second")
      const opened = Effect.flatMap(call.open("http://host/"), ({ body }) => Stream.runCollect(body))
      const two = all([Effect.scoped(opened), Effect.scoped(opened)])
      const [first] = yield* runFor(web, "10 seconds", two)
      assert.lengthOf(first, 2)
      assert.deepEqual(web.times(), [0, 2000])
      const held = yield* Scope.make()
      const open = Effect.provideService(call.open("http://host/"), Scope.Scope, held)
      yield* runFor(web, "0 millis", open)
      const waiting = yield* Effect.forkChild(
        Effect.provideService(Effect.scoped(call.open("http://host/")), HttpClient.HttpClient, web.client)
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(web.seen.length, 3)
      yield* Scope.close(held, Exit.void)
      yield* Fiber.join(waiting)
      assert.strictEqual(web.seen.length, 4)
    })
  )

  it.effect("have the time of an attempt for each piece, however many there are", () =>
    Effect.gen(function* () {
      const read = Effect.scoped(Effect.flatMap(call.open("http://host/"), ({ body }) => Stream.runCollect(body)))
      const patient = streaming("4 seconds", "4 seconds", "4 seconds")
      assert.lengthOf(yield* runFor(patient, "12 seconds", read), 3)
      const error = yield* runFor(streaming("4 seconds", "6 seconds"), "9 seconds", Effect.flip(read))
      assert.strictEqual(error.reason, "Timeout")
      assert.include(error.message, "nothing more of its body came within 5s")
    })
  )

  it.effect("are retried, hedged and renewed until their head is there, and leave nothing behind", () =>
    Effect.gen(function* () {
      const web = clientOf((_, before) => {
        if (before === 0) return new Response(null, { status: 503 })
        return Effect.delay(Effect.succeed(new Response("ok")), before === 1 ? "10 seconds" : "1 second")
      })
      const hedging = new Call({ perHost: 2, hedge: { after: "1 second" } })
      const read = Effect.flatMap(hedging.open("http://host/"), ({ body }) =>
        Stream.runCollect(Stream.decodeText(body))
      )
      const text = yield* runFor(web, "5 seconds", Effect.scoped(read)).pipe(
        Effect.provideService(Random.Random, chance(0))
      )
      assert.deepEqual(text, ["ok"])
      assert.deepEqual([web.times(), web.cancelled()], [[0, 0, 1000], 1])
      const host = Hosts.of(web.client).of("host", 0, yield* Effect.clockWith(Effect.succeed))
      assert.isTrue(host.slots.isQuiet)
    })
  )
})

describe("Fetch policies: memory", () => {
  it.effect("hosts of which there is nothing to remember are dropped, and no others", () =>
    Effect.gen(function* () {
      const web = clientOf(({ url }) =>
        url.host === "busy"
          ? new Response(null, { status: 503, headers: { "retry-after": "3000" } })
          : new Response("ok")
      )
      const hosts = Hosts.of(web.client)
      const policy = Fetch.withPolicy({ perHost: 2, ratePerHost: { limit: 10, per: "1 second" }, breaker: {} })
      yield* runFor(web, "0 millis", Effect.flip(policy(get("http://busy/"))))
      for (let i = 0; i < 3; i++) {
        yield* runFor(web, "1 second", all(times(1_000, (n) => policy(get(`http://h${i}-${n}/`)))))
        yield* TestClock.adjust("2 minutes")
      }
      assert.isBelow(hosts.size, 2_001)
      const error = yield* runFor(web, "0 millis", Effect.flip(policy(get("http://busy/"))))
      assert.strictEqual(error.attempt, 0)
    })
  )
})
