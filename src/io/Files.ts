/** Files as sources and sinks that can be resumed, files replaced as a whole, and names kept inside of a folder. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import type * as Stdio from "effect/Stdio"
import { noUtf8 } from "../concurrency/base/JsonText.ts"
import { checkWhole } from "../concurrency/base/Options.ts"
import { Journal } from "../pipeline/Journal.ts"
import type { Sink } from "../pipeline/Sink.ts"
import type { NoPosition, Source } from "../pipeline/Source.ts"
import { realPath } from "./files/FilePlace.ts"
import { FilesError, fromPlatform } from "./FilesError.ts"
import { csvFormat, type CsvFormatOptions } from "./files/format/CsvFormat.ts"
import { jsonlFormat } from "./files/format/JsonFormat.ts"
import type { LineOptions } from "./files/format/LineCutter.ts"
import { linesFormat } from "./files/format/LinesFormat.ts"
import type { Format } from "./files/Format.ts"
import * as FileJournal from "./files/journal/FileJournal.ts"
import { type CodingOptions, compressionOf } from "./files/read/Coding.ts"
import { FileSource } from "./files/read/FileSource.ts"
import { nameOfSeveral } from "./files/read/Listing.ts"
import { ManyFiles as Many } from "./files/read/ManyFiles.ts"
import { stdinSource } from "./files/read/StdinSource.ts"
import type { FilePosition, Glob, Several, Stdin, Stdout } from "./files/Place.ts"
import { folderOf, syncFolder } from "./files/TextFile.ts"
import { fileSink, type SinkOptions } from "./files/write/FileSink.ts"
import { stdoutSink } from "./files/write/StdoutSink.ts"

export { FilesError } from "./FilesError.ts"
export type { FilePosition, Glob, Several, Stdin, Stdout } from "./files/Place.ts"

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

type CompressionOptions = Pick<CodingOptions, "compression">

export interface ReadOptions extends CodingOptions {
  /** As a source: leave out lines of nothing but white space. Default false for `lines`, true for `jsonl`. */
  readonly skipBlank?: boolean
  /** As a source: the longest line that is accepted, in bytes. Default 16 MiB. */
  readonly maxLine?: number
}

export interface Options<in A = unknown> extends ReadOptions, SinkOptions<A> {}

/**
 * The lines of a UTF-8 text file, without their ends (`\n` or `\r\n`), to read from or to write to. As a source it
 * resumes at the byte behind the last settled line and refuses a file that has changed: by a SHA-256 of all of it up
 * to 16 MiB, beyond that of its head, its tail and 64 blocks between. As a sink it makes missing folders, writes and
 * flushes a batch at once, and on the next run cuts off what was not committed. Fails with `FilesError`.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import { Files, Pipeline } from "skein"
 *
 * const program = Effect.gen(function* () {
 *   yield* Files.writeAtomic("numbers.txt", "one\ntwo\n")
 *   return yield* Pipeline.collect(Pipeline.from(Files.lines("numbers.txt")))
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => ["one", "two"]
 * ```
 */
export function lines(path: string, options?: Options<string>): LineFile<string>
export function lines(files: Several, options?: ReadOptions): ManyFiles<string>
export function lines(stdin: Stdin, options?: ReadOptions): StdinSource<string>
export function lines(stdout: Stdout, options?: CompressionOptions): StdoutSink<string>
export function lines(place: Place, options: Options<string> = {}): FromPlace<string> {
  return formatted(place, linesFormat(lineOptions(options, false)), options)
}

/**
 * A file of JSON Lines, one value of `schema` a line, to read from or to write to; see `lines` for how it resumes.
 * The JSON is the schema's own (`Schema.toCodecJson`), so dates, maps and NaN come back as they were. A line that
 * does not fit is a `FilesError` with its number, its byte offset and the field; `Schema.Finite` reads a fifth faster
 * than `Schema.Number`.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import type * as Schema from "effect/Schema"
 * import { Files, Pipeline } from "skein"
 *
 * const City = Schema.Struct({ name: Schema.String, people: Schema.Finite })
 *
 * const program = Effect.gen(function* () {
 *   yield* Files.writeAtomic("cities.jsonl", '{"name":"Ulm","people":129942}\n')
 *   return yield* Pipeline.collect(Pipeline.from(Files.jsonl("cities.jsonl", City)))
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => [{ name: "Ulm", people: 129942 }]
 * ```
 */
export function jsonl<A, I>(path: string, schema: Schema.Codec<A, I>, options?: Options<NoInfer<A>>): LineFile<A>
export function jsonl<A, I>(files: Several, schema: Schema.Codec<A, I>, options?: ReadOptions): ManyFiles<A>
export function jsonl<A, I>(stdin: Stdin, schema: Schema.Codec<A, I>, options?: ReadOptions): StdinSource<A>
export function jsonl<A, I>(stdout: Stdout, schema: Schema.Codec<A, I>, options?: CompressionOptions): StdoutSink<A>
export function jsonl<A, I>(place: Place, schema: Schema.Codec<A, I>, options: Options<NoInfer<A>> = {}): FromPlace<A> {
  return formatted(place, jsonlFormat(schema, lineOptions(options, true)), options)
}

type CsvReadOptions = Omit<CsvOptions, keyof SinkOptions>

/** Of a file of CSV. `maxLine` is the longest record that is accepted, in bytes. */
export interface CsvOptions<in A = unknown> extends Omit<Options<A>, "skipBlank">, CsvFormatOptions {}

/**
 * A file of CSV as RFC 4180 has it, one value of `schema` a record, to read from or to write to; see `lines` for how it resumes.
 * Columns are found by their names, in any order; others are ignored. Cells are the schema's strings
 * (`Schema.toCodecStringTree`), so numbers, dates and booleans come back as they were. An empty cell is an absent value where the
 * field may be left out, undefined or null, and an empty text elsewhere; `""` is an empty text. A record that does not fit, or is
 * of another width, is a `FilesError` with its line, its byte offset and the column. Lines with nothing in them are skipped where
 * there are several columns. As a sink it writes the header at the start of a file that is empty.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Files, Pipeline } from "skein"
 *
 * const City = Schema.Struct({ name: Schema.String, people: Schema.Finite })
 *
 * const program = Effect.gen(function* () {
 *   yield* Files.writeAtomic("cities.csv", 'people;name\n129942;"Ulm; Danube"\n')
 *   return yield* Pipeline.collect(Pipeline.from(Files.csv("cities.csv", City, { delimiter: ";" })))
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => [{ people: 129942, name: "Ulm; Danube" }]
 * ```
 */
export function csv<A, I>(path: string, schema: Schema.Codec<A, I>, options?: CsvOptions<NoInfer<A>>): LineFile<A>
export function csv<A, I>(files: Several, schema: Schema.Codec<A, I>, options?: CsvReadOptions): ManyFiles<A>
export function csv<A, I>(stdin: Stdin, schema: Schema.Codec<A, I>, options?: CsvReadOptions): StdinSource<A>
export function csv<A, I>(stdout: Stdout, schema: Schema.Codec<A, I>, options?: CsvReadOptions): StdoutSink<A>
export function csv<A, I>(
  place: Place,
  schema: Schema.Codec<A, I>,
  options: CsvOptions<NoInfer<A>> = {}
): FromPlace<A> {
  return formatted(place, csvFormat(schema, options, lineOptions(options, true).maxLine), options)
}

/**
 * The files that match a pattern, in the order of their paths, as a place to read from: `*`, `?`, `[a-z]`, `{one,two}`, and `**` for
 * folders of any depth. Names that begin with a dot match only where the pattern says so. Folders are left out; one that must not be
 * looked into is a `FilesError`, as is a pattern that matches nothing. A run that goes on reads files that are new since, whatever their
 * names, and those that grew.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import { Files, Pipeline } from "skein"
 *
 * const program = Effect.gen(function* () {
 *   yield* Files.writeAtomic("2.log", "two\n")
 *   yield* Files.writeAtomic("1.log", "one\n")
 *   return yield* Pipeline.collect(Pipeline.from(Files.lines(Files.glob("*.log"))))
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => ["one", "two"]
 * ```
 */
export const glob = (pattern: string, options: { readonly root?: string } = {}): Glob => ({
  _tag: "Glob",
  pattern,
  root: options.root
})

/**
 * What the program is given to read, by the service `Stdio`, as a place to read from. It is read once, to its end: nothing resumes
 * there, which the types say.
 *
 * @example
 * ```ts
 * import { Effect, Stdio, Stream } from "effect"
 * import { Files, Pipeline } from "skein"
 *
 * const given = Stdio.layerTest({ stdin: Stream.make(new TextEncoder().encode("one\ntwo\n")) })
 *
 * await Effect.runPromise(Effect.provide(Pipeline.collect(Pipeline.from(Files.lines(Files.stdin))), given)) // => ["one", "two"]
 * ```
 */
export const stdin: Stdin = { _tag: "Stdin" }

/**
 * What the program gives to whoever reads it, by the service `Stdio`, as a place to write to, with a journal of the program's own. What
 * was given stays given: after a crash, elements come again. A reader that goes away, as `head` does, ends the run with a
 * `FilesError` of kind "Closed".
 *
 * @example
 * ```ts
 * import { Effect, Sink, Stdio } from "effect"
 * import { Files, Journal, Pipeline } from "skein"
 *
 * const given: Array<string> = []
 * const taking = Stdio.layerTest({
 *   stdout: () => Sink.forEach((text: string | Uint8Array) => Effect.sync(() => given.push(String(text))))
 * })
 * const job = Pipeline.from(["one", "two"]).pipe(Pipeline.to(Files.lines(Files.stdout)))
 *
 * await Effect.runPromise(Pipeline.run(job, { name: "give" }).pipe(Effect.provide([taking, Journal.memory])))
 * given.join("") // => "one\ntwo\n"
 * ```
 */
export const stdout: Stdout = { _tag: "Stdout" }

const lineOptions = (options: ReadOptions, skipBlank: boolean): LineOptions => {
  checkWhole("Files: maxLine", options.maxLine, 1, "unlimited")
  return { skipBlank: options.skipBlank ?? skipBlank, maxLine: options.maxLine ?? 16 * 1024 * 1024 }
}

type Place = string | Several | Stdin | Stdout
type FromPlace<A> = LineFile<A> | ManyFiles<A> | StdinSource<A> | StdoutSink<A>

const formatted = <A>(place: Place, format: Format<A>, options: Options<A>): FromPlace<A> => {
  if (typeof place === "string") return oneFile(place, format, options)
  if (!("_tag" in place)) checkList(place)
  else if (place._tag === "Stdin") return stdinSource(format, options)
  else if (place._tag === "Stdout") return stdoutSink(format, compressionOf("stdout", options))
  return manyFiles(place, format, options)
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

/**
 * A journal in a file, for runs whose place is to be kept elsewhere than beside the file that they write, or that write none. One
 * process at a time can use it, for any number of pipelines; the lines are JSON, each on the disk before it counts. What is
 * wrong with the file is a `JournalError` of the run.
 *
 * @example
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import * as Effect from "effect/Effect"
 * import { Files, Pipeline, Sink, Source } from "skein"
 *
 * const job = Pipeline.from(Source.list([1, 2], { name: "numbers" })).pipe(Pipeline.to(Sink.discard))
 * const run = Pipeline.run(job, { name: "numbers" }).pipe(
 *   Effect.provide(Files.journal("numbers.journal")),
 *   Effect.provide(NodeServices.layer)
 * )
 *
 * await Effect.runPromise(Effect.map(run, ({ settled }) => settled)) // => 2
 * await Effect.runPromise(Effect.map(run, ({ settled }) => settled)) // => 0
 * ```
 */
export const journal = (path: string): Layer.Layer<Journal, FilesError, FileSystem.FileSystem> =>
  Layer.effect(Journal, FileJournal.make(path))

/**
 * Replaces a file as a whole: whoever reads it, even after a power cut, finds the old content or the new, never a
 * part. It is written under another name beside the file, which a link may lead to, flushed and renamed; the permissions of the old file stay, and
 * a new one gets those of `mode`. Its folder must exist. Fails with `FilesError`, and then the old file is untouched.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import { Files } from "skein"
 * import { readFileSync } from "node:fs"
 *
 * await Effect.runPromise(Effect.provide(Files.writeAtomic("state.txt", "whole\n"), NodeFileSystem.layer))
 *
 * readFileSync("state.txt", "utf8") // => "whole\n"
 * ```
 */
export const writeAtomic = (
  path: string,
  content: string | Uint8Array,
  options: { readonly mode?: number } = {}
): Effect.Effect<void, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (typeof content === "string" && !content.isWellFormed()) {
      const fix = "Correct the text, or give the bytes."
      return yield* new FilesError({ kind: "BadElement", tried: "write", path, reason: `it ${noUtf8}`, fix })
    }
    const fs = yield* FileSystem.FileSystem
    const target = yield* realPath(path)
    // Whoever may not read the old content may not read the new one either.
    const old = yield* Effect.option(Effect.map(fs.stat(target), (info) => info.mode & 0o777))
    const mode = Option.getOrElse(old, () => options.mode)
    const temporary = `${target}.${(yield* Random.nextIntBetween(0, 2 ** 48)).toString(36)}.tmp`
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
    yield* fs.open(temporary, { flag: "wx", ...(mode !== undefined && { mode }) }).pipe(
      Effect.flatMap((file) =>
        Effect.andThen(file.writeAll(bytes), file.sync).pipe(
          // What a new file is given may be less.
          Effect.andThen(Option.isSome(old) ? fs.chmod(temporary, old.value) : Effect.void),
          Effect.andThen(fs.rename(temporary, target)),
          Effect.onError(() => Effect.ignore(fs.remove(temporary)))
        )
      ),
      Effect.scoped,
      Effect.uninterruptible,
      Effect.mapError(fromPlatform("write", path))
    )
    yield* syncFolder(folderOf(target))
  })

/**
 * The path of `name` in the folder `root`, or a `FilesError` of kind "Outside" if it would leave it: an absolute
 * name, one with `..` or a NUL in it, or one that a symbolic link leads out. For names that come from outside, such
 * as URLs. Links made after the check are not seen.
 *
 * @example
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import * as Effect from "effect/Effect"
 * import { Files } from "skein"
 *
 * const error = await Files.within("uploads", "../etc/passwd").pipe(
 *   Effect.flip,
 *   Effect.provide(NodeServices.layer),
 *   Effect.runPromise
 * )
 *
 * error.reason // => "it has a `..` in it"
 * ```
 */
export const within = (
  root: string,
  name: string
): Effect.Effect<string, FilesError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const outside = (reason: string) =>
      new FilesError({
        kind: "Outside",
        tried: `find a place in ${JSON.stringify(root)} for`,
        path: name,
        reason,
        fix: "Use a relative name without `..`."
      })
    if (name.includes("\0")) return yield* outside("it has a NUL character in it")
    // The system would make another name of it, the same for all such names.
    if (!name.isWellFormed()) return yield* outside(`it ${noUtf8}`)
    if (name.split(/[/\\]/).includes("..")) return yield* outside("it has a `..` in it")
    const base = path.resolve(root)
    const target = Option.getOrUndefined(path.resolveWithin(base, name))
    if (target === undefined) return yield* outside("it is an absolute name")
    if (target === base) return yield* outside("it names no file")

    const real = (at: string) => ifThere(fs.realPath(at)).pipe(Effect.mapError(fromPlatform("look up", at)))
    const realBase = yield* real(base)
    // Names that do not exist yet cannot lead anywhere; the deepest one that does must still be inside.
    for (let at = target; at !== base && Option.isSome(realBase); at = path.dirname(at)) {
      const realAt = yield* real(at)
      if (Option.isSome(realAt)) {
        const inside = path.resolveWithin(realBase.value, path.relative(realBase.value, realAt.value))
        if (Option.isNone(inside))
          return yield* outside(`a symbolic link in it leads to ${JSON.stringify(realAt.value)}`)
        break
      }
      if (Option.isSome(yield* Effect.option(fs.readLink(at)))) {
        return yield* outside("a symbolic link in it leads to something that does not exist")
      }
    }
    return target
  })

const ifThere = <A>(
  found: Effect.Effect<A, PlatformError.PlatformError>
): Effect.Effect<Option.Option<A>, PlatformError.PlatformError> =>
  Effect.catchIf(
    Effect.asSome(found),
    (error) => error.reason._tag === "NotFound",
    () => Effect.succeedNone
  )
