/** Rows as a stream, read as they are asked for: never more of them in memory than one portion. */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import type { Database } from "./Database.ts"
import { sqlErrorOf } from "./Failure.ts"
import { Cursor, type Row } from "./Cursor.ts"

/** What gives the next rows, none at the end. */
export type Next = Effect.Effect<ReadonlyArray<Row>, SqlError>

/** A stream of what `begin` gives; it is told whether integers are to be exact, and ends with the scope. */
export const stream = (
  begin: (exact: boolean) => Effect.Effect<Next, SqlError, Scope.Scope>,
  transform: Parameters<Connection["executeStream"]>[2]
): Stream.Stream<Row, SqlError> =>
  Effect.withFiber<Next, SqlError, Scope.Scope>((fiber) => begin(fiber.getRef(SqlClient.SafeIntegers))).pipe(
    Effect.map((next) =>
      Stream.fromPull(
        Effect.succeed(
          Effect.flatMap(next, (rows) =>
            isSome(rows) ? Effect.succeed((transform?.(rows) ?? rows) as typeof rows) : Cause.done()
          )
        )
      )
    ),
    Stream.unwrap
  )

const isSome = (rows: ReadonlyArray<Row>): rows is Arr.NonEmptyReadonlyArray<Row> => rows.length > 0

/** Begins a statement, which ends with the scope. */
export const begin = (
  database: Database,
  sql: string,
  params: ReadonlyArray<unknown>,
  exact: boolean
): Effect.Effect<Cursor, SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(() => new Cursor(database.iterate(sql, params, exact))),
    (cursor) => Effect.sync(() => cursor.close())
  )

/** The event loop has its turn between two portions. */
export const inTurn = (cursor: Cursor): Next =>
  Effect.andThen(
    Effect.yieldNow,
    attempt(() => cursor.next())
  )

const attempt = <A>(f: () => A): Effect.Effect<A, SqlError> =>
  Effect.try({ try: f, catch: (error) => sqlErrorOf(error, "stream") })
