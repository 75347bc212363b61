/** The short way over a real network gives what the general way gives; at random and in virtual time: `property/Fetch.test.ts`. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import { Fetch } from "skein"
import { Http } from "skein/node"
import * as Direct from "../../src/io/context/Direct.ts"
import * as Server from "../support/wire.ts"

const shared = Server.shared()

const paths: ReadonlyArray<string> = [
  "/ok",
  "/long",
  "/until-closed",
  "/1xx-few",
  "/head?size=20000",
  "/head?size=70000",
  "/head-many?count=600",
  "/location?to=/ok",
  "/location?to=/a&to=/b",
  "/location-latin1",
  "/closed",
  "/reset",
  "/half-closed",
  "/half-closed-head",
  "/chunk-cut",
  "/chunk-bad",
  "/gzip-cut",
  "/no-http",
  "/same-lengths",
  "/length-and-chunks",
  "/100"
]

const policies: ReadonlyArray<Fetch.Options> = [
  { retries: 1, backoff: { base: 0 } },
  { retries: 0, maxBody: 3, perHost: 1, rate: { limit: 1000, per: "1 second", burst: 1000 }, total: "1 minute" },
  { retries: 0, redirects: 0, accept: () => true, concurrency: 1, method: "POST" }
]

/** What it came to, but for how long it took, and how often the server was asked. */
const story = (path: string, options: Fetch.Options) =>
  Effect.gen(function* () {
    const server = yield* Server.Server
    yield* server.clear
    const exit = yield* Effect.exit(Fetch.page(options)(server.url + path))
    const { requests } = yield* server.seen
    const came = Exit.isSuccess(exit)
      ? [exit.value.status, exit.value.url, exit.value.text, { ...exit.value.headers, date: "" }]
      : exit.cause.reasons.map((reason) =>
          reason._tag === "Fail" ? { ...reason.error, elapsed: 0, cause: "" } : reason
        )
    return { came, targets: requests.map(({ method, target }) => `${method} ${target}`) }
  })

describe("Fetch by the short way", () => {
  for (const path of paths) {
    it.live(`does of ${path} what the general one does`, () =>
      Effect.gen(function* () {
        const client = yield* HttpClient.HttpClient
        // One that wraps it has no short way; and the first request of all has none.
        const wrapped = HttpClient.mapRequest(client, (request) => request)
        assert.isDefined(Direct.of(client))
        assert.isUndefined(Direct.of(wrapped))
        yield* story("/ok", {})
        for (const options of policies) {
          const short = yield* story(path, options)
          const general = yield* Effect.provideService(story(path, options), HttpClient.HttpClient, wrapped)
          assert.deepStrictEqual(short, general)
        }
      }).pipe(Effect.provide([Http.layer(), shared]))
    )
  }

  it.live("gives bytes that are no part of other memory", () =>
    Effect.gen(function* () {
      const server = yield* Server.Server
      const url = `${server.url}/ok`
      yield* Fetch.text()(url)
      const { body, text } = yield* Fetch.page()(url)
      for (const bytes of [body, yield* Fetch.bytes()(url)]) {
        assert.strictEqual(new TextDecoder().decode(new Uint8Array(bytes.buffer)), text)
        assert.strictEqual(Object.getPrototypeOf(bytes), Uint8Array.prototype)
      }
    }).pipe(Effect.provide([Http.layer(), shared]))
  )
})
