/** Files one after the other, `NAME-000001.EXT` and so on: another one is begun once the last has so many elements, bytes, or is so old. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { folderOf, inFolder, nameOf, sizeOf, syncFolder } from "../TextFile.ts"
import * as Appender from "./Appender.ts"
import { alone, backTo, type EndOptions, leaveAt, locked, type Opened } from "./End.ts"
import type { FileLock, Intent } from "./FileLock.ts"

/** When another file is begun. */
export interface Rotation {
  readonly rows?: number | undefined
  /** Of the file as it is written, compressed or not. The last element may go beyond. */
  readonly bytes?: number | undefined
  /** Noticed by the next element. */
  readonly every?: Duration.Input | undefined
}

export const rotating = (options: EndOptions, rotation: Rotation): Opened =>
  locked(options, (path, lock) => begin(options, rotation, path, lock))

/** Where a part is. */
export const partPath = (path: string, part: number): string => {
  const [stem, ending] = splitName(path)
  return inFolder(folderOf(path), `${stem}-${String(part).padStart(6, "0")}${ending}`)
}

const splitName = (path: string): readonly [stem: string, ending: string] => {
  const name = nameOf(path)
  const dot = name.indexOf(".", 1)
  return dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)]
}

/** The numbers of the parts that there are, in their order. */
export const partsOf = (fs: FileSystem.FileSystem, path: string): Effect.Effect<ReadonlyArray<number>, FilesError> => {
  const [stem, ending] = splitName(path)
  return fs.readDirectory(folderOf(path)).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeed([])
    ),
    Effect.mapError(fromPlatform("list the parts of", path)),
    Effect.map((names) =>
      names
        .flatMap((name) => {
          const number =
            name.startsWith(`${stem}-`) && name.endsWith(ending)
              ? name.slice(stem.length + 1, name.length - ending.length)
              : ""
          // What is longer is a date or a time of somebody else, and must not be taken for one of them.
          return /^\d{6,7}$/.test(number) && Number(number) > 0 ? [Number(number)] : []
        })
        .toSorted((a, b) => a - b)
    )
  )
}

const begin = (options: EndOptions, rotation: Rotation, path: string, lock: FileLock): Opened =>
  Effect.gen(function* () {
    const { committed, existing, fsync, name, opening } = options
    const { clean } = opening
    const fs = yield* FileSystem.FileSystem
    const outer = yield* Effect.scope
    const failed = Effect.mapError(fromPlatform("write", name))
    const there = yield* partsOf(fs, path)
    if (Option.isNone(committed) && existing === "replace") {
      for (const part of there) yield* failed(fs.remove(partPath(path, part)))
    }
    const last = existing === "replace" ? 0 : (there.at(-1) ?? 0)
    // A run that was killed before its first commit may have made the first one, and nothing in it.
    const isMade =
      last > 0 &&
      !clean &&
      Option.exists(yield* Appender.statOf(fs, partPath(path, last)), (info) => sizeOf(info) === 0)
    const first = Option.match(committed, {
      onNone: () => (isMade ? last : last + 1),
      onSome: ({ part = 1 }) => part
    })

    let part = first
    let begun = 0
    let now = 0
    let since = first
    let before: Intent["before"]
    let scope: Scope.Closeable | undefined
    let current: Appender.Appender
    const left = Option.filter(lock.left, () => !clean)
    const isLeft = (number: number) => Option.exists(left, (intent) => number <= (intent.part ?? 0))

    const open = (number: number, how: Partial<Appender.Ending>) =>
      Effect.gen(function* () {
        if (scope !== undefined) yield* Scope.close(scope, Exit.void)
        scope = yield* Scope.fork(outer)
        current = yield* Appender.open({
          name: partPath(name, number),
          path: partPath(path, number),
          committed: Option.none(),
          clean,
          left: Option.none(),
          intend: (intent) => lock.intend({ ...intent, part: number, before }),
          existing: "append",
          fsync,
          ...how
        }).pipe(Scope.provide(scope), Effect.provideService(FileSystem.FileSystem, fs))
        part = number
        return current
      })
    const create = Effect.fnUntraced(function* (number: number) {
      const at = partPath(path, number)
      yield* fs.open(at, { flag: "wx" }).pipe(
        Effect.scoped,
        Effect.mapError((error) =>
          error.reason._tag === "AlreadyExists"
            ? new FilesError({
                kind: "Interfered",
                tried: "begin",
                path: partPath(name, number),
                reason: "it is there already, and is not of this pipeline",
                fix: "Move it away, or write under another name."
              })
            : fromPlatform("write", at)(error)
        )
      )
      if (fsync) yield* Effect.provideService(syncFolder(folderOf(at)), FileSystem.FileSystem, fs)
      begun = now
      return yield* open(number, { base: 0 })
    })

    now = yield* Clock.currentTimeMillis
    if (Option.isNone(committed)) {
      yield* lock.intend({ part: first, base: 0, from: empty, to: empty })
      if (isMade) yield* failed(fs.remove(partPath(path, first)))
      yield* create(first)
    } else {
      begun = committed.value.begun ?? now
      yield* open(first, {
        committed,
        left: Option.flatMap(left, (intent) =>
          intent.part === first
            ? Option.some(intent)
            : intent.before?.part === first
              ? Option.some({ base: 0, from: intent.before, to: intent.before })
              : Option.none()
        )
      })
      // What the killed run had begun behind it; what is of somebody else is kept.
      for (const number of there) {
        if (number <= first || clean) continue
        const at = partPath(path, number)
        if (isLeft(number)) yield* failed(fs.remove(at))
        else {
          const aside = yield* Appender.asideOf(at)
          yield* failed(fs.rename(at, aside))
          yield* Effect.logWarning(`${at} is not committed, and may not be of this pipeline: it is in ${aside}`)
        }
      }
    }
    yield* alone(options, current!)
    const base = current!.base
    const at = Effect.fnUntraced(function* (state: Parameters<typeof backTo>[1]) {
      now = yield* Clock.currentTimeMillis
      since = Option.match(state, { onNone: () => first, onSome: ({ part = 1 }) => part })
      before = undefined
      if (part !== since) {
        const begunIn = [since + 1, part] as const
        yield* open(since, { base: since === first ? base : 0, committed: state })
        for (let number = begunIn[1]; number >= begunIn[0]; number--) yield* failed(fs.remove(partPath(path, number)))
      }
      if (Option.isSome(state)) begun = state.value.begun ?? begun
      return current
    })
    const { bytes = Infinity, rows = Infinity } = rotation
    const every = rotation.every === undefined ? Infinity : Duration.toMillis(rotation.every)
    return {
      at: (state) => Effect.tap(at(state), (end) => backTo(end, state)),
      get place() {
        return { part, begun }
      },
      isFull: (hasRows, hasBytes) => hasRows > 0 && (hasRows >= rows || hasBytes >= bytes || now - begun >= every),
      next: Effect.suspend(() => {
        if (part === since) before = { part, ...current.mark }
        const number = part + 1
        return Effect.andThen(lock.intend({ part: number, before, base: 0, from: empty, to: empty }), create(number))
      }),
      close: (state) => Effect.flatMap(at(state), (end) => Effect.andThen(leaveAt(end, state), lock.release))
    }
  })

const empty = { length: 0, sum: "" }
