/** What SQLite's errors are to Effect, and to the person who reads them. */
import { classifySqliteError, ConnectionError, SqlError } from "effect/sql/SqlError"
import { statSync } from "node:fs"
import { dirname } from "node:path"
import { codeOf } from "./Database.ts"

export const sqlErrorOf = (cause: unknown, operation: string): SqlError => {
  const message = explain(cause)
  // Effect knows SQLite's codes by the field `errno`.
  const known = cause instanceof Error ? Object.assign(cause, { errno: codeOf(cause) }) : cause
  return new SqlError({ reason: classifySqliteError(known, { message, operation }) })
}

/** BUSY_SNAPSHOT is not for waiting: what the transaction has read is outdated. PROTOCOL is a race for a lock, lost often. */
export const isBusy = (error: unknown): boolean => {
  const code = codeIn(error)
  return ((code & 0xff) === 5 && code !== 517) || code === 15
}

export const isReadOnly = (error: unknown): boolean => (codeIn(error) & 0xff) === 8

export const isNotOpened = (error: unknown): boolean => (codeIn(error) & 0xff) === 14

const codeIn = (error: unknown): number => (error instanceof SqlError ? codeOf(error.reason.cause) : 0)

/** A full disk makes SQLite roll back by itself; what follows would be kept without what came before. */
export const rolledBack = (): SqlError =>
  sqlErrorOf(new Error("the database has rolled back this transaction after an earlier error in it"), "execute")

/** Of the thread that the transaction ran in. SQLite undoes what was not committed. */
export const lost = (why: string, operation: string, cause?: unknown): SqlError =>
  new SqlError({
    reason: new ConnectionError({
      message: `the thread that writes to the database has ended (${why}), and the transaction in it was undone. Run again`,
      operation,
      cause
    })
  })

/** What SQLite's code means for the person who reads it; its own message where that says it all. */
const explain = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  switch (codeOf(error) & 0xff) {
    case 5:
    case 6:
      return "another process or connection holds its lock (SQLITE_BUSY). End that one's transaction, or allow a longer `lockTimeout`"
    case 8:
      return "it can only be read (SQLITE_READONLY). Check the permissions of the file and its folder"
    case 10:
      return `the disk failed (SQLITE_IOERR: ${message}). Check the disk and what is free on it`
    case 11:
      return "the file is damaged (SQLITE_CORRUPT). Restore it from a backup"
    case 13:
      return "the disk is full, or the database at its size limit (SQLITE_FULL). Make room and run again"
    case 26:
      return "the file is no SQLite database (SQLITE_NOTADB). Check the path"
    default:
      return message.includes("too large to be represented as a JavaScript number")
        ? `${message}. Read it as a bigint`
        : message
  }
}

/** SQLite says only "unable to open database file"; the file system knows more. */
export const whyNotOpened = (file: string): string => {
  const folder = dirname(file)
  const there = statSync(folder, { throwIfNoEntry: false })
  if (there === undefined) return `the folder ${folder} does not exist. Create it first`
  if (!there.isDirectory()) return `${folder} is no folder. Check the path`
  const target = statSync(file, { throwIfNoEntry: false })
  if (target?.isDirectory() === true) return "it is a folder. Name a file in it"
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  if (target !== undefined && (log?.size ?? 0) > 0) {
    return `its last commits are in ${file}-wal still, and this user may not write beside it to bring them in. Change the permissions of the folder, or copy both files to another one`
  }
  // SQLite needs to write files beside it too. Opening any of them here to find out would drop the locks of this process.
  return `this user may not write to the folder ${folder}, or not to the file in it. Change the permissions, or choose another place`
}
