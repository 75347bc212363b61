import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Origin from "./origin.ts"

const get = (url: string) =>
  Effect.tryPromise((signal) =>
    fetch(url, { signal }).then(async (response) => ({ status: response.status, text: await response.text() }))
  )

describe("Origin", () => {
  it.effect("answers by path, and each request of a path in its turn", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start({
        "/json": { body: { id: 1 }, status: 201 },
        "/turns": [{ status: 503 }, { body: "second" }],
        "/echo": (request) => ({ body: `${request.query.get("q")} ${request.attempt}` })
      })
      assert.deepEqual(yield* get(`${origin.url}/json`), { status: 201, text: '{"id":1}' })
      assert.strictEqual((yield* get(`${origin.url}/turns`)).status, 503)
      assert.strictEqual((yield* get(`${origin.url}/turns`)).text, "second")
      assert.strictEqual((yield* get(`${origin.url}/turns`)).text, "second")
      assert.strictEqual((yield* get(`${origin.url}/echo?q=hi`)).text, "hi 1")
      assert.strictEqual((yield* get(`${origin.url}/none`)).status, 404)
      assert.strictEqual(origin.count("/turns"), 3)
      assert.strictEqual(origin.count(), 6)
    })
  )

  it.effect("delays by the test's clock and counts what is in flight", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start(() => ({ delay: "1 hour", body: "late" }))
      const first = yield* Effect.forkChild(get(`${origin.url}/slow`))
      const second = yield* Effect.forkChild(get(`${origin.url}/slow`))
      yield* origin.arrived("/slow", 2)
      assert.strictEqual(origin.inFlight(), 2)
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(first)).text, "late")
      yield* origin.idle
      assert.strictEqual(origin.maxInFlight(), 2)
    })
  )

  it.effect("drops, cuts, stalls and never ends", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start({
        "/drop": { fault: "drop" },
        "/cut": { fault: "cut", body: "half" },
        "/stall": { fault: "stall", body: "then nothing" },
        "/hang": { fault: "hang" },
        "/endless": { fault: "endless" }
      })
      assert.isTrue((yield* Effect.exit(get(`${origin.url}/drop`)))._tag === "Failure")
      assert.isTrue((yield* Effect.exit(get(`${origin.url}/cut`)))._tag === "Failure")
      for (const path of ["/stall", "/hang", "/endless"]) {
        const fiber = yield* Effect.forkChild(get(`${origin.url}${path}`))
        yield* origin.arrived(path)
        yield* Fiber.interrupt(fiber)
        yield* origin.idle
      }
    })
  )
})
