/** COMMIT, and what became of one whose answer was lost: the server keeps that of each transaction that wrote. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { codeOf, ServerError } from "./Failure.ts"
import * as Query from "./Query.ts"
import type { Session } from "./Session.ts"

export interface Options {
  /** Milliseconds until a COMMIT without an answer is asked about. */
  readonly within: number
  /** How long to ask. */
  readonly askWithin: Duration.Duration
  /** Sessions to ask in. */
  readonly extra: Effect.Effect<Session, SqlError, Scope.Scope>
}

/** Succeeds when the transaction is committed, and fails when it is not; where nobody can tell, with code 08007. */
export const commit =
  ({ askWithin, extra, within }: Options) =>
  (session: Session): Effect.Effect<void, SqlError> =>
    Effect.gen(function* () {
      const run = (sql: string) =>
        session.run<Query.Result>("commit", (done) => new Query.Script(sql, done, session.takeWaiting()), { within })
      // Before its COMMIT is sent, as nobody could ask for it later.
      const xid =
        session.xid ??
        (yield* run(Query.xidOf).pipe(
          Effect.map(({ rows }) => (rows[0] as { readonly xid: string | null }).xid),
          Effect.catchIf(isAborted, () => Effect.andThen(Effect.ignore(run("ROLLBACK")), Effect.fail(rolledBack())))
        ))
      const { pid } = session
      const answer = yield* run("COMMIT").pipe(
        Effect.catchIf(
          () => session.broken !== undefined && xid !== null,
          (error) => Effect.as(resolve(extra, { xid: xid!, pid, error, askWithin }), undefined)
        )
      )
      if (answer !== undefined && answer.command !== "COMMIT") return yield* Effect.fail(rolledBack())
    })

interface Lost {
  readonly xid: string
  readonly pid: number
  readonly error: SqlError
  readonly askWithin: Duration.Duration
}

const resolve = (extra: Options["extra"], lost: Lost): Effect.Effect<void, SqlError> =>
  Effect.clockWith((clock) => {
    const until = Alarm.now(clock) + Duration.toMillis(lost.askWithin)
    return Effect.scoped(Effect.flatMap(extra, (session) => statusIn(session, lost))).pipe(
      Effect.retry({ while: () => Alarm.now(clock) < until }),
      Effect.mapError((error) => unknown(lost, error)),
      Effect.flatMap((status) => (status === "committed" ? Effect.void : Effect.fail(notCommitted(lost, status))))
    )
  })

type Status = "committed" | "aborted" | "in progress" | null

/** One that is still in progress waits for a COMMIT that never came, or for the disk: it is ended, so that it is decided. */
const statusIn = (session: Session, { pid, xid }: Lost): Effect.Effect<Status, SqlError> => {
  const ask = (sql: string, values: ReadonlyArray<string>) =>
    session.run<Query.Result>(
      "commit",
      (done) =>
        new Query.Query(
          { sql, values, name: "", isPrepared: false, asArrays: true },
          { close: [], timeout: undefined, waiting: [] },
          done
        ),
      { within: 5_000 }
    )
  const status = ask("SELECT pg_catalog.pg_xact_status($1::xid8)", [xid]).pipe(
    Effect.map(({ rows }) => (rows[0] as readonly [Status])[0])
  )
  const end = Effect.andThen(
    ask(
      "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = $1::int4 AND backend_xid = $2::xid8::xid",
      [String(pid), xid]
    ),
    ask("SELECT pg_catalog.pg_sleep(0.02)", [])
  )
  return Effect.flatMap(status, (told) =>
    told === "in progress" ? Effect.andThen(end, statusIn(session, { pid, xid } as Lost)) : Effect.succeed(told)
  )
}

const isAborted = (error: SqlError): boolean => codeOf(error) === "25P02"

const rolledBack = (): SqlError => {
  const message = "an earlier statement of the transaction had failed, so that the database has rolled all of it back"
  return new SqlError({ reason: new UnknownError({ cause: new Error(message), message, operation: "commit" }) })
}

const notCommitted = ({ error }: Lost, status: Status): SqlError =>
  status === null
    ? unknown({ error }, undefined)
    : new SqlError({
        reason: new ConnectionError({
          cause: error.reason.cause,
          message: `the connection was lost at COMMIT, and the transaction is rolled back (${error.message})`,
          operation: "commit"
        })
      })

const unknown = ({ error }: Pick<Lost, "error">, asking: SqlError | undefined): SqlError => {
  const message = `the connection was lost at COMMIT (${error.message}), and whether it is committed cannot be told: ${
    asking?.message ?? "the server knows no more of it"
  }`
  const cause = new ServerError(Object.assign(new Error(message), { code: "08007" }))
  return new SqlError({ reason: new ConnectionError({ cause, message, operation: "commit" }) })
}
