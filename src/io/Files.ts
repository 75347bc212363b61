/** Files as sources and sinks that can be resumed, files replaced as a whole, and names kept inside of a folder. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { noUtf8 } from "../concurrency/base/JsonText.ts"
import { checkWhole } from "../concurrency/base/Options.ts"
import { Journal } from "../pipeline/Journal.ts"
import { companion } from "./files/Companion.ts"
import { realPath } from "./files/FilePlace.ts"
import { FilesError, fromPlatform } from "./FilesError.ts"
import { bytesFormat } from "./files/format/BytesFormat.ts"
import { csvFormat, type CsvFormatOptions } from "./files/format/CsvFormat.ts"
import { jsonFormat, jsonlFormat } from "./files/format/JsonFormat.ts"
import { linesFormat } from "./files/format/LinesFormat.ts"
import { codecs, type ParquetCompression } from "./files/format/ParquetCodecs.ts"
import * as ParquetShape from "./files/format/ParquetShape.ts"
import { parquetSink } from "./files/format/ParquetSink.ts"
import { parquetSource } from "./files/format/ParquetSource.ts"
import {
  type CompressionOptions,
  type FollowedFile,
  type FollowOptions,
  formatted,
  type FromPlace,
  type LineFile,
  lineOptions,
  type ManyFiles,
  type Options,
  type Place,
  type ReadOptions,
  type StdinSource,
  type StdoutSink
} from "./files/Formatted.ts"
import * as FileJournal from "./files/journal/FileJournal.ts"
import type { Glob, Several, Stdin, Stdout } from "./files/Place.ts"
import * as Walk from "./files/read/Walk.ts"
import type { Entry, WalkOptions } from "./files/read/Walk.ts"
import { folderOf, syncFolder } from "./files/TextFile.ts"
import type { SinkOptions } from "./files/write/FileSink.ts"

export { FilesError } from "./FilesError.ts"
export type {
  FollowedFile,
  FollowOptions,
  LineFile,
  ManyFiles,
  Options,
  ReadOptions,
  StdinSource,
  StdoutSink
} from "./files/Formatted.ts"
export type { FilePosition, Glob, Several, Stdin, Stdout } from "./files/Place.ts"
export type { Entry, WalkOptions } from "./files/read/Walk.ts"

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
export function lines(path: string, options: FollowOptions): FollowedFile<string>
export function lines(path: string, options?: Options<string>): LineFile<string>
export function lines(files: Several, options?: ReadOptions): ManyFiles<string>
export function lines(stdin: Stdin, options?: ReadOptions): StdinSource<string>
export function lines(stdout: Stdout, options?: CompressionOptions): StdoutSink<string>
export function lines(place: Place, options: Options<string> | FollowOptions = {}): FromPlace<string> {
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
 * import * as Schema from "effect/Schema"
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
export function jsonl<A, I>(path: string, schema: Schema.Codec<A, I>, options: FollowOptions): FollowedFile<A>
export function jsonl<A, I>(path: string, schema: Schema.Codec<A, I>, options?: Options<NoInfer<A>>): LineFile<A>
export function jsonl<A, I>(files: Several, schema: Schema.Codec<A, I>, options?: ReadOptions): ManyFiles<A>
export function jsonl<A, I>(stdin: Stdin, schema: Schema.Codec<A, I>, options?: ReadOptions): StdinSource<A>
export function jsonl<A, I>(stdout: Stdout, schema: Schema.Codec<A, I>, options?: CompressionOptions): StdoutSink<A>
export function jsonl<A, I>(
  place: Place,
  schema: Schema.Codec<A, I>,
  options: Options<NoInfer<A>> | FollowOptions = {}
): FromPlace<A> {
  return formatted(place, jsonlFormat(schema, lineOptions(options, true)), options)
}

type CsvReadOptions = Omit<CsvOptions, keyof SinkOptions>

export interface FollowCsvOptions extends Omit<FollowOptions, "skipBlank">, CsvFormatOptions {}

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
export function csv<A, I>(path: string, schema: Schema.Codec<A, I>, options: FollowCsvOptions): FollowedFile<A>
export function csv<A, I>(path: string, schema: Schema.Codec<A, I>, options?: CsvOptions<NoInfer<A>>): LineFile<A>
export function csv<A, I>(files: Several, schema: Schema.Codec<A, I>, options?: CsvReadOptions): ManyFiles<A>
export function csv<A, I>(stdin: Stdin, schema: Schema.Codec<A, I>, options?: CsvReadOptions): StdinSource<A>
export function csv<A, I>(stdout: Stdout, schema: Schema.Codec<A, I>, options?: CsvReadOptions): StdoutSink<A>
export function csv<A, I>(
  place: Place,
  schema: Schema.Codec<A, I>,
  options: CsvOptions<NoInfer<A>> | FollowCsvOptions = {}
): FromPlace<A> {
  return formatted(place, csvFormat(schema, options, lineOptions(options, true).maxLine), options)
}

/**
 * The elements of one JSON array, each a value of `schema`, to read from or to write to; see `lines` for how it resumes, and `jsonl` for
 * the JSON. It is read and written element by element, never held as a whole; `maxLine` is the longest element. What is no array is a
 * `FilesError` with its byte offset. As a sink it writes the `]` when the source has ended, and goes on before it.
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
 *   yield* Files.writeAtomic("cities.json", '[{"name":"Ulm","people":129942}]')
 *   return yield* Pipeline.collect(Pipeline.from(Files.json("cities.json", City)))
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => [{ name: "Ulm", people: 129942 }]
 * ```
 */
export function json<A, I>(path: string, schema: Schema.Codec<A, I>, options?: JsonOptions<NoInfer<A>>): LineFile<A>
export function json<A, I>(files: Several, schema: Schema.Codec<A, I>, options?: JsonReadOptions): ManyFiles<A>
export function json<A, I>(stdin: Stdin, schema: Schema.Codec<A, I>, options?: JsonReadOptions): StdinSource<A>
export function json<A, I>(stdout: Stdout, schema: Schema.Codec<A, I>, options?: CompressionOptions): StdoutSink<A>
export function json<A, I>(
  place: Place,
  schema: Schema.Codec<A, I>,
  options: JsonOptions<NoInfer<A>> = {}
): FromPlace<A> {
  return formatted(place, jsonFormat(schema, lineOptions(options, true).maxLine), options)
}

type JsonReadOptions = Omit<JsonOptions, keyof SinkOptions>

export interface JsonOptions<in A = unknown> extends Omit<Options<A>, "skipBlank"> {}

/**
 * The bytes of a file in blocks of `size`, 64 KiB by default, the last one shorter, to read from; and to write any bytes to. What is
 * compressed is undone. The position of a block is the byte behind it; see `lines` for how it resumes.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import { Files, Pipeline } from "skein"
 *
 * const program = Effect.gen(function* () {
 *   yield* Files.writeAtomic("data.bin", Uint8Array.of(1, 2, 3))
 *   const blocks = yield* Pipeline.collect(Pipeline.from(Files.bytes("data.bin", { size: 2 })))
 *   return blocks.map((block) => [...block])
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => [[1, 2], [3]]
 * ```
 */
export function bytes(path: string, options?: BytesOptions): LineFile<Uint8Array>
export function bytes(files: Several, options?: BytesReadOptions): ManyFiles<Uint8Array>
export function bytes(stdin: Stdin, options?: BytesReadOptions): StdinSource<Uint8Array>
export function bytes(stdout: Stdout, options?: CompressionOptions): StdoutSink<Uint8Array>
export function bytes(place: Place, options: BytesOptions = {}): FromPlace<Uint8Array> {
  checkWhole("Files: size", options.size, 1)
  return formatted(place, bytesFormat(options.size ?? 64 * 1024), options)
}

type BytesReadOptions = Omit<BytesOptions, keyof SinkOptions>

export interface BytesOptions extends Omit<Options<Uint8Array>, "skipBlank" | "maxLine" | "encoding"> {
  /** How many bytes a block has. Default 64 KiB. */
  readonly size?: number
}

export interface ParquetOptions {
  /** As a sink: how many rows a row group has. Default 100,000. Readers hold one in memory at a time. */
  readonly rowGroup?: number
  /** As a sink. Default "snappy"; the others need Node, Bun or Deno. As a source, each page says what it is. */
  readonly compression?: ParquetCompression
  /** As a sink: force each batch, and at the end the file, to the disk. Default true. */
  readonly fsync?: boolean
  /** As a source: the largest row group that is accepted, in bytes of the columns that are read, not compressed. Default 1 GiB. */
  readonly maxGroup?: number
}

/** A Parquet file, to read from and to write to. The position of an element is how many rows there are up to it. */
export interface ParquetFile<in out A> extends LineFile<A> {}

/**
 * A Parquet file, one value of `schema` a row. As a source it reads the columns that the schema has, a row group at a time, and goes
 * on at any row: integers of 64 bits, decimals and timestamps are exact, or refused by a field that cannot hold them. As a sink it
 * is written at the end of the run and then takes the place of the file that was there: until then rows are kept in `.NAME.skein-rows`
 * beside it. A later run that has more adds row groups. Lists and objects are Parquet's own; a decimal is written as text, and
 * what fits no column, such as a union, as JSON. Fails with `FilesError`.
 *
 * @example
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Files, Pipeline } from "skein"
 *
 * const City = Schema.Struct({ name: Schema.String, people: Schema.BigInt })
 * const cities = Files.parquet("cities.parquet", City)
 *
 * const program = Effect.gen(function* () {
 *   const job = Pipeline.from([{ name: "Ulm", people: 129942n }]).pipe(Pipeline.to(cities))
 *   yield* Pipeline.run(job, { name: "cities" })
 *   return yield* Pipeline.collect(Pipeline.from(cities))
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeServices.layer)) // => [{ name: "Ulm", people: 129942n }]
 * ```
 */
export const parquet = <A, I>(
  path: string,
  schema: Schema.Codec<A, I>,
  options: ParquetOptions = {}
): ParquetFile<A> => {
  const { compression = "snappy", fsync = true, maxGroup = 1024 ** 3, rowGroup = 100_000 } = options
  checkWhole("Files: rowGroup", rowGroup, 1)
  checkWhole("Files: maxGroup", maxGroup, 1, "unlimited")
  if (!Object.hasOwn(codecs, compression)) {
    throw new TypeError(`Files: compression has to be one of ${Object.keys(codecs).join(", ")}, not ${compression}`)
  }
  const shape = ParquetShape.of(schema)
  return {
    ...parquetSink(path, schema, shape, { compression, fsync, rowGroup }),
    ...parquetSource(path, schema, shape, maxGroup)
  }
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
 * const given: Array<string | Uint8Array> = []
 * const taking = Stdio.layerTest({
 *   stdout: () => Sink.forEach((piece: string | Uint8Array) => Effect.sync(() => given.push(piece)))
 * })
 * const job = Pipeline.from(["one", "two"]).pipe(Pipeline.to(Files.lines(Files.stdout)))
 *
 * await Effect.runPromise(Pipeline.run(job, { name: "give" }).pipe(Effect.provide([taking, Journal.memory])))
 * new Blob(given as Array<BlobPart>).text() // => "one\ntwo\n"
 * ```
 */
export const stdout: Stdout = { _tag: "Stdout" }

/**
 * What is in a folder and in those below it, folder by folder, by name. A link to a folder is looked into where `followLinks` asks for
 * it, unless it leads back to one that it is in. Fails with `FilesError` at a folder that must not be looked into.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { Files } from "skein"
 *
 * const program = Effect.gen(function* () {
 *   yield* Files.writeAtomic("notes.txt", "")
 *   const found = yield* Stream.runCollect(Files.walk(".", { pattern: "*.txt" }))
 *   return found.map(({ name, type }) => `${type} ${name}`)
 * })
 *
 * await Effect.runPromise(Effect.provide(program, NodeFileSystem.layer)) // => ["File notes.txt"]
 * ```
 */
export const walk = (
  root: string,
  options: WalkOptions = {}
): Stream.Stream<Entry, FilesError, FileSystem.FileSystem> => Walk.walk(root, options)

/**
 * What happens to a file or in a folder from now on, as the system tells it: which of the changes, and how often, differs between
 * systems. It does not end by itself. Fails with `FilesError`.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import * as Stream from "effect/Stream"
 * import { Files } from "skein"
 * import { writeFileSync } from "node:fs"
 *
 * const changes = Files.watch(".", { onReady: () => writeFileSync("new.txt", "") })
 * const first = await Effect.runPromise(Effect.provide(Stream.runHead(changes), NodeFileSystem.layer))
 *
 * Option.getOrThrow(first)._tag // => "Create"
 * ```
 */
export const watch = (
  path: string,
  options: FileSystem.WatchOptions = {}
): Stream.Stream<FileSystem.WatchEvent, FilesError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.watch(path, options))).pipe(
    Stream.mapError(fromPlatform("watch", path))
  )

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
    const temporary = companion(target, `skein-new.${(yield* Random.nextIntBetween(0, 2 ** 48)).toString(36)}`)
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
