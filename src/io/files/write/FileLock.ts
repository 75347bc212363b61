/**
 * Says beside a file who writes to it, and which bytes behind the committed ones are that writer's own: `.NAME.skein`, there
 * while a run has the file open, and left by one that was killed. It keeps other pipelines out, and lets the next run of the
 * same one tell what the killed one wrote from what somebody else added since.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Host, newId } from "../../../pipeline/context/Host.ts"
import type { Opening } from "../../../pipeline/Sink.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { companion } from "../Companion.ts"
import { folderOf } from "../TextFile.ts"

/** A place in the file, with a checksum of the bytes before it. */
export interface Mark {
  readonly length: number
  readonly sum: string
}

/** The first line of the lock: it is on the disk before the lock has its name, and is never written again. */
interface Holder {
  readonly token: string
  readonly owner: string
  readonly durable: boolean
  readonly host: string
  readonly label: string
}

const HolderText: Schema.Codec<Holder, string> = Schema.fromJsonString(
  Schema.Struct({
    token: Schema.String,
    owner: Schema.String,
    durable: Schema.Boolean,
    host: Schema.String,
    label: Schema.String
  })
)

/** The second line, written again for each write. Nobody waits for it to be on the disk: after a power cut it may be torn. */
export interface Intent {
  /** Which one of several files, by its number; and the one before that its last commit spoke of, where it has left that. */
  readonly part?: number | undefined
  readonly before?: (Mark & { readonly part: number }) | undefined
  /** What stands before is committed, or was there before that run and is not its own. */
  readonly base: number
  /** How far it had come, and how far the write goes that is under way. */
  readonly from: Mark
  readonly to: Mark
}

const MarkSchema = Schema.Struct({ length: Schema.Int, sum: Schema.String })
const IntentText: Schema.Codec<Intent, string> = Schema.fromJsonString(
  Schema.Struct({
    part: Schema.optional(Schema.Int),
    before: Schema.optional(Schema.Struct({ part: Schema.Int, ...MarkSchema.fields })),
    base: Schema.Int,
    from: MarkSchema,
    to: MarkSchema
  })
)

export interface FileLock {
  /** What the run before, which was killed, was writing; none where that is not known. */
  readonly left: Option.Option<Intent>
  /** Says which bytes are this run's own, and what is going to be written, before it is. */
  readonly intend: (intent: Intent) => Effect.Effect<void, FilesError>
  readonly release: Effect.Effect<void>
  /** Puts it back as it was found, for a run that does not begin. */
  readonly giveBack: Effect.Effect<void>
}

/** Takes the file for this run, or says who has it. */
export const take = (
  path: string,
  { durable, host, owner }: Opening
): Effect.Effect<FileLock, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const lock = companion(path, "skein")
    const token = yield* newId
    const temporary = `${lock}.${token}`
    const holder = JSON.stringify({ token, owner, durable, host: host.id, label: host.label } satisfies Holder)
    const first = new TextEncoder().encode(`${holder}\n`)
    const failed = Effect.mapError((error: FilesError | PlatformError.PlatformError) =>
      error instanceof FilesError ? error : fromPlatform("say who writes to", path)(error)
    )
    yield* failed(fs.makeDirectory(folderOf(path), { recursive: true }))
    const found = yield* Effect.gen(function* () {
      yield* written(fs, temporary, holder, "")
      if (yield* placed(fs, temporary, lock)) return undefined
      const left = yield* leftBy(fs, path, lock, owner, host)
      if (left.intent !== "") yield* written(fs, temporary, holder, left.intent)
      yield* fs.rename(temporary, lock)
      return left
    }).pipe(
      failed,
      Effect.onError(() => Effect.ignore(fs.remove(temporary)))
    )
    const file = yield* failed(fs.open(lock, { flag: "r+" }))
    const isOurs = Effect.map(fs.readFileString(lock), (text) => text.includes(token))
    const release = Effect.ignore(Effect.flatMap(isOurs, (ours) => (ours ? fs.remove(lock) : Effect.void)))
    return {
      left: Result.getSuccess(Schema.decodeResult(IntentText)(found?.intent ?? "")),
      intend: (intent) =>
        Effect.andThen(
          file.seek(BigInt(first.length), "start"),
          file.writeAll(new TextEncoder().encode(lineOf(JSON.stringify(intent))))
        ).pipe(Effect.mapError(fromPlatform("say what is written to", path)), Effect.uninterruptible),
      release,
      giveBack:
        found === undefined || found.intent === ""
          ? release
          : Effect.ignore(
              Effect.andThen(written(fs, temporary, found.holder, found.intent), fs.rename(temporary, lock))
            )
    }
  })

/** Always as long, so that a later one covers an earlier one whole. */
export const lineOf = (intent: string): string => `${intent.padEnd(383)}\n`

/** Writes a lock whole, so that no power cut leaves its name without what is in it. */
export const written = (
  fs: FileSystem.FileSystem,
  path: string,
  holder: string,
  intent: string
): Effect.Effect<void, PlatformError.PlatformError> =>
  fs.open(path, { flag: "w", mode: 0o600 }).pipe(
    Effect.flatMap((file) =>
      Effect.andThen(file.writeAll(new TextEncoder().encode(`${holder}\n${lineOf(intent)}`)), file.sync)
    ),
    Effect.scoped
  )

/** Gives a whole file a name that must be free. */
export const placed = (
  fs: FileSystem.FileSystem,
  temporary: string,
  lock: string
): Effect.Effect<boolean, FilesError> =>
  Effect.andThen(fs.link(temporary, lock), Effect.as(fs.remove(temporary), true)).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "AlreadyExists",
      () => Effect.succeed(false)
    ),
    Effect.mapError(fromPlatform("say who writes to", lock))
  )

/** What a run has left that is gone; without an intent where it is not to be taken back, as it was of another pipeline. */
const leftBy = (
  fs: FileSystem.FileSystem,
  path: string,
  lock: string,
  owner: string,
  host: Host
): Effect.Effect<{ readonly holder: string; readonly intent: string }, FilesError> =>
  Effect.gen(function* () {
    const text = yield* fs.readFileString(lock).pipe(Effect.mapError(fromPlatform("see who writes to", path)))
    const [first = "", second = ""] = text.split("\n")
    const note = Result.getSuccess(Schema.decodeResult(HolderText)(first))
    const taken = (reason: string, fix: string) =>
      new FilesError({ kind: "Interfered", tried: "write", path, reason, fix })
    if (Option.isNone(note)) {
      return yield* taken(
        `${lock} is not what Skein writes there`,
        "Look whether another program writes to it, and delete that file."
      )
    }
    const { durable, host: holder, label, owner: theirs } = note.value
    // A run of the same pipeline: the journal has made sure that it is the only one.
    if (theirs === owner) return { holder: first, intent: second.trimEnd() }
    const runs = host.runs(holder)
    if (runs === true) {
      return yield* taken(`another pipeline writes to it, in ${label}`, "Wait for its end, or write to another file.")
    }
    if (runs === undefined) {
      const fix = `If it is gone, delete ${lock}; else write to another file.`
      return yield* taken(`another pipeline may be writing to it, in ${label}`, fix)
    }
    // Only that pipeline knows what of the file it has committed, and so which bytes are its own.
    if (durable) {
      const fix = `Run that pipeline again first, so that it finishes or takes back what it wrote; or delete ${lock} to keep that.`
      return yield* taken(`another pipeline was killed while it wrote to it, in ${label}`, fix)
    }
    return { holder: first, intent: "" }
  })
