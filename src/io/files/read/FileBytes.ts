/** The bytes of a file as plain UTF-8, from a position on, whatever form they are in. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type { Pull } from "../../codec/Compression.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import type { Start } from "../Format.ts"
import { checkEnd, type Opened, openToRead, readAt } from "../TextFile.ts"
import type { Bytes } from "./Bytes.ts"
import { charsetOf, type CodingOptions, compressionOf, headSize, transcoded, undone } from "./Coding.ts"
import type { Marks } from "./Marks.ts"
import type { Recent } from "./Recent.ts"

/** What is wanted of a file, by whoever opens it. */
export interface Wanted {
  readonly at: number
  /** How many of the first bytes, where `at` is not the first. */
  readonly head: number
  /** Whether it is no text, and so in no encoding. */
  readonly isBinary: boolean
}

export interface Readable {
  /** Whether these are the bytes of the file itself, so that positions are those in the file. */
  readonly isPlain: boolean
  readonly size: number
  readonly bytes: Bytes<FilesError>
  readonly start: Start
}

export const open = (
  path: string,
  coding: CodingOptions,
  wanted: Wanted,
  marks: Marks,
  recent?: Recent
): Effect.Effect<Readable, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const opened = yield* openToRead(path)
    const compression = compressionOf(path, coding)
    if (compression === undefined) {
      const charset = wanted.isBinary
        ? undefined
        : yield* charsetOf(
            path,
            yield* firstOf(opened, path, headSize),
            coding.encoding,
            coding.compression !== undefined
          )
      if (charset === undefined) return yield* plain(fs, path, opened, wanted, recent)
      const raw = rawOf(fs, path, opened, recent)
      return yield* behind(path, yield* transcoded(path, charset, raw.pull), wanted, marks, raw)
    }
    const raw = rawOf(fs, path, opened, recent)
    const pull = yield* undone(path, compression, raw.pull)
    const text = wanted.isBinary ? pull : yield* texted(path, coding.encoding, pull, true)
    return yield* behind(path, text, wanted, marks, raw)
  })

const firstOf = (opened: Opened, path: string, size: number): Effect.Effect<Uint8Array, FilesError> => {
  const head = new Uint8Array(size)
  return Effect.map(readAt(opened.file, path, head, 0), (count) => head.subarray(0, count))
}

/** UTF-8 of what may be in another encoding, which its first bytes tell. */
export const texted = (
  name: string,
  encoding: string | undefined,
  pull: Pull<FilesError>,
  isSaid: boolean
): Effect.Effect<Pull<FilesError>, FilesError> =>
  Effect.flatMap(begun(pull), ({ first, head }) =>
    Effect.flatMap(charsetOf(name, head, encoding, isSaid), (charset) => {
      const all = Effect.suspend(() => (first.length > 0 ? Effect.succeed(first.shift()) : pull))
      return charset === undefined ? Effect.succeed(all) : transcoded(name, charset, all)
    })
  )

/** The first pieces, and what they begin with. */
const begun = (pull: Pull<FilesError>) =>
  Effect.gen(function* () {
    const first: Array<Uint8Array> = []
    const head: Array<number> = []
    while (head.length < headSize) {
      const bytes = yield* pull
      if (bytes === undefined) break
      first.push(bytes)
      head.push(...bytes.subarray(0, headSize))
    }
    return { first, head: Uint8Array.from(head.slice(0, headSize)) }
  })

/** The bytes of the file itself, whose positions are its own. */
const plain = (
  fs: FileSystem.FileSystem,
  path: string,
  opened: Opened,
  wanted: Wanted,
  recent: Recent | undefined
): Effect.Effect<Readable, FilesError> =>
  Effect.gen(function* () {
    const { file, size } = opened
    const { at } = wanted
    if (at > size) return yield* shorter(path, at, size)
    const head = at === 0 ? new Uint8Array() : yield* firstOf(opened, path, wanted.head)
    const before = new Uint8Array(1)
    if (at > 0) yield* readAt(file, path, before, at - 1)
    yield* Effect.orDie(file.seek(BigInt(at), "start"))
    let end = at
    const read = (into: Uint8Array): Effect.Effect<number, FilesError> =>
      file.read(into).pipe(
        Effect.mapError(fromPlatform("read", path)),
        Effect.flatMap((count) => {
          recent?.add(end, into.subarray(0, count))
          end += count
          // Before the last element is given, which may be half of one where the file was cut.
          return count > 0 ? Effect.succeed(count) : Effect.as(whole(fs, path, opened, end), 0)
        })
      )
    return { isPlain: true, size, bytes: { read }, start: { at, before: at === 0 ? undefined : before[0], head } }
  })

const whole = (fs: FileSystem.FileSystem, path: string, opened: Opened, end: number): Effect.Effect<void, FilesError> =>
  Effect.provideService(checkEnd(path, opened, end), FileSystem.FileSystem, fs)

/** Fed to a decoder at a time. */
const pieceSize = 256 * 1024

/** The bytes of the file, in pieces that are good until the next one, and how many there were. */
const rawOf = (fs: FileSystem.FileSystem, path: string, opened: Opened, recent: Recent | undefined) => {
  const buffer = new Uint8Array(pieceSize)
  let fed = 0
  const pull: Pull<FilesError> = Effect.suspend(() => opened.file.read(buffer)).pipe(
    Effect.mapError(fromPlatform("read", path)),
    Effect.flatMap((count) => {
      recent?.add(fed, buffer.subarray(0, count))
      fed += count
      return count > 0 ? Effect.succeed(buffer.subarray(0, count)) : Effect.as(whole(fs, path, opened, fed), undefined)
    })
  )
  return { pull, fed: () => fed, size: opened.size }
}

/** What comes behind the position: all before it is decoded again. */
const behind = (
  path: string,
  pull: Pull<FilesError>,
  wanted: Wanted,
  marks: Marks,
  { fed, size }: { readonly fed: () => number; readonly size: number }
): Effect.Effect<Readable, FilesError> =>
  Effect.gen(function* () {
    const { at } = wanted
    const head = new Uint8Array(at === 0 ? 0 : Math.min(wanted.head, at))
    let before: number | undefined
    let rest: Uint8Array = new Uint8Array()
    let given = 0
    while (given < at) {
      const bytes = yield* pull
      if (bytes === undefined) return yield* shorter(path, at, given)
      if (given < head.length) head.set(bytes.subarray(0, head.length - given), given)
      const skipped = Math.min(bytes.length, at - given)
      before = bytes[skipped - 1]
      rest = bytes.subarray(skipped)
      given += skipped
      marks.note(given, fed())
    }
    const taken = fromPull(
      Effect.suspend(() => {
        if (rest.length === 0) return pull
        const left = rest
        rest = new Uint8Array()
        return Effect.succeed(left)
      })
    )
    const read = (into: Uint8Array): Effect.Effect<number, FilesError> =>
      Effect.map(taken(into), (count) => {
        given += count
        marks.note(given, fed())
        return count
      })
    return { isPlain: false, size, bytes: { read }, start: { at, before, head } }
  })

/** Bytes that come in pieces, put where they are wanted. */
export const fromPull = <E>(pull: Pull<E>): Bytes<E>["read"] => {
  let rest: Uint8Array = new Uint8Array()
  const take = (into: Uint8Array): number => {
    const count = Math.min(into.length, rest.length)
    into.set(rest.subarray(0, count))
    rest = rest.subarray(count)
    return count
  }
  const read = (into: Uint8Array): Effect.Effect<number, E> => {
    if (rest.length > 0) return Effect.succeed(take(into))
    return Effect.flatMap(pull, (bytes) => {
      if (bytes === undefined) return Effect.succeed(0)
      rest = bytes
      return rest.length > 0 ? Effect.succeed(take(into)) : read(into)
    })
  }
  return read
}

const shorter = (path: string, after: number, size: number): FilesError =>
  new FilesError({
    kind: "CommittedLost",
    tried: "resume reading",
    path,
    reason: `${after} bytes of it were read before, and now it has ${size}`,
    fix: "Put the file back as it was, or start again from its beginning."
  })
