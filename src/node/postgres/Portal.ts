/** The rows of a statement a thousand at a time, as fast as they are read and no faster. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { Field } from "./Pg.ts"
import * as Query from "./Query.ts"
import type { Session } from "./Session.ts"

const rowsAtOnce = 1_000

export interface Options {
  readonly session: Session
  readonly name: string
  readonly open: (onColumns: (columns: ReadonlyArray<Field>) => void) => Effect.Effect<unknown, SqlError>
  readonly transform: (rows: ReadonlyArray<unknown>) => ReadonlyArray<unknown>
  /** Milliseconds for COMMIT and ROLLBACK. */
  readonly within: number
}

/**
 * Opens a portal and reads it. A portal lives in a transaction: that of the caller, who may do other things in it meanwhile, or
 * one of its own, which may wait for its reader for ever.
 */
export const stream = ({ name, open, session, transform, within }: Options): Stream.Stream<unknown, SqlError> => {
  const script = (sql: string, within?: number) =>
    session.run<Query.Result>("execute", (done) => new Query.Script(sql, done), { within })

  const begin: Effect.Effect<void, SqlError, Scope.Scope> = Effect.acquireRelease(
    script("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0"),
    () =>
      // Still open where its reader stopped early, or has failed.
      Effect.suspend(() =>
        session.is("T") || session.is("E") ? Effect.ignore(script("COMMIT", within)) : Effect.void
      ),
    { interruptible: true }
  )

  const close = Effect.suspend(() =>
    session.is("T")
      ? Effect.ignore(session.run<Query.Result>("execute", (done) => new Query.ClosePortal(name, done), { within }))
      : Effect.void
  )

  return Stream.unwrap(
    Effect.gen(function* () {
      const isOwn = session.is("I")
      if (isOwn) yield* begin
      let columns: ReadonlyArray<Field> = []
      const opened = open((fields) => {
        columns = fields
      })
      yield* Effect.acquireRelease(opened, () => close, { interruptible: true })
      return Stream.paginate(undefined, () =>
        session
          .run<Query.Result>("execute", (done) => new Query.Fetch(name, rowsAtOnce, columns, done))
          .pipe(
            Effect.tap(({ more }) => (more || !isOwn ? Effect.void : script("COMMIT", within))),
            Effect.map(({ more, rows }) => [transform(rows), more ? Option.some(undefined) : Option.none()] as const)
          )
      )
    })
  )
}
