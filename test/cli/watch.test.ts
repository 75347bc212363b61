import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { type IncomingMessage, request } from "node:http"
import { connect } from "node:net"
import type { Snapshot } from "../../src/inspect/context/Snapshot.ts"
import { SocketError } from "../../src/node/inspector/SocketError.ts"
import * as Feed from "../../src/cli/watch/Feed.ts"
import * as Server from "../../src/cli/watch/Server.ts"
import * as Stream from "effect/Stream"

const empty: Snapshot = {
  formatVersion: 1,
  at: 0,
  process: null,
  groups: [],
  orphans: [],
  runs: [],
  findings: [],
  history: { kept: 0, dropped: 0 },
  withoutPlaces: null
}

/** What a process says each time that it is asked. */
const asked = (say: (time: number) => Effect.Effect<Snapshot, SocketError> = () => Effect.succeed(empty)) => {
  const process = { pid: 1, title: "program", times: 0 }
  return Object.assign(process, { snapshot: Effect.suspend(() => say((process.times += 1))) })
}

interface Said {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly text: string
}

const ask = (
  { port }: Server.Opened,
  path: string,
  { body = "", method = "GET", ...headers }: Readonly<Record<string, string>> = {}
): Effect.Effect<Said> =>
  Effect.callback((resume) => {
    const asked = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (answer) => {
      let text = ""
      answer.setEncoding("utf8")
      answer.on("data", (chunk: string) => {
        text += chunk
        // A stream has no end.
        if (answer.headers["content-type"] === "text/event-stream" && text.includes("\n\n")) answer.destroy()
      })
      answer.on("close", () =>
        resume(Effect.succeed({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
      )
    })
    asked.on("error", (error) => resume(Effect.die(error)))
    asked.end(body)
  })

const bearer = ({ token }: Server.Opened) => ({ authorization: `Bearer ${token}` })

describe("the server of the page", () => {
  it.live("gives the page to whoever asks, and nothing of the process in it", () =>
    Effect.gen(function* () {
      const process = asked()
      const server = yield* Server.open(process, 0)
      expect(server.url).toBe(`http://127.0.0.1:${server.port}/#${server.token}`)
      expect(server.token.length).toBeGreaterThanOrEqual(43)
      const { headers, status, text } = yield* ask(server, "/")
      expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"])
      expect(text).not.toContain(server.token)
      expect(headers["cache-control"]).toBe("no-store")
      expect(headers["x-content-type-options"]).toBe("nosniff")
      expect(headers["referrer-policy"]).toBe("no-referrer")
      expect(headers["set-cookie"]).toBeUndefined()
      const policy = headers["content-security-policy"]
      expect(policy).toMatch(
        /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'; /
      )
      expect(policy).toContain("frame-ancestors 'none'")
      expect((yield* ask(server, "/", { method: "HEAD" })).text).toBe("")
      expect(process.times).toBe(0)
    })
  )

  it.live("tells what the process does with the token alone", () =>
    Effect.gen(function* () {
      const process = asked()
      const server = yield* Server.open(process, 0)
      const wrong = [
        {},
        { authorization: `Bearer ${server.token.slice(1)}` },
        { authorization: `Bearer ${server.token}x` },
        { authorization: `Basic ${server.token}` },
        { cookie: `token=${server.token}` }
      ]
      for (const headers of wrong) {
        const { status, text } = yield* ask(server, "/live", headers as Record<string, string>)
        expect([status, text]).toEqual([
          401,
          "the token is missing or wrong: open the URL that `skein watch` printed\n"
        ])
      }
      expect((yield* ask(server, `/live?token=${server.token}`)).status).toBe(401)
      expect(process.times).toBe(0)
      const { headers, status, text } = yield* ask(server, "/live", bearer(server))
      expect([status, headers["content-type"], headers["cache-control"]]).toEqual([
        200,
        "text/event-stream",
        "no-store"
      ])
      expect(text).toBe(`event: snapshot\ndata: ${JSON.stringify(empty)}\n\n`)
    })
  )

  it.live("answers to no other name, and to no other page", () =>
    Effect.gen(function* () {
      const process = asked()
      const server = yield* Server.open(process, 0)
      const { port } = server
      const token = bearer(server)
      for (const path of ["/", "/live"]) {
        for (const host of [
          "evil.example",
          `evil.example:${port}`,
          "127.0.0.1",
          `127.0.0.1:${port + 1}`,
          `127.0.0.1.evil.example:${port}`
        ]) {
          const { status, text } = yield* ask(server, path, { host, ...token })
          expect([host, status, text]).toEqual([host, 403, `this is 127.0.0.1:${port}, and nothing else\n`])
        }
        for (const origin of [
          "http://evil.example",
          "null",
          `https://127.0.0.1:${port}`,
          `http://127.0.0.1:${port + 1}`
        ]) {
          const { status, text } = yield* ask(server, path, { origin, ...token })
          expect([origin, status, text]).toEqual([origin, 403, "only its own page may ask\n"])
        }
        for (const headers of [
          { host: `localhost:${port}` },
          { origin: `http://127.0.0.1:${port}` },
          { origin: `http://localhost:${port}` }
        ]) {
          const { headers: answered, status } = yield* ask(server, path, { ...token, ...headers } as Record<
            string,
            string
          >)
          expect([headers, status]).toEqual([headers, 200])
          expect(answered["access-control-allow-origin"]).toBeUndefined()
        }
      }
      // A whole URL in place of a path names the host as well.
      expect((yield* ask(server, "http://evil.example/live", { host: `127.0.0.1:${port}`, ...token })).status).toBe(403)
    })
  )

  it.live("knows its paths and methods, and takes nothing large", () =>
    Effect.gen(function* () {
      const server = yield* Server.open(asked(), 0)
      const token = bearer(server)
      const statuses = [
        [yield* ask(server, "/", { method: "POST" }), 405],
        [yield* ask(server, "/live", { method: "OPTIONS", ...token }), 405],
        [yield* ask(server, "/live", { method: "DELETE", ...token }), 405],
        [yield* ask(server, "/other"), 401],
        [yield* ask(server, "/other", token), 404],
        [yield* ask(server, "/../live", token), 404],
        [yield* ask(server, "/__proto__", token), 404],
        [yield* ask(server, "/", { large: "x".repeat(20_000) }), 431]
      ] as const
      expect(statuses.map(([{ status }]) => status)).toEqual(statuses.map(([, status]) => status))
      expect((yield* ask(server, "/live", { method: "PUT", ...token })).headers.allow).toBe("GET")
      for (const [{ status, text }] of statuses) if (status !== 431) expect(text).toMatch(/^[^\n]+\n$/)
    })
  )

  it.live("lets so many pages look and no more, until one is closed", () =>
    Effect.gen(function* () {
      const process = asked()
      const server = yield* Server.open(process, 0)
      const open = () => {
        const socket = connect(server.port, "127.0.0.1")
        const begun = new Promise<string>((done) => socket.once("data", (data) => done(String(data))))
        socket.write(
          `GET /live HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${server.token}\r\n\r\n`
        )
        return { socket, begun }
      }
      const pages = Array.from({ length: 8 }, open)
      for (const { begun } of pages) expect(yield* Effect.promise(() => begun)).toMatch(/^HTTP\/1.1 200/)
      const { status, text } = yield* ask(server, "/live", bearer(server))
      expect([status, text]).toEqual([503, "8 pages look already: close one\n"])
      pages[0]!.socket.destroy()
      const again = Effect.flatMap(ask(server, "/live", bearer(server)), ({ status }) =>
        status === 200 ? Effect.void : Effect.fail("not yet")
      )
      yield* Effect.eventually(again)
      for (const { socket } of pages) socket.destroy()
    })
  )

  it.live("says that a port is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* Server.open(asked(), 0)
      const error = yield* Effect.flip(Server.open(asked(), port))
      expect(error.message).toBe(
        `Could not open the page on port ${port}: another program listens there. Leave out --port, and one that is free is taken.`
      )
    })
  )
})

describe("the feed", () => {
  const frames = (process: Feed.Process) =>
    Effect.map(Stream.runCollect(Stream.decodeText(Feed.snapshots(process))), (all) =>
      all.map((frame) => frame.split("\n")[0]!)
    )

  it.effect("asks a second after each answer, and seldom where looks take long", () =>
    Effect.gen(function* () {
      const process = asked((time) => Effect.as(Effect.sleep(time === 3 ? 500 : 0), empty))
      const reading = yield* Effect.forkChild(Stream.runDrain(Feed.snapshots(process)))
      yield* TestClock.adjust(0)
      expect(process.times).toBe(1)
      yield* TestClock.adjust(999)
      expect(process.times).toBe(1)
      yield* TestClock.adjust(1)
      expect(process.times).toBe(2)
      yield* TestClock.adjust(1500)
      expect(process.times).toBe(3)
      yield* TestClock.adjust(9999)
      expect(process.times).toBe(3)
      yield* TestClock.adjust(1)
      expect(process.times).toBe(4)
      yield* Fiber.interrupt(reading)
      yield* TestClock.adjust(60_000)
      expect(process.times).toBe(4)
    })
  )

  it.effect("goes on after trouble, and ends with the process", () =>
    Effect.gen(function* () {
      const process = asked((time) =>
        time === 1
          ? Effect.fail(new SocketError("It is blocked."))
          : time === 2
            ? Effect.succeed(empty)
            : Effect.fail(new SocketError("It has ended.", { isGone: true }))
      )
      const reading = yield* Effect.forkChild(frames(process))
      yield* TestClock.adjust(60_000)
      expect(yield* Fiber.join(reading)).toEqual(["event: trouble", "event: snapshot", "event: ended"])
    })
  )
})
