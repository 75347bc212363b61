/** A journal file that this process uses: read once, and added to a line at a time, each of them on the disk before it counts. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Host } from "../../../pipeline/context/Host.ts"
import type { FilesError } from "../../FilesError.ts"
import { fromPlatform } from "../../FilesError.ts"
import { inodeOf } from "../FilePlace.ts"
import { folderOf, sizeOf, syncFolder } from "../TextFile.ts"
import * as JournalLock from "./JournalLock.ts"
import {
  applied,
  bodyOf,
  type Change,
  type Content,
  contentOf,
  empty,
  type Known,
  lineOf,
  linesOf,
  textOf,
  unknown
} from "./JournalRecord.ts"
import type { JournalKey } from "../../../pipeline/Journal.ts"

/** Somebody has taken the file away from this process; none where it was only let go, as by deleting its lock or itself. */
export class Lost {
  readonly to: Option.Option<JournalLock.Holder>
  constructor(to: Option.Option<JournalLock.Holder>) {
    this.to = to
  }
}

/** What goes wrong; a text is a reason. */
export type Wrong = FilesError | string

/** Written anew once it is so much longer than what it says. */
const worth = { times: 4, bytes: 256 * 1024 }

interface Use {
  readonly scope: Scope.Closeable
  readonly lock: JournalLock.JournalLock
  file: FileSystem.File
  inode: Option.Option<string>
  content: Content
  /** How long it was when it was written anew. */
  fresh: number
  /** It may have more than is known. */
  doubtful: boolean
}

export class JournalFile {
  /** The pipelines that run in this process. */
  readonly runs = new Map<string, { readonly since: number }>()
  private readonly fs: FileSystem.FileSystem
  readonly path: string
  private readonly one = Semaphore.makeUnsafe(1)
  private use: Use | undefined
  private users = 0

  constructor(fs: FileSystem.FileSystem, path: string) {
    this.fs = fs
    this.path = path
  }

  /** Uses the file for as long as the scope is open. */
  using(key: JournalKey, host: Host, millis: number): Effect.Effect<void, Wrong | JournalLock.Taken, Scope.Scope> {
    return Effect.acquireRelease(
      this.one.withPermit(
        Effect.suspend(() => (this.use === undefined ? this.begin(key, host, millis) : Effect.void)).pipe(
          Effect.tap(() => Effect.sync(() => void (this.users += 1)))
        )
      ),
      () =>
        this.one.withPermit(
          Effect.suspend(() => {
            this.users -= 1
            const { use } = this
            if (this.users > 0 || use === undefined) return Effect.void
            this.use = undefined
            return Scope.close(use.scope, Exit.void)
          })
        )
    )
  }

  known(key: JournalKey): Known {
    return this.use?.content.known.get(textOf(key)) ?? unknown
  }

  /** As the file says, where it may say more than is known. */
  get settled(): Effect.Effect<void, Wrong> {
    return this.one.withPermit(
      Effect.suspend(() => {
        const { use } = this
        if (use === undefined || !use.doubtful) return Effect.void
        return Effect.map(read(this.fs, this.path), (content) => {
          use.content = content
          use.doubtful = false
        })
      })
    )
  }

  /** Fails where another process has it now. */
  get kept(): Effect.Effect<void, Wrong | Lost> {
    return Effect.suspend(() => {
      const { use } = this
      if (use === undefined) return Effect.fail(new Lost(Option.none()))
      return Effect.flatMap(use.lock.lostTo, (lost) => (lost === "ours" ? Effect.void : Effect.fail(new Lost(lost))))
    })
  }

  renew(millis: number): Effect.Effect<void, Wrong | Lost> {
    return Effect.andThen(
      this.kept,
      Effect.flatMap(Clock.currentTimeMillis, (now) => this.use?.lock.renew(now + millis) ?? Effect.void)
    )
  }

  /** Adds a line, and has it on the disk. */
  add(key: JournalKey, change: Change): Effect.Effect<void, Wrong | Lost> {
    return this.one
      .withPermit(
        Effect.andThen(
          this.kept,
          Effect.suspend(() => this.append(this.use!, key, change))
        )
      )
      .pipe(Effect.uninterruptible)
  }

  private append(use: Use, key: JournalKey, change: Change): Effect.Effect<void, Wrong | Lost> {
    const { path } = this
    return Effect.gen({ self: this }, function* () {
      const { file } = use
      if (use.doubtful) yield* failed(path, file.truncate(use.content.length))
      yield* this.unchanged(use)
      const { known, length, sum } = use.content
      const body = bodyOf(key, change)
      const { line, sum: next } = lineOf(sum, body)
      const bytes = new TextEncoder().encode(line)
      use.doubtful = true
      yield* failed(path, Effect.andThen(file.writeAll(bytes), file.sync)).pipe(
        // What a write that failed has left is torn, and is taken away where that can be done.
        Effect.tapError(() =>
          Effect.ignore(Effect.map(Effect.andThen(file.truncate(length), file.sync), () => void (use.doubtful = false)))
        )
      )
      const name = textOf(key)
      const now = new Map(known).set(name, applied(known.get(name) ?? unknown, recordOf(body)))
      use.content = { known: now, sum: next, length: length + bytes.length }
      use.doubtful = false
      if (use.content.length > worth.bytes && use.content.length > worth.times * use.fresh) {
        // Without it, the file is only longer.
        yield* Effect.ignore(this.renewed(use))
      }
    })
  }

  /** Nobody else has written to it, or put another one in its place. */
  private unchanged(use: Use): Effect.Effect<void, Wrong | Lost> {
    const { fs, path } = this
    return Effect.flatMap(Effect.option(fs.stat(path)), (info): Effect.Effect<void, Wrong | Lost> => {
      if (Option.isNone(info)) return Effect.fail(new Lost(Option.none()))
      const inode = inodeOf(info.value)
      const isOther = Option.isSome(inode) && Option.isSome(use.inode) && inode.value !== use.inode.value
      if (!isOther && sizeOf(info.value) === use.content.length) return Effect.void
      return Effect.fail(
        "it was changed or replaced by somebody while this run used it. Put it back as it was, and run again"
      )
    })
  }

  /** Says the same in as few lines as there are pipelines. */
  private renewed(use: Use): Effect.Effect<void, Wrong> {
    const { path } = this
    return Effect.gen({ self: this }, function* () {
      const { sum, text } = linesOf(use.content.known)
      const bytes = new TextEncoder().encode(text)
      yield* replace(this.fs, path, bytes)
      const opened = yield* open(this.fs, path, use.scope)
      use.file = opened.file
      use.inode = opened.inode
      use.content = { known: use.content.known, sum, length: bytes.length }
      use.fresh = bytes.length
    })
  }

  private begin(key: JournalKey, host: Host, millis: number): Effect.Effect<void, Wrong | JournalLock.Taken> {
    const { fs, path } = this
    return Effect.gen({ self: this }, function* () {
      yield* failed(path, fs.makeDirectory(folderOf(path), { recursive: true }))
      const scope = yield* Scope.make()
      const use = yield* Effect.gen(function* () {
        const lock = yield* JournalLock.take(fs, path, textOf(key), host, millis)
        let content = yield* read(fs, path)
        if (content.length === 0) {
          const { sum, text } = linesOf(new Map())
          yield* replace(fs, path, new TextEncoder().encode(text))
          content = { ...empty, sum, length: text.length }
        }
        const { file, inode, size } = yield* open(fs, path, scope)
        if (size > content.length) yield* failed(path, Effect.andThen(file.truncate(content.length), file.sync))
        return { scope, lock, file, inode, content, fresh: content.length, doubtful: false }
      }).pipe(
        Scope.provide(scope),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      this.use = use
      if (use.content.length > worth.bytes) yield* Effect.ignore(this.renewed(use))
    })
  }
}

/** What the file says now, whoever uses it. */
export const read = (fs: FileSystem.FileSystem, path: string): Effect.Effect<Content, Wrong> =>
  fs.readFile(path).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeed(new Uint8Array())
    ),
    Effect.mapError(fromPlatform("read", path)),
    Effect.flatMap(contentOf)
  )

const failed = <A, R>(
  path: string,
  effect: Effect.Effect<A, Parameters<ReturnType<typeof fromPlatform>>[0], R>
): Effect.Effect<A, FilesError, R> => Effect.mapError(effect, fromPlatform("write", path))

const open = (fs: FileSystem.FileSystem, path: string, scope: Scope.Scope) =>
  failed(
    path,
    Effect.gen(function* () {
      const file = yield* Scope.provide(fs.open(path, { flag: "a+" }), scope)
      const info = yield* file.stat
      return { file, inode: inodeOf(info), size: sizeOf(info) }
    })
  )

/** Puts a file in the place of another, whole. */
const replace = (fs: FileSystem.FileSystem, path: string, bytes: Uint8Array): Effect.Effect<void, FilesError> =>
  failed(
    path,
    fs.open(`${path}.new`, { flag: "w", mode: 0o600 }).pipe(
      Effect.flatMap((file) => Effect.andThen(file.writeAll(bytes), file.sync)),
      Effect.scoped,
      Effect.andThen(fs.rename(`${path}.new`, path)),
      Effect.andThen(Effect.provideService(syncFolder(folderOf(path)), FileSystem.FileSystem, fs)),
      Effect.uninterruptible
    )
  )

const recordOf = (body: string): Parameters<typeof applied>[1] => {
  const { key: _, ...record } = JSON.parse(body)
  return record
}
