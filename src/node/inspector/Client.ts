/** Asks another process. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { connect } from "node:net"
import * as Foreign from "../../concurrency/base/Foreign.ts"
import type { Snapshot } from "../../inspect/context/Snapshot.ts"
import type { Card } from "./Folder.ts"
import * as Protocol from "./Protocol.ts"
import { SocketError } from "./SocketError.ts"

/** How long a process may take to answer. */
const patience = "3 seconds"

/** Characters of an answer: ten times those of 100,000 tasks. */
const longest = 400_000_000

export const snapshot = (card: Card, path: string): Effect.Effect<Snapshot, SocketError> =>
  Effect.flatMap(ask(card, path, { ask: "snapshot" }), (answer) =>
    isSnapshot(answer["snapshot"])
      ? Effect.succeed(answer["snapshot"])
      : Effect.fail(new SocketError(`Process ${card.pid} gave no snapshot: ${said(answer)}.`))
  )

type Answer = Readonly<Record<string, unknown>>

const said = ({ error }: Answer): string => (typeof error === "string" ? error : "it answered something else")

const isSnapshot = (value: unknown): value is Snapshot =>
  Predicate.isObject(value) &&
  ["groups", "orphans", "runs", "findings"].every((key) => Array.isArray((value as Answer)[key]))

const ask = (card: Card, path: string, what: Protocol.Ask): Effect.Effect<Answer, SocketError> => {
  if (card.formatVersion !== Protocol.formatVersion) return Effect.fail(otherFormat(card.pid, card.formatVersion))
  return Effect.timeoutOrElse(
    Effect.flatMap(lineOf(card, path, what), (line) => parsed(card.pid, line)),
    { duration: patience, orElse: () => Effect.fail(silent(card.pid)) }
  )
}

/** The first line that it says. */
const lineOf = ({ pid }: Card, path: string, what: Protocol.Ask): Effect.Effect<string, SocketError> =>
  Effect.callback((resume) => {
    const parts: Array<string> = []
    let length = 0
    const socket = connect(path)
    const end = (result: Effect.Effect<string, SocketError>) => {
      socket.destroy()
      resume(result)
    }
    socket.setEncoding("utf8")
    socket.on("connect", () => socket.write(`${JSON.stringify(what)}\n`))
    socket.on("data", (chunk: string) => {
      const newline = chunk.indexOf("\n")
      parts.push(newline < 0 ? chunk : chunk.slice(0, newline))
      length += chunk.length
      if (newline >= 0) end(Effect.succeed(parts.join("")))
      else if (length > longest) end(Effect.fail(new SocketError(`The answer of process ${pid} has no end.`)))
    })
    socket.on("error", (error: NodeJS.ErrnoException) => end(Effect.fail(refused(pid, error))))
    socket.on("close", () => end(Effect.fail(ended(pid))))
    return Effect.sync(() => socket.destroy())
  })

const parsed = (pid: number, line: string): Effect.Effect<Answer, SocketError> =>
  Effect.suspend(() => {
    const answer = Foreign.attempt((): unknown => JSON.parse(line), undefined)
    const version = Foreign.get(answer, "formatVersion")
    return Predicate.isObject(answer) && version === Protocol.formatVersion
      ? Effect.succeed(answer as Answer)
      : Effect.fail(otherFormat(pid, version))
  })

const otherFormat = (pid: number, version: unknown): SocketError =>
  new SocketError(
    `Process ${pid} answers in ${typeof version === "number" ? `format ${version}` : "no format"} and not in format ${Protocol.formatVersion}: use the \`skein\` of the version that it runs.`
  )

const silent = (pid: number): SocketError =>
  new SocketError(
    `Process ${pid} has not answered for ${patience}: it is stopped, or its event loop is blocked, which takes all of a CPU. Ask again later.`
  )

const ended = (pid: number): SocketError => new SocketError(`Process ${pid} ended while it was asked.`)

const refused = (pid: number, cause: NodeJS.ErrnoException): SocketError => {
  const { code, message } = cause
  if (code === "EPIPE" || code === "ECONNRESET") return ended(pid)
  if (code === "ECONNREFUSED" || code === "ENOENT")
    return new SocketError(`Process ${pid} has ended.`, { isGone: true })
  return new SocketError(`Could not ask process ${pid}: ${message}.`, { cause })
}
