/**
 * The part of a file that has arrived, beside the file, with a note of how much of it is safely there and of which version it is
 * a part: `.NAME.skein-part` and `.NAME.skein-note`. What a killed program has left is gone on with.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import { type FilesError, fromPlatform } from "../../FilesError.ts"
import { companion } from "../../files/Companion.ts"
import { folderOf, sizeOf, syncFolder } from "../../files/TextFile.ts"

/** Of the first `kept` bytes, which are on the disk, the version that they are of. */
interface Note {
  readonly url: string
  readonly validator: string
  readonly kept: number
}

const NoteText: Schema.Codec<Note, string> = Schema.fromJsonString(
  Schema.Struct({ url: Schema.String, validator: Schema.String, kept: Schema.Int })
)

/** So many bytes may have to be fetched again after a crash. */
const keepEvery = 8 * 1024 * 1024

export class PartFile {
  /** How many bytes are in it. */
  size: number
  /** Undefined where nobody could ask for the rest. */
  validator: string | undefined
  readonly path: string
  private readonly fs: FileSystem.FileSystem
  private readonly url: string
  private readonly whole: string
  private readonly file: FileSystem.File
  private kept: number

  constructor(fs: FileSystem.FileSystem, whole: string, url: string, file: FileSystem.File, note?: Note) {
    this.fs = fs
    this.url = url
    this.whole = whole
    this.path = partOf(whole)
    this.file = file
    this.size = this.kept = note?.kept ?? 0
    this.validator = note?.validator
  }

  /** Forgets what is in it: what comes is of another version, or can be given only as a whole. */
  restart(validator: string | undefined): Effect.Effect<void, FilesError> {
    this.size = this.kept = 0
    this.validator = validator
    return this.failing(
      Effect.andThen(
        Effect.ignore(this.fs.remove(noteOf(this.whole))),
        Effect.andThen(this.file.truncate(0), this.file.seek(0n, "start"))
      )
    )
  }

  add(bytes: Uint8Array): Effect.Effect<void, FilesError> {
    return Effect.flatMap(this.failing(this.file.writeAll(bytes)), () => {
      this.size += bytes.length
      return this.size - this.kept < keepEvery ? Effect.void : this.keep
    })
  }

  /** Makes sure that what is in it need not be fetched again. */
  get keep(): Effect.Effect<void, FilesError> {
    return Effect.suspend(() => {
      const { size, validator } = this
      if (validator === undefined || size === this.kept) return Effect.void
      const note = JSON.stringify({ url: this.url, validator, kept: size } satisfies Note)
      return Effect.andThen(
        this.failing(this.file.sync),
        Effect.map(this.failing(this.fs.writeFileString(noteOf(this.whole), signed(note), { mode: 0o600 })), () => {
          this.kept = size
        })
      )
    })
  }

  /** The part becomes the file, as a whole and for good. */
  get finish(): Effect.Effect<void, FilesError> {
    const { fs, path, whole } = this
    const done = Effect.gen({ self: this }, function* () {
      // Whoever may not read the old content may not read the new one either.
      const old = yield* Effect.option(fs.stat(whole))
      if (Option.isSome(old)) yield* fs.chmod(path, old.value.mode & 0o777)
      yield* this.file.sync
      yield* fs.rename(path, whole)
      yield* Effect.ignore(fs.remove(noteOf(whole)))
    })
    return Effect.andThen(
      Effect.uninterruptible(Effect.mapError(done, fromPlatform("write", whole))),
      Effect.provideService(syncFolder(folderOf(whole)), FileSystem.FileSystem, fs)
    )
  }

  /** Takes it away: nobody will go on with it. */
  get remove(): Effect.Effect<void> {
    return Effect.andThen(Effect.ignore(this.fs.remove(noteOf(this.whole))), Effect.ignore(this.fs.remove(this.path)))
  }

  private failing<A>(effect: Effect.Effect<A, PlatformError.PlatformError>): Effect.Effect<A, FilesError> {
    return Effect.mapError(effect, fromPlatform("write", this.path))
  }
}

/** The part that is there of what this URL gives, or an empty one; open until the scope closes. */
export const open = (
  whole: string,
  url: string
): Effect.Effect<PartFile, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = partOf(whole)
    const note = yield* noted(fs, whole, url)
    if (note !== undefined) {
      const file = yield* fs.open(path, { flag: "r+" })
      yield* file.truncate(note.kept)
      yield* file.seek(BigInt(note.kept), "start")
      return new PartFile(fs, whole, url, file, note)
    }
    return new PartFile(fs, whole, url, yield* fs.open(path, { flag: "w" }))
  }).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(fromPlatform("write", partOf(whole))(error))))

/** What an earlier download has left, if all of that is there. */
const noted = (fs: FileSystem.FileSystem, whole: string, url: string): Effect.Effect<Note | undefined> =>
  Effect.gen(function* () {
    const text = yield* fs.readFileString(noteOf(whole))
    const note = Option.getOrUndefined(Result.getSuccess(Schema.decodeResult(NoteText)(checked(text))))
    const info = yield* fs.stat(partOf(whole))
    return note?.url === url && info.type === "File" && sizeOf(info) >= note.kept ? note : undefined
  }).pipe(Effect.orElseSucceed(() => undefined))

const partOf = (whole: string): string => companion(whole, "skein-part")
const noteOf = (whole: string): string => companion(whole, "skein-note")

/** A note that a power cut has torn says so. */
const signed = (note: string): string => `${new Checksum().addText(note).text}\n${note}\n`
const checked = (text: string): string => {
  const [sum = "", note = ""] = text.split("\n")
  return new Checksum().addText(note).text === sum ? note : ""
}
