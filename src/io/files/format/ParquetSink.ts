/**
 * Rows to a Parquet file, which is whole or not there: its footer, without which nobody can read it, needs all row groups. Until the
 * source is read to its end the rows are lines of JSON in `.NAME.skein-rows` beside it, written as any other file is; then they become
 * row groups, in a file that takes the place of the old one. So a crash loses nothing that was committed, and row groups are as
 * large as they should be however small the batches were. Row groups of a run that ended before are kept as they are.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaParser from "effect/SchemaParser"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RowGroup } from "hyparquet"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import type { Opening, Writer } from "../../../pipeline/Sink.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { companion } from "../Companion.ts"
import { places, realPath } from "../FilePlace.ts"
import { type Format, Refusal } from "../Format.ts"
import { FileSource } from "../read/FileSource.ts"
import { folderOf, notAFile, readAt, syncFolder } from "../TextFile.ts"
import { sameContent, statOf } from "../write/Appender.ts"
import { type FileSink, fileSink } from "../write/FileSink.ts"
import * as FileWriter from "../write/FileWriter.ts"
import { jsonOf } from "./JsonFormat.ts"
import { LineCutter } from "./LineCutter.ts"
import { fixElement } from "./LinesFormat.ts"
import { misfit } from "./Misfit.ts"
import { codecs, compressors, type ParquetCompression } from "./ParquetCodecs.ts"
import { openFooter } from "./ParquetFooter.ts"
import { elementsOf, type Struct } from "./ParquetShape.ts"
import { structTo } from "./ParquetValues.ts"

export interface ParquetWriteOptions {
  readonly rowGroup: number
  readonly compression: ParquetCompression
  readonly fsync: boolean
}

type Row = Readonly<Record<string, unknown>>

export const parquetSink = <A>(
  path: string,
  schema: Schema.Codec<A, unknown>,
  shape: Struct,
  options: ParquetWriteOptions
): FileSink<A> => {
  const rows = rowsOf(schema, shape)
  const sink = fileSink(path, rows.format, undefined, { existing: "replace", fsync: options.fsync })
  return {
    ...sink,
    places: Effect.gen(function* () {
      const real = yield* realPath(path)
      const rows = rowsPath(real)
      const all = yield* Effect.forEach([path, rows, companion(rows, "skein"), newPath(real)], places)
      return all.flat()
    }),
    open: (opening) => open(path, opening, rows, shape, options)
  }
}

/** How rows stand in the file beside: the schema's encoded values, as JSON. */
interface Rows<in out A> {
  readonly format: Format<A>
  /** The same lines, as what is written. */
  readonly lines: Format<Row>
}

const rowsOf = <A>(schema: Schema.Codec<A, unknown>, shape: Struct): Rows<A> => {
  const encoded = SchemaAST.toEncoded(schema.ast)
  SchemaJITCompiler.enable(Schema.flip(schema).ast)
  const encode = SchemaParser.encodeUnknownResult(schema)
  const { parseIn, print } = jsonOf(Schema.make<Schema.Codec<Row>>(encoded), fixElement)
  const columns = elementsOf(shape).map(({ converted_type, name, repetition_type, type }) =>
    [name, repetition_type, type, converted_type].filter(Boolean).join(" ")
  )
  const lines: Format<Row> = {
    name: "parquet",
    form: { columns },
    cut: (start) => new LineCutter(start, parseIn, { skipBlank: false, maxLine: Infinity }),
    print,
    layout: { terminator: "\n" }
  }
  return {
    lines,
    format: {
      ...lines,
      cut: () => {
        throw new Error("rows are read as lines")
      },
      print: (element) => {
        const fields = encode(element)
        if (Result.isFailure(fields)) return misfit(fields.failure, fixElement)
        try {
          structTo(shape, fields.success, "")
        } catch (error) {
          if (error instanceof Refusal) return error
          throw error
        }
        return print(fields.success as Row)
      }
    }
  }
}

const rowsPath = (real: string): string => companion(real, "skein-rows")

const State = Schema.Struct({
  /** Of the rows that are not in the file yet; null where there are none. */
  rows: Schema.NullOr(Schema.Json),
  /** Of the file, as far as its row groups go. */
  file: Schema.NullOr(Schema.Struct({ length: Schema.Int, sum: Schema.String, rows: Schema.Int }))
})
type State = typeof State.Type

const stateOf = (name: string, state: Option.Option<Schema.Json>): Effect.Effect<State, FilesError> =>
  Option.isNone(state)
    ? Effect.succeed({ rows: null, file: null })
    : Schema.decodeUnknownEffect(State)(state.value).pipe(
        Effect.mapError(
          () =>
            new FilesError({
              kind: "BadState",
              tried: "resume writing",
              path: name,
              reason: `the journal holds ${JSON.stringify(state.value)}, which is not the state of a Parquet file`,
              fix: "This pipeline wrote somewhere else before: give it another name, or start over."
            })
        )
      )

type Needs = FileSystem.FileSystem | Scope.Scope

const open = <A>(
  name: string,
  opening: Opening,
  rows: Rows<A>,
  shape: Struct,
  options: ParquetWriteOptions
): Effect.Effect<Writer<A, FilesError, never>, FilesError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* realPath(name)
    const before = yield* statOf(fs, path)
    if (Option.isSome(before) && before.value.type !== "File") return yield* notAFile("write", name, before.value)
    const committed = yield* stateOf(name, opening.committed)
    if (committed.file !== null) yield* sameContent(fs, path, name, committed.file, before)
    const beside = rowsPath(path)
    const writer = yield* FileWriter.open(
      beside,
      { ...opening, committed: Option.fromNullOr(committed.rows) },
      rows.format,
      { existing: "replace", fsync: options.fsync, atomic: false, compression: undefined, rotate: undefined }
    )
    // Whoever may not read the old content may not read the new one either, on its way.
    if (Option.isSome(before)) {
      yield* Effect.mapError(fs.chmod(beside, before.value.mode & 0o777), fromPlatform("write", name))
    }
    const json = (state: State): Schema.Json => ({ rows: state.rows, file: state.file && { ...state.file } })
    return {
      ...writer,
      write: (elements, since) =>
        Effect.gen(function* () {
          const { file, rows } = yield* stateOf(name, since)
          const added = Effect.mapError(writer.write(elements, Option.fromNullOr(rows)), ofElement(name))
          return json({ file, rows: yield* added })
        }),
      finish: (since) =>
        Effect.gen(function* () {
          const { file, rows: added } = yield* stateOf(name, since)
          if (added === null && file !== null) return json({ file, rows: added })
          // Takes away what is behind the last committed row.
          yield* writer.write([], Option.fromNullOr(added))
          const lines = new FileSource(beside, rows.lines, { compression: "none" })
          const all = Stream.map(lines.read(0), ({ value }) => value)
          const made = yield* make(name, path, all, file, shape, options)
          return json({ rows: null, file: made })
        }).pipe(Effect.provideService(FileSystem.FileSystem, fs), Effect.scoped),
      close: (last) =>
        Effect.gen(function* () {
          const { rows } = yield* stateOf(name, last)
          const failed = Effect.mapError(fromPlatform("remove", beside))
          if (rows === null) yield* failed(fs.remove(beside, { force: true }))
          yield* failed(fs.remove(newPath(path), { force: true }))
          yield* writer.close!(Option.fromNullOr(rows))
        })
    }
  })

/** An element belongs to the file, and not to the one beside it. */
const ofElement =
  (path: string) =>
  (error: FilesError): FilesError => {
    const { field, fix, kind, reason, row, tried } = error
    if (row === undefined) return error
    return new FilesError({ kind, tried, path, reason, fix, row, ...(field !== undefined && { field }) })
  }

const newPath = (real: string): string => companion(real, "skein-new")

/** Makes the file anew: with the row groups that it has, and those of the rows. */
const make = (
  name: string,
  path: string,
  rows: Stream.Stream<Row, FilesError, FileSystem.FileSystem>,
  kept: State["file"],
  shape: Struct,
  { compression, fsync, rowGroup }: ParquetWriteOptions
): Effect.Effect<NonNullable<State["file"]>, FilesError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { ByteWriter, ParquetWriter } = yield* Effect.promise(() => import("hyparquet-writer"))
    const failed = Effect.mapError(fromPlatform("write", name))
    const target = newPath(path)
    yield* failed(fs.remove(target, { force: true }))
    const old = yield* statOf(fs, path)
    const mode = Option.map(old, (info) => info.mode & 0o777)
    const file = yield* failed(fs.open(target, { flag: "wx+", ...(Option.isSome(mode) && { mode: mode.value }) }))
    const bytes = new ByteWriter()
    const codec = codecs[compression]
    const writer = new ParquetWriter({
      writer: bytes,
      schema: elementsOf(shape),
      codec,
      compressors: compressors(),
      createdBy: "skein"
    })
    const flush = Effect.suspend(() => {
      const made = bytes.getBytes()
      bytes.index = 0
      return failed(file.writeAll(made))
    })
    if (kept !== null) {
      const { metadata } = yield* Effect.mapError(
        openFooter(path),
        ({ reason }) =>
          new FilesError({
            kind: "CommittedLost",
            tried: "resume writing",
            path: name,
            reason: `${kept.rows} rows of it were committed, and now ${reason}`,
            fix: "Put the file back as it was, or start over to write all of it again."
          })
      )
      yield* copy(path, kept.length, (piece) => failed(file.writeAll(piece)))
      bytes.index = 0
      bytes.offset = kept.length
      // The packages have a copy each of these types.
      writer.row_groups = firstOf(metadata.row_groups, kept.rows) as typeof writer.row_groups
      writer.num_rows = BigInt(kept.rows)
    } else yield* flush

    const names = shape.fields.map(([column]) => column)
    let columns: Array<Array<unknown>> = names.map(() => [])
    let count = 0
    let total = kept?.rows ?? 0
    const group = Effect.suspend(() => {
      if (count === 0) return Effect.void
      const columnData = names.map((column, i) => ({ name: column, data: columns[i]! }))
      void writer.write({ columnData, rowGroupSize: count })
      total += count
      count = 0
      columns = names.map(() => [])
      return flush
    })
    yield* Stream.runForEach(rows, (row) => {
      const values = structTo(shape, row, "")
      for (let i = 0; i < names.length; i++) columns[i]!.push(values[names[i]!])
      count += 1
      return count === rowGroup ? group : Effect.void
    })
    yield* group
    void writer.finish()
    yield* flush
    if (fsync) yield* failed(file.sync)
    const { start } = yield* openFooter(target)
    const last = new Uint8Array(Math.min(start, 4096))
    yield* readAt(file, name, last, start - last.length)
    yield* Effect.uninterruptible(failed(fs.rename(target, path)))
    if (fsync) yield* syncFolder(folderOf(path))
    return { length: start, sum: new Checksum().addBytes(last).text, rows: total }
  }).pipe(Effect.scoped)

/** The row groups of the first so many rows: a run that was killed before it could say so may have added others. */
const firstOf = (groups: ReadonlyArray<RowGroup>, rows: number): Array<RowGroup> => {
  const first: Array<RowGroup> = []
  let left = BigInt(rows)
  for (const group of groups) {
    if (left <= 0n) break
    first.push(group)
    left -= group.num_rows
  }
  return first
}

const copy = (
  path: string,
  length: number,
  write: (piece: Uint8Array) => Effect.Effect<void, FilesError>
): Effect.Effect<void, FilesError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path, { flag: "r" }).pipe(Effect.mapError(fromPlatform("read", path)))
    const piece = new Uint8Array(1024 * 1024)
    for (let at = 0; at < length; at += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, length - at))
      yield* readAt(file, path, part, at)
      yield* write(part)
    }
  })
