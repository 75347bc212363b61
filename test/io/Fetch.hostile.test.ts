import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Fetch } from "skein"
import { Http } from "skein/node"
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
      const error = yield* Effect.flip(
        Stream.runDrain(source((page) => page.next).read(Option.some(second!)))
      )
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
