/**
 * Where the processes of a user that can be looked into are entered: a folder that nobody else can open, with a socket and a card
 * for each. What does not belong there is not trusted and not mended.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { isAbsolute, join } from "node:path"
import { SocketError } from "./SocketError.ts"

/** Who a process is, beside its socket. */
export interface Card {
  readonly formatVersion: number
  readonly pid: number
  /** Tells it from a later process with its number: the id of its `Host`. */
  readonly process: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly title: string
  /** Where it listens on Windows, whose pipes are in no folder. */
  readonly pipe: string | null
}

export const path = (): string => {
  const { XDG_RUNTIME_DIR: runtime = "" } = process.env
  // That of another user is what `sudo` may leave in the environment.
  if (isAbsolute(runtime) && isOurs(runtime)) return join(runtime, "skein")
  return join(tmpdir(), uid === undefined ? "skein" : `skein-${uid}`)
}

/** The folder, made where there is none. */
export const made = (): string => {
  const folder = path()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  check(folder)
  return folder
}

/** The cards in it; none where there is no folder. */
export const cards = (): ReadonlyArray<Card> => {
  const folder = path()
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) return []
  check(folder)
  return readdirSync(folder).flatMap((name) => {
    const pid = /^(\d{1,10})\.json$/.exec(name)?.[1]
    const card = pid === undefined ? undefined : cardOf(Number(pid), folder)
    return card === undefined ? [] : [card]
  })
}

/** Written whole or not at all: others read it at any time. */
export const enter = (card: Card, folder: string): void => {
  const unfinished = join(folder, `${card.pid}.new`)
  writeFileSync(unfinished, `${JSON.stringify(card)}\n`, { mode: 0o600 })
  renameSync(unfinished, join(folder, `${card.pid}.json`))
}

export const remove = (pid: number, folder: string): void => {
  for (const end of ["json", "sock", "new"]) rmSync(join(folder, `${pid}.${end}`), { force: true })
}

/** What to listen at, or to connect to. */
export const address = ({ pid, pipe }: Pick<Card, "pid" | "pipe">, folder: string): string =>
  pipe ?? join(folder, `${pid}.sock`)

const cardOf = (pid: number, folder: string): Card | undefined => {
  try {
    const card: Partial<Record<keyof Card, unknown>> = JSON.parse(readFileSync(join(folder, `${pid}.json`), "utf8"))
    const { formatVersion, pipe, process: id, startedAt, title } = card
    if (typeof formatVersion !== "number") return undefined
    return {
      formatVersion,
      pid,
      process: typeof id === "string" ? id : "",
      startedAt: typeof startedAt === "number" ? startedAt : 0,
      title: typeof title === "string" ? title : "",
      pipe: process.platform === "win32" && typeof pipe === "string" ? pipe : null
    }
  } catch {
    // It was removed meanwhile, or is none.
    return undefined
  }
}

const uid = process.getuid?.()

const isOurs = (folder: string): boolean => {
  const stat = statSync(folder, { throwIfNoEntry: false })
  return stat !== undefined && stat.isDirectory() && (uid === undefined || stat.uid === uid)
}

const check = (folder: string): void => {
  const problem = problemWith(folder)
  if (problem === undefined) return
  throw new SocketError(
    `Sockets for the inspector are kept in ${JSON.stringify(folder)}, which ${problem}. Remove it, or set XDG_RUNTIME_DIR to a folder of your own.`
  )
}

const problemWith = (folder: string): string | undefined => {
  const stat = lstatSync(folder)
  if (stat.isSymbolicLink()) return "is a symbolic link"
  if (!stat.isDirectory()) return "is no folder"
  if (uid === undefined) return undefined
  if (stat.uid !== uid) return "belongs to another user"
  return (stat.mode & 0o077) === 0 ? undefined : "is open to others"
}
