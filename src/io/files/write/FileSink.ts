/** A file as a sink: what it is known by, and which way it is written. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { checkDuration, checkWhole } from "../../../concurrency/base/Options.ts"
import type { Sink } from "../../../pipeline/Sink.ts"
import type { Compression } from "../../codec/Compression.ts"
import { FilesError } from "../../FilesError.ts"
import { companion } from "../Companion.ts"
import { places, realPath } from "../FilePlace.ts"
import type { Format } from "../Format.ts"
import { nameOf } from "../TextFile.ts"
import * as FileJournal from "../journal/FileJournal.ts"
import { partOf } from "./AtomicEnd.ts"
import * as FileWriter from "./FileWriter.ts"
import * as PartitionWriter from "./PartitionWriter.ts"
import { isOpenEnded } from "./Press.ts"
import { partPath, partsOf, type Rotation } from "./RotatingEnd.ts"

export interface SinkOptions<in A = unknown> {
  /**
   * As a sink, on a first run: what becomes of what the file has. Default "append", which keeps it; with `atomic` "replace", as
   * the new file takes the place of the old one.
   */
  readonly existing?: "append" | "replace"
  /** As a sink: force each batch to the disk. Default true; without it a power cut may take what was committed. */
  readonly fsync?: boolean
  /**
   * As a sink: write to `.NAME.skein-part` beside the file, which takes the place of it once the source is read to its end. Whoever
   * reads the file finds the old content or all of the new. Default false.
   */
  readonly atomic?: boolean
  /**
   * As a sink: write to `NAME-000001.EXT`, and begin the next file behind the element with which one has so many `rows` or `bytes`,
   * or before one that comes so much later (`every`) than the first. Default: one file.
   */
  readonly rotate?: Rotation
  /**
   * As a sink: write each element to the file of that name in the folder that this gives for it, as in `DE` or `2026/11`, beside the
   * path. An element with a name that could lead out of there is refused, and can be a dead letter. Default: one file.
   */
  readonly partition?: (element: A) => string
}

/** A run into it keeps its place in a journal beside it, where neither the program nor another sink has one. */
export type FileSink<A> = Sink<A, FilesError, FileSystem.FileSystem, "effectively-once", never>

export const fileSink = <A>(
  path: string,
  format: Format<A>,
  compression: Compression | undefined,
  options: SinkOptions<A>
): Pick<FileSink<A>, "name" | "identity" | "form" | "places" | "guarantee" | "journal" | "home" | "open"> => {
  const { atomic = false, existing = atomic ? "replace" : "append", fsync = true, partition, rotate } = options
  checkWhole("Files: rotate.rows", rotate?.rows, 1, "unlimited")
  checkWhole("Files: rotate.bytes", rotate?.bytes, 1, "unlimited")
  checkDuration("Files: rotate.every", rotate?.every)
  if (Number(atomic) + Number(rotate !== undefined) + Number(partition !== undefined) > 1) {
    throw new TypeError("Files: of `atomic`, `rotate` and `partition` a file can be written with one")
  }
  if (partition !== undefined && !isOpenEnded(format.layout)) {
    throw new TypeError(`Files: ${format.name} has an end of its own, and cannot be written with \`partition\``)
  }
  const writing = { existing, fsync, atomic, rotate, compression }
  return {
    name: nameOf(path),
    identity: Effect.map(
      realPath(path),
      (real) => `${partition !== undefined ? "folders" : rotate === undefined ? "file" : "files"} ${real}`
    ),
    form:
      compression === "brotli"
        ? Effect.fail(noBrotli(path))
        : Effect.succeed({ format: format.name, ...(compression !== undefined && { compression }), ...format.form }),
    places: Effect.map(
      Effect.all([rotate === undefined ? places(path) : placesOfParts(path), placesBeside(path, atomic)]),
      (all) => all.flat()
    ),
    guarantee: "effectively-once",
    journal: Effect.succeedNone,
    home: Effect.flatMap(realPath(path), (real) => FileJournal.make(besideOf(real))),
    open: (opening) =>
      partition === undefined
        ? FileWriter.open(path, opening, format, writing)
        : PartitionWriter.open(path, opening, format, { existing, fsync, compression, folder: partition })
  }
}

/** What is committed has to be a whole by itself, which only members of gzip and frames of zstd are. */
export const noBrotli = (path: string): FilesError =>
  new FilesError({
    kind: "Other",
    tried: "write",
    path,
    reason: "what is compressed with brotli cannot be added to, nor cut back",
    fix: "Write it as `.zst` or `.gz`, or compress it once it is whole."
  })

/** The journal beside a file. */
const besideOf = (path: string): string => companion(path, "skein-journal")

/** What is written beside it, of which the user may have something under that name. */
const placesBeside = (path: string, atomic: boolean) =>
  Effect.flatMap(realPath(path), (real) =>
    Effect.map(
      Effect.forEach([companion(real, "skein"), ...(atomic ? [partOf(real)] : [])], (beside) => places(beside)),
      (all) => all.flat()
    )
  )

const placesOfParts = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const real = yield* realPath(path)
    const there = yield* partsOf(fs, real)
    const found = yield* Effect.forEach([...there, (there.at(-1) ?? 0) + 1], (part) => places(partPath(real, part)))
    return found.flat()
  })
