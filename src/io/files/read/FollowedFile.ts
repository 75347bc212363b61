/**
 * A file that is read on as it grows, also where others take its place under its name. Each of those is a file of its own, told by its
 * inode, and by how often it was cut since.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { elementsOf, placed, type Portion } from "../../../pipeline/context/Portion.ts"
import type { Element, Fingerprint } from "../../../pipeline/Source.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { inodeOf } from "../FilePlace.ts"
import type { Format, Start } from "../Format.ts"
import type { FilePosition } from "../Place.ts"
import { folderOf, inFolder, nameOf, openToRead, readAt, shrunk, sizeOf } from "../TextFile.ts"
import type { Portions } from "./Bytes.ts"
import { charsetOf, compressionOf, headSize } from "./Coding.ts"
import { changed, fingerprint } from "./FileFingerprint.ts"
import { bad } from "./FileSource.ts"

type Of<A> = Effect.Effect<A, FilesError, FileSystem.FileSystem>

/** A file that has the name now, or had it: where it is, and from where on it is read. */
interface Turn {
  readonly id: string
  readonly path: string
  readonly at: number
}

/** How many of those that have ended are remembered. */
const remembered = 100

export class FollowedFile<in out A> {
  private readonly path: string
  private readonly format: Format<A>
  private readonly interval: Duration.Input
  /** Where those ended that have. */
  private readonly ends = new Map<string, number>()

  constructor(path: string, format: Format<A>, interval: Duration.Input) {
    this.path = path
    this.format = format
    this.interval = interval
  }

  fingerprint(upTo: Option.Option<FilePosition>, since?: Fingerprint): Of<Fingerprint> {
    if (Option.isNone(upTo)) return Effect.succeed({})
    const { at, file } = upTo.value
    const isDone = this.ends.get(file) === at
    const lost: Fingerprint = { file, isDone, isGone: true }
    return Effect.gen({ self: this }, function* () {
      const path = yield* this.find(file)
      if (path === undefined) return lost
      const known = since?.["file"] === file && since["isGone"] !== true ? since : undefined
      const found = yield* Effect.catchIf(
        Effect.asSome(fingerprint(path, at, known)),
        // It was cut or removed meanwhile, which the reader says.
        (error) => error.kind === "Shrunk" || error.kind === "NotFound",
        () => Effect.succeedNone
      )
      return Option.match(found, { onNone: () => lost, onSome: (digests) => ({ ...digests, file, isDone }) })
    })
  }

  changed(kept: Fingerprint, upTo: Option.Option<FilePosition>): Of<ReadonlyArray<string>> {
    if (Option.isNone(upTo)) return Effect.succeed([])
    const { at, file } = upTo.value
    return Effect.gen({ self: this }, function* () {
      if (kept["isDone"] === true) return []
      const path = yield* this.find(file)
      if (path !== undefined && kept["isGone"] !== true) return yield* changed(path, kept, at, this.format.ends)
      return [
        `${at} bytes were read of a file that is neither under its name nor beside it any more: what followed in it is lost`
      ]
    })
  }

  read(
    after: Option.Option<FilePosition>,
    kept?: Fingerprint
  ): Stream.Stream<Element<A, FilePosition>, FilesError, FileSystem.FileSystem> {
    const portions = Stream.suspend(() => {
      let now: Turn | undefined
      const next = Effect.suspend(() =>
        now !== undefined
          ? this.turnAfter(now.id)
          : this.firstTurn(Option.getOrUndefined(after), kept?.["isDone"] === true)
      )
      return Stream.flatMap(Stream.fromEffectRepeat(next), (turn) =>
        this.readTurn(turn, (opened) => {
          now = opened
        })
      )
    })
    return elementsOf(portions)
  }

  private firstTurn(after: FilePosition | undefined, isDone: boolean): Of<Turn> {
    if (after === undefined) return Effect.map(inodeAt(this.path), (id) => ({ id, path: this.path, at: 0 }))
    if (isDone) return this.turnAfter(after.file)
    return Effect.flatMap(this.find(after.file), (path) =>
      path === undefined ? this.turnAfter(after.file) : Effect.succeed({ id: after.file, path, at: after.at })
    )
  }

  /** What took the place of a file that has ended: others may have done so since and be beside it by now. */
  private turnAfter(id: string): Of<Turn> {
    return Effect.gen({ self: this }, function* () {
      const [inode, cuts = "0"] = id.split(" cut ")
      const fs = yield* FileSystem.FileSystem
      const path = yield* this.find(id)
      const since = path === undefined ? undefined : yield* changedAt(fs, path)
      for (;;) {
        const others = path === this.path || since === undefined ? [] : yield* this.beside
        const [newer] = others.filter((one) => one.changed > since!).sort((one, other) => one.changed - other.changed)
        const now = newer?.path ?? this.path
        const found = yield* Effect.catchIf(
          Effect.asSome(inodeAt(now)),
          (error) => error.kind === "NotFound",
          () => Effect.succeedNone
        )
        if (Option.isSome(found)) {
          const isSame = found.value === inode
          return { id: isSame ? `${inode} cut ${Number(cuts) + 1}` : found.value, path: now, at: 0 }
        }
        yield* Effect.sleep(this.interval)
      }
    })
  }

  private readTurn(
    turn: Turn,
    opened: (turn: Turn) => void
  ): Stream.Stream<Portion<A, FilePosition>, FilesError, FileSystem.FileSystem> {
    return Effect.gen({ self: this }, function* () {
      const fs = yield* FileSystem.FileSystem
      const { path } = turn
      const { file, info, size } = yield* openToRead(path)
      // Another one may have come between looking and opening.
      const inode = Option.getOrElse(inodeOf(info), () => noInode)
      const { at, id } = inode === turn.id.split(" cut ")[0] ? turn : { at: 0, id: inode }
      opened({ at, id, path })
      if (size < at) return yield* shrunk(path, at, size)
      const start = yield* this.startAt(file, path, at)
      yield* Effect.orDie(file.seek(BigInt(at), "start"))
      const cutter = this.format.cut(start)
      let end = at
      let given = at
      let isLeft = path !== this.path
      let isCut = false
      type Pull = Effect.Effect<Portions<A, FilePosition>, FilesError | Cause.Done>
      const pull: Pull = Effect.suspend(() => {
        const portion = cutter.next()
        const { length } = portion.values
        if (length > 0) {
          given = portion.positionOf(length - 1)
          return Effect.succeed([placed(portion, (at): FilePosition => ({ file: id, at }))] as const)
        }
        if (cutter.problem !== undefined) return Effect.fail(bad(this.path, cutter.problem, undefined))
        return isCut || cutter.ended ? this.noteEnd(id, given) : more
      })
      const more = Effect.suspend(() => file.read(cutter.space())).pipe(
        Effect.mapError(fromPlatform("read", path)),
        Effect.flatMap((count) => {
          end += count
          if (count > 0 || isLeft) cutter.add(count)
          return count > 0 || isLeft ? pull : atEnd
        })
      )
      const atEnd = Effect.suspend(() => this.stateOf(fs, id, end)).pipe(
        Effect.flatMap((state): Pull => {
          if (state === "same") return Effect.andThen(Effect.sleep(this.interval), more)
          // Whoever writes to it may do so a little longer, and has by the next look.
          if (state === "left") {
            isLeft = true
            return more
          }
          isCut = true
          const lost = end - given
          return Effect.andThen(
            Effect.logWarning(
              `${this.path} was cut while it is followed, after ${end} bytes were read of it. It is read from its beginning; what was written to it before that and not read yet is lost${lost > 0 ? `, and ${lost} bytes of a line that had no end` : ""}.`
            ),
            pull
          )
        })
      )
      return Stream.fromPull(Effect.succeed(pull))
    }).pipe(Stream.unwrap)
  }

  private noteEnd(id: string, end: number): Effect.Effect<never, Cause.Done> {
    this.ends.set(id, end)
    if (this.ends.size > remembered) this.ends.delete(this.ends.keys().next().value!)
    return Cause.done()
  }

  /** What became of a file that was read up to here: another one has its name, or it is shorter. */
  private stateOf(
    fs: FileSystem.FileSystem,
    id: string,
    end: number
  ): Effect.Effect<"same" | "left" | "cut", FilesError> {
    return fs.stat(this.path).pipe(
      Effect.map((info) => {
        if (Option.getOrUndefined(inodeOf(info)) !== id.split(" cut ")[0]) return "left" as const
        return sizeOf(info) < end ? ("cut" as const) : ("same" as const)
      }),
      // It was moved away, and the next one is not there yet.
      Effect.catchIf(
        (error) => error.reason._tag === "NotFound",
        () => Effect.succeed("same" as const)
      ),
      Effect.mapError(fromPlatform("read", this.path))
    )
  }

  private startAt(file: FileSystem.File, path: string, at: number): Effect.Effect<Start, FilesError> {
    return Effect.gen({ self: this }, function* () {
      const head = new Uint8Array(Math.max(headSize, this.format.head ?? 0))
      const first = head.subarray(0, yield* readAt(file, path, head, 0))
      const charset = yield* charsetOf(path, first.subarray(0, headSize), undefined, false)
      if (charset !== undefined) {
        return yield* new FilesError({
          kind: "BadText",
          tried: "follow",
          path,
          reason: `it is ${charset}`,
          fix: "Only text in UTF-8 can be followed."
        })
      }
      const before = new Uint8Array(1)
      if (at > 0) yield* readAt(file, path, before, at - 1)
      return { at, before: at === 0 ? undefined : before[0], head: at === 0 ? new Uint8Array() : first }
    })
  }

  /** Where the file is now: under its name, or beside it under another one. */
  private find(id: string): Of<string | undefined> {
    const [inode] = id.split(" cut ")
    return Effect.gen({ self: this }, function* () {
      const now = yield* Effect.option(inodeAt(this.path))
      if (Option.isSome(now) && now.value === inode) return this.path
      return (yield* this.beside).find((one) => one.inode === inode)?.path
    })
  }

  /** The files whose names begin with that of this one, as rotation makes them: `x.log.1`, `x.log-20260101`. */
  private get beside(): Of<ReadonlyArray<{ readonly path: string; readonly inode: string; readonly changed: number }>> {
    return Effect.gen({ self: this }, function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = folderOf(this.path)
      const name = nameOf(this.path)
      const names = yield* fs.readDirectory(folder).pipe(Effect.mapError(fromPlatform("look into", folder)))
      const found: Array<{ path: string; inode: string; changed: number }> = []
      for (const other of names) {
        if (!other.startsWith(name) || other === name || compressionOf(other, {}) !== undefined) continue
        const path = inFolder(folder, other)
        const info = yield* Effect.option(fs.stat(path))
        const inode = Option.flatMap(info, inodeOf)
        if (Option.isSome(info) && Option.isSome(inode) && info.value.type === "File") {
          found.push({ path, inode: inode.value, changed: timeOf(info.value) })
        }
      }
      return found
    })
  }
}

const timeOf = (info: FileSystem.File.Info): number =>
  Option.match(info.mtime, { onNone: () => 0, onSome: (date) => date.getTime() })

const statAt = (path: string): Of<FileSystem.File.Info> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.stat(path)).pipe(Effect.mapError(fromPlatform("open", path)))

const changedAt = (fs: FileSystem.FileSystem, path: string): Effect.Effect<number> =>
  fs.stat(path).pipe(
    Effect.map(timeOf),
    Effect.orElseSucceed(() => 0)
  )

/** A file system without inodes has one file under a name. */
const noInode = "file"

const inodeAt = (path: string): Of<string> =>
  Effect.map(statAt(path), (info) => Option.getOrElse(inodeOf(info), () => noInode))
