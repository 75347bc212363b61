import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { connect } from "node:net"
import { join } from "node:path"
import { Cancel, TaskGroup } from "skein"
import { Serve } from "skein/node"
import * as Child from "../support/child.ts"
import * as Raw from "../support/raw.ts"

const reasonText = Option.match({ onNone: () => "no reason", onSome: ({ message }: Cancel.Reason) => message })

/** A server with one request under way on a connection, and another connection that rests. */
const busy = (options: Partial<Serve.Options> = {}) =>
  Effect.gen(function* () {
    const began = yield* Deferred.make<void>()
    const release = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<string>()
    const slow = Deferred.succeed(began, undefined).pipe(
      Effect.andThen(Deferred.await(release)),
      Effect.as(HttpServerResponse.text("finished")),
      Cancel.cleanup((reason) => Deferred.succeed(ended, reasonText(reason)))
    )
    const server = yield* Serve.http(HttpRouter.add("GET", "/slow", slow), { port: 0, ...options })
    const [resting, working] = [yield* Raw.open(server.port), yield* Raw.open(server.port)]
    resting.send(Raw.get("/nowhere"))
    yield* resting.says("404")
    working.send(Raw.get("/slow"))
    yield* Deferred.await(began)
    return { ended: Deferred.await(ended), release: Deferred.succeed(release, undefined), resting, server, working }
  })

const isRefused = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  })

describe("a drain", () => {
  it.effect("takes nothing new, closes what rests, and finishes what runs as the last of its connection", () =>
    Effect.gen(function* () {
      const { release, resting, server, working } = yield* busy()
      const drained = yield* Effect.forkChild(server.drain)
      yield* resting.ended
      expect(yield* isRefused(server.port)).toBe(true)
      expect(yield* server.status).toMatchObject({ state: "draining", running: 1 })
      yield* release
      expect(yield* working.ended).toMatch(/connection: close\r\n[^]*finished$/i)
      yield* Fiber.join(drained)
      yield* server.await
      expect(yield* server.status).toMatchObject({ state: "stopped", running: 0, answered: 1 })
    }).pipe(Effect.scoped)
  )

  it.effect("cancels what is not done within drainWithin", () =>
    Effect.gen(function* () {
      const { ended, server, working } = yield* busy({ drainWithin: "7 seconds" })
      const drained = yield* Effect.forkChild(server.drain)
      while ((yield* server.status).state !== "draining") yield* Effect.yieldNow
      yield* TestClock.adjust("6 seconds")
      expect((yield* server.status).running).toBe(1)
      yield* TestClock.adjust("1 second")
      expect(yield* ended).toBe("the server stops")
      expect(yield* working.ended).toContain("503 Service Unavailable")
      yield* Fiber.join(drained)
    }).pipe(Effect.scoped)
  )

  it.effect("answers a request that comes meanwhile on a connection that is in use", () =>
    Effect.gen(function* () {
      const { release, server, working } = yield* busy()
      const drained = yield* Effect.forkChild(server.drain)
      while ((yield* server.status).state !== "draining") yield* Effect.yieldNow
      working.send(Raw.get("/nowhere"))
      yield* release
      expect(yield* working.ended).toContain("finished")
      yield* Fiber.join(drained)
    }).pipe(Effect.scoped)
  )

  it.effect("is not held up by clients that have sent half a head, or nothing", () =>
    Effect.gen(function* () {
      const server = yield* Serve.http(Effect.never, { port: 0 })
      const [half, silent] = [yield* Raw.open(server.port), yield* Raw.open(server.port)]
      half.send("GET / HTTP/1.1\r\nho")
      yield* server.drain
      yield* half.ended
      yield* silent.ended
    }).pipe(Effect.scoped)
  )

  it.effect("begins when the group around the server is asked to stop", () =>
    TaskGroup.open(
      Effect.gen(function* () {
        const { release, server, working } = yield* busy()
        yield* TaskGroup.stop()
        while ((yield* server.status).state !== "draining") yield* Effect.yieldNow
        yield* release
        yield* working.says("finished")
        yield* server.await
      }).pipe(Effect.scoped)
    )
  )

  it.effect("does not come with the end of the scope, which cancels at once", () =>
    Effect.gen(function* () {
      const { ended, working } = yield* Effect.scoped(Effect.map(busy(), ({ ended, working }) => ({ ended, working })))
      expect(yield* ended).not.toBe("no reason")
      yield* working.ended
    })
  )
})

describe("events", () => {
  const events = (ended: Deferred.Deferred<string>) =>
    Effect.succeed(
      HttpServerResponse.stream(
        Stream.concat(Stream.make(new TextEncoder().encode("data: 1\n\n")), Stream.never).pipe(
          Stream.ensuring(Deferred.succeed(ended, "over"))
        ),
        { contentType: "text/event-stream" }
      )
    )
  const listening = Effect.gen(function* () {
    const ended = yield* Deferred.make<string>()
    const server = yield* Serve.http(HttpRouter.add("GET", "/events", events(ended)), {
      port: 0,
      deadline: "5 seconds"
    })
    const client = yield* Raw.open(server.port)
    client.send(Raw.get("/events"))
    yield* client.says("data: 1")
    return { client, ended: Deferred.await(ended), server }
  })

  it.effect("go on past the deadline and are ended in order by a drain", () =>
    Effect.gen(function* () {
      const { client, ended, server } = yield* listening
      yield* TestClock.adjust("1 hour")
      expect((yield* server.status).running).toBe(1)
      yield* server.drain
      yield* ended
      expect(yield* client.ended).toMatch(/\r\n0\r\n\r\n$/)
    }).pipe(Effect.scoped)
  )

  it.effect("are cancelled when their client leaves", () =>
    Effect.gen(function* () {
      const { client, ended, server } = yield* listening
      client.reset()
      yield* ended
      while ((yield* server.status).running > 0) yield* Effect.yieldNow
    }).pipe(Effect.scoped)
  )
})

describe("a WebSocket", () => {
  const opened = <E, R>(after: Effect.Effect<unknown, E, R>, options: Partial<Serve.Options> = {}) =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<string>()
      const handler = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const socket = yield* request.upgrade
        const pull = yield* Socket.readerString(socket)
        const { write } = yield* socket.writer
        const echo = Effect.forever(Effect.flatMap(pull, (texts) => write(`you said ${texts.join("")}`)))
        yield* Effect.raceFirst(echo, after)
        return HttpServerResponse.empty()
      }).pipe(Effect.ensuring(Deferred.succeed(ended, "over")))
      const server = yield* Serve.http(HttpRouter.add("GET", "/live", handler), {
        port: 0,
        deadline: "5 seconds",
        ...options
      })
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => new WebSocket(`ws://127.0.0.1:${server.port}/live`)),
        (socket) => Effect.sync(() => socket.close())
      )
      const closed = Effect.callback<number>((resume) => {
        socket.addEventListener("close", ({ code }) => resume(Effect.succeed(code)))
      })
      const answer = Effect.callback<unknown>((resume) => {
        socket.addEventListener("message", ({ data }) => resume(Effect.succeed(data)), { once: true })
        const ask = () => socket.send("hello")
        if (socket.readyState === WebSocket.OPEN) ask()
        else socket.addEventListener("open", ask, { once: true })
      })
      return { answer, closed, ended: Deferred.await(ended), server, socket }
    })

  it.effect("is a task without a deadline, and is closed with 1001 by a drain", () =>
    Effect.gen(function* () {
      const { answer, closed, ended, server } = yield* opened(Effect.never)
      expect(yield* answer).toBe("you said hello")
      yield* TestClock.adjust("1 hour")
      expect(yield* answer).toBe("you said hello")
      const code = yield* Effect.forkChild(closed)
      yield* server.drain
      expect(yield* Fiber.join(code)).toBe(1001)
      yield* ended
    }).pipe(Effect.scoped)
  )

  it.effect("ends by itself where its handler listens to requests to stop", () =>
    Effect.gen(function* () {
      const { answer, closed, server } = yield* opened(Cancel.stopRequested)
      yield* answer
      const code = yield* Effect.forkChild(closed)
      yield* server.drain
      expect(yield* Fiber.join(code)).toBe(1000)
    }).pipe(Effect.scoped)
  )

  it.effect("is closed with 1011 where its handler dies, which is logged once", () => {
    const lines: Array<string> = []
    const layer = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    return Effect.gen(function* () {
      const fail = yield* Deferred.make<void>()
      const { answer, closed } = yield* opened(Effect.andThen(Deferred.await(fail), Effect.die(new Error("secret"))))
      yield* answer
      const code = yield* Effect.forkChild(closed)
      yield* Deferred.succeed(fail, undefined)
      expect(yield* Fiber.join(code)).toBe(1011)
      expect(lines).toEqual(["GET /live failed, and was answered with 500"])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("is cancelled when its client leaves", () =>
    Effect.gen(function* () {
      const { answer, ended, server, socket } = yield* opened(Effect.never)
      yield* answer
      socket.close()
      yield* ended
      while ((yield* server.status).running > 0) yield* Effect.yieldNow
    }).pipe(Effect.scoped)
  )

  it.effect("is one of no more than maxSockets", () =>
    Effect.gen(function* () {
      const { answer, server } = yield* opened(Effect.never, { maxSockets: 1 })
      yield* answer
      const client = yield* Raw.open(server.port)
      const key = Buffer.from("0123456789abcdef").toString("base64")
      client.send(
        Raw.get("/live", {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": key
        })
      )
      yield* client.says("503 Service Unavailable")
    }).pipe(Effect.scoped)
  )
})

describe("under Main.run, SIGTERM", () => {
  const start = (path: string, ...args: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const child = yield* Child.start([join(import.meta.dirname, "serve-program.ts"), ...args])
      const printed: Array<string> = []
      child.process.stdout?.prependListener("data", (text: string) => printed.push(text))
      yield* child.says(".")
      const port = Number(/port (\d+)\./.exec(printed.join(""))?.[1])
      const client = yield* Raw.open(port)
      client.send(Raw.get(path))
      yield* child.says("began")
      return { child, client }
    })

  it.effect("finishes what runs and ends the process with 0", () =>
    Effect.gen(function* () {
      const { child, client } = yield* start("/until-stopped")
      child.kill("SIGTERM")
      expect(yield* client.ended).toContain("finished")
      expect(yield* child.end).toMatchObject({ code: 0, stdout: expect.stringContaining("ended") })
    }).pipe(Effect.scoped)
  )

  it.effect("cancels what takes too long, and ends with 0 all the same", () =>
    Effect.gen(function* () {
      const { child } = yield* start("/never", "50 millis")
      child.kill("SIGTERM")
      expect(yield* child.end).toMatchObject({ code: 0, stdout: expect.stringContaining("cancelled\nended") })
    }).pipe(Effect.scoped)
  )

  it.effect("cancels at once when it comes twice", () =>
    Effect.gen(function* () {
      const { child } = yield* start("/never")
      child.kill("SIGTERM")
      yield* child.says("stopping")
      child.kill("SIGINT")
      expect(yield* child.end).toMatchObject({ code: 130, stdout: expect.stringContaining("cancelled") })
    }).pipe(Effect.scoped)
  )
})
