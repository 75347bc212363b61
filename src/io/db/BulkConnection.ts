/** A connection that takes many rows at once, and does the work of them elsewhere. */
import type * as Effect from "effect/Effect"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

export interface BulkConnection extends Connection {
  /**
   * Inserts the rows of `slices` in the transaction that is open on it, by statements that `sql` gives for a number of rows: powers of
   * two up to `largest`. A slice has the values of some rows, an array for each column. The next one is asked for while
   * those before it are written. Fails with the rows of the statement that failed, counted from the first of all.
   */
  readonly insertMany: (
    statement: { readonly sql: (rows: number) => string; readonly largest: number },
    slices: Iterable<ReadonlyArray<ReadonlyArray<unknown>>>
  ) => Effect.Effect<void, { readonly error: SqlError; readonly from: number; readonly count: number }>
}

export const isBulk = (connection: Connection): connection is BulkConnection => "insertMany" in connection
