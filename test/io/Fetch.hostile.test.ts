import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { Interrupt, Origin, Sim } from "skein/testing"
import * as Hosts from "../../src/io/fetch/policy/FetchHosts.ts"
import { Lookup } from "../../src/node/http/HttpWays.ts"
import type { Lookup as LookupFunction } from "../../src/node/http/PublicNetwork.ts"
import * as Child from "../support/child.ts"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Server from "../support/wire.ts"

const shared = Server.shared()
const once = { retries: 0, backoff: { base: 0 } } as const

/** What came of it: as in "200 ok", or "Protocol 1: its headers …". */
const told = (exit: Exit.Exit<Fetch.Page, Fetch.FetchError>): string => {
  if (Exit.isSuccess(exit)) return `${exit.value.status} ${new TextDecoder().decode(exit.value.body)}`
  const error = Cause.squash(exit.cause) as Fetch.FetchError
  return `${error.reason} ${error.attempt}: ${error.detail}`
}

describe("Fetch of answers that are none", () => {
  const noHttp = "Protocol 1: what it answered is no HTTP that can be read"
  const cases: ReadonlyArray<readonly [path: string, gives: string]> = [
    ["/status?of=000", noHttp],
    ["/status?of=1000", noHttp],
    ["/status?of=-200", noHttp],
    ["/status?of=20", noHttp],
    ["/status?of=999", "Status 1: answered 999"],
    ["/status?of=304", "Status 1: answered 304"],
    ["/status?of=206", "Protocol 1: answered 206, which is for a range, and none was asked for"],
    ["/status?of=204", "204 "],
    ["/length?of=-1", noHttp],
    ["/length?of=%2B5", noHttp],
    ["/length?of=0x5", noHttp],
    ["/length?of=5,5", "Protocol 1: its headers cannot be read"],
    ["/length?of=99999999999999999999", "Protocol 1: its headers cannot be read"],
    ["/long", "200 12345"],
    ["/http-2", noHttp],
    ["/http-0.9", noHttp],
    ["/tls-alert", noHttp],
    ["/chunk-huge", noHttp],
    ["/chunk-extensions", "200 12345"],
    ["/trailers", "200 12345"],
    ["/trailers-endless", "Protocol 1: its headers are longer than"],
    ["/transfer?coding=gzip", "200 hello"],
    ["/transfer?coding=gzip,chunked", "200 hello"],
    ["/transfer?coding=bzip2", 'Decode 1: its body is coded as "bzip2", which is not known'],
    ["/codings?count=100", "Decode 1: its body is coded 100 times, and no more than 5 are undone"],
    ["/header-nul", "Protocol 1: "],
    ["/header-prototype", "200 ok"],
    ["/two-answers", "200 ok"]
  ]
  for (const [path, gives] of cases) {
    it.live(`${path}: ${gives}, and the next is served`, () =>
      Effect.gen(function* () {
        const { url } = yield* Server.Server
        const exit = yield* Effect.exit(Fetch.page({ retries: 1, backoff: { base: 0 } })(url + path))
        assert.strictEqual(told(exit).slice(0, gives.length), gives)
        assert.strictEqual(yield* Fetch.text(once)(`${url}/ok`), "ok")
        assert.notProperty({}, "polluted")
      }).pipe(Effect.provide([shared, Http.layer({ connections: 1 })]))
    )
  }

  it.live("has no body after HEAD, whatever is sent", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      for (const path of ["/head-with-body", "/long", "/chunk-extensions", "/status?of=204", "/transfer?coding=gzip"]) {
        yield* Fetch.head(once)(url + path)
        assert.strictEqual(yield* Fetch.text(once)(`${url}/ok`), "ok")
      }
    }).pipe(Effect.provide([shared, Http.layer({ connections: 1 })]))
  )
})

describe("Fetch of answers that do not end", () => {
  it.live("waits little for a body that is not wanted", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      assert.strictEqual(yield* Fetch.text(once)(`${url}/stalled?status=302`), "ok")
      const error = yield* Effect.flip(Fetch.text(once)(`${url}/stalled?status=404`))
      assert.deepInclude(error, { reason: "Status", status: 404, excerpt: "the beginning" })
    }).pipe(Effect.provide([shared, Http.layer()]))
  )
})

describe("Fetch: what others repeat", () => {
  it.live("hides secrets of what was sent in how an answer begins", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const secrets = ["hush-query", "hush password", "hush-header", "hush-cookie", "hush-renewed"]
      const home = url.replace("//", "//me:hush%20password@")
      const fail = (path: string, options: Fetch.Options = {}) =>
        Effect.flip(Fetch.text({ ...once, ...options })(home + path))
      const plain = yield* fail("/repeat?token=hush-query", { headers: { "x-api-key": "hush-header" } })
      const cookies = yield* fail("/login?cookie=session=hush-cookie&to=/repeat")
      const renewed = yield* fail("/repeat?status=401", {
        onUnauthorized: () => Effect.succeed({ authorization: "Bearer hush-renewed" })
      })
      const decoded = yield* Effect.flip(Fetch.json(Schema.Number, once)(`${home}/repeat?status=200&token=hush-query`))
      assert.strictEqual(decoded.reason, "Decode")
      for (const error of [plain, cookies, renewed, decoded]) {
        const shown = JSON.stringify(error) + String(error)
        assert.include(error.excerpt, "GET /repeat")
        assert.include(error.excerpt, "***")
        for (const secret of secrets) assert.notInclude(shown, secret)
        assert.isAtMost(error.excerpt!.length, 500)
      }
      // Where the limit cuts it in two.
      for (const before of [470, 485, 495]) {
        const cut = yield* fail(`/repeat?before=${before}&token=hush-query-that-is-long`)
        assert.notMatch(cut.excerpt!, /hush/)
      }
    }).pipe(Effect.provide([shared, Http.layer()]))
  )

  it.live("keeps no secret of a page's address that its server has made, and says so when it is asked for", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const Numbers = Schema.Struct({ items: Schema.Array(Schema.Number), next: Schema.String })
      const source = (next: Fetch.Next<typeof Numbers.Type>) =>
        Fetch.pages(`${url}/numbers?n=1`, { ...once, schema: Numbers, items: (page) => page.items, next })
      const positions = (next: Fetch.Next<typeof Numbers.Type>) =>
        Effect.map(Stream.runCollect(Stream.take(source(next).read(Option.none()), 2)), (elements) =>
          elements.map(({ position }) => position)
        )
      const [, second] = yield* positions((page) => `${page.next}&signature=hush`)
      assert.include(second!.page, "n=2&signature=***")
      const error = yield* Effect.flip(Stream.runDrain(source((page) => page.next).read(Option.some(second!))))
      assert.strictEqual(error.reason, "Changed")
      assert.include(error.message, "what is secret in the address")
      const other = url.replace("//127", "//me:hush@127").replace("127.0.0.1", "localhost")
      const [, elsewhere] = yield* positions((page) => `${other}${page.next}`)
      assert.include(elsewhere!.page, "//***@localhost")
      // What is named to lead from page to page is none.
      const [, cursor] = yield* positions({ cursor: "token", of: (page) => page.items.length })
      assert.include(cursor!.page, "token=1")
    }).pipe(Effect.provide([shared, Http.layer()]))
  )
})

/** How many of `count` URLs are dead in the end. */
const deadOf = (count: number, urlOf: (n: number) => string, options: Fetch.Options, concurrency: number) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }, (_, n) => urlOf(n)),
      (url) => Effect.result(Fetch.text(options)(url)),
      {
        concurrency
      }
    ),
    (results) => results.filter(Result.isFailure).length
  )

/** Whether a host takes a request at this time, and else after how many milliseconds. */
type Takes = (now: number) => number

const fixed = (most: number, per: number): Takes => {
  let count = 0
  let window = -1
  return (now) => {
    const current = Math.floor(now / per)
    count = current === window ? count + 1 : 1
    window = current
    return count <= most ? 0 : (current + 1) * per - now
  }
}

const sliding = (most: number, per: number): Takes => {
  const times: Array<number> = []
  return (now) => {
    while (times.length > 0 && times[0]! <= now - per) times.shift()
    if (times.length === most) return times[0]! + per - now
    times.push(now)
    return 0
  }
}

const bucket = (most: number, per: number): Takes => {
  let tokens = most
  let at = 0
  return (now) => {
    tokens = Math.min(most, tokens + ((now - at) * most) / per)
    at = now
    if (tokens < 1) return per / most
    tokens -= 1
    return 0
  }
}

describe("Fetch of a host that answers 429", () => {
  const limits: ReadonlyArray<readonly [name: string, takes: (most: number, per: number) => Takes]> = [
    ["a fixed window", fixed],
    ["a sliding window", sliding],
    ["a bucket", bucket]
  ]
  for (const [name, takes] of limits) {
    it.live(
      `takes 100 or 10 a minute by ${name}, and says not or wrongly when to come back: hardly any of 200 is dead`,
      () =>
        Effect.gen(function* () {
          for (const [most, headers] of [
            [100, {}],
            [100, { "retry-after": "1" }],
            [10, {}],
            [10, { "retry-after": "1" }]
          ] as const) {
            const isTaken = takes(most, 60_000)
            let sent = 0
            const client = HttpClient.make((request) =>
              Effect.map(
                Effect.delay(
                  Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.succeed(isTaken(now) === 0)),
                  20
                ),
                (isOk) => {
                  sent += 1
                  const web = isOk ? new Response("ok") : new Response(null, { status: 429, headers })
                  return HttpClientResponse.fromWeb(request, web)
                }
              )
            )
            const program = deadOf(200, (n) => `http://host/${n}`, {}, 64).pipe(
              Effect.timed,
              Effect.provideService(HttpClient.HttpClient, client)
            )
            const run = yield* Sim.run(program, { seed: 1 })
            const [took, dead] = yield* run.exit
            // Each has four attempts, and of a window of a minute nobody told them.
            assert.isAtMost(dead, most === 100 ? 0 : 4)
            assert.isBelow(sent, 350)
            assert.isBelow(took.pipe(Duration.toMinutes), most === 100 ? 2 : 25)
          }
        })
    )
  }

  const count = process.env["SKEIN_DEEP"] === undefined ? 40 : 200

  it.live(
    `takes 10 a second, and says when to come back in whatever form: 0 of ${count} dead`,
    () =>
      Effect.gen(function* () {
        const { url } = yield* Server.Server
        // Each with a client of its own, which knows nothing of the others.
        const dead = yield* Effect.forEach(
          ["seconds", "date", "zero", "none"],
          (form) =>
            deadOf(count, (n) => `${url}/limited?key=${form}&form=${form}&n=${n}`, { perHost: 8 }, 64).pipe(
              Effect.provide(Http.layer())
            ),
          { concurrency: "unbounded" }
        )
        assert.deepEqual(dead, [0, 0, 0, 0])
      }).pipe(Effect.provide(shared)),
    120_000
  )

  it.live(
    `takes 10 a second: skein fetch of ${count} URLs has 0 dead letters`,
    () =>
      Effect.gen(function* () {
        const { url } = yield* Server.Server
        const cwd = yield* Child.folder
        const urls = Array.from({ length: count }, (_, n) => `${url}/limited?key=cli&form=seconds&n=${n}`)
        const ended = yield* Child.run(["fetch", ...urls, "--out", "pages.jsonl"], { cwd })
        assert.strictEqual(ended.code, 0, ended.stderr)
        const lines = readFileSync(join(cwd, "pages.jsonl"), "utf8").trimEnd().split("\n")
        assert.lengthOf(lines, count)
      }).pipe(Effect.provide(shared)),
    120_000
  )
})

/** Redirects to what asks for a token, fails every other time, asks to wait, gives its body slowly. */
const moody = Effect.suspend(() => {
  let n = 0
  const { empty, text } = HttpServerResponse
  const answer = Effect.gen(function* () {
    const { headers, url } = yield* HttpServerRequest.HttpServerRequest
    yield* Effect.sleep(10)
    switch (new URL(url, "http://origin").pathname) {
      case "/redirect":
        return empty({ status: 302, headers: { location: "/secret", "set-cookie": "a=b" } })
      case "/secret":
        return headers["authorization"] === "fresh" ? text("secret") : empty({ status: 401 })
      case "/flaky":
        return ++n % 2 === 1 ? empty({ status: 503 }) : text("flaky")
      case "/busy":
        return ++n % 3 === 1 ? empty({ status: 429, headers: { "retry-after": "1" } }) : text("busy")
      case "/slow":
        return HttpServerResponse.stream(Stream.encodeText(Stream.tap(Stream.make("a", "b"), () => Effect.sleep(10))))
      default:
        return text("ok")
    }
  })
  return Effect.succeed(Origin.layer(HttpRouter.add("GET", "/*", answer)))
})

describe("Fetch that is interrupted", () => {
  const policy: Fetch.Policy = {
    perHost: 1,
    concurrency: 1,
    retries: 2,
    backoff: { base: 100 },
    breaker: { failures: 5 },
    total: "1 minute",
    timeout: "2 seconds",
    onUnauthorized: () => Effect.delay(Effect.succeed({ authorization: "fresh" }), 50)
  }
  const groups: ReadonlyArray<readonly [name: string, paths: ReadonlyArray<string>, more: Fetch.Policy]> = [
    ["redirects, tokens, waits and bodies", ["/redirect", "/busy", "/slow"], {}],
    ["hedges and backoff", ["/slow", "/flaky"], { hedge: { after: 5, copies: 2 }, perHost: 2, concurrency: 2 }],
    ["rates", ["/slow", "/redirect"], { rate: { limit: 10, per: 1000 }, ratePerHost: { limit: 5, per: 1000 } }],
    ["streams", ["stream", "/slow"], {}]
  ]
  for (const [name, paths, more] of groups) {
    it.live(`anywhere leaves nothing behind, and the next is served with one slot: ${name}`, () =>
      Effect.gen(function* () {
        const all = { ...policy, ...more }
        const get = (path: string) =>
          path === "stream"
            ? Stream.runDrain(Fetch.stream(all)("http://origin/slow"))
            : Effect.asVoid(Fetch.text(all)(`http://origin${path}`))
        const program = Effect.gen(function* () {
          const group = Effect.forEach(paths, get, { concurrency: "unbounded", discard: true })
          const exit = yield* Effect.exit(Fiber.join(yield* Effect.forkChild(Interrupt.victim(group))))
          if (!Exit.isSuccess(exit) && !Exit.hasInterrupts(exit)) return yield* exit
          const next = Fetch.text({ ...all, perHost: 1, concurrency: 1, total: "20 seconds" })
          assert.strictEqual(yield* next("http://origin/next"), "ok")
          const hosts = Hosts.of(yield* HttpClient.HttpClient)
          assert.isTrue(hosts.slots.isQuiet)
          assert.strictEqual((yield* Origin.Origin).inFlight, 0)
        })
        const { places } = yield* Interrupt.everywhere(
          Effect.flatMap(moody, (layer) => Effect.provide(program, layer)),
          { at: "suspension" }
        )
        assert.isAbove(places, 5)
      })
    )
  }

  it.live("as a group of 1,000 over real connections: none is left, and the next is served with one slot", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      yield* server.clear
      const paths = ["/ok", "/slow-head", "/slow-body", "/slow-half-head", "/status?of=503", "/429?after=30", "/login"]
      const get = Fetch.text({ perHost: 4, backoff: { base: 60_000 }, cookies: true })
      const urls = Array.from({ length: 1000 }, (_, n) => server.url + paths[n % paths.length]!)
      const group = yield* Effect.forkChild(Effect.forEach(urls, get, { concurrency: "unbounded" }))
      yield* server.arrived("/slow-half-head")
      yield* Fiber.interrupt(group)
      yield* server.idle
      const other = server.url.replace("127.0.0.1", "localhost")
      assert.strictEqual(yield* Fetch.text({ ...once, perHost: 1, concurrency: 1 })(`${other}/ok`), "ok")
    }).pipe(Effect.provide([shared, Layer.provide(Http.layer(), Layer.succeed(Lookup)(resolving(() => "127.0.0.1")))]))
  )
})

describe("Fetch of the host whose answer is still read", () => {
  it.live("with one slot: fails once its time is up, and says what it was waiting for", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Server
      const one = { ...once, perHost: 1, total: "300 millis" } as const
      const inner = Effect.flip(Fetch.text(one)(`${url}/ok`))
      const errors = yield* Stream.runCollect(
        Stream.mapEffect(Fetch.stream(one)(`${url}/slow-body`).pipe(Stream.take(1)), () => inner)
      )
      const [error] = errors
      assert.strictEqual(error!.reason, "Timeout")
      assert.include(error!.detail, "it was waiting for a slot (`perHost`, `concurrency`)")
      assert.strictEqual(error!.attempt, 0)
      assert.strictEqual(yield* Fetch.text(one)(`${url}/ok`), "ok")
    }).pipe(Effect.provide([shared, Http.layer()]))
  )
})

const resolving =
  (addressOf: (host: string) => string): LookupFunction =>
  (host, options, done) => {
    const address = addressOf(host)
    const family = address.includes(":") ? 6 : 4
    if (options.all === true) done(null, [{ address, family }])
    else done(null, address, family)
  }

describe("network: public, whatever leads inside", () => {
  // All names are public ones, but for those of inside; the proxy leads to the server, wherever that is.
  const layer = Layer.provide(
    Http.layer(),
    Layer.succeed(Lookup)(resolving((host) => (host.startsWith("inside") ? "169.254.169.254" : "93.184.215.14")))
  )
  const insides = [
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://2852039166/",
    "http://public.test@127.0.0.1/",
    "http://public.test:80@[::1]/",
    "http://127.0.0.1\\@public.test/",
    "//inside.test/",
    "https://inside.test/",
    "http://user:hush@inside.test/"
  ]

  it.live("redirects of every kind of request are refused, and the secrets in them not shown", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const { plain, proxy } = server.port
      const policy = { network: "public", proxy: `http://127.0.0.1:${proxy}`, ...once } as const
      const folder = yield* Child.folder
      const Numbers = Schema.Struct({ items: Schema.Array(Schema.Number), next: Schema.String })
      for (const to of insides) {
        const url = `http://public.test:${plain}/location?to=${encodeURIComponent(to)}`
        const drain = <A, R>(source: {
          read: (after: Option.Option<never>) => Stream.Stream<A, Fetch.FetchError, R>
        }) => Stream.runDrain(source.read(Option.none()))
        const pages = (start: string, next: Fetch.Next<typeof Numbers.Type>) =>
          drain(Fetch.pages(start, { ...policy, schema: Numbers, items: (page) => page.items, next }))
        const all: ReadonlyArray<Effect.Effect<unknown, unknown, HttpClient.HttpClient | FileSystem.FileSystem>> = [
          Fetch.text(policy)(url),
          Fetch.head(policy)(url),
          Fetch.send({ url, json: 1 }, policy),
          Stream.runDrain(Fetch.stream(policy)(url)),
          Fetch.download(url, join(folder, "file"), policy),
          drain(Fetch.lines(url, policy)),
          drain(Fetch.events(url, policy)),
          pages(url, "link"),
          pages(`http://public.test:${plain}/numbers?n=1`, () => to),
          Fetch.text({ ...policy, headers: { connection: "upgrade", upgrade: "websocket" } })(url)
        ]
        yield* server.clear
        for (const [i, one] of all.entries()) {
          const error = (yield* Effect.flip(one)) as Fetch.FetchError
          assert.strictEqual(error.reason, "Blocked", `${i} ${to}: ${error.message}`)
          assert.notInclude(error.message + JSON.stringify(error), "hush")
        }
        const { requests } = yield* server.seen
        assert.isTrue(requests.every(({ target }) => /93\.184|location|numbers/.test(target)))
      }
    }).pipe(Effect.provide([shared, layer, NodeFileSystem.layer]))
  )
})
