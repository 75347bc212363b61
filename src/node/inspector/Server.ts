/** Listens for those who look into this process, and answers them; nothing of it keeps the process alive. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { chmodSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import * as Foreign from "../../concurrency/base/Foreign.ts"
import * as Shown from "../../concurrency/base/Shown.ts"
import type { Access } from "./Access.ts"
import * as Folder from "./Folder.ts"
import * as Protocol from "./Protocol.ts"
import { SocketError } from "./SocketError.ts"

export type { Access }

export interface Limits {
  /** Connections at once. */
  readonly connections: number
  /** Milliseconds that a connection may be silent. */
  readonly silence: number
}

const standard: Limits = { connections: 16, silence: 60_000 }

export type Identity = Pick<Folder.Card, "process" | "startedAt" | "title">

/** Opens the socket of this process; the function it gives closes it. */
export const open = (
  identity: Identity,
  access: () => Access,
  limits: Limits = standard
): Effect.Effect<() => void, SocketError> =>
  Effect.tryPromise({
    try: () => listen(identity, access, limits),
    catch: (cause) =>
      cause instanceof SocketError
        ? cause
        : new SocketError(`Could not open the socket for the inspector: ${Foreign.describe(cause)}.`, { cause })
  })

const listen = async (identity: Identity, access: () => Access, limits: Limits): Promise<() => void> => {
  const folder = Folder.made()
  const pipe = process.platform === "win32" ? String.raw`\\.\pipe\skein-${randomUUID()}` : null
  const card = { formatVersion: Protocol.formatVersion, pid: process.pid, ...identity, pipe }
  // A process of this number that was killed may have left its own.
  Folder.remove(card.pid, folder)
  const sockets = new Set<Socket>()
  // Who only asks may close its own side at once.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.unref()
    socket.on("error", () => socket.destroy())
    if (sockets.size === limits.connections) {
      return void socket.end(lineOf({ error: `it has ${limits.connections} connections already` }), () =>
        socket.destroy()
      )
    }
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    serve(socket, access, limits)
  }).unref()
  const path = Folder.address(card, folder)
  await listening(server, path)
  if (pipe === null) chmodSync(path, 0o600)
  const remove = () => Folder.remove(card.pid, folder)
  process.once("exit", remove)
  Folder.enter(card, folder)
  return () => {
    process.off("exit", remove)
    server.close()
    for (const socket of sockets) socket.destroy()
    remove()
  }
}

const listening = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(path, () => {
      server.off("error", reject)
      // One that cannot be accepted, for want of files, is lost; the next may go well.
      server.on("error", () => {})
      resolve()
    })
  })

const serve = (socket: Socket, access: () => Access, { silence }: Limits): void => {
  let text = ""
  let isEnded = false
  let isStreaming = false
  let answering: Fiber.Fiber<void> | undefined
  const refuse = (why: string) => void socket.end(lineOf({ error: why }), () => socket.destroy())
  const next = (): void => {
    const end = text.indexOf("\n")
    if ((end < 0 ? text.length : end) > Protocol.longestAsk) {
      return refuse(`an ask is no longer than ${Protocol.longestAsk} characters`)
    }
    if (end < 0) return isEnded ? void socket.end() : undefined
    const ask = Protocol.parse(text.slice(0, end))
    if (typeof ask === "string") return refuse(ask)
    text = text.slice(end + 1)
    isStreaming = ask.ask === "events"
    // It may have nothing to tell for long. What else is asked waits on the other side until then, where it is not many.
    if (isStreaming) socket.setTimeout(0)
    else socket.pause()
    answering = Effect.runFork(answers(ask, access(), socket))
    answering.addObserver(() => {
      answering = undefined
      if (isStreaming) return void socket.end(() => socket.destroy())
      socket.resume()
      next()
    })
  }
  socket.setEncoding("utf8")
  socket.setTimeout(silence, () => socket.destroy())
  socket.on("data", (chunk: string) => {
    if (isStreaming) return
    text += chunk
    if (answering === undefined) next()
  })
  socket.on("end", () => {
    isEnded = true
    if (isStreaming) socket.destroy()
    else if (answering === undefined) next()
  })
  socket.on("close", () => answering?.interruptUnsafe())
}

const answers = (ask: Protocol.Ask, access: Access, socket: Socket): Effect.Effect<void> => {
  const say = (answer: Said) => written(socket, lineOf(answer))
  const answer =
    ask.ask === "snapshot"
      ? Effect.flatMap(access.snapshot, (snapshot) => say({ snapshot }))
      : ask.ask === "events"
        ? Stream.runForEach(access.events, (event) => say({ event }))
        : access.control === undefined
          ? say({ error: "it may be looked at and nothing else: its socket was opened without allowControl" })
          : Effect.matchEffect(access.control(ask.run, ask.partition, ask.do), {
              onFailure: ({ message }) => say({ error: message }),
              onSuccess: () => say({ done: ask.do })
            })
  return Effect.catchDefect(answer, (defect) => say({ error: Foreign.describe(defect) }))
}

type Said = Protocol.Answer extends infer A ? (A extends unknown ? Omit<A, "formatVersion"> : never) : never

const lineOf = (answer: Said): string => {
  const whole = { formatVersion: Protocol.formatVersion, ...answer }
  const text = JSON.stringify(whole)
  // To look at each of 10,000 tasks takes ten times as long, and without one of these there is no URL with a secret in it.
  return `${/[@?#]/.test(text) ? Shown.json(whole) : Shown.escaped(text)}\n`
}

/** Done when the other side has taken it. */
const written = (socket: Socket, line: string): Effect.Effect<void> =>
  Effect.callback((resume) => void socket.write(line, () => resume(Effect.void)))
