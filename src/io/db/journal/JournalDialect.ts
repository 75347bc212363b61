/** What a journal asks of a database in its own way: its clock, its locks, and who holds them. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment, Statement } from "effect/sql/Statement"

/** Who waits for the row of a lease, and what it may do about who holds it. */
export interface Wait<E> {
  /** Of the row: what follows WHERE. */
  readonly where: Fragment
  /** How long a lease lasts. */
  readonly duration: Duration.Duration
  /** Whether a holder that lives may be thrown out. */
  readonly isFenced: boolean
  /** Fails where there is nothing to wait for any more; gives the id of a holder that is dead, lease or no lease. */
  readonly check: Effect.Effect<string | null, E>
}

export interface JournalDialect {
  /** Milliseconds since the epoch, by the clock that leases go by. */
  readonly now: Effect.Effect<Fragment>
  /** How the id of a dead letter is declared. */
  readonly counted: Fragment
  /** The function that tells where a text has another in it, from 1; 0 where it has not. */
  readonly indexOf: Fragment
  /** What has the texts of a JSON list in its column `value`: one parameter for as many as there are. */
  readonly texts: (json: string) => Fragment
  /** At the end of a table that is nothing but its key. */
  readonly keyed: Fragment
  /** The columns of a table, none where there is none. */
  readonly columns: (table: string) => Effect.Effect<ReadonlyArray<string>, SqlError>
  /** Whether others write while a transaction is open: not where that locks the whole database. */
  readonly isShared: boolean
  /** Begins each of its statements with what others have committed until then. */
  readonly transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  /** Keeps out whoever else creates the tables, to the end of the transaction. */
  readonly creating: Effect.Effect<unknown, SqlError>
  /** At the end of a SELECT: nobody takes the row away, though its holder may go on renewing it. */
  readonly toHold: Fragment
  /** Waits for a commit of the row that is on its way. */
  readonly toSettle: Fragment
  /** Waits for whoever holds the row. */
  readonly toTake: Fragment
  /** Passes over rows that somebody else has locked. */
  readonly toSkip: Fragment
  /** What a row of a table is known by for as long as it is locked. */
  readonly row: Fragment
  /** That it is one of those that a SELECT finds: looked up one by one, however large the table is. */
  readonly isOneOf: (rows: Fragment) => Fragment
  /** Plans a statement each time that it runs: the plan for an empty table would be kept for one that has grown. */
  readonly planned: <A>(statement: Statement<A>) => Effect.Effect<ReadonlyArray<A>, SqlError>
  /** What follows FROM: the members of a JSON array, each as JSON in a column `value`. */
  readonly listed: (json: string) => Fragment
  /** True where the open transaction fails when another one writes to a row that it has read. */
  readonly isolated: Fragment
  /** Gives up after some seconds of waiting for a lock; in a transaction of its own. */
  readonly soon: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  /** In a transaction of its own; who holds the row of a lease that has ended is evicted. Fails with a text where it may not be. */
  readonly taking: <A, E, R, E2>(
    effect: Effect.Effect<A, E, R>,
    wait: Wait<E2>
  ) => Effect.Effect<A, E | E2 | SqlError | string, R>
}
