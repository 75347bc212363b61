/** What a Parquet file says of itself at its end. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type * as Hyparquet from "hyparquet"
import { FilesError } from "../../FilesError.ts"
import { type Opened, openToRead, readAt } from "../TextFile.ts"

/** The packages of Parquet, for whoever uses them: they are large. */
export const library: Effect.Effect<typeof Hyparquet> = Effect.promise(() => import("hyparquet"))

export interface Footer extends Opened {
  readonly metadata: Hyparquet.FileMetaData
  /** Where the footer begins: behind all row groups and what belongs to them. */
  readonly start: number
}

/** A footer that is larger is no honest one, or of a file with more columns and row groups than anybody should read. */
const maxFooter = 256 * 1024 * 1024

export const openFooter = (path: string): Effect.Effect<Footer, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const opened = yield* openToRead(path)
    const { file, size } = opened
    const ends = new Uint8Array(12)
    yield* readAt(file, path, ends.subarray(0, 4), 0)
    if (size >= 12) yield* readAt(file, path, ends.subarray(4), size - 8)
    const [first, last] = [ascii(ends.subarray(0, 4)), ascii(ends.subarray(8))]
    if (first === "PARE" || last === "PARE") {
      return yield* damaged(path, "its footer is encrypted", "Decrypt it before; that is not done here.")
    }
    if (first !== "PAR1") return yield* damaged(path, "it does not begin as Parquet does", "Look what it is.")
    if (last !== "PAR1")
      return yield* damaged(path, "it does not end as Parquet does: it is cut, or not whole yet", whole)
    const length = new DataView(ends.buffer).getUint32(4, true)
    if (length > size - 12 || length > maxFooter) {
      return yield* damaged(path, `its footer should be ${length} bytes long, which is too much`, whole)
    }
    const bytes = new Uint8Array(length + 8)
    yield* readAt(file, path, bytes, size - length - 8)
    const { parquetMetadata } = yield* library
    const metadata = yield* Effect.try({
      try: () => parquetMetadata(bytes, { geoparquet: false }),
      catch: (error) => damagedBy(path, "its footer cannot be read", error)
    })
    return { ...opened, metadata, start: size - length - 8 }
  })

const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

const whole = "Get it again, or run again what writes it."

export const damaged = (path: string, reason: string, fix: string = whole): FilesError =>
  new FilesError({ kind: "Damaged", tried: "read", path, reason, fix })

export const damagedBy = (path: string, reason: string, error: unknown): FilesError =>
  damaged(path, `${reason}: ${error instanceof Error ? error.message : String(error)}`)
