/** Server-Sent Events from a real server, connected again and again, in time that is played. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Db, Fetch, type Journal, Pipeline } from "skein"
import { Drivers, Http } from "skein/node"
import * as Origin from "../support/origin.ts"

const noJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }

const withOrigin = <A, E>(
  script: Origin.Routes | Origin.Handler,
  body: (origin: Origin.Origin) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope | Journal.Journal | Db.Db>
): Effect.Effect<A, E | Db.DbError, Scope.Scope> =>
  Effect.flatMap(Origin.start(script), body).pipe(
    Effect.provideService(Random.Random, noJitter),
    Effect.provide([Http.layer(), Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))])
  )

const stream = (body: string, more: Partial<Origin.Reply> = {}): Origin.Reply => ({
  body,
  headers: { "content-type": "text/event-stream" },
  ...more
})
const over: Origin.Reply = { status: 204 }
const collect = (url: string, options?: Omit<Fetch.EventOptions, "resume">) =>
  Pipeline.collect(Pipeline.from(Fetch.events(url, options)))

describe("Fetch.events", () => {
  it.effect("gives events with their ids, types and data, until the server says that it is over", () =>
    withOrigin(
      {
        "/": [
          stream(
            "retry: 0\n: hello\n\ndata: one\n\nid: 7\r\nevent: add\r\ndata: two\r\ndata: lines\r\n\r\ndata: same id\n\ndata: half",
            { fault: "cut" }
          ),
          stream("data: for 7\n\nid: ü8\ndata: é\n\n"),
          over
        ]
      },
      (origin) =>
        Effect.gen(function* () {
          assert.deepEqual(yield* collect(origin.url), [
            { id: undefined, event: "message", data: "one" },
            { id: "7", event: "add", data: "two\nlines" },
            { id: "7", event: "message", data: "same id" },
            { id: "7", event: "message", data: "for 7" },
            { id: "ü8", event: "message", data: "é" }
          ])
          const asked = origin.requests.map(({ headers }) => headers["last-event-id"])
          assert.deepEqual(asked, [undefined, "7", Buffer.from("ü8").toString("latin1")])
          assert.strictEqual(origin.requests[0]?.headers.accept, "text/event-stream")
        })
    )
  )

  it.effect("gives only the types that are asked for", () =>
    withOrigin({ "/": [stream("retry: 0\n\nevent: ping\ndata: 1\n\nevent: add\ndata: 2\n\n"), over] }, (origin) =>
      Effect.gen(function* () {
        const events = yield* collect(origin.url, { types: ["add"] })
        assert.deepEqual(
          events.map(({ data }) => data),
          ["2"]
        )
      })
    )
  )

  it.effect("waits before it connects again as long as the server says, and longer where nothing comes", () =>
    withOrigin(
      { "/": [stream("retry: 5000\ndata: 1\n\n"), stream(": nothing\n\n"), stream(""), stream("data: 2\n\n"), over] },
      (origin) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(collect(origin.url))
          for (const [count, wait] of [
            [1, 5000],
            [2, 5000],
            [3, 10_000],
            [4, 5000]
          ] as const) {
            yield* origin.arrived("/", count)
            yield* origin.idle
            yield* settled
            yield* TestClock.adjust(wait - 1)
            assert.strictEqual(origin.count(), count, `${count}`)
            yield* TestClock.adjust(1)
          }
          const events = yield* Fiber.join(fiber)
          assert.deepEqual(
            events.map(({ data }) => data),
            ["1", "2"]
          )
        })
    )
  )

  it.effect("takes a connection for lost on which nothing comes for too long, no comment either", () =>
    withOrigin({ "/": [stream("retry: 0\ndata: 1\n\n", { fault: "stall" }), over] }, (origin) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(collect(origin.url, { idle: "1 minute" }))
        yield* origin.arrived("/")
        yield* settled
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(origin.count(), 1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber)).length, 1)
      })
    )
  )

  it.effect("fails on what is no stream of events, and on statuses that mean so", () =>
    withOrigin(
      {
        "/html": { body: "<p>", headers: { "content-type": "text/html" } },
        "/gone": { status: 410 },
        "/large": stream(`data: ${"x".repeat(5000)}`),
        "/busy": [{ status: 503 }, over]
      },
      (origin) =>
        Effect.gen(function* () {
          const html = yield* Effect.flip(collect(`${origin.url}/html`))
          assert.include(html.message, "it gives no events: its content type is text/html")
          assert.strictEqual((yield* Effect.flip(collect(`${origin.url}/gone`))).status, 410)
          const large = yield* Effect.flip(collect(`${origin.url}/large`, { maxEvent: 1000 }))
          assert.strictEqual(large.reason, "TooLarge")
          assert.include(large.message, "`maxEvent`")
          assert.deepEqual(yield* collect(`${origin.url}/busy`), [])
        })
    )
  )

  it.effect("goes on behind the last id in the next run, each event once", () => {
    let last = 0
    const Row = Schema.Struct({ id: Schema.String, data: Schema.String })
    return withOrigin(
      ({ headers }) => {
        const from = Number(headers["last-event-id"] ?? 0)
        if (from >= last) return over
        // Two at a time.
        const ids = [from + 1, from + 2].filter((id) => id <= last)
        return stream(`retry: 0\n${ids.map((id) => `id: ${id}\ndata: n${id}\n\n`).join("")}`)
      },
      (origin) =>
        Effect.gen(function* () {
          const job = Pipeline.from(Fetch.events(origin.url, { resume: "id" })).pipe(
            Pipeline.map(({ data, id }) => ({ data, id })),
            Pipeline.to(Db.table("events", Row))
          )
          for (const upTo of [5, 5, 8]) {
            last = upTo
            yield* Pipeline.run(job, { name: "events", require: "exactly-once" })
          }
          const rows = yield* Db.query(Row)`SELECT id, data FROM events`
          assert.deepEqual(
            rows.map(({ id }) => Number(id)),
            [1, 2, 3, 4, 5, 6, 7, 8]
          )
        })
    )
  })

  it.effect("refuses events without an id of their own where it is to go on behind them", () =>
    withOrigin(
      {
        "/none": stream("data: 1\n\n"),
        "/same": stream("id: 1\ndata: 1\n\ndata: 2\n\n"),
        "/left": [stream("retry: 0\nevent: ping\ndata: x\n\nid: 1\nevent: add\ndata: 1\n\n"), over]
      },
      (origin) =>
        Effect.gen(function* () {
          const resumed = (path: string, types?: ReadonlyArray<string>) =>
            Pipeline.collect(Pipeline.from(Fetch.events(origin.url + path, { resume: "id", types })))
          assert.include(
            (yield* Effect.flip(resumed("/none"))).message,
            "has no id, so that nobody could go on behind it"
          )
          assert.include((yield* Effect.flip(resumed("/same"))).message, 'has no id of its own, after "1"')
          assert.strictEqual((yield* resumed("/left", ["add"])).length, 1)
        })
    )
  )
})

/** What has come over the network was taken: nothing of it depends on the clock that is played. */
const settled = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 100)))
