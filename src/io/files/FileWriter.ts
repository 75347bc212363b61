/**
 * Writes lines to a file such that it never keeps more than was committed: what `write` gives is the length of the file
 * behind its last line, and `open` cuts the file back to it.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Writer } from "../../pipeline/Sink.ts"
import { FilesError, fromPlatform } from "../FilesError.ts"
import { folderOf, newline, notAFile, readAt, Refusal, sizeOf, syncFolder } from "./TextFile.ts"

export interface WriteOptions {
  readonly existing: "append" | "replace"
  readonly fsync: boolean
}

export const open = <A>(
  path: string,
  committed: Option.Option<Schema.Json>,
  print: (element: A) => string | Refusal,
  options: WriteOptions
): Effect.Effect<Writer<A, FilesError, never>, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const before = yield* fs.stat(path).pipe(
      Effect.asSome,
      Effect.catchIf(
        (error) => error.reason._tag === "NotFound",
        () => Effect.succeedNone
      ),
      Effect.mapError(fromPlatform("write", path))
    )
    if (Option.isSome(before) && before.value.type !== "File") return yield* notAFile("write", path, before.value)
    const size = Option.match(before, { onNone: () => 0, onSome: sizeOf })

    let length = options.existing === "replace" ? 0 : size
    if (Option.isSome(committed)) {
      length = yield* lengthOf(path, committed.value)
      if (size < length) return yield* lost(path, length, before)
    }

    const file = yield* openToWrite(fs, path)
    const cutBack = Effect.suspend(() => file.truncate(length)).pipe(Effect.mapError(fromPlatform("cut back", path)))
    if (size > length) yield* cutBack
    if (Option.isNone(before) && options.fsync) yield* syncFolder(folderOf(path))

    const last = new Uint8Array(1)
    if (length > 0) yield* readAt(file, path, last, length - 1)
    // What somebody else wrote may lack its last newline; the first element must not become part of that line.
    let prefix = length > 0 && last[0] !== newline ? "\n" : ""
    let clean = true

    const append = (bytes: Uint8Array): Effect.Effect<void, FilesError> =>
      Effect.gen(function* () {
        if (!clean) yield* cutBack
        clean = false
        const info = yield* file
          .writeAll(bytes)
          .pipe(
            Effect.andThen(options.fsync ? file.sync : Effect.void),
            Effect.andThen(file.stat),
            Effect.mapError(fromPlatform("write", path))
          )
        if (sizeOf(info) !== length + bytes.length) return yield* interfered(path, length + bytes.length, sizeOf(info))
        length += bytes.length
        prefix = ""
        clean = true
      })

    return {
      write: (elements) =>
        Effect.suspend(() => {
          let text = prefix
          for (const [index, element] of elements.entries()) {
            const line = print(element)
            if (line instanceof Refusal) return badElement(path, index, elements.length, line)
            text += line + "\n"
          }
          const written = elements.length === 0 ? Effect.void : append(new TextEncoder().encode(text))
          // A write that is under way cannot be taken back from the system: a cancel waits for it.
          return Effect.map(Effect.uninterruptible(written), () => ({ length }))
        })
    }
  })

/** For appending, so that a second writer, which `write` notices, cannot overwrite anything first. */
const openToWrite = (
  fs: FileSystem.FileSystem,
  path: string
): Effect.Effect<FileSystem.File, FilesError, Scope.Scope> =>
  fs.open(path, { flag: "a+" }).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.andThen(fs.makeDirectory(folderOf(path), { recursive: true }), fs.open(path, { flag: "a+" }))
    ),
    Effect.mapError(fromPlatform("open", path))
  )

const State = Schema.Struct({ length: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)) })

const lengthOf = (path: string, state: Schema.Json): Effect.Effect<number, FilesError> =>
  Schema.decodeUnknownEffect(State)(state).pipe(
    Effect.map(({ length }) => length),
    Effect.mapError(
      () =>
        new FilesError({
          kind: "BadState",
          tried: "resume writing",
          path,
          reason: `the journal holds ${JSON.stringify(state)}, which is not the state of a file`,
          fix: "This pipeline wrote somewhere else before: give it another name, or reset its journal."
        })
    )
  )

const lost = (path: string, length: number, found: Option.Option<FileSystem.File.Info>): FilesError =>
  new FilesError({
    kind: "CommittedLost",
    tried: "resume writing",
    path,
    reason:
      `${length} bytes of it were committed, and ` +
      Option.match(found, { onNone: () => "it is gone", onSome: (info) => `it has only ${sizeOf(info)}` }),
    fix: "Put the file back as it was, or reset the pipeline's journal to write all of it again."
  })

const interfered = (path: string, expected: number, found: number): FilesError =>
  new FilesError({
    kind: "Interfered",
    tried: "write",
    path,
    reason: `it should have ${expected} bytes now and has ${found}: something else writes to it at the same time`,
    fix: "Stop the other program, which may be a second run of this one, then run again."
  })

const badElement = (path: string, index: number, count: number, refusal: Refusal): Effect.Effect<never, FilesError> =>
  Effect.fail(
    new FilesError({
      kind: "BadElement",
      tried: `write element ${index + 1} of a batch of ${count} to`,
      path,
      reason: refusal.reason,
      fix: `${refusal.fix} Nothing of the batch was written.`,
      ...(refusal.field !== undefined && { field: refusal.field })
    })
  )
