/** What a database and a table of it are to those who use them. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Stream from "effect/Stream"
import type { Journal } from "../../pipeline/Journal.ts"
import type { Dialect, OnConflict } from "./Dialect.ts"

/** What a driver gives of a database that it has opened. */
export interface Opened {
  /** Its file or URL, for messages. */
  readonly name: string
  readonly sql: SqlClient.SqlClient
  /** Whether it outlives the program. */
  readonly durable: boolean
  /** The files it is in, by all of their names; none of a server, or where it is in memory. */
  readonly places: ReadonlyArray<string>
  /** What others send to a channel from now on, where the database has channels; fails when the connection is lost. */
  readonly listen?: ((channel: string, options?: Listening) => Stream.Stream<string, SqlError>) | undefined
}

export interface Listening {
  /** Runs once what is sent from now on is heard, before any of it is given. */
  readonly begun?: Effect.Effect<void> | undefined
  /** How many may wait to be taken; it fails where there are more. Default: any number. */
  readonly capacity?: number | undefined
}

/** One open database, with the journal that is kept in it. */
export interface Db extends Opened {
  /** What is its own: types, names, bulk writes. */
  readonly dialect: Dialect
  readonly journal: Journal
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
  /**
   * What becomes of a row whose key the table has already. "update", the default, replaces what is there; "ignore" keeps it;
   * "fail" refuses the row.
   */
  readonly onConflict?: OnConflict | undefined
  /** With "update": whether a row that is there just so is left untouched. Default false. */
  readonly onlyChanged?: boolean | undefined
  /**
   * What becomes of a field that a table has no column for. "fixed", the default, refuses the table; "extend" adds the column,
   * which is NULL in the rows that are there, so that the field has to be one that may be absent.
   */
  readonly columns?: "fixed" | "extend" | undefined
  /** Types of columns as the database names them, for the table that is created, where those made from the schema are not what you want. */
  readonly types?: { readonly [K in KeyOf<I>]?: string } | undefined
}

type KeyOf<I> = Extract<keyof I, string>
