import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Fetch } from "skein"
import { Http } from "skein/node"
import * as Server from "../support/wire.ts"

describe("x", () => {
  it.live("matrix", () =>
    Effect.gen(function* () {
      const server = yield* Server.start
      for (const path of "ok,half-closed,half-closed-head,closed,reset,long,chunk-cut,chunk-bad,gzip-cut,until-closed,1xx-endless,1xx-few,100,101,head?size=20000,head?size=80000,head-many?count=600,head-endless,bare-lf,folded,same-lengths,other-lengths,length-and-chunks,no-http,http-0.9,location?to=/a,location?to=/a&to=/a,location?to=/a&to=/b,location?to=/caf%C3%A9,location?to=/café,location-latin1,429?after=0,login".split(",")) {
        yield* server.clear
        const r = yield* Fetch.page({ backoff: { base: 0 } })(`${server.url}/${path}`).pipe(Effect.map((p) => `${p.status} ${p.url.slice(22)} ${JSON.stringify(p.text)}`), Effect.catch((e) => Effect.succeed(`${e.reason} ${e.attempt} ${e.detail}`)))
        console.log(path, "=>", r, (yield* server.seen).requests.length, (yield* server.seen).open)
      }
      for (const [door, u] of Object.entries(server.port)) {
        const url = `${["valid","expired","other"].includes(door)?"https":"http"}://${door==="six"?"[::1]":"127.0.0.1"}:${u}/ok`
        const r = yield* Fetch.page({ backoff: { base: 0 }, timeout: "1 second" })(url).pipe(Effect.map((p) => `${p.status} ${p.url.slice(22)} ${JSON.stringify(p.text)}`), Effect.catch((e) => Effect.succeed(`${e.reason} ${e.attempt} ${e.detail}`)))
        console.log(door, "=>", r)
      }
      assert.ok(true)
    }).pipe(Effect.provide(Http.layer()), Effect.scoped)
  )
})
