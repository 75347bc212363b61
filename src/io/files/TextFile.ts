/** An open file of lines: what reading and writing one have in common. */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { FilesError, fromPlatform } from "../FilesError.ts"

export interface Opened {
  readonly file: FileSystem.File
  /** As it was opened. */
  readonly info: FileSystem.File.Info
  readonly size: number
}

/**
 * Opens an existing file for reading. What is no regular file is refused before that: a named pipe would wait for a writer,
 * and a device may do anything.
 */
export const openToRead = (path: string): Effect.Effect<Opened, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const found = yield* fs.stat(path)
    if (found.type !== "File") return yield* notAFile("read", path, found)
    const file = yield* fs.open(path, { flag: "r" })
    const info = yield* file.stat
    return info.type === "File" ? { file, info, size: sizeOf(info) } : yield* notAFile("read", path, info)
  }).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(fromPlatform("open", path)(error))))

/**
 * Fails unless byte `end`, where reading found no more, is the end of what was opened, as far as that can be told: the path
 * still leads to it, and it is no shorter than it was. What is longer was added to while it was read.
 */
export const checkEnd = (
  path: string,
  { info, size }: Opened,
  end: number
): Effect.Effect<void, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const now = yield* fs
      .stat(path)
      .pipe(
        Effect.mapError((error) =>
          error.reason._tag === "NotFound" ? replaced(path, "it was removed") : fromPlatform("read", path)(error)
        )
      )
    if (!isSame(info, now)) return yield* replaced(path, "another file took its place")
    const left = Math.min(end, sizeOf(now))
    if (left < size) return yield* shrunk(path, size, left)
    if (sizeOf(now) < end) return yield* shrunk(path, end, sizeOf(now))
  })

const isSame = (a: FileSystem.File.Info, b: FileSystem.File.Info): boolean =>
  a.dev === b.dev && Option.getOrUndefined(a.ino) === Option.getOrUndefined(b.ino)

export const shrunk = (path: string, before: number, now: number): FilesError =>
  new FilesError({
    kind: "Shrunk",
    tried: "read",
    path,
    reason: `it was cut while it was read: it had ${before} bytes, and ended after ${now}`,
    fix: "Restore it and run again, and let nothing cut it meanwhile."
  })

export const replaced = (path: string, reason: string): FilesError =>
  new FilesError({
    kind: "Replaced",
    tried: "read",
    path,
    reason: `${reason} while it was read`,
    fix: "Put it back and run again, and let nothing move or replace it meanwhile."
  })

export const sizeOf = (info: FileSystem.File.Info): number => ByteSize.toNumberUnsafe(info.size)

export const notAFile = (tried: string, path: string, info: FileSystem.File.Info): FilesError =>
  new FilesError({
    kind: "NotAFile",
    tried,
    path,
    reason: info.type === "Directory" ? "it is a folder" : `it is not a regular file but a ${info.type}`,
    fix: "Only a regular file has positions to resume at."
  })

/** Fills `buffer` with what stands at `position`; gives how many bytes there were before the end of the file. */
export const readAt = (
  file: FileSystem.File,
  path: string,
  buffer: Uint8Array,
  position: number
): Effect.Effect<number, FilesError> =>
  Effect.gen(function* () {
    let filled = 0
    while (filled < buffer.length) {
      const count = yield* file.read(buffer.subarray(filled), { position: BigInt(position + filled) })
      if (count === 0) break
      filled += count
    }
    return filled
  }).pipe(Effect.mapError(fromPlatform("read", path)))

/** The byte before a position that is not the first, and the two behind it; undefined where there is none. */
export const aroundOf = (
  file: FileSystem.File,
  path: string,
  position: number
): Effect.Effect<ReadonlyArray<number | undefined>, FilesError> => {
  const bytes = new Uint8Array(3)
  return Effect.map(readAt(file, path, bytes, position - 1), (count) => [...bytes.subarray(0, count)])
}

/** There alone `\` parts folders; elsewhere it is a character like any other. */
const isWindows = (globalThis as { readonly process?: { readonly platform?: string } }).process?.platform === "win32"

const lastSlash = (path: string): number =>
  isWindows ? Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) : path.lastIndexOf("/")

/** The folder of a path, by its text alone. */
export const folderOf = (path: string): string => {
  const slash = lastSlash(path)
  return slash < 0 ? "." : slash === 0 ? path.slice(0, 1) : path.slice(0, slash)
}

/** Where a relative path leads from a folder; an absolute one as it is. */
export const inFolder = (folder: string, path: string): string => {
  if (isWindows ? /^([/\\]|[a-z]:)/i.test(path) : path.startsWith("/")) return path
  return `${folder.replace(isWindows ? /[/\\]+$/ : /\/+$/, "")}/${path}`
}

/** The last part of a path, by its text alone. */
export const nameOf = (path: string): string => path.slice(lastSlash(path) + 1)

/** Makes a new name in a folder survive a power cut, on platforms that can. */
export const syncFolder = (path: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.pipe(
    Effect.flatMap((fs) => fs.open(path, { flag: "r" })),
    Effect.flatMap((folder) => folder.sync),
    Effect.scoped,
    Effect.ignore
  )
