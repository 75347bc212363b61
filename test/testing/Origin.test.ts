import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Deadline, Fetch } from "skein"
import { Origin, Sim } from "skein/testing"

const simulated = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flatMap(Sim.run(effect), ({ exit }) => exit)

const Greeting = Context.Service<string, string>("test/Greeting")

describe("Origin", () => {
  it.effect("serves the routes of a router: parameters, bodies and statuses", () =>
    Effect.gen(function* () {
      const repo = HttpRouter.add(
        "GET",
        "/repos/:id",
        Effect.map(HttpRouter.params, ({ id }) => HttpServerResponse.jsonUnsafe({ id }))
      )
      const echo = HttpRouter.add("POST", "/echo", (request) =>
        Effect.map(Effect.orDie(request.text), (text) => HttpServerResponse.text(text, { status: 201 }))
      )
      const seen = yield* simulated(
        Effect.gen(function* () {
          const { id } = yield* Fetch.json(Schema.Struct({ id: Schema.String }))("http://anywhere/repos/7")
          const echoed = yield* HttpClient.post("http://origin/echo", { body: bytes("hello") })
          return [id, echoed.status, yield* echoed.text]
        }).pipe(Effect.provide(Origin.layer(Layer.merge(repo, echo))))
      )
      assert.deepStrictEqual(seen, ["7", 201, "hello"])
    })
  )

  it.effect("answers as a server does where a route fails or there is none", () =>
    Effect.gen(function* () {
      const routes = HttpRouter.addAll([
        HttpRouter.route("GET", "/fails", Effect.fail("no")),
        HttpRouter.route("GET", "/dies", Effect.die("no")),
        HttpRouter.route("GET", "/answers", Effect.die(HttpServerResponse.empty({ status: 409 })))
      ])
      const status = (path: string) => Effect.map(HttpClient.get(`http://origin${path}`), ({ status }) => status)
      const statuses = yield* simulated(
        Effect.forEach(["/fails", "/dies", "/answers", "/nowhere"], status).pipe(Effect.provide(Origin.layer(routes)))
      )
      assert.deepStrictEqual(statuses, [500, 500, 409, 404])
    })
  )

  it.effect("keeps what it has seen", () =>
    Effect.gen(function* () {
      const requests = yield* simulated(
        Effect.gen(function* () {
          yield* HttpClient.put("http://a.example/x?y=1", { body: bytes("z"), headers: { "x-one": "1" } })
          yield* HttpClient.get("http://b.example/")
          return (yield* Origin.Origin).requests
        }).pipe(Effect.provide(Origin.layer(anything)))
      )
      assert.deepStrictEqual(
        requests.map(({ body, headers, method, url }) => [method, url.href, headers["x-one"], body]),
        [
          ["PUT", "http://a.example/x?y=1", "1", "z"],
          ["GET", "http://b.example/", undefined, ""]
        ]
      )
    })
  )

  it.effect("counts what is in flight, to the last byte of a streamed body", () =>
    Effect.gen(function* () {
      const slow = HttpRouter.add("GET", "/slow", Effect.delay(Effect.succeed(HttpServerResponse.empty()), "1 second"))
      const body = Stream.tap(Stream.make(bytesOf("a"), bytesOf("b")), () => Effect.sleep("1 second"))
      const streamed = HttpRouter.add("GET", "/stream", HttpServerResponse.stream(body))
      const counts = yield* simulated(
        Effect.gen(function* () {
          const origin = yield* Origin.Origin
          const counts = [origin.inFlight]
          yield* Effect.all([get("/slow"), get("/slow"), get("/slow")], { concurrency: 2 })
          counts.push(origin.inFlight, origin.maxInFlight)
          const response = yield* get("/stream")
          counts.push(origin.inFlight)
          assert.strictEqual(yield* response.text, "ab")
          counts.push(origin.inFlight, origin.maxInFlight)
          return counts
        }).pipe(Effect.provide(Origin.layer(Layer.merge(slow, streamed))))
      )
      assert.deepStrictEqual(counts, [0, 0, 2, 1, 0, 2])
    })
  )

  it.effect("gives up a request when its client does", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const hangs = Effect.onExit(Effect.never, (exit) =>
        Effect.sync(() => ends.push(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? "given up" : "?"))
      )
      const run = yield* Sim.run(
        Effect.gen(function* () {
          const error = yield* Effect.flip(Fetch.text({ retries: 0, timeout: "1 second" })("http://origin/"))
          return [error.reason, (yield* Origin.Origin).inFlight, ...ends]
        }).pipe(Effect.provide(Origin.layer(HttpRouter.add("GET", "/", hangs))))
      )
      assert.deepStrictEqual(run.exit, Exit.succeed(["Timeout", 0, "given up"]))
      assert.strictEqual(run.time, 1000)
    })
  )

  it.effect("is somewhere else: neither the deadline of its client nor its being cancelled reaches a handler", () =>
    Effect.gen(function* () {
      const left = Effect.map(Deadline.remaining, (left) => HttpServerResponse.text(String(left._tag)))
      const run = yield* Sim.run(
        Effect.gen(function* () {
          const within = yield* Deadline.within(
            Effect.flatMap(get("/"), ({ text }) => text),
            "1 minute"
          )
          // What is asked for in a finalizer is served too.
          const asking = Effect.onInterrupt(Effect.never, () => Effect.orDie(get("/")))
          const fiber = yield* Effect.forkChild(asking, { startImmediately: true })
          yield* Fiber.interrupt(fiber)
          return [within, (yield* Origin.Origin).requests.length]
        }).pipe(Effect.provide(Origin.layer(HttpRouter.add("GET", "/", left))))
      )
      assert.deepStrictEqual(run.exit, Exit.succeed(["None", 2]))
    })
  )

  it.effect("lets routes need services, and middleware that provides them", () =>
    Effect.gen(function* () {
      const greet = HttpRouter.add(
        "GET",
        "/",
        Effect.map(Greeting, (greeting) => HttpServerResponse.text(greeting))
      )
      const greeted = yield* simulated(
        Effect.flatMap(get("/"), ({ text }) => text).pipe(
          Effect.provide(Origin.layer(greet).pipe(Layer.provide(Layer.succeed(Greeting, "hello"))))
        )
      )
      assert.strictEqual(greeted, "hello")
    })
  )

  it.effect("keeps state in its handlers, which requests may race for", () =>
    Effect.gen(function* () {
      const counting = Effect.gen(function* () {
        let n = 0
        const handler = Effect.gen(function* () {
          const seen = n
          yield* Effect.yieldNow
          n = seen + 1
          return HttpServerResponse.jsonUnsafe(n)
        })
        const routes = Origin.layer(HttpRouter.add("POST", "/", handler))
        const add = HttpClient.post("http://origin/")
        yield* Effect.provide(Effect.all([add, add], { concurrency: 2 }), routes)
        return yield* n === 2 ? Effect.void : Effect.fail("lost an update")
      })
      const bug = yield* Effect.flip(Sim.explore(counting))
      assert.strictEqual(bug._tag, "BugFound")
    })
  )
})

const anything = HttpRouter.add(
  "*",
  "*",
  Effect.as(HttpServerRequest.HttpServerRequest, HttpServerResponse.empty({ status: 204 }))
)
const get = (path: string) => HttpClient.get(`http://origin${path}`)
const bytesOf = (text: string) => new TextEncoder().encode(text)
const bytes = (text: string) => HttpClientRequest.bodyText(HttpClientRequest.post(""), text).body
