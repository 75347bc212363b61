/** What a format makes of a place: sources, and sinks where one can write there. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Stdio from "effect/Stdio"
import { checkDuration, checkWhole } from "../../concurrency/base/Options.ts"
import type { Sink } from "../../pipeline/Sink.ts"
import type { NoPosition, Source } from "../../pipeline/Source.ts"
import type { FilesError } from "../FilesError.ts"
import { places } from "./FilePlace.ts"
import type { LineOptions } from "./format/LineCutter.ts"
import type { Format } from "./Format.ts"
import type { FilePosition, Several, Stdin, Stdout } from "./Place.ts"
import { type CodingOptions, compressionOf } from "./read/Coding.ts"
import { FileSource } from "./read/FileSource.ts"
import { nameOf } from "./TextFile.ts"
import { FollowedFile as Followed } from "./read/FollowedFile.ts"
import { nameOfSeveral } from "./read/Listing.ts"
import { ManyFiles as Many } from "./read/ManyFiles.ts"
import { stdinSource } from "./read/StdinSource.ts"
import { fileSink, type SinkOptions } from "./write/FileSink.ts"
import { stdoutSink } from "./write/StdoutSink.ts"

/** A file of lines, to read from and to write to. The position of an element is the byte behind its line. */
export interface LineFile<in out A>
  extends
    Source<A, FilesError, FileSystem.FileSystem, number>,
    Sink<A, FilesError, FileSystem.FileSystem, "effectively-once", never> {}

/** Several files, to read from one after the other. The position of an element is in one of them. */
export interface ManyFiles<out A> extends Source<A, FilesError, FileSystem.FileSystem, FilePosition> {}

/** What the program is given to read. It cannot be read again, so that nothing resumes there. */
export interface StdinSource<out A> extends Source<A, FilesError, Stdio.Stdio, NoPosition> {}

/** What the program gives to whoever reads it. What was given cannot be taken back. */
export interface StdoutSink<in A> extends Sink<A, FilesError, Stdio.Stdio, "at-least-once"> {}

export type CompressionOptions = Pick<CodingOptions, "compression">

/** A file that is read on as it grows. The position of an element says in which of the files that had the name it is. */
export interface FollowedFile<out A> extends Source<A, FilesError, FileSystem.FileSystem, FilePosition> {}

/** Makes a source that reads on what is added to a file, and what takes its place under its name, and does not end by itself. */
export interface FollowOptions extends Omit<ReadOptions, keyof CodingOptions> {
  readonly follow: true
  /** How often to look for more. Default 250 milliseconds. */
  readonly interval?: Duration.Input
}

export interface ReadOptions extends CodingOptions {
  /** As a source: leave out lines of nothing but white space. Default false for `lines`, true for `jsonl`. */
  readonly skipBlank?: boolean
  /** As a source: the longest line that is accepted, in bytes. Default 16 MiB. */
  readonly maxLine?: number
}

export interface Options<in A = unknown> extends ReadOptions, SinkOptions<A> {}

export const lineOptions = (options: Pick<ReadOptions, "skipBlank" | "maxLine">, skipBlank: boolean): LineOptions => {
  checkWhole("Files: maxLine", options.maxLine, 1, "unlimited")
  return { skipBlank: options.skipBlank ?? skipBlank, maxLine: options.maxLine ?? 16 * 1024 * 1024 }
}

export type Place = string | Several | Stdin | Stdout
export type FromPlace<A> = LineFile<A> | ManyFiles<A> | FollowedFile<A> | StdinSource<A> | StdoutSink<A>

export const formatted = <A>(place: Place, format: Format<A>, options: Options<A> | FollowOptions): FromPlace<A> => {
  if ("follow" in options) return followedFile(place, format, options)
  if (typeof place === "string") return oneFile(place, format, options)
  if (!("_tag" in place)) checkList(place)
  else if (place._tag === "Stdin") return stdinSource(format, options)
  else if (place._tag === "Stdout") return stdoutSink(format, compressionOf("stdout", options))
  return manyFiles(place, format, options)
}

const followedFile = <A>(
  place: Place,
  format: Format<A>,
  { interval = "250 millis" }: FollowOptions
): FollowedFile<A> => {
  if (typeof place !== "string" || compressionOf(place, {}) !== undefined) {
    throw new TypeError("Files: only one file that is not compressed can be followed")
  }
  checkDuration("Files: interval", interval)
  const source = new Followed(place, format, interval)
  return {
    name: nameOf(place),
    resumable: true,
    size: Effect.succeedNone,
    fingerprint: (upTo, since) => source.fingerprint(upTo, since),
    changed: (kept, upTo) => source.changed(kept, upTo),
    places: places(place),
    read: (after, kept) => source.read(after, kept)
  }
}

const checkList = (files: ReadonlyArray<string>): void => {
  if (files.length === 0) throw new TypeError("Files: the list of files is empty")
  const twice = files.find((file, index) => files.indexOf(file) !== index)
  if (twice !== undefined) throw new TypeError(`Files: ${JSON.stringify(twice)} is in the list twice`)
}

const manyFiles = <A>(several: Several, format: Format<A>, options: ReadOptions): ManyFiles<A> => {
  const source = new Many(several, format, options)
  return {
    name: nameOfSeveral(several),
    resumable: true,
    size: Effect.suspend(() => source.size),
    fingerprint: (upTo, since) => source.fingerprint(upTo, since),
    changed: (kept) => source.changed(kept),
    places: Effect.suspend(() => source.places),
    read: (after, kept) => source.read(after, kept)
  }
}

const oneFile = <A>(path: string, format: Format<A>, options: Options<A>): LineFile<A> => {
  const source = new FileSource(path, format, options)
  return {
    ...fileSink(path, format, compressionOf(path, options), options),
    resumable: true,
    size: Effect.suspend(() => source.size),
    fingerprint: (upTo, since) =>
      source.fingerprint(
        Option.getOrElse(upTo, () => 0),
        since
      ),
    changed: (kept, upTo) =>
      source.changed(
        kept,
        Option.getOrElse(upTo, () => 0)
      ),
    read: (after) => source.read(Option.getOrElse(after, () => 0))
  }
}
