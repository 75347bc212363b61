/** What differs from database to database: each has a dialect in a folder of its own, and the rest of the code knows none. */
import type * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Field } from "./Fields.ts"
import type { JournalDialect } from "./journal/JournalDialect.ts"
import type { Reading } from "./rows/Reading.ts"
import type { Bind } from "./statement/DbParameter.ts"

/** A column that keeps a field. */
export interface Column extends Field {
  /** As it is declared. */
  readonly type: string
  /** What a value has to be, for messages. */
  readonly expected: string
  /** The field's encoded value as a parameter; undefined when the column cannot hold it. */
  readonly toColumn: (value: unknown) => unknown
  /** What is wrong with a value that is of the right type, and that the column cannot hold all the same. */
  readonly flaw?: ((value: unknown) => string | undefined) | undefined
  /** The field's encoded value from what the driver gives. */
  readonly fromColumn: (value: unknown) => unknown
}

/** A column that is there. */
export interface Found {
  readonly name: string
  /** As it is declared. */
  readonly type: string
  readonly notNull: boolean
  /** Whether a row without it gets a value: a default, a key that counts, or one that the database computes. */
  readonly filled: boolean
  /** Whether the database computes it, so that nobody may write it. */
  readonly computed: boolean
}

export type Isolation = "read committed" | "repeatable read" | "serializable"

export type OnConflict = "update" | "ignore" | "fail"

/** A table with those of its columns that are written. */
export interface Shape {
  readonly table: string
  readonly columns: ReadonlyArray<Column>
  /** Names of columns; none where rows are only added. */
  readonly key: ReadonlyArray<string>
  readonly onConflict: OnConflict
  /** Whether a row that is there as it would be is not written again. */
  readonly onlyChanged: boolean
}

/** A row that cannot be written, found before the database saw it. */
export class RowRefused {
  /** Its index. */
  readonly row: number
  /** In words that follow "row 3". */
  readonly reason: string
  readonly column: string | undefined
  /** What it holds, for its key: encoded where that was possible. A function, or Effect would hash all of it. */
  readonly fields: () => unknown
  constructor(row: number, reason: string, column: string | undefined, fields: () => unknown) {
    this.row = row
    this.reason = reason
    this.column = column
    this.fields = fields
  }
}

/** Rows on their way into a table. */
export interface Rows {
  readonly length: number
  /** The encoded fields of a row, or why there are none. */
  readonly fields: (row: number) => object | RowRefused
}

/** What the database says of a row, where it is about one. */
export interface Refusal {
  /** Which of the rows of the write; undefined where the database does not say. */
  readonly row?: number | undefined
  /** The columns that it names, with commas between. */
  readonly column?: string | undefined
}

export interface TableWriter {
  /** Writes all rows in the transaction that is open on the connection. */
  readonly write: (connection: Connection, rows: Rows) => Effect.Effect<void, SqlError | RowRefused | WriteRefused>
}

/** A statement for some of the rows that the database refused. */
export class WriteRefused {
  readonly error: SqlError
  /** The rows it was for. */
  readonly from: number
  readonly count: number
  constructor(error: SqlError, from: number, count: number) {
    this.error = error
    this.from = from
    this.count = count
  }
}

export interface Dialect {
  /** Its name, for messages. */
  readonly name: string
  /** How many rows a commit should have to be fast. */
  readonly rowsPerCommit: number
  /** Why no table can have this name. */
  readonly whyUnusable: (table: string) => string | undefined
  /** Whether two names are one and the same column. */
  readonly sameName: (a: string, b: string) => boolean
  /** A name as SQL has it. */
  readonly quote: (name: string) => string
  /**
   * The column of a field: of the type declared, or of the one that its kind has. Fails where no column of that type keeps such
   * values, with what would.
   */
  readonly column: (field: Field, declared?: string) => Result.Result<Column, string>
  /** The schema that a table of this name is in, or would be made in; undefined where a database has only one. */
  readonly schemaOf: (sql: SqlClient, table: string) => Effect.Effect<string | undefined, SqlError>
  /** The columns of a table, none where there is none. */
  readonly inspect: (sql: SqlClient, table: string) => Effect.Effect<ReadonlyArray<Found>, SqlError>
  readonly create: (sql: SqlClient, shape: Shape) => Effect.Effect<unknown, SqlError>
  /** Adds a column, which is NULL in the rows that are there. */
  readonly addColumn: (sql: SqlClient, table: string, column: Column) => Effect.Effect<unknown, SqlError>
  /** Its writer, or why there is none: a key that is not unique in it, say. */
  readonly writer: (sql: SqlClient, shape: Shape) => Effect.Effect<Result.Result<TableWriter, string>, SqlError>
  /** How rows are read on from a key. */
  readonly reading: Reading
  /** What an error of a write says about its rows; undefined where it is not about rows, so that none would fare better alone. */
  readonly refusal: (error: SqlError, shape: Shape) => Refusal | undefined
  /** A value as a parameter of a statement, or what is wrong with it, in words that follow its name. */
  readonly parameter: Bind
  /** What begins a transaction of that isolation; undefined where all are serializable. */
  readonly begin: (isolation: Isolation) => string | undefined
  /** Runs the statements of a text. */
  readonly script: (sql: SqlClient, text: string) => Effect.Effect<unknown, SqlError>
  /** Makes a table where there is none, whoever else does so at once. `columns` is given the type of a point in time. */
  readonly createOnce: (
    sql: SqlClient,
    table: string,
    columns: (instant: string) => string
  ) => Effect.Effect<unknown, SqlError>
  /** How a journal is kept in it. */
  readonly journal: (sql: SqlClient) => JournalDialect
}

/** Why a column does not hold this value, in words that follow the name of the field. */
export const refusalOf = ({ expected, flaw, name, nullable }: Column, value: unknown): string =>
  `does not encode: field "${name}" ${flaw?.(value) ?? `has to be ${expected}${nullable ? " or absent" : ""}`}`
