/** Which files a list or a glob stands for. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { isCompanion } from "../Companion.ts"
import type { Glob, Several } from "../Place.ts"
import { inFolder, nameOf } from "../TextFile.ts"

/** In the order in which they are read. What is there and cannot be looked at is an error, and is not left out. */
export const listed = (several: Several): Effect.Effect<ReadonlyArray<string>, FilesError, FileSystem.FileSystem> =>
  "_tag" in several ? matches(several) : Effect.succeed(several)

const matches = ({ pattern, root }: Glob): Effect.Effect<ReadonlyArray<string>, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    let unread: FilesError | undefined
    // A glob passes over folders that it may not read, with all that is in them.
    const watched = FileSystem.make({
      ...fs,
      readDirectoryEntries: (path) =>
        Effect.tapError(fs.readDirectoryEntries(path), (error) =>
          Effect.sync(() => {
            if (!isGone(error)) unread ??= fromPlatform("look into", path)(error)
          })
        )
    })
    const found = yield* Effect.mapError(
      watched.glob(pattern, root === undefined ? {} : { root }),
      (error) => unread ?? fromPlatform("find files by", pattern)(error)
    )
    if (unread !== undefined) return yield* unread
    const paths: Array<string> = []
    for (const name of found) {
      const path = root === undefined ? name : inFolder(root, name)
      if (!isCompanion(nameOf(path)) && !(yield* isFolder(fs, path))) paths.push(path)
    }
    if (paths.length > 0) return paths.sort((one, other) => (one < other ? -1 : 1))
    return yield* new FilesError({
      kind: "NotFound",
      tried: "find files by",
      path: pattern,
      reason: "no file matches it",
      fix: "Check the pattern; a relative one starts at the folder the program was started in."
    })
  })

const isGone = (error: PlatformError.PlatformError): boolean => error.reason._tag === "NotFound"

/** What cannot be looked at is told when it is read. */
const isFolder = (fs: FileSystem.FileSystem, path: string): Effect.Effect<boolean> =>
  fs.stat(path).pipe(
    Effect.map(({ type }) => type === "Directory"),
    Effect.orElseSucceed(() => false)
  )

/** As a message names them. */
export const nameOfSeveral = (several: Several): string => {
  if ("_tag" in several) return several.pattern
  const [first = "no file", ...others] = several
  return others.length === 0 ? first : `${first} and ${others.length} more`
}
