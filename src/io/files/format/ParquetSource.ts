/**
 * The rows of a Parquet file. One row group is in memory at a time, and of that the columns that the schema has. A position is how
 * many rows come before the next one; a row group of which rows were read is read again to go on in it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ColumnMetaData, DecodedArray, ParquetParsers, ParquetScan } from "hyparquet"
import { changes } from "../../../pipeline/context/Changes.ts"
import { Columns, elementsOf, type Portion } from "../../../pipeline/context/Portion.ts"
import type { Source } from "../../../pipeline/Source.ts"
import { FilesError } from "../../FilesError.ts"
import { Refusal } from "../Format.ts"
import type { Portions } from "../read/Bytes.ts"
import { fingerprint } from "../read/FileFingerprint.ts"
import { checkEnd, readAt } from "../TextFile.ts"
import { checked, misfit } from "./Misfit.ts"
import { decompressors } from "./ParquetCodecs.ts"
import { damaged, damagedBy, type Footer, library, openFooter } from "./ParquetFooter.ts"
import type { Shape, Struct } from "./ParquetShape.ts"
import { type FromParquet, fromParquet, parsers, plainElements, put } from "./ParquetValues.ts"

interface Column {
  readonly name: string
  readonly shape: Shape
  readonly from: FromParquet
}

interface Group {
  readonly start: number
  readonly rows: number
  /** Of the columns that are read. */
  readonly chunks: ReadonlyArray<{ readonly start: number; readonly end: number }>
  readonly bytes: number
  /** Behind all of its bytes in the file. */
  readonly end: number
}

interface Opened extends Footer {
  readonly columns: ReadonlyArray<Column>
  readonly groups: ReadonlyArray<Group>
  readonly rows: number
}

/** Made into values at a time: between two of these pieces, others run and a cancel is seen. */
const pieceRows = 1024

type Needs = FileSystem.FileSystem
type ParquetSource<A> = Pick<
  Source<A, FilesError, Needs, number>,
  "resumable" | "size" | "fingerprint" | "changed" | "read"
>

export const parquetSource = <A>(
  path: string,
  schema: Schema.Codec<A, unknown>,
  shape: Struct,
  maxGroup: number
): ParquetSource<A> => {
  const decode = checked<unknown, A>(schema, "decode", (issue) => misfit(issue, fixRow), tooDeep)
  let known: ReadonlyArray<Group> | undefined
  const opening = Effect.tap(open(path, shape), ({ groups }) => Effect.sync(() => (known = groups)))
  const groups = Effect.suspend(() =>
    known === undefined ? Effect.scoped(Effect.map(opening, (opened) => opened.groups)) : Effect.succeed(known)
  )
  const rowsOf = (upTo: Option.Option<number>) => Option.getOrElse(upTo, () => 0)
  return {
    resumable: true,
    size: Effect.map(groups, (all) => Option.some(all.reduce((sum, { bytes }) => sum + bytes, 0))),
    fingerprint: (upTo, since) => Effect.flatMap(groups, (all) => fingerprint(path, endOf(all, rowsOf(upTo)), since)),
    changed: (kept, upTo) =>
      Effect.gen(function* () {
        const { groups, rows } = yield* opening
        if (rows < rowsOf(upTo)) return [`${rowsOf(upTo)} rows of it were read, and it has ${rows} now`]
        return changes(kept, yield* fingerprint(path, endOf(groups, rowsOf(upTo))))
      }).pipe(Effect.scoped),
    read: (after) =>
      Effect.gen(function* () {
        const opened = yield* opening
        const fs = yield* FileSystem.FileSystem
        const rows = new Rows(path, opened, yield* scanOf(opened), decode, maxGroup, rowsOf(after))
        const end = Effect.provideService(checkEnd(path, opened, opened.size), FileSystem.FileSystem, fs)
        return Stream.fromPull(Effect.succeed(rows.pull(end)))
      }).pipe(Stream.unwrap, elementsOf)
  }
}

/** Behind the last byte of the row group with the last row that was read. */
const endOf = (groups: ReadonlyArray<Group>, rows: number): number =>
  Math.max(0, ...groups.filter(({ start }) => start < rows).map(({ end }) => end))

const open = (path: string, shape: Struct): Effect.Effect<Opened, FilesError, Needs | Scope.Scope> =>
  Effect.gen(function* () {
    const { parquetSchema } = yield* library
    const footer = yield* openFooter(path)
    const { metadata } = footer
    const there = parquetSchema(metadata).children
    const columns: Array<Column> = []
    const missing: Array<string> = []
    for (const [name, inner] of shape.fields) {
      const tree = there.find(({ element }) => element.name === name)
      if (tree === undefined) {
        if (!inner.optional) missing.push(name)
        continue
      }
      const from = fromParquet(inner, tree, name)
      if (from instanceof Refusal) return yield* unfit(path, from)
      columns.push({ name, shape: inner, from })
    }
    if (missing.length > 0) {
      const names = there.slice(0, 20).map(({ element }) => JSON.stringify(element.name))
      const lacks = missing.map((name) => JSON.stringify(name)).join(", ")
      const reason = `it has no column ${lacks}; its columns are ${names.join(", ")}${there.length > 20 ? ", …" : ""}`
      return yield* unfit(path, new Refusal(reason, "Correct the schema."))
    }
    const groups = yield* Effect.try({
      try: () => groupsOf(footer, new Set(columns.map(({ name }) => name))),
      catch: (error) => damagedBy(path, "its footer is wrong", error)
    })
    const last = groups.at(-1)
    return { ...footer, columns, groups, rows: last === undefined ? 0 : last.start + last.rows }
  })

const groupsOf = ({ metadata, start: footer }: Footer, wanted: ReadonlySet<string>): ReadonlyArray<Group> => {
  let rows = 0
  return metadata.row_groups.map(({ columns, num_rows }) => {
    const all = columns.map(({ file_path, meta_data: meta }) => {
      if (file_path !== undefined) throw new Error("a part of it is in another file")
      if (meta === undefined) throw new Error("a column is encrypted")
      return { meta, ...rangeOf(meta, footer) }
    })
    const chunks = all.filter(({ meta }) => wanted.has(meta.path_in_schema[0]!))
    const start = rows
    const count = Number(num_rows)
    if (!Number.isSafeInteger(count) || count < 0) throw new Error(`a row group has ${num_rows} rows`)
    rows += count
    return {
      start,
      rows: count,
      chunks,
      bytes: chunks.reduce((sum, { meta }) => sum + Number(meta.total_uncompressed_size), 0),
      end: Math.max(...all.map(({ end }) => end))
    }
  })
}

const rangeOf = (meta: ColumnMetaData, footer: number): { readonly start: number; readonly end: number } => {
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset)
  const end = start + Number(meta.total_compressed_size)
  if (!(start >= 4 && start <= end && end <= footer)) throw new Error("a column is not where it should be")
  return { start, end }
}

/** The bytes of the row group that is read: the library asks for no others. */
class Held {
  readonly byteLength: number
  private chunks: ReadonlyArray<{ readonly start: number; readonly bytes: Uint8Array<ArrayBuffer> }> = []

  constructor(byteLength: number) {
    this.byteLength = byteLength
  }

  hold(chunks: ReadonlyArray<{ readonly start: number; readonly bytes: Uint8Array<ArrayBuffer> }>): void {
    this.chunks = chunks
  }

  /** What lies between columns is asked for with them, and not looked at. */
  slice(start: number, end: number = this.byteLength): ArrayBuffer {
    const all = new Uint8Array(end - start)
    for (const chunk of this.chunks) {
      const from = Math.max(start, chunk.start)
      const to = Math.min(end, chunk.start + chunk.bytes.length)
      if (from < to) all.set(chunk.bytes.subarray(from - chunk.start, to - chunk.start), from - start)
    }
    return all.buffer
  }
}

interface Scan extends Pick<ParquetScan, "readColumn"> {
  readonly held: Held
}

const scanOf = ({ columns, metadata, size }: Opened): Effect.Effect<Scan> =>
  Effect.gen(function* () {
    const { parquetScan } = yield* library
    const held = new Held(size)
    const { readColumn } = yield* Effect.promise(() =>
      parquetScan({
        file: held,
        metadata: { ...metadata, schema: plainElements(metadata.schema) },
        columns: columns.map(({ name }) => name),
        compressors: decompressors(),
        // Ours give exact values where the types of the library want its own, which round: it hands them on as they are.
        parsers: parsers as unknown as ParquetParsers,
        useOffsetIndex: false,
        utf8: false
      })
    )
    return { readColumn, held }
  })

class Rows<A> {
  private readonly path: string
  private readonly opened: Opened
  private readonly scan: Scan
  private readonly decode: (row: unknown) => A | Refusal
  private readonly maxGroup: number
  private at: number
  private group: Group | undefined
  private data: ReadonlyArray<DecodedArray> = []
  private problem: FilesError | undefined

  constructor(path: string, opened: Opened, scan: Scan, decode: Rows<A>["decode"], maxGroup: number, at: number) {
    this.path = path
    this.opened = opened
    this.scan = scan
    this.decode = decode
    this.maxGroup = maxGroup
    this.at = at
  }

  pull(end: Effect.Effect<void, FilesError>): Effect.Effect<Portions<A, number>, FilesError | Cause.Done> {
    const pull: ReturnType<Rows<A>["pull"]> = Effect.suspend(() => {
      if (this.problem !== undefined) return Effect.fail(this.problem)
      const portion = this.next()
      if (portion.values.length > 0) return Effect.succeed([portion] as const)
      if (this.problem !== undefined) return Effect.fail(this.problem)
      const group = this.opened.groups.find(({ rows, start }) => this.at < start + rows)
      return group === undefined ? Effect.andThen(end, Cause.done()) : Effect.andThen(this.load(group), pull)
    })
    return pull
  }

  private load(group: Group): Effect.Effect<void, FilesError> {
    const { path, scan } = this
    const { columns, file } = this.opened
    return Effect.gen({ self: this }, function* () {
      this.group = undefined
      this.data = []
      scan.held.hold([])
      if (group.bytes > this.maxGroup) {
        return yield* damaged(
          path,
          `a row group has ${group.bytes} bytes in memory, and ${this.maxGroup} is the limit, \`maxGroup\``,
          "Raise the limit, take fewer columns, or write it anew with smaller row groups."
        )
      }
      const chunks: Array<{ readonly start: number; readonly bytes: Uint8Array<ArrayBuffer> }> = []
      for (const { end, start } of group.chunks) {
        const bytes = new Uint8Array(end - start)
        const count = yield* readAt(file, path, bytes, start)
        if (count < bytes.length) return yield* damaged(path, "it ended while it was read")
        chunks.push({ start, bytes })
      }
      scan.held.hold(chunks)
      const range = { rowStart: group.start, rowEnd: group.start + group.rows }
      const data: Array<DecodedArray> = []
      for (const { name } of columns) {
        data.push(
          yield* Effect.tryPromise({
            try: () => scan.readColumn({ column: name, ...range }),
            catch: (error) => damagedBy(path, `its column ${JSON.stringify(name)} cannot be read`, error)
          })
        )
      }
      const short = data.findIndex(({ length }) => length !== group.rows)
      if (short >= 0) {
        return yield* damaged(
          path,
          `its column ${JSON.stringify(columns[short]!.name)} has not as many rows as it should`
        )
      }
      scan.held.hold([])
      this.data = data
      this.group = group
    })
  }

  /** The next rows of the group. */
  private next(): Portion<A, number> {
    const portion = new Columns<A>()
    const { data, group } = this
    if (group === undefined) return portion
    const { columns } = this.opened
    const end = Math.min(group.start + group.rows, this.at + pieceRows)
    const bytes = Math.ceil(group.bytes / group.rows)
    for (; this.at < end; this.at += 1) {
      const index = this.at - group.start
      const row: Record<string, unknown> = {}
      try {
        for (let i = 0; i < columns.length; i++) {
          const { from, name, shape } = columns[i]!
          put(row, name, shape, from(data[i]![index]))
        }
      } catch (error) {
        const refusal = error instanceof Refusal ? error : new Refusal(String(error), "")
        this.problem = unfit(this.path, refusal, this.at)
        break
      }
      const value = this.decode(row)
      if (value instanceof Refusal) {
        this.problem = unfit(this.path, value, this.at)
        break
      }
      portion.add(value, this.at + 1, bytes)
    }
    if (this.at === group.start + group.rows) {
      this.group = undefined
      this.data = []
    }
    return portion
  }
}

const tooDeep = new Refusal("it is nested too deep", "Take fewer columns.")

const fixRow = "Correct the file or the schema, or take the column as what it is and convert it in a step."

const unfit = (path: string, { field, fix, reason }: Refusal, row?: number): FilesError =>
  new FilesError({
    kind: "BadLine",
    tried: row === undefined ? "read" : `read row ${row + 1} of`,
    path,
    reason,
    fix,
    ...(field !== undefined && { field })
  })
