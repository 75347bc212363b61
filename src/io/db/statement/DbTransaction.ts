/** Transactions of a program's own: nested ones are savepoints, and what another transaction spoiled is run again. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { hasProperty } from "effect/Predicate"
import { checkWhole } from "../../../concurrency/base/Options.ts"
import { DbError, fromSqlError } from "../../DbError.ts"
import { Db } from "../Contract.ts"
import type { Isolation } from "../Dialect.ts"

export interface TransactionOptions {
  /**
   * How far it is kept apart from others, in PostgreSQL. Default what the database is set to, "read committed". Transactions
   * of SQLite are always serializable.
   */
  readonly isolation?: Isolation | undefined
  /** How often its body runs again after a serialization failure or a deadlock. Default 10. */
  readonly retries?: number | undefined
}

/** A transaction as the tasks inside of it know it. */
interface Open {
  readonly sql: SqlClient.SqlClient
  readonly isolation: Isolation | undefined
  /** Set once its body has ended: a task that outlived it would write into what runs on its connection next. */
  ended: boolean
}

/** Those that a task is in, of one database each. */
const Around = Context.Reference<ReadonlyArray<Open>>("skein/Db/Transactions", { defaultValue: () => [] })

/** Fails in a task that was forked in a transaction and outlived it. */
export const check = (db: Db, tried: string): Effect.Effect<void, DbError> =>
  Effect.withFiber((fiber) => {
    const around = fiber.getRef(Around)
    return around.length > 0 && of(around, db)?.ended === true ? Effect.fail(outlived(db, tried)) : Effect.void
  })

export const transaction = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  { isolation, retries = 10 }: TransactionOptions = {}
): Effect.Effect<A, E | DbError, R | Db> => {
  checkWhole("Db.transaction: retries", retries, 0)
  return Effect.gen(function* () {
    const db = yield* Db
    const tried = "run a transaction"
    yield* check(db, tried)
    const around = yield* Around
    const outer = of(around, db)
    const nested = Context.getOrUndefined(yield* Effect.context<never>(), db.sql.transactionService) !== undefined
    const begin = isolation === undefined ? undefined : db.dialect.begin(isolation)
    if (nested && begin !== undefined && isolation !== outer?.isolation) {
      const reason = `it is inside of another, which ${outer?.isolation === undefined ? "asks for no isolation" : `is ${outer.isolation}`}. Ask for "${isolation}" at the outermost`
      return yield* new DbError({ database: db.name, tried, reason })
    }

    const once = Effect.suspend(() => {
      // Inside of another it is over when that is: what was forked in here may go on in there.
      const open: Open = nested && outer !== undefined ? outer : { sql: db.sql, isolation, ended: false }
      let failedInside = false
      const body = effect.pipe(
        Effect.provideService(Around, [...around.filter(({ sql }) => sql !== db.sql), open]),
        Effect.provideService(SqlClient.BeginTransaction, undefined),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            failedInside = Exit.isFailure(exit)
            open.ended = open !== outer
          })
        )
      )
      return Effect.mapError(db.sql.withTransaction(body), (error) =>
        // What a body fails with is its own, also where that is an SqlError.
        !failedInside && isSqlError(error) ? fromSqlError(db.name, triedBy(error))(error) : (error as E | DbError)
      )
    })
    if (nested) return yield* once
    const begun = begin === undefined ? once : Effect.provideService(once, SqlClient.BeginTransaction, begin)
    return yield* retries === 0 ? begun : Effect.retry(begun, { while: isSpoiled, schedule: backoff, times: retries })
  })
}

/** Two that meet again and again would, without chance, do so for ever. */
const backoff = Schedule.jittered(Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("1 second")]))

const of = (around: ReadonlyArray<Open>, db: Db): Open | undefined => around.find(({ sql }) => sql === db.sql)

const triedBy = ({ reason }: SqlError): string =>
  reason.operation === "commit" ? "commit a transaction" : "run a transaction"

/** Whether it was another transaction's doing, however deep the program has wrapped what the database said. */
const isSpoiled = (error: unknown): boolean => {
  let at = error
  for (let depth = 0; depth < 8 && typeof at === "object" && at !== null; depth++) {
    if (isSqlError(at)) return at.reason._tag === "SerializationError" || at.reason._tag === "DeadlockError"
    at = hasProperty(at, "cause") ? at.cause : undefined
  }
  return false
}

const outlived = (db: Db, tried: string): DbError =>
  new DbError({
    database: db.name,
    tried,
    reason:
      "the transaction that this task was started in has ended. Wait for the task inside of the transaction, or start it outside"
  })
