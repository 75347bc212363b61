/** Whether elements can be added behind what somebody else has in a file, such that whoever reads it reads both. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { Compression } from "../../codec/Compression.ts"
import { FilesError } from "../../FilesError.ts"
import type { Format } from "../Format.ts"
import { charsetOf, headSize } from "../read/Coding.ts"
import * as FileBytes from "../read/FileBytes.ts"
import { Marks } from "../read/Marks.ts"
import { openToRead, readAt, sizeOf } from "../TextFile.ts"
import { statOf } from "./Appender.ts"

export type Added = Pick<Format<never>, "isBinary" | "follows" | "head" | "layout">

/**
 * How many bytes it has. What is compressed is read to its end for that, once: behind data that is cut nobody would find what was
 * added, and the first element would become a part of a line that has no end.
 */
export const look = (
  path: string,
  { follows, head = 0, isBinary = false, layout }: Added,
  compression: Compression | undefined
): Effect.Effect<number, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const found = yield* statOf(fs, path)
    // What is no file is refused by who opens it.
    if (!Option.exists(found, (info) => info.type === "File" && sizeOf(info) > 0)) return 0
    const { file, size } = yield* openToRead(path)
    const first = new Uint8Array(isBinary ? 0 : Math.max(headSize, head))
    const end = new TextEncoder().encode(layout.terminator ?? "")
    let count: number
    if (compression === undefined) {
      count = yield* readAt(file, path, first, 0)
    } else {
      const { bytes } = yield* FileBytes.open(
        path,
        { compression: compression as "gzip" },
        { at: 0, head: 0, isBinary: true },
        new Marks()
      )
      const piece = new Uint8Array(256 * 1024)
      let last: ReadonlyArray<number> = []
      count = 0
      for (let given = 0; ;) {
        const more = yield* bytes.read(piece)
        if (more === 0) break
        if (given < first.length) {
          first.set(piece.subarray(0, Math.min(more, first.length - given)), given)
          count = Math.min(first.length, given + more)
        }
        given += more
        if (end.length > 0) last = [...last, ...piece.subarray(Math.max(0, more - end.length), more)].slice(-end.length)
      }
      if (last.length > 0 && !end.every((byte, at) => last[at] === byte)) {
        return yield* refused(path, "its last line has no end, which it cannot get as it is compressed")
      }
    }
    const there = first.subarray(0, count)
    if (!isBinary) {
      const charset = yield* charsetOf(path, there.subarray(0, headSize), undefined, compression !== undefined)
      if (charset !== undefined) return yield* refused(path, `it is ${charset}, and what is added is UTF-8`)
    }
    const refusal = follows?.(there.subarray(0, head))
    return refusal === undefined ? size : yield* refused(path, refusal.reason, refusal.fix)
  }).pipe(
    Effect.scoped,
    Effect.catchIf(
      ({ kind }) => kind === "Damaged" || kind === "BadText",
      ({ reason }) => refused(path, `${reason}, and nothing can be added to that`)
    )
  )

const refused = (
  path: string,
  reason: string,
  fix = 'Write to another file, or replace this one with `existing: "replace"`.'
): Effect.Effect<never, FilesError> =>
  Effect.fail(new FilesError({ kind: "Interfered", tried: "add to", path, reason, fix }))
