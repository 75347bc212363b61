/** SQLite: types by affinity, large `INSERT … VALUES`, and what its messages say of rows. */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { type BulkConnection, isBulk } from "../BulkConnection.ts"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import {
  type Column,
  type Dialect,
  type Found,
  type Refusal,
  refusalOf,
  RowRefused,
  type Rows,
  type Shape,
  type TableWriter,
  WriteRefused
} from "../Dialect.ts"
import { type Field, type Kind, valueOf } from "../Fields.ts"
import * as Sql from "../Sql.ts"
import { statements } from "../statement/SqlScript.ts"
import { sqliteJournal } from "./SqliteJournal.ts"
import { sqliteParameter } from "./SqliteParameter.ts"
import { sqliteReading } from "./SqliteReading.ts"

const { list, quote } = Sql

interface TableColumn {
  readonly name: string
  readonly type: string
  readonly notnull: number
  readonly dflt_value: unknown
  readonly pk: number
  /** 2 and 3: generated. */
  readonly hidden: number
}

const foundOf = ({ dflt_value, hidden, name, notnull, pk, type }: TableColumn): Found => ({
  name,
  type,
  notNull: notnull === 1,
  filled: notnull === 0 || dflt_value !== null || pk > 0 || hidden > 1,
  computed: hidden > 1
})

/** SQLite compares names without regard to case. */
const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

type Affinity = "INTEGER" | "REAL" | "TEXT" | "BLOB"

interface Form {
  readonly type: Affinity
  readonly expected: string
  readonly toColumn: (value: unknown) => unknown
  readonly flaw?: (value: unknown) => string | undefined
  readonly fromColumn: (value: unknown) => unknown
}

const column: Dialect["column"] = (field, declared) => {
  const { fromColumn, toColumn, ...form } = formOf(field)
  if (declared !== undefined && !isType(declared))
    return Result.fail(`${JSON.stringify(declared)} is no type of a column`)
  if (declared !== undefined && !fits(form.type, field, declared)) return Result.fail(form.type)
  const made: Column = {
    ...field,
    ...form,
    type: declared ?? form.type,
    toColumn: field.nullable ? (value) => (value === null || value === undefined ? null : toColumn(value)) : toColumn,
    fromColumn: (value) => (value === null ? (field.nullable ? field.absent : null) : fromColumn(value))
  }
  return Result.succeed(made)
}

/** What may stand in a CREATE TABLE as a type: words, and a length. */
const isType = (declared: string): boolean => /^(\w+( \w+)*( ?\(\d+( ?, ?\d+)?\))?)?$/.test(declared)

/** Whether a column declared so keeps such values as they are: SQLite goes by what the declaration contains. */
const fits = (needed: Affinity, { json, kind }: Field, declared: string): boolean => {
  const type = declared.toUpperCase()
  if (type === "" || type === "ANY") return true
  if (/CHAR|CLOB|TEXT/.test(type)) return needed === "TEXT"
  if (/BLOB/.test(type)) return needed === "BLOB"
  // A number that is no integer stays what it is in a column of integers.
  if (needed === "REAL" || needed === "INTEGER") return true
  // What looks like a number becomes one there: no instant does, and of JSON only numbers, which come back the same.
  return !/INT|REAL|FLOA|DOUB/.test(type) && (kind === "instant" || (kind === "json" && !json.bare))
}

const formOf = (field: Field): Form => (isText(field.kind) ? jsonForm(field) : forms[field.kind])

const isText = (kind: Kind): kind is "instant" | "decimal" | "json" =>
  kind === "instant" || kind === "decimal" || kind === "json"

const same = (value: unknown): unknown => value

/** Integers come as bigint from a connection that was told to be exact. */
const fromNumber = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value)

const jsonForm = ({ json }: Field): Form => ({
  type: "TEXT",
  expected: "a value with a JSON form",
  toColumn: (value) => Result.getOrUndefined(json.print(value)),
  flaw: (value) => Result.getOrUndefined(Result.flip(json.print(value))),
  fromColumn: (value) => json.parse(fromNumber(value))
})

const forms: Readonly<Record<Exclude<Kind, "instant" | "decimal" | "json">, Form>> = {
  text: {
    type: "TEXT",
    expected: "a string",
    toColumn: (value) => (typeof value === "string" && value.isWellFormed() ? value : undefined),
    flaw: (value) => (typeof value === "string" ? JsonText.noUtf8 : undefined),
    fromColumn: same
  },
  integer: {
    type: "INTEGER",
    expected: "an integer",
    toColumn: (value) => (Number.isSafeInteger(value) ? value : undefined),
    fromColumn: fromNumber
  },
  // SQLite keeps NaN as NULL, which nobody would see: it is refused.
  real: {
    type: "REAL",
    expected: "a number",
    toColumn: (value) => (typeof value === "number" && !Number.isNaN(value) ? value : undefined),
    fromColumn: fromNumber
  },
  boolean: {
    type: "INTEGER",
    expected: "a boolean",
    toColumn: (value) => (typeof value === "boolean" ? Number(value) : undefined),
    fromColumn: (value) => {
      const bit = fromNumber(value)
      return bit === 0 || bit === 1 ? bit === 1 : bit
    }
  },
  bigint: {
    type: "INTEGER",
    expected: "a bigint of 64 bits",
    toColumn: (value) => (typeof value === "bigint" && BigInt.asIntN(64, value) === value ? value : undefined),
    fromColumn: (value) => (typeof value === "number" ? BigInt(value) : value)
  },
  bytes: {
    type: "BLOB",
    expected: "a Uint8Array",
    toColumn: (value) => (value instanceof Uint8Array ? value : undefined),
    fromColumn: same
  }
}

const insertInto = ({ columns, key, onConflict, onlyChanged, table }: Shape): ((rows: number) => string) => {
  const row = `(${columns.map(() => "?").join(",")})`
  const others = columns
    .filter(({ name }) => !key.some((field) => sameName(field, name)))
    .map(({ name }) => quote(name))
  const update = others.map((name) => `${name} = excluded.${name}`).join(", ")
  const changed = onlyChanged
    ? ` WHERE ${others.map((name) => `${quote(table)}.${name} IS NOT excluded.${name}`).join(" OR ")}`
    : ""
  const action = update === "" || onConflict === "ignore" ? "NOTHING" : `UPDATE SET ${update}${changed}`
  const conflict = key.length > 0 && onConflict !== "fail" ? ` ON CONFLICT (${list(key)}) DO ${action}` : ""
  const head = `INSERT INTO ${quote(table)} (${list(columns.map(({ name }) => name))}) VALUES `
  return (rows) => head + Array.from({ length: rows }, () => row).join(",") + conflict
}

/** What SQLite is compiled with unless told otherwise. */
const maxParameters = 32_766

/** As many rows a statement as pay: more do not get faster, and each size is a statement of its own to prepare. */
const largestPart = 256

/**
 * Values that are made ready in one go: less than a millisecond's worth. V8 keeps strings and arrays apart that are larger than
 * what comes of them, at several times the cost.
 */
const valuesPerSlice = 4096

/** The largest power of two up to it, or 1. */
const powerBelow = (limit: number): number => 2 ** Math.max(0, Math.floor(Math.log2(limit)))

const writerOf = (shape: Shape, insert: (rows: number) => string): TableWriter => {
  const { columns } = shape
  const width = columns.length
  const largest = Math.min(largestPart, powerBelow(maxParameters / width))
  const sliceRows = Math.min(1024, powerBelow(valuesPerSlice / width))
  // A batch is cut into powers of two, so that a handful of statements serves every size.
  const statements = new Map<number, string>()
  for (let rows = 1; rows <= largest; rows *= 2) statements.set(rows, insert(rows))

  /** The values of `size` rows one after the other, or why there are none. */
  const parametersOf = (rows: Rows, from: number, size: number): Array<unknown> | RowRefused => {
    const values = new Array<unknown>(size * width)
    let next = 0
    for (let at = from; at < from + size; at++) {
      const fields = rows.fields(at)
      if (fields instanceof RowRefused) return fields
      for (const column of columns) {
        const field = valueOf(fields, column.name)
        const value = column.toColumn(field)
        if (value === undefined) return new RowRefused(at, refusalOf(column, field), column.name, () => fields)
        values[next++] = value
      }
    }
    return values
  }

  /** The same, column by column. */
  const columnsOf = (rows: Rows, from: number, size: number): ReadonlyArray<ReadonlyArray<unknown>> | RowRefused => {
    const values = columns.map(() => new Array<unknown>(size))
    for (let at = 0; at < size; at++) {
      const fields = rows.fields(from + at)
      if (fields instanceof RowRefused) return fields
      for (let index = 0; index < width; index++) {
        const column = columns[index]!
        const field = valueOf(fields, column.name)
        const value = column.toColumn(field)
        if (value === undefined) return new RowRefused(from + at, refusalOf(column, field), column.name, () => fields)
        values[index]![at] = value
      }
    }
    return values
  }

  const handOver = (connection: BulkConnection, rows: Rows): Effect.Effect<void, WriteRefused | RowRefused> =>
    Effect.suspend(() => {
      let refused: RowRefused | undefined
      const slices = function* () {
        for (let from = 0; from < rows.length; from += sliceRows) {
          const slice = columnsOf(rows, from, Math.min(sliceRows, rows.length - from))
          if (slice instanceof RowRefused) return void (refused = slice)
          yield slice
        }
      }
      const insertAll = Effect.mapError(
        connection.insertMany({ sql: (size) => statements.get(size) ?? insert(size), largest }, slices()),
        ({ count, error, from }) => new WriteRefused(error, from, count)
      )
      return Effect.andThen(
        insertAll,
        Effect.suspend(() => (refused === undefined ? Effect.void : Effect.fail(refused)))
      )
    })

  return {
    write: (connection: Connection, rows: Rows) => {
      if (isBulk(connection)) return handOver(connection, rows)
      let from = 0
      return Effect.whileLoop({
        while: () => from < rows.length,
        body: (): Effect.Effect<unknown, WriteRefused | RowRefused> => {
          let size = largest
          while (size > rows.length - from) size /= 2
          const values = parametersOf(rows, from, size)
          if (values instanceof RowRefused) return Effect.fail(values)
          const at = from
          from += size
          const inserted = Effect.mapError(
            connection.executeRaw(statements.get(size) ?? insert(size), values),
            (error) => new WriteRefused(error, at, size)
          )
          // Others have their turn, however large the batch is.
          return from % sliceRows === 0 ? Effect.andThen(inserted, Effect.yieldNow) : inserted
        },
        step: () => {}
      })
    }
  }
}

/** What is not known counts as not about rows: a row must not be given up for a disk. */
const refusal = (error: SqlError, shape: Shape): Refusal | undefined => {
  const { reason } = error
  const about =
    reason._tag === "UniqueViolation" ||
    reason._tag === "ConstraintError" ||
    (reason._tag === "UnknownError" && isRowCode(reason.cause, reason.message ?? ""))
  return about ? { column: columnIn(error, shape) } : undefined
}

const isRowCode = (cause: unknown, message: string): boolean => {
  const code = hasProperty(cause, "errno") ? cause.errno : undefined
  if (typeof code !== "number") return false
  switch (code & 0xff) {
    case 18: // TOOBIG
    case 20: // MISMATCH
      return true
    case 1: // What CHECKs, generated columns and triggers compute of a row; else this is the number of wrong SQL.
      return /json|integer overflow|too complex|ESCAPE expression/i.test(message)
    default:
      return false
  }
}

/** The columns that a refusal names, as in `NOT NULL constraint failed: table.column`; of a CHECK, its text is all there is. */
const columnIn = ({ reason }: SqlError, { columns, table }: Shape): string | undefined => {
  const message = hasProperty(reason.cause, "message") ? String(reason.cause.message) : ""
  const [, names = ""] =
    /^(?:UNIQUE|NOT NULL) constraint failed: (.+)$/s.exec(message) ??
    /^cannot store \w+ value in \w+ column (.+)$/s.exec(message) ??
    []
  const [, check] = /^CHECK constraint failed: (.+)$/s.exec(message) ?? []
  if (check !== undefined) {
    const words = new Set(check.replaceAll(/'[^']*'/g, "").split(/[^\p{L}\p{N}_$]+/u))
    const named = columns.filter(({ name }) => words.has(name))
    return named.length > 0 ? named.map(({ name }) => name).join(", ") : undefined
  }
  const start = `${table}.`.toLowerCase()
  const named = names.split(", ")
  return named.every((column) => column.toLowerCase().startsWith(start))
    ? named.map((column) => column.slice(start.length)).join(", ")
    : undefined
}

export const sqlite: Dialect = {
  name: "SQLite",
  rowsPerCommit: 12_288,
  whyUnusable: (table) => Sql.whyUnusable(table, "sqlite_"),
  sameName,
  quote,
  column,
  schemaOf: () => Effect.undefined,
  inspect: (sql, table) =>
    Effect.map(
      sql<TableColumn>`SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(${table})`,
      (rows) => rows.filter(({ hidden }) => hidden !== 1).map(foundOf)
    ),
  create: (sql, shape) => sql.unsafe(Sql.createTable(shape)),
  addColumn: (sql, table, column) => sql.unsafe(Sql.addColumn(table, column)),
  writer: (sql, shape) => {
    const insert = insertInto(shape)
    return sql
      .unsafe(
        `EXPLAIN ${insert(1)}`,
        shape.columns.map(() => null)
      )
      .pipe(
        Effect.as(Result.succeed(writerOf(shape, insert))),
        Effect.catchIf(
          (error) => /ON CONFLICT/.test(error.message),
          () => Effect.succeed(Result.fail(Sql.notUnique(shape.key)))
        )
      )
  },
  reading: sqliteReading,
  refusal,
  parameter: sqliteParameter,
  begin: () => undefined,
  script: (sql, text) => Effect.forEach(statements(text), (statement) => sql.unsafe(statement).raw, { discard: true }),
  createOnce: (sql, table, columns) => sql.unsafe(`CREATE TABLE IF NOT EXISTS ${quote(table)} (${columns("TEXT")})`),
  journal: sqliteJournal
}
