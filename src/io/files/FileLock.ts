/**
 * Says beside a file who writes to it, and which bytes behind the committed ones are that writer's own: `.NAME.skein`, there
 * while a run has the file open, and left by one that was killed. It keeps other pipelines out, and lets the next run of the
 * same one tell what the killed one wrote from what somebody else added since.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Host, newId } from "../../pipeline/context/Host.ts"
import type { Opening } from "../../pipeline/Sink.ts"
import { FilesError, fromPlatform } from "../FilesError.ts"
import { folderOf, nameOf } from "./TextFile.ts"

/** A place in the file, with a checksum of the bytes before it. */
export interface Mark {
  readonly length: number
  readonly sum: string
}

interface Note {
  readonly token: string
  readonly owner: string
  readonly durable: boolean
  readonly host: string
  readonly label: string
  /** What stands before is committed, or was there before that run and is not its own. */
  readonly base: number
  /** How far it had come, and how far the write goes that is under way. */
  readonly from: Mark
  readonly to: Mark
}

const MarkSchema = Schema.Struct({ length: Schema.Int, sum: Schema.String })
const NoteText: Schema.Codec<Note, string> = Schema.fromJsonString(
  Schema.Struct({
    token: Schema.String,
    owner: Schema.String,
    durable: Schema.Boolean,
    host: Schema.String,
    label: Schema.String,
    base: Schema.Int,
    from: MarkSchema,
    to: MarkSchema
  })
)

export type Left = Pick<Note, "base" | "from" | "to">

export interface FileLock {
  /** What the run before, which was killed, was writing. */
  readonly left: Option.Option<Left>
  /** Behind it stands nothing that is to be kept. */
  readonly base: number
  /** Says what is going to be written, before it is. */
  readonly intend: (from: Mark, to: Mark) => Effect.Effect<void, FilesError>
  readonly release: Effect.Effect<void>
  /** Puts it back as it was found, for a run that does not begin. */
  readonly giveBack: Effect.Effect<void>
}

/** Takes the file for this run, or says who has it. `baseOf` says from where on all is this run's own. */
export const take = (
  path: string,
  size: number,
  { durable, host, owner }: Opening,
  baseOf: (left: Option.Option<Left>) => number
): Effect.Effect<FileLock, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const lock = `${folderOf(path)}/.${nameOf(path)}.skein`
    const token = yield* newId
    const temporary = `${lock}.${token}`
    const nowhere: Mark = { length: size, sum: "" }
    let base = baseOf(Option.none())
    const textOf = (from: Mark, to: Mark): Uint8Array =>
      printed({ token, owner, durable, host: host.id, label: host.label, base, from, to })
    yield* fs.makeDirectory(folderOf(path), { recursive: true }).pipe(Effect.mapError(fromPlatform("open", path)))
    yield* fs
      .writeFile(temporary, textOf(nowhere, nowhere), { flag: "wx", mode: 0o600 })
      .pipe(Effect.mapError(fromPlatform("say who writes to", path)))
    const left = yield* Effect.gen(function* () {
      if (yield* placed(fs, temporary, lock)) return Option.none<Note>()
      const note = yield* leftBy(fs, path, lock, owner, host)
      base = baseOf(note)
      if (Option.isSome(note)) yield* fs.writeFile(temporary, textOf(note.value.from, note.value.to))
      yield* fs.rename(temporary, lock)
      return note
    }).pipe(
      Effect.mapError((error) =>
        error instanceof FilesError ? error : fromPlatform("say who writes to", path)(error)
      ),
      Effect.onError(() => Effect.ignore(fs.remove(temporary)))
    )
    const file = yield* fs.open(lock, { flag: "r+" }).pipe(Effect.mapError(fromPlatform("say who writes to", path)))
    const isOurs = Effect.map(fs.readFileString(lock), (text) => text.includes(token))
    const release = Effect.ignore(Effect.flatMap(isOurs, (ours) => (ours ? fs.remove(lock) : Effect.void)))
    return {
      left,
      base,
      intend: (from, to) =>
        Effect.andThen(file.seek(0n, "start"), file.writeAll(textOf(from, to))).pipe(
          Effect.mapError(fromPlatform("say what is written to", path)),
          Effect.uninterruptible
        ),
      release,
      giveBack: Option.match(left, {
        onNone: () => release,
        onSome: (note) => Effect.ignore(Effect.andThen(file.seek(0n, "start"), file.writeAll(printed(note))))
      })
    }
  })

const lengthOfNote = 1024

/** Always as long, so that a later one covers an earlier one whole. */
const printed = (note: Note): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(note).padEnd(lengthOfNote - 1)}\n`)

/** Gives a whole file a name that must be free. */
const placed = (fs: FileSystem.FileSystem, temporary: string, lock: string): Effect.Effect<boolean, FilesError> =>
  Effect.andThen(fs.link(temporary, lock), Effect.as(fs.remove(temporary), true)).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "AlreadyExists",
      () => Effect.succeed(false)
    ),
    Effect.mapError(fromPlatform("say who writes to", lock))
  )

/** What a run was writing that is gone; none where it is not to be taken back, as it was of another pipeline. */
const leftBy = (
  fs: FileSystem.FileSystem,
  path: string,
  lock: string,
  owner: string,
  host: Host
): Effect.Effect<Option.Option<Note>, FilesError> =>
  Effect.gen(function* () {
    const text = yield* fs.readFileString(lock).pipe(Effect.mapError(fromPlatform("see who writes to", path)))
    const note = yield* Effect.option(Schema.decodeEffect(NoteText)(text))
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
    if (theirs !== owner) {
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
    }
    return theirs === owner ? note : Option.none()
  })
