/**
 * A file that takes the place of another once it is whole: whoever reads that finds the old content or the new. It is written
 * beside, as `.NAME.skein-part`, and stays there from run to run until the source is read to its end.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { fromPlatform } from "../../FilesError.ts"
import { companion } from "../Companion.ts"
import { folderOf, sizeOf, syncFolder } from "../TextFile.ts"
import * as Appender from "./Appender.ts"
import { alone, backTo, type EndOptions, isAt, leaveAt, locked, type Opened } from "./End.ts"
import type { FileLock } from "./FileLock.ts"
import type { WriteState } from "./WriteState.ts"

export const atomic = (options: EndOptions): Opened => locked(options, (path, lock) => begin(options, path, lock))

/** What is written until it is whole. */
export const partOf = (path: string): string => companion(path, "skein-part")

const begin = (options: EndOptions, target: string, { intend, left, release }: FileLock): Opened =>
  Effect.gen(function* () {
    const { committed, existing, fsync, name, opening } = options
    const fs = yield* FileSystem.FileSystem
    const scope = yield* Effect.scope
    const path = partOf(target)
    const failed = Effect.mapError(fromPlatform("write", name))
    const stat = Appender.statOf(fs, target)
    /** The target may be there still, or again: between the rename and the commit of the last run, or behind its end. */
    const isIn = Effect.fnUntraced(function* (at: string) {
      if (Option.isNone(committed)) return false
      const found = yield* Appender.statOf(fs, at)
      return yield* Effect.isSuccess(Appender.sameContent(fs, at, name, committed.value, found))
    })
    const open = (from = committed, base?: number) =>
      Appender.open({
        name,
        path,
        committed: from,
        clean: opening.clean,
        left,
        intend,
        existing: "append",
        fsync,
        base
      }).pipe(
        Effect.tap(() =>
          // Whoever may not read the old content may not read the new one either.
          Effect.flatMap(stat, (old) =>
            Option.isSome(old) ? failed(fs.chmod(path, old.value.mode & 0o777)) : Effect.void
          )
        ),
        Effect.tap((end) => alone(options, end))
      )
    /** As whoever reads the target must not see what is added, it is a copy and no link. */
    const copied = Effect.gen(function* () {
      yield* Appender.copy(fs, target, `${path}.new`, 0, "w")
      yield* failed(fs.rename(`${path}.new`, path))
    })

    let isWhole = false
    let isComplete = false
    let current: Appender.Appender | undefined
    if (Option.isNone(committed)) {
      yield* failed(fs.remove(path, { force: true }))
      if (existing === "append" && Option.isSome(yield* stat)) yield* copied
      current = yield* open()
    } else if (yield* isIn(path)) {
      current = yield* open()
    } else {
      // A copy is made once there is something to add.
      const found = yield* stat
      yield* Appender.sameContent(fs, target, name, committed.value, found)
      isWhole = true
      const { footer, length } = committed.value
      isComplete = opening.clean || Option.exists(found, (info) => sizeOf(info) === (footer?.length ?? length))
    }
    const part = (state: Option.Option<WriteState>) =>
      Effect.suspend(() => {
        if (current !== undefined && !isWhole) return Effect.succeed(current)
        return Effect.andThen(copied, current === undefined ? open() : open(state, current.base)).pipe(
          Effect.map((end) => {
            isWhole = false
            isComplete = false
            current = end
            return end
          }),
          Effect.provideService(FileSystem.FileSystem, fs),
          Scope.provide(scope)
        )
      })
    return {
      at: (state) => Effect.tap(part(state), (end) => backTo(end, state)),
      isComplete: () => isComplete,
      place: {},
      seal: Effect.gen(function* () {
        yield* failed(fs.rename(path, target))
        isWhole = true
        if (fsync) yield* Effect.provideService(syncFolder(folderOf(target)), FileSystem.FileSystem, fs)
      }).pipe(Effect.uninterruptible),
      close: (state) =>
        Effect.gen(function* () {
          if (Option.isNone(state)) yield* failed(fs.remove(path, { force: true }))
          // What took the place of the target may not be committed: then the next run goes on in a copy.
          else if (current !== undefined && !(isWhole && isAt(current, state.value))) {
            yield* Effect.flatMap(part(state), (end) => leaveAt(end, state))
          }
          yield* release
        })
    }
  })
