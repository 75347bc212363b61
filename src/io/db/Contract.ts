/** What a database and a table of it are to those who use them. */
import * as Context from "effect/Context"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Stream from "effect/Stream"
import type { Journal } from "../../pipeline/Journal.ts"
import type * as DbColumns from "./DbColumns.ts"

/** One open database, with the journal that is kept in it. */
export interface Db {
  /** Its file or URL, for messages. */
  readonly name: string
  readonly sql: SqlClient.SqlClient
  readonly journal: Journal
  /** How many parameters one statement may have. */
  readonly maxParameters: number
  /** The files it is in, by all of their names; none where it is gone with the program. */
  readonly places: ReadonlyArray<string>
  /** What others send to a channel from now on, where the database has channels; fails when the connection is lost. */
  readonly listen?: ((channel: string) => Stream.Stream<string, SqlError>) | undefined
}

/**
 * The open database, for what `Db.table` and `Db.query` do not do.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const program = Effect.flatMap(Db.Db, ({ sql }) => sql<{ readonly n: number }>`SELECT 1 + 1 AS n`).pipe(
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(Effect.map(program, ([row]) => row?.n)) // => 2
 * ```
 */
export const Db: Context.Service<Db, Db> = Context.Service("skein/Db")

export interface TableOptions<in out I> {
  /** The column, or columns, that a row is known by: a row whose key is there already replaces the one that is. */
  readonly key?: KeyOf<I> | ReadonlyArray<KeyOf<I>> | undefined
  /**
   * What becomes of rows that the table has when a pipeline starts from its beginning. "append", the default, keeps
   * them; "replace" deletes them.
   */
  readonly existing?: "append" | "replace" | undefined
  /** Types of columns, where those made from the schema are not what you want. */
  readonly columns?: { readonly [K in KeyOf<I>]?: DbColumns.ColumnType } | undefined
}

type KeyOf<I> = Extract<keyof I, string>
