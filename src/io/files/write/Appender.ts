/**
 * The end of a file that is written to such that it never keeps more than was committed, and never loses what is not its own: a
 * mark is the length of the file with a checksum of what stands before it, and only what was written since is cut off.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { fitted } from "../Companion.ts"
import { inodeOf } from "../FilePlace.ts"
import { folderOf, inFolder, nameOf, notAFile, readAt, sizeOf, syncFolder } from "../TextFile.ts"
import type { Intent, Mark } from "./FileLock.ts"

/** So many of the last bytes tell whether a file is still the one that was written. */
const lastBytes = 4096
/** Copied at a time. */
const pieceSize = 1024 * 1024

/** How the end of a file is opened. */
export interface Ending {
  /** As the user calls it. */
  readonly name: string
  /** Where it is, behind all links. */
  readonly path: string
  /** What was committed of it; none on a first run. */
  readonly committed: Option.Option<CommittedMark>
  /** Whether the run before left nothing behind but what it committed. */
  readonly clean: boolean
  /** What a run was writing that was killed. */
  readonly left: Option.Option<Intent>
  /** Says what is going to be written, before it is. */
  readonly intend: (intent: Intent) => Effect.Effect<void, FilesError>
  readonly existing: "append" | "replace"
  readonly fsync: boolean
  /** Where it is known already: this run has opened the file before, and goes on from what is said to be committed. */
  readonly base?: number | undefined
}

/** Version 0.1 kept no checksum. */
export interface CommittedMark {
  readonly length: number
  readonly sum?: string | undefined
  /** What stands behind it as well, and is cut off to go on. */
  readonly footer?: Mark | undefined
}

/** Opens the end of a file. What is behind what was committed is this run's own, or is taken away. */
export const open = (ending: Ending): Effect.Effect<Appender, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const { clean, committed, fsync, intend, name, path } = ending
    const fs = yield* FileSystem.FileSystem
    const before = yield* statOf(fs, path)
    if (Option.isSome(before) && before.value.type !== "File") return yield* notAFile("write", name, before.value)
    const size = Option.match(before, { onNone: () => 0, onSome: sizeOf })
    const hasFooter = Option.isSome(committed) && (yield* endsWith(fs, path, size, committed.value.footer))
    const base = ending.base ?? (hasFooter ? committed.value.length : whereToBegin(ending, size))
    if ((Option.isSome(committed) || Option.isSome(ending.left)) && ending.base === undefined) {
      if (Option.isSome(committed)) yield* sameContent(fs, path, name, committed.value, before)
      if (size > base && !hasFooter && (clean || !(yield* isOwn(fs, path, size, base, ending.left))))
        yield* setAside(fs, name, path, base)
    }
    const file = yield* fs.open(path, { flag: "a+" }).pipe(Effect.mapError(fromPlatform("open", name)))
    const inode = inodeOf(yield* file.stat.pipe(Effect.mapError(fromPlatform("open", name))))
    if (Option.isNone(before) && fsync) yield* syncFolder(folderOf(path))
    const appender = new Appender(ending, file, fs, inode, base, Math.max(base, size))
    yield* appender.cutBack(
      ending.base === undefined
        ? base
        : Option.match(committed, { onNone: () => base, onSome: (mark) => Math.max(base, mark.length) })
    )
    yield* intend({ base, from: appender.mark, to: appender.mark })
    return appender
  })

const endsWith = (
  fs: FileSystem.FileSystem,
  path: string,
  size: number,
  mark: Mark | undefined
): Effect.Effect<boolean, FilesError> =>
  mark === undefined || mark.length !== size
    ? Effect.succeed(false)
    : Effect.map(bytesBefore(fs, path, size), (last) => sumOf(last) === mark.sum)

/** What is behind it is this run's own, or is taken away. */
const whereToBegin = ({ clean, committed, existing, left }: Ending, size: number): number => {
  // A lock that was left knows of a run of which this journal knows less: it was cut, or one that is older was put back.
  const before = ({ base }: Intent) => Math.min(size, base)
  return Option.match(committed, {
    onNone: () => (existing === "replace" ? 0 : Option.match(left, { onNone: () => size, onSome: before })),
    onSome: ({ length }) => {
      // What a run has left that ended well is not this pipeline's: it stays, and what comes goes behind it.
      if (Option.isNone(left)) return clean ? Math.max(size, length) : length
      return clean ? length : Math.max(length, before(left.value))
    }
  })
}

export class Appender {
  /** What stands before was there before this run. */
  readonly base: number
  /** How far it was written for certain. */
  private length: number
  /** How far it may have been written by this run, and what was there before. */
  private reach: number
  /** Somebody else has done something to it: whose the bytes are that are not committed is not known any more. */
  private disturbed: FilesError | undefined
  private readonly ending: Ending
  private readonly fs: FileSystem.FileSystem
  private readonly file: FileSystem.File
  private readonly inode: Option.Option<string>
  private last: Uint8Array = new Uint8Array()
  private sum = sumOf(new Uint8Array())

  constructor(
    ending: Ending,
    file: FileSystem.File,
    fs: FileSystem.FileSystem,
    inode: Option.Option<string>,
    base: number,
    length: number
  ) {
    this.ending = ending
    this.file = file
    this.fs = fs
    this.inode = inode
    this.base = base
    this.length = length
    this.reach = length
  }

  get mark(): Mark {
    return { length: this.length, sum: this.sum }
  }

  /** Where it will be once these are written. */
  markAfter(bytes: Uint8Array): Mark {
    return {
      length: this.length + bytes.length,
      sum: bytes.length === 0 ? this.sum : sumOf(tailOf(this.last, bytes))
    }
  }

  /** Whether nothing is in it yet, or it ends so. */
  endsIn(terminator: Uint8Array): boolean {
    const { last } = this
    const at = last.length - terminator.length
    return last.length === 0 || (at >= 0 && terminator.every((byte, i) => last[at + i] === byte))
  }

  /** As `cutBack`, where there is more than that. */
  goBack(length: number): Effect.Effect<void, FilesError> {
    if (this.disturbed !== undefined) return Effect.fail(this.disturbed)
    return this.length === length && this.reach === length ? Effect.void : this.cutBack(length)
  }

  /** Makes the file as long as it was. */
  cutBack(length: number): Effect.Effect<void, FilesError> {
    return Effect.gen({ self: this }, function* () {
      const { file } = this
      const { name } = this.ending
      const size = sizeOf(yield* file.stat.pipe(Effect.mapError(fromPlatform("look at", name))))
      if (size > this.reach) return yield* this.wrong(this.reach, size)
      if (size < length) return yield* this.wrong(length, size)
      if (size > length) yield* file.truncate(length).pipe(Effect.mapError(fromPlatform("cut back", name)))
      const last = new Uint8Array(Math.min(length, lastBytes))
      yield* readAt(file, name, last, length - last.length)
      this.last = last
      this.sum = sumOf(last)
      this.length = length
      this.reach = length
    }).pipe(Effect.uninterruptible)
  }

  /** Writes behind the end; with `durable`, has that and all before it on the disk. */
  append(bytes: Uint8Array, durable: boolean): Effect.Effect<void, FilesError> {
    const { file, fs } = this
    const { fsync, intend, name, path } = this.ending
    const last = tailOf(this.last, bytes)
    const to = this.markAfter(bytes)
    return Effect.gen({ self: this }, function* () {
      if (bytes.length > 0) yield* intend({ base: this.base, from: this.mark, to })
      // A write that fails may have come to any place before.
      this.reach = to.length
      const info = yield* Effect.andThen(
        bytes.length > 0 ? file.writeAll(bytes) : Effect.void,
        Effect.andThen(durable && fsync ? file.sync : Effect.void, Effect.option(fs.stat(path)))
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
      path: this.ending.name,
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

export const statOf = (
  fs: FileSystem.FileSystem,
  path: string
): Effect.Effect<Option.Option<FileSystem.File.Info>, FilesError> =>
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

/** Fails where what was committed is not there any more. */
export const sameContent = (
  fs: FileSystem.FileSystem,
  path: string,
  name: string,
  { length, sum }: CommittedMark,
  found: Option.Option<FileSystem.File.Info>
): Effect.Effect<void, FilesError> => {
  const size = Option.match(found, { onNone: () => 0, onSome: sizeOf })
  if (size < length) {
    const what = Option.isNone(found) ? "it is gone" : `it has only ${size}`
    return Effect.fail(lost(name, length, what, "or start over to write all of it again"))
  }
  if (sum === undefined) return Effect.void
  return Effect.flatMap(bytesBefore(fs, path, length), (last) =>
    sumOf(last) === sum
      ? Effect.void
      : Effect.fail(
          lost(
            name,
            length,
            "they are not what was written: it was changed or replaced",
            "give this run another file and name, or start over"
          )
        )
  )
}

const lost = (name: string, length: number, what: string, or: string): FilesError =>
  new FilesError({
    kind: "CommittedLost",
    tried: "resume writing",
    path: name,
    reason: `${length} bytes of it were committed, and ${what}`,
    fix: `Put the file back as it was, ${or}.`
  })

/** Whether all behind the base is what the killed run was writing. */
const isOwn = (
  fs: FileSystem.FileSystem,
  path: string,
  size: number,
  base: number,
  left: Option.Option<Intent>
): Effect.Effect<boolean, FilesError> =>
  Effect.gen(function* () {
    if (Option.isNone(left)) return false
    const { from, to } = left.value
    return (
      from.length >= base &&
      (yield* endsWith(
        fs,
        path,
        size,
        [to, from].find(({ length }) => length === size)
      ))
    )
  })

/** Keeps what is behind `length` in a file beside, as it may be somebody's. */
const setAside = (
  fs: FileSystem.FileSystem,
  name: string,
  path: string,
  length: number
): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const aside = yield* asideOf(path)
    yield* copy(fs, path, aside, length)
    yield* Effect.logWarning(
      `What stood in ${name} behind its first ${length} bytes is not committed, and may not be of this pipeline: it is in ${aside}`
    )
  })

/** A name beside a file for what may be somebody's. */
export const asideOf = (path: string): Effect.Effect<string> =>
  Effect.map(Random.nextIntBetween(0, 2 ** 32), (number) =>
    inFolder(folderOf(path), `${fitted(nameOf(path))}.cut-${number.toString(36)}`)
  )

/** Copies what is behind `start` to a new file, and has it on the disk. */
export const copy = (
  fs: FileSystem.FileSystem,
  from: string,
  to: string,
  start: number,
  flag: "wx" | "w" = "wx"
): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const source = yield* fs.open(from, { flag: "r" })
    const info = yield* source.stat
    const target = yield* fs.open(to, { flag, mode: info.mode & 0o777 })
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
