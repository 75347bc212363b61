/**
 * Which files a partitioned sink has written to, and how far: lines beside them, added to before the files are. So a checkpoint is
 * as small for a million files as for one: it says how far this goes.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import type { Mark } from "./FileLock.ts"

/** A file, from where to where it is written. */
export interface Entry {
  readonly folder: string
  /** How many elements are in it then. */
  readonly from: Mark
  readonly to: Mark
  /** It was not there before. */
  readonly isNew?: boolean | undefined
}

const MarkSchema = Schema.Struct({ length: Schema.Int, sum: Schema.String })
const EntryText = Schema.fromJsonString(
  Schema.Struct({
    folder: Schema.String,
    from: MarkSchema,
    to: MarkSchema,
    isNew: Schema.optionalKey(Schema.Boolean)
  })
)
const decode = Schema.decodeUnknownEffect(EntryText)

export const linesOf = (entries: ReadonlyArray<Entry>): Uint8Array =>
  new TextEncoder().encode(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""))

/** What stands in it up to a length, and the whole lines behind that. */
export const read = (
  fs: FileSystem.FileSystem,
  path: string,
  length: number
): Effect.Effect<{ readonly committed: ReadonlyArray<Entry>; readonly later: ReadonlyArray<Entry> }, FilesError> =>
  Effect.gen(function* () {
    const bytes = yield* fs.readFile(path).pipe(
      Effect.catchIf(
        (error) => error.reason._tag === "NotFound",
        () => Effect.succeed(new Uint8Array())
      ),
      Effect.mapError(fromPlatform("read", path))
    )
    const texts = (part: Uint8Array) => new TextDecoder().decode(part).split("\n").slice(0, -1)
    const wrong = new FilesError({
      kind: "BadState",
      tried: "resume writing",
      path,
      reason: "it is not what Skein writes there; was it changed by hand?",
      fix: "Restore it, or start over."
    })
    const committed = yield* Effect.mapError(
      Effect.forEach(texts(bytes.subarray(0, length)), (text) => decode(text)),
      () => wrong
    )
    // What was not committed may be torn.
    const later: Array<Entry> = []
    for (const text of texts(bytes.subarray(length))) {
      const entry = yield* Effect.option(decode(text))
      if (entry._tag === "None") break
      later.push(entry.value)
    }
    return { committed, later }
  })
