/** PostgreSQL: its types, its catalog, rows by COPY or by arrays, and what its errors say of rows. */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Column, Dialect, Isolation, Refusal, Shape, TableWriter } from "../Dialect.ts"
import type { Field } from "../Fields.ts"
import * as Sql from "../Sql.ts"
import { Bytes } from "./Bytes.ts"
import * as Catalog from "./Catalog.ts"
import { codecOf } from "./Codec.ts"
import * as Types from "./Types.ts"
import * as Writer from "./Writer.ts"
import { postgresJournal } from "./PostgresJournal.ts"
import { postgresParameter } from "./PostgresParameter.ts"
import { postgresReading } from "./PostgresReading.ts"

const { list, quote } = Sql

/** The dialect of one database: it remembers which types of the database's own there are. */
export const postgres = (): Dialect => {
  const known = new Map<string, Types.Type>()
  const constraints = new Map<string, Catalog.Facts["constraints"]>()
  return {
    name: "PostgreSQL",
    rowsPerCommit: 20_000,
    whyUnusable,
    sameName: (a, b) => a === b,
    quote,
    column: (field, declared) => columnOf(field, declared, known),
    schemaOf: Catalog.schemaOf,
    inspect: (sql, table) =>
      Effect.map(Catalog.columns(sql, table), ({ found, known: more }) => {
        for (const [name, type] of more) known.set(name, type)
        return found
      }),
    create: (sql, shape) => Effect.andThen(checkNames(shape.columns), sql.unsafe(Sql.createTable(shape))),
    addColumn: (sql, table, column) => Effect.andThen(checkNames([column]), sql.unsafe(Sql.addColumn(table, column))),
    writer: (sql, shape) => writerOf(sql, shape, known, constraints),
    reading: postgresReading,
    refusal: (error, shape) => refusalIn(error, shape, constraints.get(shape.table)),
    parameter: postgresParameter,
    begin: (isolation) => `BEGIN ISOLATION LEVEL ${levels[isolation]}`,
    script: (sql, text) => sql.unsafe(text).unprepared,
    createOnce,
    journal: postgresJournal
  }
}

const levels: { readonly [I in Isolation]: string } = {
  "read committed": "READ COMMITTED",
  "repeatable read": "REPEATABLE READ",
  serializable: "SERIALIZABLE"
}

/** IF NOT EXISTS alone fails for all but one of those who do it at once. Who may not create may still find it. */
const createOnce: Dialect["createOnce"] = (sql, table, columns) =>
  Effect.flatMap(sql`SELECT to_regclass(${quote(table)}) IS NOT NULL AS there`, ([row]) =>
    row?.["there"] === true
      ? Effect.void
      : sql.withTransaction(
          Effect.andThen(
            sql`SELECT pg_advisory_xact_lock(${lock})`,
            sql.unsafe(`CREATE TABLE IF NOT EXISTS ${quote(table)} (${columns("TIMESTAMPTZ")})`)
          )
        )
  )

/** A number of its own among the advisory locks of a database. */
const lock = 0x736b65696e

/** What PostgreSQL would cut off without a word. */
const longest = 63

const isTooLong = (name: string): boolean => new TextEncoder().encode(name).length > longest

const whyUnusable = (name: string): string | undefined => {
  const why = Sql.whyUnusable(name, "pg_")
  return why === undefined && isTooLong(name)
    ? `its name is longer than the ${longest} bytes that PostgreSQL keeps of one`
    : why
}

const checkNames = (columns: ReadonlyArray<Column>): Effect.Effect<void, SqlError> => {
  for (const { name } of columns) {
    if (name.includes("\0"))
      return Effect.fail(Writer.sqlError(`the name of a column (${JSON.stringify(name)}) has a NUL in it`))
    if (isTooLong(name)) {
      return Effect.fail(
        Writer.sqlError(
          `the name of a column (${name}) is longer than the ${longest} bytes that PostgreSQL keeps of one`
        )
      )
    }
  }
  return Effect.void
}

const defaults = {
  text: "text",
  integer: "bigint",
  real: "double precision",
  boolean: "boolean",
  bigint: "bigint",
  bytes: "bytea",
  instant: "timestamptz",
  decimal: "numeric"
}

const typeOf = ({ json, kind }: Field): string => (kind === "json" ? (json.bare ? "text" : "jsonb") : defaults[kind])

const columnOf = (field: Field, declared: string | undefined, known: Types.Known): Result.Result<Column, string> => {
  const name = declared ?? typeOf(field)
  const type = Types.of(name, known)
  if (type === undefined) return Result.fail(`${JSON.stringify(name)} is no type of a column`)
  const codec = codecOf(field, type)
  if (codec === undefined) return Result.fail(typeOf(field))
  const { expected, parameter, read, wire } = codec
  const isAbsent = (value: unknown) => field.nullable && (value === null || value === undefined)
  const flawOf = (value: unknown) => (isAbsent(value) ? undefined : wire(new Bytes(64), value))
  const column: Column = {
    ...field,
    type: name,
    expected,
    toColumn: (value) => (isAbsent(value) ? null : flawOf(value) === undefined ? parameter(value) : undefined),
    flaw: (value) => flawOf(value) || undefined,
    fromColumn: (value) => (value === null ? (field.nullable ? field.absent : null) : read(value))
  }
  return Result.succeed(column)
}

const writerOf = Effect.fnUntraced(function* (
  sql: SqlClient,
  shape: Shape,
  known: Types.Known,
  constraints: Map<string, Catalog.Facts["constraints"]>
): Effect.fn.Return<Result.Result<TableWriter, string>, SqlError> {
  yield* checkNames(shape.columns)
  const names = shape.columns.map(({ name }) => name)
  const facts = yield* Catalog.facts(sql, shape.table, names)
  constraints.set(shape.table, facts.constraints)
  const targets = shape.columns.flatMap((column): ReadonlyArray<Writer.Target> => {
    const type = Types.of(column.type, known)
    const codec = type && codecOf(column, type)
    return type === undefined || codec === undefined ? [] : [{ column, type, codec }]
  })
  const nothing = targets.map(({ type }) => `NULL::${Types.wireOf(type)}[]`)
  const statement = Writer.insertInto(
    shape.onConflict === "fail" ? { ...shape, onConflict: "ignore" } : shape,
    targets,
    nothing,
    true
  )
  // A transaction of its own, as the one around goes on where this fails.
  const isUnique = yield* sql.withTransaction(sql.unsafe(`EXPLAIN ${statement}`)).pipe(
    Effect.as(true),
    Effect.catchIf(
      (error) => codeOf(error) === "42P10",
      () => Effect.succeed(false)
    )
  )
  const isLate = facts.late.some((columns) => isSame(columns, shape.key))
  if (isLate && shape.onConflict !== "fail") {
    return Result.fail(
      `what makes ${list(shape.key)} unique in it is deferrable, which \`onConflict: "${shape.onConflict}"\` cannot go by. Make it NOT DEFERRABLE, or choose "fail"`
    )
  }
  return isUnique || isLate ? Result.succeed(Writer.make(shape, targets, facts)) : Result.fail(Sql.notUnique(shape.key))
})

const isSame = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((name) => b.includes(name))

const codeOf = ({ reason: { cause } }: SqlError): string => textIn(cause, "code")

const textIn = (cause: unknown, field: string): string => {
  const value = hasProperty(cause, field) ? cause[field] : undefined
  return typeof value === "string" ? value : ""
}

/** What is not known counts as not about rows: a row must not be given up for a disk. */
const refusalIn = (
  error: SqlError,
  { columns, table }: Shape,
  constraints: Catalog.Facts["constraints"] = new Map()
): Refusal | undefined => {
  const { cause } = error.reason
  const code = codeOf(error)
  // Data; integrity; triggers that raise; checks of views; limits; a key that comes twice; policies of rows.
  const isAboutRows =
    /^(?:22(?!P04)|23|P0|44|54(?!011|023)|21000)/.test(code) ||
    code === "42622" ||
    (code === "42501" && textIn(cause, "routine") === "ExecWithCheckOptions")
  if (!isAboutRows) return undefined
  const { column: copied, row } = placeOf(textIn(cause, "where"), table)
  const named = [textIn(cause, "column") || undefined, copied, ...keyIn(textIn(cause, "detail"), code)]
  const constraint = constraints.get(textIn(cause, "constraint"))
  const ours = (names: ReadonlyArray<string | undefined>) =>
    names.filter((name): name is string => columns.some((column) => column.name === name))
  const [first] = ours(named)
  const all = constraint !== undefined && constraint.length > 0 ? constraint : first === undefined ? [] : [first]
  const column = all.length > 0 ? all.join(", ") : undefined
  return { row, column }
}

/** The row and column that COPY was at, in whatever language that is told: COPY name, line 3, column name */
const placeOf = (where: string, table: string): Refusal => {
  const start = `COPY ${table}, `
  const line = where.split("\n").findLast((line) => line.startsWith(start))
  const [, number, column] = /^\D*(\d+)(?:, \S+ ([^:]+))?/.exec(line?.slice(start.length) ?? "") ?? []
  return number === undefined ? {} : { row: Number(number) - 1, column: column }
}

/** The columns of a key that is there already, or is not: Key (a, b)=(1, 2) … */
const keyIn = (detail: string, code: string): ReadonlyArray<string> =>
  code.startsWith("235") ? (/\(([^()]*)\)=\(/.exec(detail)?.[1]?.split(", ") ?? []) : []
