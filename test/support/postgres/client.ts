/** What tests do through an open database. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { CopyConnection, First } from "../../../src/io/db/CopyConnection.ts"

/** COPY on the connection of the open transaction. */
export const copyIn = (
  { sql }: { readonly sql: SqlClient },
  statement: string,
  chunks: Iterable<Uint8Array>,
  first?: First
): Effect.Effect<number, SqlError> =>
  Effect.withFiber((fiber) => {
    const [connection] = Context.getUnsafe(fiber.context, sql.transactionService)
    return (connection as CopyConnection).copyIn(statement, chunks, first)
  })

export const pidOf = (sql: SqlClient): Effect.Effect<number, SqlError> =>
  Effect.map(sql<{ readonly pid: number }>`SELECT pg_backend_pid() AS pid`, ([row]) => row!.pid)

/** Rows of a number and a text, without an end. */
export function* endless(from: number): Generator<Uint8Array> {
  for (let n = from; ; n += 1_000) {
    yield Buffer.from(Array.from({ length: 1_000 }, (_, i) => `${n + i}\ttext\n`).join(""))
  }
}
