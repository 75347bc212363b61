/** Remembers by name what was run in a folder, so that `skein dead NAME` finds its journal and its job again. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Files from "../../io/Files.ts"
import { type FilesError, fromPlatform } from "../../io/FilesError.ts"
import type * as Main from "../../node/Main.ts"
import * as Shown from "../../concurrency/base/Shown.ts"
import * as FetchPlan from "../plan/FetchPlan.ts"
import * as RunPlan from "../plan/RunPlan.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as Paths from "../usage/Paths.ts"
import * as JournalFolder from "./JournalFolder.ts"
import * as StateFolder from "./StateFolder.ts"

export type Command =
  | { readonly kind: "fetch"; readonly options: FetchPlan.Kept }
  | { readonly kind: "run"; readonly options: RunPlan.Options }

export type Entry = Command & {
  /** Where it was run. */
  readonly folder: string
  /** The file or URL of the database with its journal; none where only its own code finds it. */
  readonly journal?: string
}

const place = { folder: Schema.String, journal: Schema.optionalKey(Schema.String) }
const Entry = Schema.Union([
  Schema.Struct({ ...place, kind: Schema.Literal("fetch"), options: FetchPlan.Kept }),
  Schema.Struct({ ...place, kind: Schema.Literal("run"), options: RunPlan.Options })
])
const EntryText = Schema.fromJsonString(Entry)

/** Without it a run is as good, so that it fails in nothing but words. */
export const save = (
  name: string,
  command: Command,
  journal: string | undefined
): Effect.Effect<void, never, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* Paths.real(".")
    const state = StateFolder.of(folder)
    const place = journal === undefined ? undefined : (serverOf(command, journal) ?? path.resolve(journal))
    const entry = { ...command, folder, ...(place !== undefined && { journal: place }) }
    const text = yield* Effect.orDie(Schema.encodeEffect(EntryText)(entry))
    yield* Effect.mapError(
      fs.makeDirectory(state, { recursive: true, mode: 0o700 }),
      fromPlatform("make the folder", state)
    )
    yield* Files.writeAtomic(path.join(state, `${name}.json`), `${text}\n`, { mode: 0o600 })
  }).pipe(
    Effect.catch((error: FilesError) =>
      Console.error(`warning: \`skein dead ${name}\` will not know this run: ${Shown.indented("  ", error.message)}`)
    )
  )

/** What it can be opened by again: the name of a server's database says not who was let in, and how. */
const serverOf = ({ options }: Command, journal: string): string | undefined =>
  Paths.fileOf(journal) === undefined ? (options.db ?? journal) : undefined

/** What ran last under this name. */
export const load = (name: string): Effect.Effect<Entry, unknown, Main.Services> =>
  Effect.flatMap(find(name), (entry) => (Option.isSome(entry) ? Effect.succeed(entry.value) : unknown(name)))

/** The file that what ran last under this name is known by: what it wrote, or the file of its job. */
export const target = (name: string): Effect.Effect<string | undefined, never, Main.Services> =>
  Effect.gen(function* () {
    const found = yield* Effect.orElseSucceed(find(name), () => Option.none<Entry>())
    const entry = Option.getOrUndefined(found) ?? (yield* before(name))
    const { db, file, out }: (typeof Before.Type)["options"] = entry?.options ?? {}
    return file ?? (db === undefined ? out : Paths.fileOf(db))
  })

const find = (name: string): Effect.Effect<Option.Option<Entry>, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* Paths.real(".")
    const file = path.join(StateFolder.of(folder), `${name}.json`)
    if (!(yield* fs.exists(file))) return Option.none()
    const entry = yield* Effect.mapError(
      Schema.decodeEffect(EntryText)(yield* fs.readFileString(file)),
      () =>
        new CommandError(`Could not read ${file}: it is not what skein wrote there. Run "${name}" again to renew it.`)
    )
    return entry.folder === folder ? Option.some(entry) : Option.none()
  })

/** What version 0.1 kept in the working folder: to be compared, and nothing else, as it may come from anybody. */
const before = (name: string): Effect.Effect<typeof Before.Type | undefined, never, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* Files.within(JournalFolder.name, `${name}.json`)
    const { size, type } = yield* fs.stat(file)
    if (type !== "File" || size > mostBefore) return undefined
    return yield* Schema.decodeEffect(Before)(yield* fs.readFileString(file))
  }).pipe(Effect.orElseSucceed(() => undefined))

const mostBefore = 1024 * 1024

const Before = Schema.fromJsonString(
  Schema.Struct({
    options: Schema.Struct({
      file: Schema.optionalKey(Schema.String),
      db: Schema.optionalKey(Schema.String),
      out: Schema.optionalKey(Schema.String)
    })
  })
)

const unknown = (name: string): Effect.Effect<never, CommandError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const there = [`${JournalFolder.name}/${name}.json`, JournalFolder.file(name)]
    for (const file of there) {
      if (!(yield* Effect.orElseSucceed(fs.exists(file), () => false))) continue
      return yield* Effect.fail(
        new CommandError(
          `You have not run "${name}" in this folder with this version, and ${file} may be somebody else's: it is not used. ` +
            "Run the command again here first; it goes on where it stopped."
        )
      )
    }
    const state = StateFolder.of(yield* Paths.real("."))
    const files = yield* Effect.orElseSucceed(fs.readDirectory(state), () => [])
    const names = files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length))
    const known =
      names.length === 0
        ? ": run `skein fetch` or `skein run` first, or change to the folder where you did."
        : `. What was: ${names.sort().join(", ")}.`
    return yield* Effect.fail(new CommandError(`Nothing named "${name}" was run in this folder${known}`))
  })
