/** Where a file is, under whatever name: its real path, and its inode where it has one. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import { type FilesError, fromPlatform } from "../FilesError.ts"
import { folderOf, inFolder, nameOf } from "./TextFile.ts"

/** The path behind all links, of a file that need not be there yet; a link to nowhere leads to the file it will make. */
export const realPath = (path: string): Effect.Effect<string, FilesError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => resolve(fs, path, 0)).pipe(
    Effect.mapError(fromPlatform("look up", path))
  )

const resolve = (
  fs: FileSystem.FileSystem,
  path: string,
  depth: number
): Effect.Effect<string, PlatformError.PlatformError> =>
  fs.realPath(path).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound" && depth < 40,
      () =>
        Effect.flatMap(Effect.option(fs.readLink(path)), (link) => {
          if (Option.isSome(link)) return resolve(fs, inFolder(folderOf(path), link.value), depth + 1)
          const folder = folderOf(path)
          return folder === path
            ? Effect.succeed(path)
            : Effect.map(resolve(fs, folder, depth + 1), (real) => inFolder(real, nameOf(path)))
        })
    )
  )

/** All names of a file. */
export const places = (path: string): Effect.Effect<ReadonlyArray<string>, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const real = yield* realPath(path)
    const info = yield* Effect.option(fs.stat(path))
    return Option.match(Option.flatMap(info, inodeOf), { onNone: () => [real], onSome: (inode) => [real, inode] })
  })

/** Tells a file from every other on this machine, and from one that takes its place. */
export const inodeOf = (info: FileSystem.File.Info): Option.Option<string> =>
  Option.map(info.ino, (ino) => `inode ${info.dev}:${ino}`)
