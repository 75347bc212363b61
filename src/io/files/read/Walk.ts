/** What is in a folder and in those below it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Glob from "effect/Glob"
import * as Stream from "effect/Stream"
import { type FilesError, fromPlatform } from "../../FilesError.ts"

/** A file, folder or link that was found. */
export interface Entry {
  /** Its path, which begins with that of the root as it was given. */
  readonly path: string
  /** Its path below the root, with `/` between its parts. */
  readonly name: string
  /** What it is itself: of a link, "SymbolicLink". */
  readonly type: FileSystem.File.Type
}

export interface WalkOptions {
  /** Gives only what matches, by its `name`, as `Files.glob` has it. Default: all. */
  readonly pattern?: string
  /** Looks into folders that links lead to as well. Default false. */
  readonly followLinks?: boolean
}

export const walk = (
  root: string,
  { followLinks = false, pattern }: WalkOptions
): Stream.Stream<Entry, FilesError, FileSystem.FileSystem> => {
  const glob = pattern === undefined ? undefined : Glob.make(pattern)
  const base = root.replace(/(?<=.)[/\\]+$/, "")
  const joined = (name: string) => (/[/\\]$/.test(base) ? `${base}${name}` : `${base}/${name}`)
  return Stream.unwrap(
    Effect.map(FileSystem.FileSystem, (fs) => {
      /** `above` are the real paths of the folders that a link may not lead back to; none where links are not followed. */
      const below = (folder: string, name: string, above: ReadonlyArray<string>): Stream.Stream<Entry, FilesError> =>
        Stream.unwrap(
          Effect.map(fs.readDirectoryEntries(folder), (entries) =>
            Stream.flatMap(
              Stream.fromIterable([...entries].sort((one, other) => (one.name < other.name ? -1 : 1))),
              (entry) => one(name === "" ? entry.name : `${name}/${entry.name}`, entry.type, above)
            )
          ).pipe(Effect.mapError(fromPlatform("look into", folder)))
        )
      const one = (
        name: string,
        type: Entry["type"],
        above: ReadonlyArray<string>
      ): Stream.Stream<Entry, FilesError> => {
        const path = joined(name)
        const here =
          glob === undefined || Glob.match(glob, name) ? Stream.succeed<Entry>({ path, name, type }) : Stream.empty
        if (type !== "Directory" && (type !== "SymbolicLink" || !followLinks)) return here
        return Stream.concat(
          here,
          Stream.unwrap(
            Effect.map(inside(fs, path, type, above), (now) =>
              now === undefined ? Stream.empty : below(path, name, now)
            )
          )
        )
      }
      const inside = followLinks ? unlessLoop : () => Effect.succeed([])
      return Stream.unwrap(Effect.map(inside(fs, base, "Directory", []), (now) => below(base, "", now ?? [])))
    })
  )
}

/** The real paths with that of this folder; undefined where it is no folder, or one that it is in itself. */
const unlessLoop = (
  fs: FileSystem.FileSystem,
  path: string,
  type: Entry["type"],
  above: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string> | undefined, FilesError> =>
  Effect.gen(function* () {
    if (type === "SymbolicLink") {
      const isFolder = yield* fs.stat(path).pipe(
        Effect.map((info) => info.type === "Directory"),
        Effect.catchIf(
          // A link to nowhere, or to itself.
          (error) => error.reason._tag !== "PermissionDenied",
          () => Effect.succeed(false)
        )
      )
      if (!isFolder) return undefined
    }
    const real = yield* fs.realPath(path)
    return above.includes(real) ? undefined : [...above, real]
  }).pipe(Effect.mapError(fromPlatform("look into", path)))
