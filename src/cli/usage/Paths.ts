/** Files and databases as a command line names them, and what one name may not be. */
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as DatabaseUrl from "../../node/DatabaseUrl.ts"
import { CommandError } from "./CommandError.ts"

export const text = (name: string): Flag.Flag<string> =>
  Flag.String(name).pipe(
    Flag.filter(
      (value) => value !== "",
      () => whenEmpty
    )
  )

export const whenEmpty = "a text that is not empty; a variable in the command may be unset"

/** A file, or `-` for standard input or output. */
export const stream = (name: string): Flag.Flag<string> => text(name).pipe(Flag.withMetavar("<file|->"))

export const file = (name: string): Flag.Flag<string> =>
  text(name).pipe(
    Flag.withMetavar("<file>"),
    Flag.filter(
      (path) => path !== "-",
      () => "a file: a run goes on from what is in it, which standard input and output do not keep"
    )
  )

/** The file or URL of a database. What is wrong with it is told without it: it may have a password in it. */
export const database: Flag.Flag<string> = file("db").pipe(
  Flag.withMetavar("<file|url>"),
  Flag.filter(
    DatabaseUrl.isKept,
    () => "a file: this database would be gone with the command, and all that was written with it"
  ),
  Flag.mapEffect((url) => {
    const wrong = problemOf(url)
    return wrong === undefined ? Effect.succeed(url) : Effect.fail(new CliError.ValidationError({ message: wrong }))
  })
)

const problemOf = (url: string): string | undefined => {
  const at = DatabaseUrl.parse(url)
  switch (at._tag) {
    case "Server":
      return `--db names a database of a kind that is not known: ${at.scheme}:. Give a file of SQLite, or ${example}`
    case "File":
      // SQLite would look for a folder of that name.
      return /^postgres(ql)?[:/]+[^/]*@/i.test(url)
        ? `--db has no URL that can be read. Give it as in ${example}`
        : undefined
    default:
      return undefined
  }
}

const example = "postgres://user@host:5432/database"

/** The file of a database, where it is one. */
export const fileOf = (database: string): string | undefined => {
  const at = DatabaseUrl.parse(database)
  return at._tag === "File" ? at.path : undefined
}

/** A file with the part that it plays in the command, such as `--out`. */
export interface Role {
  readonly role: string
  readonly path: string
}

/** Fails where one of them is no file, or two are the same one, also through links. */
export const check = (
  roles: ReadonlyArray<Role>
): Effect.Effect<void, CommandError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    for (const { path, role } of roles) {
      const kind = Option.getOrUndefined(yield* typeOf(path))
      if (kind === undefined || kind === "File") continue
      const what = kinds[kind] ?? "no regular file"
      const fix =
        kind === "Directory" ? "Name a file in it." : "A run goes on from what a file has: give a regular one."
      return yield* Effect.fail(
        new CommandError(`Could not use ${JSON.stringify(path)} as ${role}: it is ${what}. ${fix}`)
      )
    }
    for (const [i, one] of roles.entries()) {
      for (const other of roles.slice(i + 1)) {
        if (!(yield* same(one.path, other.path))) continue
        const names =
          one.path === other.path
            ? JSON.stringify(one.path)
            : [one, other].map(({ path }) => JSON.stringify(path)).join(" and ")
        return yield* Effect.fail(
          new CommandError(`${one.role} and ${other.role} are the same file: ${names}. Give each its own.`, {
            exitCode: 2
          })
        )
      }
    }
  })

const kinds: { readonly [K in FileSystem.File.Type]?: string } = {
  Directory: "a folder",
  FIFO: "a named pipe",
  CharacterDevice: "a device",
  BlockDevice: "a device",
  Socket: "a socket"
}

/** Whether two paths lead to one file, or would if it were made. */
export const same = (a: string, b: string): Effect.Effect<boolean, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    if ((yield* real(a)) === (yield* real(b))) return true
    const [one, other] = [yield* inode(a), yield* inode(b)]
    return one !== undefined && one === other
  })

/** Where a path leads to, links followed, whether something is there or not. */
export const real = (file: string): Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(Path.Path, (path) => follow(path.resolve(file), 0))

/** As many links as operating systems follow. */
const maxLinks = 40

const follow = (at: string, links: number): Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const found = yield* Effect.option(fs.realPath(at))
    if (Option.isSome(found)) return found.value
    const folder = path.dirname(at)
    const link = yield* Effect.option(fs.readLink(at))
    if (Option.isSome(link) && links < maxLinks) return yield* follow(path.resolve(folder, link.value), links + 1)
    return folder === at ? at : path.join(yield* follow(folder, links), path.basename(at))
  })

const typeOf = (path: string): Effect.Effect<Option.Option<FileSystem.File.Type>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.option(Effect.map(fs.stat(path), ({ type }) => type)))

const inode = (path: string): Effect.Effect<string | undefined, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.option(fs.stat(path))).pipe(
    Effect.map((stat) => {
      const ino = Option.flatMap(stat, ({ ino }) => ino)
      return Option.isSome(stat) && Option.isSome(ino) && ino.value !== 0n
        ? `${stat.value.dev}:${ino.value}`
        : undefined
    })
  )
