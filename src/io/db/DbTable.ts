/** A table that a pipeline writes to: found or created, checked against the schema, filled by large statements. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Connection } from "effect/sql/SqlConnection"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { isTooDeep, unlessTooDeep } from "../../concurrency/base/Nesting.ts"
import type { Writer } from "../../pipeline/Sink.ts"
import type { Db, TableOptions } from "./Contract.ts"
import * as DbColumns from "./DbColumns.ts"
import { DbError, fromSqlError } from "../DbError.ts"

export interface Table<A, I extends object> {
  readonly name: string
  readonly schema: Schema.Codec<A, I>
  readonly options: TableOptions<I>
  /** What the last committed write gave; none when the pipeline starts from its beginning. */
  readonly committed: Option.Option<Schema.Json>
}

/** Makes the table ready and gives its writer; all of it happens or nothing. */
export const open = <A, I extends object>(
  db: Db,
  table: Table<A, I>
): Effect.Effect<Writer<A, DbError, Db>, DbError> => {
  const { name, options, schema } = table
  const tried = `open table "${name}"`
  const failed = (reason: string) => new DbError({ database: db.name, tried, reason })

  return Effect.gen(function* () {
    const unusable = whyUnusable(name)
    if (unusable !== undefined) return yield* failed(unusable)
    const made = DbColumns.make(schema)
    if (Result.isFailure(made)) return yield* failed(made.failure)
    const columns = made.success.list.map((column) => ({
      ...column,
      type: typeOf(options.columns, column.name) ?? column.type
    }))
    const key: ReadonlyArray<string> = typeof options.key === "string" ? [options.key] : (options.key ?? [])
    const keyless = key.find((field) => !columns.some(({ name, nullable }) => name === field && !nullable))
    if (keyless !== undefined) return yield* failed(`its key "${keyless}" is no field that every row has`)
    const insert = insertInto(name, columns, key)

    yield* db.sql.withTransaction(
      Effect.gen(function* () {
        const found =
          yield* db.sql<TableColumn>`SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(${name})`
        if (found.length > 0) {
          const misfit = whyMisfit(found, columns)
          if (misfit !== undefined) return yield* failed(misfit)
        } else if (Option.isSome(table.committed)) {
          return yield* failed(
            "it is gone, with rows that this pipeline has committed to it. Restore it, or reset the pipeline to write them again"
          )
        } else {
          yield* db.sql.unsafe(createTable(name, columns, key))
        }
        yield* db.sql
          .unsafe(
            `EXPLAIN ${insert(1)}`,
            columns.map(() => null)
          )
          .pipe(
            Effect.mapError((error) =>
              /ON CONFLICT/.test(error.message)
                ? failed(
                    `${list(key)} is not unique in it, so rows cannot be known by it. Add a unique index, or leave out \`key\``
                  )
                : error
            )
          )
        if (options.existing === "replace" && Option.isNone(table.committed)) {
          yield* db.sql.unsafe(`DELETE FROM ${quote(name)}`)
        }
      })
    )
    return writerOf(db, table, { ...made.success, list: columns }, key, insert)
  }).pipe(Effect.mapError((error) => (isSqlError(error) ? fromSqlError(db.name, tried)(error) : error)))
}

/** The place and expectation of the first issue of an encode or decode, in one line. */
export const issueOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const message = () => (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ")
  return isTooDeep(cause) ? tooDeep : unlessTooDeep(message, () => tooDeep)
}

const tooDeep = "it is nested too deep"

/** As many rows a statement as pay: more do not get faster, and each size is a statement of its own to prepare. */
const largestPart = 256

const writerOf = <A, I extends object>(
  db: Db,
  { name, schema }: Table<A, I>,
  { list, plain }: DbColumns.Columns,
  key: ReadonlyArray<string>,
  insert: (rows: number) => string
): Writer<A, DbError, Db> => {
  const encode = Schema.encodeUnknownExit(schema)
  const width = list.length
  const largest = Math.min(largestPart, 2 ** Math.floor(Math.log2(db.maxParameters / width)))
  // A batch is cut into powers of two, so that a handful of statements serves every size.
  const statements = new Map<number, string>()
  for (let rows = 1; rows <= largest; rows *= 2) statements.set(rows, insert(rows))

  const written = (rows: ReadonlyArray<unknown>) => `write ${rows.length} rows to table "${name}"`
  const keyed = list.filter((column) => key.includes(column.name))
  /** `fields` are those of the row at `at`, encoded where that was possible. */
  const refused = (
    rows: ReadonlyArray<A>,
    at: number,
    fields: unknown,
    reason: string,
    more: { readonly column?: string; readonly cause?: SqlError }
  ) =>
    new DbError({
      database: db.name,
      tried: written(rows),
      reason: `row ${at + 1} ${reason}`,
      row: at,
      ...(keyed.length > 0 && { key: keyOf(keyed, fields) }),
      ...more
    })

  /** The values of `size` rows one after the other, or why there are none. */
  const parametersOf = (rows: ReadonlyArray<A>, from: number, size: number): Array<DbColumns.Value> | DbError => {
    const values = new Array<DbColumns.Value>(size * width)
    let next = 0
    for (let at = from; at < from + size; at++) {
      let row: unknown = rows[at]
      if (!plain) {
        const encoded = encode(row)
        if (Exit.isFailure(encoded)) {
          return refused(rows, at, row, `does not encode: ${issueOf(encoded.cause)}`, fieldIn(encoded.cause))
        }
        row = encoded.value
      }
      // Plain or encoded, it is what the schema's encoded side says; the columns check what matters of that.
      const fields = row as object
      for (const column of list) {
        const field = DbColumns.fieldOf(fields, column.name)
        const value = column.toColumn(field)
        if (value === undefined) {
          const reason = `does not encode: field "${column.name}" ${DbColumns.refusal(column, field)}`
          return refused(rows, at, fields, reason, { column: column.name })
        }
        values[next++] = value
      }
    }
    return values
  }

  const insertAll = (connection: Connection, rows: ReadonlyArray<A>) => {
    let from = 0
    return Effect.whileLoop({
      while: () => from < rows.length,
      body: (): Effect.Effect<unknown, SqlError | DbError> => {
        let size = largest
        while (size > rows.length - from) size /= 2
        const values = parametersOf(rows, from, size)
        if (values instanceof DbError) return Effect.fail(values)
        const at = from
        from += size
        return Effect.mapError(connection.executeRaw(statements.get(size) ?? insert(size), values), (error) =>
          refusedBy(error, rows, at, size)
        )
      },
      step: () => {}
    })
  }

  /** What the database says of `size` rows from `at` on: of a single one it is known which one it means. */
  const refusedBy = (error: SqlError, rows: ReadonlyArray<A>, at: number, size: number): DbError => {
    const more = { ...columnIn(error, name, list), cause: error }
    if (size > 1 || !isAboutRows(error)) {
      return new DbError({ database: db.name, tried: written(rows), reason: error.message, ...more })
    }
    const encoded: Exit.Exit<unknown, unknown> = plain ? Exit.succeed(rows[at]) : encode(rows[at])
    return refused(rows, at, Exit.isSuccess(encoded) ? encoded.value : {}, `was refused: ${error.message}`, more)
  }

  return {
    write: (rows) =>
      db.sql
        .withTransaction(
          // The connection itself: a statement through `sql` is compiled, with all its parameters, each time.
          Effect.withFiber((fiber) => insertAll(Context.getUnsafe(fiber.context, db.sql.transactionService)[0], rows))
        )
        .pipe(
          Effect.mapError((error) => (isSqlError(error) ? fromSqlError(db.name, written(rows))(error) : error)),
          Effect.as(null)
        ),
    atFault: (error) => (error instanceof DbError ? rowsAtFault(error) : "batch"),
    mayPass: (error) => error instanceof DbError && isSqlError(error.cause) && error.cause.isRetryable,
    prefers: { rows: 4096 }
  }
}

/**
 * Which of the rows of a failed write are at fault: their places in the batch where the error names them; "batch" where it
 * is not about rows at all, so that none of them would fare better alone; undefined where some row is at fault and the
 * error does not say which one, so that writing them in parts tells.
 */
const rowsAtFault = (error: DbError): ReadonlyArray<number> | "batch" | undefined => {
  if (error.row !== undefined) return [error.row]
  return isSqlError(error.cause) && isAboutRows(error.cause) ? undefined : "batch"
}

/** What is not known counts as not about rows: a row must not be given up for a disk. */
const isAboutRows = ({ reason }: SqlError): boolean => {
  switch (reason._tag) {
    case "UniqueViolation":
    case "ConstraintError":
      return true
    case "UnknownError":
      return isRowCode(codeOf(reason.cause), reason.message ?? "")
    default:
      return false
  }
}

/** SQLite's number, or the five characters of the SQL standard. */
const codeOf = (cause: unknown): unknown =>
  hasProperty(cause, "errno") ? cause.errno : hasProperty(cause, "code") ? cause.code : undefined

const isRowCode = (code: unknown, message: string): boolean => {
  // Data, integrity, and what exceeds a limit of the database.
  if (typeof code === "string") return /^(22|23|54)...$/.test(code)
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

/** The columns that a refusal of the database names, as in `NOT NULL constraint failed: table.column`; of a CHECK, its text is all there is. */
const columnIn = (
  { reason }: SqlError,
  table: string,
  list: ReadonlyArray<DbColumns.Column>
): { readonly column?: string } => {
  const message = hasProperty(reason.cause, "message") ? String(reason.cause.message) : ""
  const [, names = ""] =
    /^(?:UNIQUE|NOT NULL) constraint failed: (.+)$/s.exec(message) ??
    /^cannot store \w+ value in \w+ column (.+)$/s.exec(message) ??
    []
  const [, check] = /^CHECK constraint failed: (.+)$/s.exec(message) ?? []
  if (check !== undefined) {
    const words = new Set(check.replaceAll(/'[^']*'/g, "").split(/[^\p{L}\p{N}_$]+/u))
    const named = list.filter(({ name }) => words.has(name))
    return named.length > 0 ? { column: named.map(({ name }) => name).join(", ") } : {}
  }
  const start = `${table}.`.toLowerCase()
  const columns = names.split(", ")
  return columns.every((column) => column.toLowerCase().startsWith(start))
    ? { column: columns.map((column) => column.slice(start.length)).join(", ") }
    : {}
}

/** The field of the first issue of an encode. */
const fieldIn = (cause: Cause.Cause<unknown>): { readonly column?: string } => {
  const error = Cause.squash(cause)
  if (!Schema.isSchemaError(error)) return {}
  const [first] = issues(error.issue).issues
  const [field] = first?.path ?? []
  return field === undefined ? {} : { column: String(typeof field === "object" ? field.key : field) }
}

const issues = SchemaIssue.makeFormatterStandardSchemaV1({ leafHook: () => "", checkHook: () => "" })

/** A row that does not encode has its key in another form, or none. */
const keyOf = (key: ReadonlyArray<DbColumns.Column>, row: unknown): string =>
  JSON.stringify(
    Object.fromEntries(
      key.map((column) => {
        const value = typeof row === "object" && row !== null ? DbColumns.fieldOf(row, column.name) : undefined
        return [column.name, shown(column.toColumn(value) ?? value)]
      })
    )
  )

const shown = (value: unknown): string | number | boolean | null => {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value
  if (value instanceof Uint8Array) return Hex.encode(value)
  return value === null || value === undefined ? null : typeof value === "bigint" ? `${value}` : `a ${typeof value}`
}

interface TableColumn {
  readonly name: string
  readonly type: string
  readonly notnull: number
  readonly dflt_value: unknown
  readonly pk: number
}

const whyUnusable = (name: string): string | undefined => {
  if (!/^[^\p{Cc}\p{Cs}]+$/u.test(name)) return "the name of a table is one or more printable characters"
  if (/^(sqlite|skein)_/i.test(name)) return "names that begin with sqlite_ and skein_ are taken. Choose another"
  return undefined
}

/** SQLite compares names without regard to case. */
const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

const whyMisfit = (found: ReadonlyArray<TableColumn>, columns: ReadonlyArray<DbColumns.Column>): string | undefined => {
  const problems: Array<string> = []
  for (const column of columns) {
    const there = found.find(({ name }) => sameName(name, column.name))
    if (there === undefined) problems.push(`it has no column "${column.name}" (${column.type})`)
    else if (!fits(column.type, there.type)) {
      problems.push(`its column "${there.name}" is ${there.type} where the schema needs ${column.type}`)
    } else if (column.nullable && there.notnull === 1) {
      problems.push(`its column "${there.name}" is NOT NULL where the schema may have no value`)
    }
  }
  for (const { name, notnull, dflt_value, pk } of found) {
    const filled = notnull === 0 || dflt_value !== null || pk > 0
    if (!filled && !columns.some((column) => sameName(column.name, name))) {
      problems.push(`its column "${name}" is NOT NULL without a default, and the schema has no such field`)
    }
  }
  if (problems.length === 0) return undefined
  return `the table that is there does not fit: ${problems.join("; ")}. Change the table or the schema, or choose another name`
}

/** Whether a column declared so keeps such values as they are: SQLite goes by what the declaration contains. */
const fits = (needed: DbColumns.ColumnType, declared: string): boolean => {
  const type = declared.toUpperCase()
  if (type === "" || type === "ANY") return true
  if (/INT/.test(type)) return needed === "INTEGER"
  if (/CHAR|CLOB|TEXT/.test(type)) return needed === "TEXT"
  if (/BLOB/.test(type)) return needed === "BLOB"
  return needed === "REAL" || needed === "INTEGER"
}

const createTable = (name: string, columns: ReadonlyArray<DbColumns.Column>, key: ReadonlyArray<string>): string => {
  const lines = columns.map((column) => `${quote(column.name)} ${column.type}${column.nullable ? "" : " NOT NULL"}`)
  if (key.length > 0) lines.push(`PRIMARY KEY (${list(key)})`)
  return `CREATE TABLE ${quote(name)} (${lines.join(", ")})`
}

const insertInto = (
  name: string,
  columns: ReadonlyArray<DbColumns.Column>,
  key: ReadonlyArray<string>
): ((rows: number) => string) => {
  const row = `(${columns.map(() => "?").join(",")})`
  const others = columns.filter((column) => !key.includes(column.name))
  const update = others.map((column) => `${quote(column.name)} = excluded.${quote(column.name)}`).join(", ")
  const conflict = `ON CONFLICT (${list(key)}) DO ${update === "" ? "NOTHING" : `UPDATE SET ${update}`}`
  const head = `INSERT INTO ${quote(name)} (${list(columns.map((column) => column.name))}) VALUES `
  return (rows) => head + Array.from({ length: rows }, () => row).join(",") + (key.length > 0 ? ` ${conflict}` : "")
}

const typeOf = (types: Readonly<Record<string, DbColumns.ColumnType | undefined>> = {}, name: string) =>
  Object.hasOwn(types, name) ? types[name] : undefined

const list = (names: ReadonlyArray<string>): string => names.map(quote).join(", ")

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
