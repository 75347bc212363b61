/** An open file of lines: what reading and writing one have in common. */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import { FilesError, fromPlatform } from "../FilesError.ts"

/** Why a line or an element cannot be accepted, found by whoever converts between the two. */
export class Refusal {
  readonly reason: string
  readonly fix: string
  /** Where in the value, if it is in a part of it. */
  readonly field: string | undefined
  constructor(reason: string, fix: string, field?: string) {
    this.reason = reason
    this.fix = fix
    this.field = field
  }
}

/** How the elements of a file become lines and back. Both give a `Refusal` instead of throwing. */
export interface Format<in out A> {
  readonly name: string
  readonly parse: (line: string) => A | Refusal
  /** One line, without its newline. */
  readonly print: (element: A) => string | Refusal
}

export const newline = 10

/** Opens an existing file for reading; gives its size, too. */
export const openToRead = (
  path: string
): Effect.Effect<
  { readonly file: FileSystem.File; readonly size: number },
  FilesError,
  FileSystem.FileSystem | Scope.Scope
> =>
  FileSystem.FileSystem.pipe(
    Effect.flatMap((fs) => fs.open(path, { flag: "r" })),
    Effect.bindTo("file"),
    Effect.bind("info", ({ file }) => file.stat),
    Effect.mapError(fromPlatform("open", path)),
    Effect.flatMap(({ file, info }) =>
      info.type === "File" ? Effect.succeed({ file, size: sizeOf(info) }) : Effect.fail(notAFile("read", path, info))
    )
  )

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

/** The folder of a path, by its text alone. */
export const folderOf = (path: string): string => {
  const slash = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"))
  return slash < 0 ? "." : slash === 0 ? path.slice(0, 1) : path.slice(0, slash)
}

/** The last part of a path, by its text alone. */
export const nameOf = (path: string): string => path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1)

/** Makes a new name in a folder survive a power cut, on platforms that can. */
export const syncFolder = (path: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.pipe(
    Effect.flatMap((fs) => fs.open(path, { flag: "r" })),
    Effect.flatMap((folder) => folder.sync),
    Effect.scoped,
    Effect.ignore
  )
