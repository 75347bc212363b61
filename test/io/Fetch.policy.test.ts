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
import { Deadline, Fetch, Pipeline } from "skein"
import { Http } from "skein/node"
import { Call } from "../../src/io/fetch/FetchCall.ts"
import * as Hosts from "../../src/io/fetch/FetchHosts.ts"
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

const all = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
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
        assert.include(error.url, "one=REDACTED&Two=REDACTED&three=REDACTED&four=b")
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

describe("Fetch policies: what a host says", () => {
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
