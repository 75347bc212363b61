import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Cancel, Deadline, Limiter, TaskGroup } from "skein"
import { Serve } from "skein/node"
import * as Raw from "../support/raw.ts"

const ok = HttpServerResponse.text("ok")

/** A handler that tells when it began and how it ended, and answers when it is let go. */
const gated = Effect.gen(function* () {
  const began = yield* Deferred.make<void>()
  const release = yield* Deferred.make<void>()
  const ended = yield* Deferred.make<string>()
  const handler = Deferred.succeed(began, undefined).pipe(
    Effect.andThen(Deferred.await(release)),
    Effect.as(ok),
    Cancel.cleanup((reason) =>
      Deferred.succeed(ended, Option.match(reason, { onNone: () => "no reason", onSome: ({ message }) => message }))
    )
  )
  return {
    handler,
    began: Deferred.await(began),
    release: Deferred.succeed(release, undefined),
    ended: Deferred.await(ended)
  }
})

/** What is logged. */
const logs = () => {
  const lines: Array<string> = []
  const layer = Logger.layer([
    Logger.make(({ cause, message }) => void lines.push(`${String(message)} ${Cause.pretty(cause)}`))
  ])
  return { lines, layer }
}

const taskNames = Effect.map(TaskGroup.tree, ({ groups }) =>
  groups
    .flatMap((group) => group.tasks.flatMap((task) => task.groups))
    .concat(groups)
    .flatMap((group) => group.tasks.filter(({ kind }) => kind === "task").map(({ name }) => name))
)

describe("Serve.http", () => {
  describe("makes each request a task of its group", () => {
    it.effect("named by method and route, of a prefix too", () =>
      Effect.gen(function* () {
        const names = Effect.map(taskNames, (names) => HttpServerResponse.text(names.join(",")))
        const routes = Layer.mergeAll(
          HttpRouter.add("GET", "/cities/:id", names),
          HttpRouter.addAll([HttpRouter.route("GET", "/people/:name", names)], { prefix: "/v1" }),
          HttpRouter.add("*", "/files/*", names)
        )
        const { port } = yield* Serve.http(routes, { port: 0 })
        for (const [path, name] of [
          ["/cities/7?a=b", "GET /cities/:id"],
          ["/v1/people/ada", "GET /v1/people/:name"],
          ["/files/a/b", "GET /files/*"],
          ["/files", "GET /files/*"]
        ] as const) {
          const client = yield* Raw.open(port)
          client.send(Raw.get(path))
          expect((yield* client.says(name)).endsWith(`\r\n\r\n${name}`)).toBe(true)
        }
      }).pipe(Effect.scoped)
    )

    it.effect("and cancels it, with a reason, when its client leaves; others go on", () =>
      Effect.gen(function* () {
        const gate = yield* gated
        const routes = Layer.merge(
          HttpRouter.add("GET", "/slow", gate.handler),
          HttpRouter.add("GET", "/ok", Effect.succeed(ok))
        )
        const server = yield* Serve.http(routes, { port: 0 })
        const [slow, other] = [yield* Raw.open(server.port), yield* Raw.open(server.port)]
        slow.send(Raw.get("/slow"))
        yield* gate.began
        expect((yield* server.status).running).toBe(1)
        slow.reset()
        expect(yield* gate.ended).toBe("the client went away")
        other.send(Raw.get("/ok"))
        yield* other.says("ok")
      }).pipe(Effect.scoped)
    )

    it.effect("and cancels one whose body stops half way", () =>
      Effect.gen(function* () {
        const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
        const handler = Effect.onExit(
          Effect.andThen(
            Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text),
            Effect.succeed(ok)
          ),
          (exit) => Deferred.succeed(ended, exit)
        )
        const { port } = yield* Serve.http(handler, { port: 0 })
        const client = yield* Raw.open(port)
        client.send(Raw.request("POST", "/", { "content-length": "10" }, "half "))
        client.reset()
        expect(Exit.isFailure(yield* Deferred.await(ended))).toBe(true)
      }).pipe(Effect.scoped)
    )

    it.effect("and owns nothing that handlers spawn into the group of the program", () =>
      Effect.gen(function* () {
        const handler = Effect.as(TaskGroup.spawn(Effect.never, { name: "outlives", kind: "daemon" }), ok)
        const names = yield* TaskGroup.open(
          Effect.gen(function* () {
            const group = yield* TaskGroup.current()
            yield* Effect.scoped(
              Effect.gen(function* () {
                const { port } = yield* Serve.http(handler, { port: 0 })
                const client = yield* Raw.open(port)
                client.send(Raw.get("/"))
                yield* client.says("ok")
              })
            )
            return (yield* group.info).tasks.map(({ name }) => name)
          })
        )
        expect(names).toContain("outlives")
      })
    )
  })

  describe("answers for handlers that do not", () => {
    for (const [what, failure] of [
      ["fails", Effect.fail("secret")],
      ["dies", Effect.die(new Error("secret"))]
    ] as const) {
      it.effect(`500 where one ${what}, with nothing of it, and logs it once with the route`, () =>
        Effect.gen(function* () {
          const { layer, lines } = logs()
          const routes = Layer.merge(
            HttpRouter.add("GET", "/bad/:id", failure),
            HttpRouter.add("GET", "/ok", Effect.succeed(ok))
          )
          yield* Effect.gen(function* () {
            const { port } = yield* Serve.http(routes, { port: 0 })
            const client = yield* Raw.open(port)
            client.send(Raw.get("/bad/7"))
            expect(yield* client.says("\r\n\r\n")).toMatch(/^HTTP\/1.1 500 [^]*\r\n\r\n0\r\n\r\n$/)
            client.send(Raw.get("/ok"))
            yield* client.says("ok")
          }).pipe(Effect.scoped, Effect.provide(layer))
          expect(lines).toHaveLength(1)
          expect(lines[0]).toContain("GET /bad/:id failed, and was answered with 500")
          expect(lines[0]).toContain("secret")
        })
      )
    }

    it.effect("404 where there is no route, which is no line in the log", () =>
      Effect.gen(function* () {
        const { layer, lines } = logs()
        yield* Effect.gen(function* () {
          const { port } = yield* Serve.http(HttpRouter.add("GET", "/ok", Effect.succeed(ok)), { port: 0 })
          const client = yield* Raw.open(port)
          client.send(Raw.get("/nowhere"))
          yield* client.says("404 Not Found")
        }).pipe(Effect.scoped, Effect.provide(layer))
        expect(lines).toEqual([])
      })
    )

    it.effect("by closing the connection in the middle of an answer, logged once", () =>
      Effect.gen(function* () {
        const { layer, lines } = logs()
        const fail = yield* Deferred.make<never, string>()
        const body = Stream.concat(Stream.make(new Uint8Array([104, 105])), Stream.fromEffect(Deferred.await(fail)))
        yield* Effect.gen(function* () {
          const handler = Effect.succeed(HttpServerResponse.stream(body))
          const { port } = yield* Serve.http(HttpRouter.add("GET", "/stream", handler), { port: 0 })
          const client = yield* Raw.open(port)
          client.send(Raw.get("/stream"))
          yield* client.says("hi")
          yield* Deferred.fail(fail, "secret")
          const received = yield* client.ended
          expect(received).not.toContain("\r\n0\r\n")
        }).pipe(Effect.scoped, Effect.provide(layer))
        expect(lines).toHaveLength(1)
        expect(lines[0]).toContain("GET /stream failed in the middle of its answer")
      })
    )
  })

  describe("bounds each request by its deadline", () => {
    const remaining = Effect.map(Deadline.remaining, (left) =>
      HttpServerResponse.text(Option.match(left, { onNone: () => "none", onSome: String }))
    )

    it.effect("which the handler sees, and is cancelled by: 504", () =>
      Effect.gen(function* () {
        const gate = yield* gated
        const routes = Layer.merge(
          HttpRouter.add("GET", "/left", remaining),
          HttpRouter.add("GET", "/slow", gate.handler)
        )
        const { port } = yield* Serve.http(routes, { port: 0, deadline: "5 seconds" })
        const client = yield* Raw.open(port)
        client.send(Raw.get("/left"))
        yield* client.says("5000 millis")
        client.send(Raw.get("/slow"))
        yield* gate.began
        yield* TestClock.adjust("5 seconds")
        yield* client.says("504 Gateway Timeout")
        expect(yield* gate.ended).toBe("not done within 5s")
      }).pipe(Effect.scoped)
    )

    it.effect("or by what the client asks for, where that is less", () =>
      Effect.gen(function* () {
        const deadlineHeader = { name: "X-Timeout", unit: "seconds" } as const
        const { port } = yield* Serve.http(remaining, { port: 0, deadline: "5 seconds", deadlineHeader })
        for (const [header, answer] of [
          ["1.5", "1500 millis"],
          ["900", "5000 millis"],
          ["0", "504 Gateway Timeout"],
          ["-1", "X-Timeout: not a number"],
          ["1e9", "X-Timeout: not a number"],
          ["", "X-Timeout: not a number"]
        ] as const) {
          const client = yield* Raw.open(port)
          client.send(Raw.get("/", { "x-timeout": header }))
          yield* client.says(answer)
        }
      }).pipe(Effect.scoped)
    )

    it.effect("and closes the connection of an answer that had begun", () =>
      Effect.gen(function* () {
        const body = Stream.concat(Stream.make(new Uint8Array([104, 105])), Stream.never)
        const handler = Effect.succeed(HttpServerResponse.stream(body))
        const { port } = yield* Serve.http(handler, { port: 0, deadline: "5 seconds" })
        const client = yield* Raw.open(port)
        client.send(Raw.get("/"))
        yield* client.says("hi")
        yield* TestClock.adjust("5 seconds")
        expect(yield* client.ended).not.toContain("\r\n0\r\n")
      }).pipe(Effect.scoped)
    )
  })

  describe("lets in no more than its limiter", () => {
    const full = Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      const gate = yield* gated
      const server = yield* Serve.http(gate.handler, {
        port: 0,
        limiter,
        queue: 1,
        retryAfter: "2 seconds",
        deadline: "5 seconds"
      })
      const first = yield* Raw.open(server.port)
      first.send(Raw.get("/"))
      yield* gate.began
      const second = yield* Raw.open(server.port)
      second.send(Raw.get("/"))
      while ((yield* server.status).waiting < 1) yield* soon
      return { gate, server, first, second }
    })

    it.effect("and refuses with 503 and Retry-After before the queue grows", () =>
      Effect.gen(function* () {
        const { first, gate, second, server } = yield* full
        const third = yield* Raw.open(server.port)
        third.send(Raw.get("/"))
        const refusal = yield* third.says("\r\n\r\n")
        expect(refusal).toContain("503 Service Unavailable")
        expect(refusal).toContain("retry-after: 2\r\n")
        yield* gate.release
        yield* first.says("ok")
        yield* second.says("ok")
        expect(yield* server.status).toMatchObject({ waiting: 0, answered: 2, shed: 1 })
      }).pipe(Effect.scoped)
    )

    it.effect("and never begins one whose client left while it waited", () =>
      Effect.gen(function* () {
        const { first, gate, second, server } = yield* full
        second.reset()
        while ((yield* server.status).waiting > 0) yield* soon
        yield* gate.release
        yield* first.says("ok")
        expect(yield* server.status).toMatchObject({ running: 0, answered: 1, shed: 0 })
      }).pipe(Effect.scoped)
    )

    it.effect("and tells one whose time is up while it waits to come again: 503", () =>
      Effect.gen(function* () {
        const { first, second } = yield* full
        yield* TestClock.adjust("5 seconds")
        const [late, unbegun] = [yield* first.says("\r\n\r\n"), yield* second.says("\r\n\r\n")]
        expect(late).toContain("504 Gateway Timeout")
        expect(unbegun).toContain("503 Service Unavailable")
        expect(unbegun).toContain("retry-after: 2\r\n")
      }).pipe(Effect.scoped)
    )

    it.effect("and lets one in at once where nothing may wait and there is a permit", () =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.adaptive({ min: 1, max: 4 })
        const { port } = yield* Serve.http(Effect.succeed(ok), { port: 0, limiter, queue: 0 })
        const client = yield* Raw.open(port)
        client.send(Raw.get("/"))
        yield* client.says("ok")
      }).pipe(Effect.scoped)
    )
  })

  it.effect("fails where it cannot listen, and says so", () =>
    Effect.gen(function* () {
      const { port } = yield* Serve.http(Effect.succeed(ok), { port: 0 })
      const error = yield* Effect.flip(Serve.http(Effect.succeed(ok), { port }))
      expect(error).toBeInstanceOf(Serve.ServeError)
      expect(error.message).toContain(`Could not listen on 127.0.0.1, port ${port}: listen EADDRINUSE`)
    }).pipe(Effect.scoped)
  )
})

/** A turn of the event loop, for what only it can bring. */
const soon = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
