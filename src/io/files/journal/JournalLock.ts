/**
 * Who uses a journal file: one process at a time, as `.lock` beside it says. Whoever is known to be gone loses it at once, whoever
 * is known to run keeps it, and where that cannot be known it ends with its time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Host, newId } from "../../../pipeline/context/Host.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { lineOf, placed, written } from "../write/FileLock.ts"

const Holder = Schema.Struct({
  token: Schema.String,
  host: Schema.String,
  label: Schema.String,
  /** The pipeline and partition it was taken for. */
  key: Schema.String,
  since: Schema.Number
})
export type Holder = typeof Holder.Type
const HolderText = Schema.fromJsonString(Holder)

/** Somebody else has it. */
export class Taken {
  readonly holder: Holder
  readonly until: number
  constructor(holder: Holder, until: number) {
    this.holder = holder
    this.until = until
  }
}

export interface JournalLock {
  /** Who has it now, where that is not this run; none where nobody has. */
  readonly lostTo: Effect.Effect<Option.Option<Holder> | "ours", FilesError>
  readonly renew: (until: number) => Effect.Effect<void, FilesError>
}

export const take = (
  fs: FileSystem.FileSystem,
  path: string,
  key: string,
  host: Host,
  millis: number
): Effect.Effect<JournalLock, FilesError | Taken, Scope.Scope> =>
  Effect.gen(function* () {
    const lock = `${path}.lock`
    const token = yield* newId
    const temporary = `${lock}.${token}`
    const since = yield* Clock.currentTimeMillis
    const holder = JSON.stringify({ token, host: host.id, label: host.label, key, since } satisfies Holder)
    const failed = Effect.mapError((error: FilesError | Taken | PlatformError.PlatformError) =>
      error instanceof Taken || error instanceof FilesError ? error : fromPlatform("say who uses", path)(error)
    )
    const taken = Effect.gen(function* () {
      yield* written(fs, temporary, holder, String(since + millis))
      let isPlaced = false
      while (!isPlaced)
        isPlaced = (yield* placed(fs, temporary, lock)) || (yield* seized(fs, path, lock, temporary, host))
    }).pipe(
      failed,
      Effect.onError(() => Effect.ignore(fs.remove(temporary)))
    )
    const isOurs = Effect.map(fs.readFileString(lock), (text) => text.includes(token))
    yield* Effect.acquireRelease(taken, () =>
      Effect.ignore(Effect.flatMap(isOurs, (ours) => (ours ? fs.remove(lock) : Effect.void)))
    )
    const file = yield* failed(fs.open(lock, { flag: "r+" }))
    const first = new TextEncoder().encode(`${holder}\n`).length
    return {
      lostTo: Effect.map(read(fs, path, lock), (found) =>
        Option.exists(found, ({ holder }) => holder.token === token)
          ? "ours"
          : Option.map(found, ({ holder }) => holder)
      ),
      renew: (until) =>
        Effect.andThen(
          file.seek(BigInt(first), "start"),
          file.writeAll(new TextEncoder().encode(lineOf(String(until))))
        ).pipe(Effect.mapError(fromPlatform("say who uses", path)), Effect.uninterruptible)
    }
  })

interface Found {
  readonly holder: Holder
  readonly until: number
}

const read = (fs: FileSystem.FileSystem, path: string, lock: string): Effect.Effect<Option.Option<Found>, FilesError> =>
  fs.readFileString(lock).pipe(
    Effect.asSome,
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeedNone
    ),
    Effect.mapError(fromPlatform("see who uses", path)),
    Effect.flatMap((text) => {
      if (Option.isNone(text)) return Effect.succeedNone
      const [first = "", second = ""] = text.value.split("\n")
      const holder = Schema.decodeResult(HolderText)(first)
      return Result.isSuccess(holder)
        ? Effect.succeedSome({ holder: holder.success, until: Number(second) || 0 })
        : Effect.fail(
            new FilesError({
              kind: "Interfered",
              tried: "use",
              path,
              reason: `${lock} is not what Skein writes there`,
              fix: "Look whether another program writes to it, and delete that file."
            })
          )
    })
  )

/**
 * Takes the lock away from who is gone, where that is known. Of all who find that at once one may do it: who gives its own note the
 * name that belongs to the note of the one that is gone. Where that one goes too before it has done so, its note has a successor in
 * the same way. False where somebody was faster.
 */
const seized = (
  fs: FileSystem.FileSystem,
  path: string,
  lock: string,
  temporary: string,
  host: Host
): Effect.Effect<boolean, FilesError | Taken | PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const first = yield* read(fs, path, lock)
    const claims: Array<string> = []
    for (let found = first; Option.isSome(found); found = yield* read(fs, path, claims.at(-1)!)) {
      const { holder, until } = found.value
      const runs = host.runs(holder.host)
      if (runs === true || (runs === undefined && (yield* Clock.currentTimeMillis) < until)) {
        return yield* Effect.fail(new Taken(holder, until))
      }
      const claim = `${lock}.${holder.token}.old`
      claims.push(claim)
      const isMine = yield* Effect.as(fs.link(temporary, claim), true).pipe(
        Effect.catchIf(
          (error) => error.reason._tag === "AlreadyExists",
          () => Effect.succeed(false)
        )
      )
      if (!isMine) continue
      // Whoever had the right to it before may have used it since.
      const now = yield* read(fs, path, lock)
      const isSame = Option.exists(now, (is) => Option.exists(first, (was) => is.holder.token === was.holder.token))
      if (isSame) yield* fs.rename(temporary, lock)
      yield* Effect.forEach(isSame ? claims : [claim], (name) => fs.remove(name, { force: true }), { discard: true })
      return isSame
    }
    return false
  })
