/** Reads the elements of a file, behind a position. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import type { Element } from "../../../pipeline/Source.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { newline } from "../format/LineCutter.ts"
import type { Format, Problem } from "../Format.ts"
import { checkEnd, type Opened, openToRead, readAt } from "../TextFile.ts"
import { type Bytes, cut } from "./Bytes.ts"

/** The elements behind byte `after`, which must be the position of one. */
export const read = <A>(
  path: string,
  after: number,
  format: Format<A>
): Stream.Stream<Element<A, number>, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const opened = yield* openToRead(path)
    const { file, size } = opened
    const fs = yield* FileSystem.FileSystem
    if (after > size) return yield* shorter(path, after, size)
    const head = new Uint8Array(after === 0 ? 0 : Math.min(size, format.head ?? 0))
    yield* readAt(file, path, head, 0)
    const before = new Uint8Array(1)
    if (after > 0) yield* readAt(file, path, before, after - 1)
    yield* Effect.orDie(file.seek(BigInt(after), "start"))
    const cutter = format.cut({ at: after, before: after === 0 ? undefined : before[0], head })
    const bytes = plain(fs, path, opened, after)
    return Stream.fromPull(Effect.succeed(cut(bytes, cutter, (problem) => badLine(file, path, problem))))
  }).pipe(Stream.unwrap)

/** The bytes of an open file, from byte `start` on. */
const plain = (fs: FileSystem.FileSystem, path: string, opened: Opened, start: number): Bytes<FilesError> => {
  let at = start
  return {
    read: (into) =>
      opened.file.read(into).pipe(
        Effect.mapError(fromPlatform("read", path)),
        Effect.flatMap((count) => {
          at += count
          // Before the last element is given, which may be half of one where the file was cut.
          return count > 0
            ? Effect.succeed(count)
            : Effect.as(Effect.provideService(checkEnd(path, opened, at), FileSystem.FileSystem, fs), 0)
        })
      )
  }
}

const blockSize = 1024 * 1024

/** Lines are counted only here, where somebody wants to know. */
const badLine = (file: FileSystem.File, path: string, { offset, refusal }: Problem): Effect.Effect<never, FilesError> =>
  Effect.gen(function* () {
    const buffer = new Uint8Array(blockSize)
    let line = 1
    for (let position = 0; position < offset; position += buffer.length) {
      const wanted = buffer.subarray(0, Math.min(buffer.length, offset - position))
      const count = yield* readAt(file, path, wanted, position)
      for (let at = wanted.indexOf(newline); at >= 0 && at < count; at = wanted.indexOf(newline, at + 1)) line += 1
    }
    return yield* new FilesError({
      kind: "BadLine",
      tried: "read",
      path,
      reason: refusal.reason,
      fix: refusal.fix,
      line,
      offset,
      ...(refusal.field !== undefined && { field: refusal.field })
    })
  })

const shorter = (path: string, after: number, size: number): FilesError =>
  new FilesError({
    kind: "CommittedLost",
    tried: "resume reading",
    path,
    reason: `${after} bytes of it were read before, and now it has ${size}`,
    fix: "Put the file back as it was, or start again from its beginning."
  })
