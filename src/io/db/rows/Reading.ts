/** How rows are read on from a key, where that differs from database to database. All comparing is its own. */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Kind } from "../Fields.ts"

/** What a key column holds, as JSON that keeps it exactly. */
export type KeyValue =
  | string
  | number
  | { readonly bigint: string }
  | { readonly bytes: string }
  | { readonly real: string }

/** Where a row stands: what its key columns hold. */
export type RowPosition = ReadonlyArray<KeyValue>

/** Pieces of SQL with a parameter between each two. */
export interface Piece {
  readonly sql: ReadonlyArray<string>
  readonly parameters: ReadonlyArray<unknown>
}

export interface Reading {
  /** A key column as it is selected, so that what comes is exact. */
  readonly exactly: (column: string) => string
  /** What was selected so; undefined where it is nothing that can be kept. */
  readonly keep: (value: unknown) => KeyValue | undefined
  /** What was kept, as a parameter that is compared with the column. */
  readonly parameter: (kept: KeyValue) => unknown
  /** The type of a column, where the database knows it without a row: an expression around a subquery, named q. */
  readonly typeOf: Option.Option<(column: string) => readonly [before: string, behind: string]>
  /** The instant in a column, in milliseconds since the epoch: an expression, NULL where it holds none. */
  readonly millis: (column: string, kind: Kind) => string
  /** The same of the present, given what the program takes for it. */
  readonly now: (clock: number) => Piece
  /** About how many rows a table has, where that is known without counting them. */
  readonly estimate: (sql: SqlClient, table: string) => Effect.Effect<Option.Option<number>, SqlError>
}
