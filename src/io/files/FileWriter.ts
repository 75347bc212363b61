/**
 * Writes lines to a file such that it never keeps more than was committed, and never loses what is not its own: what `write`
 * gives is the length of the file behind its last line with a checksum of what stands there, and only what it can be sure to
 * have written itself is cut off.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Checksum } from "../../concurrency/base/Checksum.ts"
import type { Opening, Writer } from "../../pipeline/Sink.ts"
import { FilesError, fromPlatform } from "../FilesError.ts"
import { type FileLock, type Intent, type Mark, take } from "./FileLock.ts"
import { inodeOf, realPath } from "./FilePlace.ts"
import { newline } from "./format/LineCutter.ts"
import { type Format, Refusal } from "./Format.ts"
import { folderOf, notAFile, readAt, sizeOf, syncFolder } from "./TextFile.ts"

export interface WriteOptions {
  readonly existing: "append" | "replace"
  readonly fsync: boolean
}

/** Encoded and written at a time: a batch may be larger than any string can be. */
const pieceSize = 1024 * 1024
/** So many of the last bytes tell whether a file is still the one that was written. */
const lastBytes = 4096

export const open = <A>(
  name: string,
  opening: Opening,
  print: Format<A>["print"],
  options: WriteOptions
): Effect.Effect<Writer<A, FilesError, never>, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* realPath(name)
    const before = yield* statOf(fs, path)
    if (Option.isSome(before) && before.value.type !== "File") return yield* notAFile("write", name, before.value)
    const lock = yield* take(path, opening)
    return yield* Effect.onError(prepare(name, path, opening, lock, print, options), () => lock.giveBack)
  })

/** What is behind it is this run's own, or is taken away. */
const whereToBegin = (
  name: string,
  size: number,
  left: Option.Option<Intent>,
  { clean, committed }: Opening,
  { existing }: WriteOptions
): Effect.Effect<number, FilesError> =>
  Option.match(committed, {
    onNone: () => Effect.succeed(existing === "replace" ? 0 : size),
    onSome: (state) =>
      Effect.map(stateOf(name, state), ({ length }) => {
        // What a run has left that ended well is not this pipeline's: it stays, and what comes goes behind it.
        if (Option.isNone(left)) return clean ? Math.max(size, length) : length
        // A lock that was left knows of a run that this journal knows nothing of: one that is older was put back.
        return clean ? length : Math.max(length, Math.min(size, left.value.base))
      })
  })

/** What has to be right before anything is written. */
const prepare = <A>(
  name: string,
  path: string,
  opening: Opening,
  lock: FileLock,
  print: Format<A>["print"],
  options: WriteOptions
): Effect.Effect<Writer<A, FilesError, never>, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    // Once more: who had the lock before may have written until then.
    const before = yield* statOf(fs, path)
    const size = Option.match(before, { onNone: () => 0, onSome: sizeOf })
    const base = yield* whereToBegin(name, size, lock.left, opening, options)
    if (Option.isSome(opening.committed)) {
      const committed = yield* stateOf(name, opening.committed.value)
      if (size < committed.length) return yield* lost(name, committed.length, before)
      yield* sameContent(fs, path, name, committed)
      if (size > base && (opening.clean || !(yield* isOwn(fs, path, size, base, lock)))) yield* setAside(fs, path, base)
    }

    const file = yield* fs.open(path, { flag: "a+" }).pipe(Effect.mapError(fromPlatform("open", name)))
    const inode = inodeOf(yield* file.stat.pipe(Effect.mapError(fromPlatform("open", name))))
    if (Option.isNone(before) && options.fsync) yield* syncFolder(folderOf(path))
    const writer = new LineWriter(name, file, path, fs, lock, options.fsync, inode, base, Math.max(base, size))
    yield* writer.cutBack(base)
    yield* lock.intend({ base, from: writer.state, to: writer.state })
    return {
      write: (elements, since) =>
        Effect.gen(function* () {
          const committed = yield* lengthOf(name, since)
          // What this run found there beyond what was committed is not its own.
          yield* writer.goBack(Math.max(base, committed))
          yield* writer.begin
          for (const [index, element] of elements.entries()) {
            const line = print(element)
            if (line instanceof Refusal) return yield* badElement(name, index, elements.length, line)
            if (writer.add(String(line))) yield* writer.flush(false)
          }
          yield* writer.flush(true)
          return writer.state
        }),
      atFault: (error) => (error instanceof FilesError && error.row !== undefined ? [error.row] : "batch"),
      close: (committed) =>
        Effect.flatMap(lengthOf(name, committed), (length) =>
          Effect.andThen(writer.goBack(Math.max(base, length)), lock.release)
        )
    }
  })

class LineWriter {
  /** How far it was written for certain. */
  private length: number
  /** How far it may have been written by this run, and what was there before. */
  private reach: number
  /** Somebody else has done something to it: whose the bytes are that are not committed is not known any more. */
  private disturbed: FilesError | undefined
  private readonly name: string
  private readonly path: string
  private readonly fs: FileSystem.FileSystem
  private readonly file: FileSystem.File
  private readonly lock: FileLock
  private readonly fsync: boolean
  private readonly inode: Option.Option<string>
  private readonly base: number
  private last: Uint8Array = new Uint8Array()
  private sum = sumOf(new Uint8Array())
  private text: Array<string> = []
  private held = 0
  private mark: Mark = { length: 0, sum: "" }

  constructor(
    name: string,
    file: FileSystem.File,
    path: string,
    fs: FileSystem.FileSystem,
    lock: FileLock,
    fsync: boolean,
    inode: Option.Option<string>,
    base: number,
    length: number
  ) {
    this.name = name
    this.file = file
    this.path = path
    this.fs = fs
    this.lock = lock
    this.fsync = fsync
    this.inode = inode
    this.base = base
    this.length = length
    this.reach = length
  }

  get state(): { readonly length: number; readonly sum: string } {
    return { length: this.length, sum: this.sum }
  }

  /** As `cutBack`, where there is more than that. */
  goBack(length: number): Effect.Effect<void, FilesError> {
    if (this.disturbed !== undefined) return Effect.fail(this.disturbed)
    return this.length === length && this.reach === length ? Effect.void : this.cutBack(length)
  }

  /** Makes the file as long as it was. */
  cutBack(length: number): Effect.Effect<void, FilesError> {
    return Effect.gen({ self: this }, function* () {
      const { file, name } = this
      this.text = []
      this.held = 0
      const size = sizeOf(yield* file.stat.pipe(Effect.mapError(fromPlatform("look at", name))))
      if (size > this.reach) return yield* this.wrong(this.reach, size)
      if (size > length) yield* file.truncate(length).pipe(Effect.mapError(fromPlatform("cut back", name)))
      const last = new Uint8Array(Math.min(length, lastBytes))
      yield* readAt(file, name, last, length - last.length)
      this.last = last
      this.sum = sumOf(last)
      this.length = length
      this.reach = length
    }).pipe(Effect.uninterruptible)
  }

  /** A batch begins. */
  get begin(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.mark = this.state
      // What somebody else wrote may lack its last newline; the first element must not become part of that line.
      this.text = this.last.length > 0 && this.last.at(-1) !== newline ? ["\n"] : []
      this.held = 0
    })
  }

  /** Whether there is enough for a write. */
  add(line: string): boolean {
    this.text.push(line, "\n")
    this.held += line.length + 1
    return this.held >= pieceSize
  }

  /** Writes what was added; at the end of a batch, makes it durable. */
  flush(end: boolean): Effect.Effect<void, FilesError> {
    if (this.held === 0 && (!end || this.mark.length === this.length)) return Effect.void
    const bytes = new TextEncoder().encode(this.held === 0 ? "" : this.text.join(""))
    this.text = []
    this.held = 0
    const { file, fs, name, path } = this
    const last = tailOf(this.last, bytes)
    const to = { length: this.length + bytes.length, sum: sumOf(last) }
    return Effect.gen({ self: this }, function* () {
      if (bytes.length > 0) yield* this.lock.intend({ base: this.base, from: this.state, to })
      // A write that fails may have come to any place before.
      this.reach = to.length
      const info = yield* Effect.andThen(
        bytes.length > 0 ? file.writeAll(bytes) : Effect.void,
        Effect.andThen(end && this.fsync ? file.sync : Effect.void, Effect.option(fs.stat(path)))
      ).pipe(Effect.mapError(fromPlatform("write", name)))
      yield* this.undisturbed(info, to.length)
      this.length = to.length
      this.last = last
      this.sum = to.sum
      // A write that is under way cannot be taken back from the system: a cancel waits for it.
    }).pipe(Effect.uninterruptible)
  }

  private undisturbed(info: Option.Option<FileSystem.File.Info>, length: number): Effect.Effect<void, FilesError> {
    if (Option.isNone(info)) return this.disturb("it was deleted or renamed while it was written to")
    const inode = inodeOf(info.value)
    if (Option.isSome(inode) && Option.isSome(this.inode) && inode.value !== this.inode.value) {
      return this.disturb("another file was put in its place while it was written to")
    }
    const size = sizeOf(info.value)
    return size === length ? Effect.void : this.wrong(length, size)
  }

  private wrong(length: number, size: number): Effect.Effect<never, FilesError> {
    return this.disturb(
      `it should have ${length} bytes now and has ${size}: something else writes to it at the same time`
    )
  }

  private disturb(reason: string): Effect.Effect<never, FilesError> {
    this.disturbed = new FilesError({
      kind: "Interfered",
      tried: "write",
      path: this.name,
      reason,
      fix: "Stop the other program, put the file back as it was, then run again."
    })
    return Effect.fail(this.disturbed)
  }
}

const tailOf = (last: Uint8Array, bytes: Uint8Array): Uint8Array => {
  if (bytes.length >= lastBytes) return bytes.slice(-lastBytes)
  const both = new Uint8Array(last.length + bytes.length)
  both.set(last)
  both.set(bytes, last.length)
  return both.slice(-lastBytes)
}

const sumOf = (bytes: Uint8Array): string => new Checksum().addBytes(bytes).text

const statOf = (fs: FileSystem.FileSystem, path: string) =>
  fs.stat(path).pipe(
    Effect.asSome,
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeedNone
    ),
    Effect.mapError(fromPlatform("write", path))
  )

/** The last bytes before `length`, or fewer where there are no more. */
const bytesBefore = (fs: FileSystem.FileSystem, path: string, length: number): Effect.Effect<Uint8Array, FilesError> =>
  Effect.gen(function* () {
    const last = new Uint8Array(Math.min(length, lastBytes))
    if (last.length === 0) return last
    const file = yield* fs.open(path, { flag: "r" }).pipe(Effect.mapError(fromPlatform("read", path)))
    yield* readAt(file, path, last, length - last.length)
    return last
  }).pipe(Effect.scoped)

const sameContent = (
  fs: FileSystem.FileSystem,
  path: string,
  name: string,
  { length, sum }: State
): Effect.Effect<void, FilesError> =>
  sum === undefined
    ? Effect.void
    : Effect.flatMap(bytesBefore(fs, path, length), (last) =>
        sumOf(last) === sum
          ? Effect.void
          : Effect.fail(
              new FilesError({
                kind: "CommittedLost",
                tried: "resume writing",
                path: name,
                reason: `${length} bytes of it were committed, and they are not what was written: it was changed or replaced`,
                fix: "Put the file back as it was, give this run another file and name, or start over."
              })
            )
      )

/** Whether all behind the base is what the killed run was writing. */
const isOwn = (
  fs: FileSystem.FileSystem,
  path: string,
  size: number,
  base: number,
  { left }: FileLock
): Effect.Effect<boolean, FilesError> =>
  Effect.gen(function* () {
    if (Option.isNone(left)) return false
    const { from, to } = left.value
    const mark = [to, from].find(({ length }) => length === size)
    if (mark === undefined || from.length < base) return false
    return sumOf(yield* bytesBefore(fs, path, size)) === mark.sum
  })

/** Keeps what is behind `length` in a file beside, as it may be somebody's. */
const setAside = (fs: FileSystem.FileSystem, path: string, length: number): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const aside = `${path}.cut-${(yield* Random.nextIntBetween(0, 2 ** 32)).toString(36)}`
    yield* copy(fs, path, aside, length)
    yield* Effect.logWarning(
      `What stood in ${path} behind its first ${length} bytes is not committed, and may not be of this pipeline: it is in ${aside}`
    )
  })

/** Copies what is behind `start`. */
const copy = (fs: FileSystem.FileSystem, from: string, to: string, start: number): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const source = yield* fs.open(from, { flag: "r" })
    const info = yield* source.stat
    const target = yield* fs.open(to, { flag: "wx", mode: info.mode & 0o777 })
    const stop = sizeOf(info)
    const piece = new Uint8Array(pieceSize)
    for (let at = start; at < stop;) {
      const count = yield* readAt(source, from, piece.subarray(0, Math.min(piece.length, stop - at)), at)
      if (count === 0) break
      yield* target.writeAll(piece.subarray(0, count))
      at += count
    }
    yield* target.sync
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) => (error instanceof FilesError ? error : fromPlatform("copy", from)(error)))
  )

const State = Schema.Struct({
  length: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  /** Not there in what version 0.1 kept. */
  sum: Schema.optionalKey(Schema.String)
})
type State = typeof State.Type

const stateOf = (path: string, state: Schema.Json): Effect.Effect<State, FilesError> =>
  Schema.decodeUnknownEffect(State)(state).pipe(
    Effect.mapError(
      () =>
        new FilesError({
          kind: "BadState",
          tried: "resume writing",
          path,
          reason: `the journal holds ${JSON.stringify(state)}, which is not the state of a file`,
          fix: "This pipeline wrote somewhere else before: give it another name, or start over."
        })
    )
  )

const lengthOf = (path: string, state: Option.Option<Schema.Json>): Effect.Effect<number, FilesError> =>
  Option.isNone(state) ? Effect.succeed(0) : Effect.map(stateOf(path, state.value), ({ length }) => length)

const lost = (path: string, length: number, found: Option.Option<FileSystem.File.Info>): FilesError =>
  new FilesError({
    kind: "CommittedLost",
    tried: "resume writing",
    path,
    reason:
      `${length} bytes of it were committed, and ` +
      Option.match(found, { onNone: () => "it is gone", onSome: (info) => `it has only ${sizeOf(info)}` }),
    fix: "Put the file back as it was, or start over to write all of it again."
  })

const badElement = (path: string, row: number, count: number, refusal: Refusal): Effect.Effect<never, FilesError> =>
  Effect.fail(
    new FilesError({
      kind: "BadElement",
      tried: `write element ${row + 1} of a batch of ${count} to`,
      path,
      reason: refusal.reason,
      fix: refusal.fix,
      row,
      ...(refusal.field !== undefined && { field: refusal.field })
    })
  )
