/** A connection that takes rows as one stream of bytes: COPY, in the transaction that is open on it. */
import type * as Effect from "effect/Effect"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

export interface CopyConnection extends Connection {
  /**
   * Runs a `COPY … FROM STDIN` with the bytes of `chunks`, and gives the number of rows. One is asked for when the socket has taken the
   * one before, whose memory may be used again. Interrupted, it is undone and the connection stays usable. `first` runs before it
   * in the same message, and nothing is written where its check fails what that gave.
   */
  readonly copyIn: (sql: string, chunks: Iterable<Uint8Array>, first?: First) => Effect.Effect<number, SqlError>
}

export interface First {
  readonly sql: string
  readonly check: (rows: ReadonlyArray<unknown>) => SqlError | undefined
}
