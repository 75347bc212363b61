/** The processes of this user that can be looked into, and what they answer: for the command. */
import * as Effect from "effect/Effect"
import { statSync } from "node:fs"
import type { Snapshot } from "../inspect/context/Snapshot.ts"
import { Host } from "../pipeline/context/Host.ts"
import * as Client from "./inspector/Client.ts"
import * as Folder from "./inspector/Folder.ts"
import { SocketError } from "./inspector/SocketError.ts"

/** A process that said it can be looked into. */
export interface Found {
  readonly pid: number
  readonly title: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** What it does at this moment. */
  readonly snapshot: Effect.Effect<Snapshot, SocketError>
}

/** All but this one, the oldest first. What processes left behind that are gone is removed. */
export const list: Effect.Effect<ReadonlyArray<Found>, SocketError> = Effect.gen(function* () {
  const host = yield* Host
  const cards = yield* Effect.try({
    try: Folder.cards,
    catch: (cause) => (cause instanceof SocketError ? cause : new SocketError(String(cause), { cause }))
  })
  const folder = Folder.path()
  return cards
    .filter(({ pid, process: id }) => {
      const isGone = host.runs(id) === false
      if (isGone) Folder.remove(pid, folder)
      return !isGone && pid !== process.pid
    })
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .map((card) => ({
      ...card,
      snapshot: Effect.tapError(Client.snapshot(card, Folder.address(card, folder)), ({ isGone }) =>
        Effect.sync(() => {
          if (isGone && host.runs(card.process) !== true) Folder.remove(card.pid, folder)
        })
      )
    }))
})

/** The one of that number, or else the only one there is. */
export const find = (pid: number | undefined): Effect.Effect<Found, SocketError> =>
  Effect.flatMap(list, (all) => {
    const [first, ...others] = pid === undefined ? all : all.filter((one) => one.pid === pid)
    if (first === undefined) return Effect.fail(new SocketError(pid === undefined ? nobody : whyNot(pid)))
    if (others.length === 0) return Effect.succeed(first)
    return Effect.fail(
      new SocketError(`Say which: there are ${all.length} processes to look into, as \`skein ps\` lists them.`)
    )
  })

const how = "Start it with SKEIN_INSPECT=1, or give it the layer `Inspector.socket()`."

export const nobody = `There is no process to look into. ${how}`

const whyNot = (pid: number): string => {
  const owner = ownerOf(pid)
  if (owner === undefined) return `There is no process ${pid}. \`skein ps\` lists those to look into.`
  return owner === "another"
    ? `Process ${pid} belongs to another user, and only that user can look into it.`
    : `Process ${pid} cannot be looked into: it has no socket of Skein in ${JSON.stringify(Folder.path())}. ${how}`
}

const ownerOf = (pid: number): "this" | "another" | undefined => {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM" ? "another" : undefined
  }
  // The administrator may signal everybody.
  const owner = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid
  return owner === undefined || owner === process.getuid?.() ? "this" : "another"
}
