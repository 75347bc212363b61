/** A table that a pipeline writes to: found or created, checked against the schema, filled by its dialect's writer. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type { Writer } from "../../pipeline/Sink.ts"
import { Db, type TableOptions } from "./Contract.ts"
import * as Dialect from "./Dialect.ts"
import { DbError, fromSqlError, mayPass } from "../DbError.ts"
import * as Fields from "./Fields.ts"
import * as RowEncoder from "./rows/RowEncoder.ts"

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
  const { dialect, sql } = db
  const tried = `open table "${name}"`
  const failed = (reason: string) => new DbError({ database: db.name, tried, reason })

  return Effect.gen(function* () {
    const unusable = dialect.whyUnusable(name)
    if (unusable !== undefined) return yield* failed(unusable)
    const made = Fields.of(schema)
    if (Result.isFailure(made)) return yield* failed(made.failure)
    const fields = made.success.list
    const key = keyOf(options.key)
    const keyless = key.find((column) => !fields.some(({ name, nullable }) => name === column && !nullable))
    if (keyless !== undefined) return yield* failed(`its key "${keyless}" is no field that every row has`)
    const { onConflict = "update", onlyChanged = false } = options
    if (key.length === 0 && (options.onConflict !== undefined || onlyChanged)) {
      return yield* failed("without a `key` no two rows are the same, so `onConflict` and `onlyChanged` mean nothing")
    }
    const declared = new Map<string, string>()
    for (const [field, type] of Object.entries<string | undefined>({ ...options.types })) {
      if (type !== undefined) declared.set(field, type)
    }
    /** The columns, each of the type that it has there or is declared to have. */
    const columnsOf = (found: ReadonlyArray<Dialect.Found>) => {
      const problems: Array<string> = []
      const columns: Array<Dialect.Column> = []
      const missing: Array<Dialect.Column> = []
      for (const field of fields) {
        const there = found.find((column) => dialect.sameName(column.name, field.name))
        const column = dialect.column(field, there?.type ?? declared.get(field.name))
        if (Result.isFailure(column)) {
          problems.push(
            there === undefined
              ? `the type of "${field.name}" keeps no such values: ${column.failure}`
              : `its column "${there.name}" is ${there.type} where the schema needs ${column.failure}`
          )
        } else if (there === undefined) {
          missing.push(column.success)
        } else if (there.computed) {
          problems.push(`its column "${there.name}" is computed by the database, so nobody can write it`)
        } else {
          if (field.nullable && there.notNull) {
            problems.push(`its column "${there.name}" is NOT NULL where the schema may have no value`)
          }
          columns.push(column.success)
        }
      }
      return { columns, missing, problems }
    }

    const opening = sql.withTransaction(
      Effect.gen(function* () {
        const found = yield* dialect.inspect(sql, name)
        const { columns, missing, problems } = columnsOf(found)
        const shapeOf = (columns: ReadonlyArray<Dialect.Column>) => ({
          table: name,
          columns,
          key,
          onConflict,
          onlyChanged
        })
        if (found.length === 0) {
          if (problems.length > 0) return yield* failed(problems.join("; "))
          if (Option.isSome(table.committed)) {
            return yield* failed(
              "it is gone, with rows that this pipeline has committed to it. Restore it, or reset the pipeline to write them again"
            )
          }
          yield* dialect.create(sql, shapeOf(missing))
        } else {
          for (const column of missing) {
            if (options.columns === "extend" && column.nullable) yield* dialect.addColumn(sql, name, column)
            else problems.push(`it has no column "${column.name}" (${column.type})${howToAdd(options.columns, column)}`)
          }
          for (const column of found) {
            if (!column.filled && !fields.some((field) => dialect.sameName(column.name, field.name))) {
              problems.push(
                `its column "${column.name}" is NOT NULL without a default, and the schema has no such field`
              )
            }
          }
          if (problems.length > 0) {
            return yield* failed(
              `the table that is there does not fit: ${problems.join("; ")}. Change the table or the schema, or choose another name`
            )
          }
        }
        const shape = shapeOf([...columns, ...missing])
        const writer = yield* dialect.writer(sql, shape)
        if (Result.isFailure(writer)) return yield* failed(writer.failure)
        if (options.existing === "replace" && Option.isNone(table.committed)) {
          yield* sql.unsafe(`DELETE FROM ${dialect.quote(name)}`)
        }
        return { shape, writer: writer.success }
      })
    )
    const writer = yield* Effect.retry(opening, { times: 5, while: (error) => isSqlError(error) && isRaced(error) })
    return writerOf(db, table, made.success, writer)
  }).pipe(Effect.mapError(fromSqlError(db.name, tried)))
}

/** Others make the same table at the same time: it is there when they have. */
const isRaced = ({ message, reason }: SqlError): boolean =>
  reason._tag === "UniqueViolation" || reason._tag === "DeadlockError" || /already exists/i.test(message)

/** Which table it is, of the database that the journal is in: the same name may be another one's in another schema. */
export const identity = (table: string): Effect.Effect<string, DbError, Db> =>
  Effect.flatMap(Db, ({ dialect, name, sql }) =>
    dialect.schemaOf(sql, table).pipe(
      Effect.map((schema) => `table ${schema === undefined ? "" : `${schema}.`}${table}`),
      Effect.mapError(fromSqlError(name, `find table "${table}"`))
    )
  )

/** Names of its columns. */
export const keyOf = (key: string | ReadonlyArray<string> = []): ReadonlyArray<string> =>
  typeof key === "string" ? [key] : key

const howToAdd = (columns: "fixed" | "extend" | undefined, { nullable }: Dialect.Column): string => {
  if (columns !== "extend") return nullable ? ', which `columns: "extend"` would add' : ""
  return ", and none is added for a field that every row has: the rows that are there have no value for it"
}

const writerOf = <A, I extends object>(
  db: Db,
  { name, schema }: Table<A, I>,
  fields: Fields.Fields,
  { shape, writer }: { readonly shape: Dialect.Shape; readonly writer: Dialect.TableWriter }
): Writer<A, DbError, Db> => {
  const { dialect, sql } = db
  const encode = RowEncoder.make(schema, fields)
  const keyed = shape.columns.filter((column) => shape.key.includes(column.name))
  const written = (rows: ReadonlyArray<unknown>) => `write ${rows.length} rows to table "${name}"`

  /** `fields` are those of the row at `at`, encoded where that was possible. */
  const refused = (
    rows: ReadonlyArray<A>,
    at: number,
    fields: unknown,
    reason: string,
    column: string | undefined,
    cause?: SqlError
  ) =>
    new DbError({
      database: db.name,
      tried: written(rows),
      reason: `row ${at + 1} ${reason}`,
      row: at,
      ...(keyed.length > 0 && { key: shownKey(keyed, fields) }),
      ...(column !== undefined && { column }),
      ...(cause !== undefined && { cause })
    })

  /** What the database says of some rows: of a single one it is known which one it means. */
  const refusedBy = (rows: ReadonlyArray<A>, { count, error, from }: Dialect.WriteRefused): DbError => {
    const refusal = dialect.refusal(error, shape)
    const at = refusal?.row ?? (refusal !== undefined && count === 1 ? 0 : undefined)
    if (at === undefined) {
      const column = refusal?.column
      return new DbError({
        database: db.name,
        tried: written(rows),
        reason: error.message,
        cause: error,
        ...(column !== undefined && { column })
      })
    }
    const fields = encode(rows[from + at]!, from + at)
    const known = fields instanceof Dialect.RowRefused ? {} : fields
    return refused(rows, from + at, known, `was refused: ${error.message}`, refusal?.column, error)
  }

  return {
    write: (rows) =>
      sql
        .withTransaction(
          // The connection itself: a statement through `sql` is compiled, with all its parameters, each time.
          Effect.withFiber((fiber) =>
            writer.write(Context.getUnsafe(fiber.context, sql.transactionService)[0], {
              length: rows.length,
              fields: (row) => encode(rows[row]!, row)
            })
          )
        )
        .pipe(
          Effect.mapError((error) => {
            if (error instanceof Dialect.WriteRefused) return refusedBy(rows, error)
            return error instanceof Dialect.RowRefused
              ? refused(rows, error.row, error.fields(), error.reason, error.column)
              : fromSqlError(db.name, written(rows))(error)
          }),
          Effect.as(null)
        ),
    atFault: (error) => (error instanceof DbError ? rowsAtFault(error, shape, dialect) : "batch"),
    mayPass,
    prefers: { rows: dialect.rowsPerCommit }
  }
}

/**
 * Which of the rows of a failed write are at fault: their places in the batch where the error names them; "batch" where it
 * is not about rows at all, so that none of them would fare better alone; undefined where some row is at fault and the
 * error does not say which one, so that writing them in parts tells.
 */
const rowsAtFault = (
  error: DbError,
  shape: Dialect.Shape,
  dialect: Dialect.Dialect
): ReadonlyArray<number> | "batch" | undefined => {
  if (error.row !== undefined) return [error.row]
  return isSqlError(error.cause) && dialect.refusal(error.cause, shape) !== undefined ? undefined : "batch"
}

/** A row that does not encode has its key in another form, or none. */
const shownKey = (key: ReadonlyArray<Dialect.Column>, row: unknown): string =>
  JSON.stringify(
    Object.fromEntries(
      key.map((column) => {
        const value = typeof row === "object" && row !== null ? Fields.valueOf(row, column.name) : undefined
        return [column.name, shown(column.toColumn(value) ?? value)]
      })
    )
  )

const shown = (value: unknown): string | number | boolean | null => {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value
  if (value instanceof Uint8Array) return Hex.encode(value)
  return value === null || value === undefined ? null : typeof value === "bigint" ? `${value}` : `a ${typeof value}`
}
