/** The client of a database: statements on the thread of the program, large transactions in another, streams by a reader each. */
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { InCommit } from "../../pipeline/context/InCommit.ts"
import * as Database from "./Database.ts"
import { isReadOnly, sqlErrorOf } from "./Failure.ts"
import type { RetryLock } from "./Lock.ts"
import * as OwnThread from "./OwnThread.ts"
import type { Start } from "./Protocol.ts"
import * as Rows from "./Rows.ts"
import * as Thread from "./Thread.ts"

/** `shared` is what another connection opens, where there can be one. */
export const make = (
  database: Database.Database,
  retryLock: RetryLock,
  shared: Start | undefined
): Effect.Effect<SqlClient.SqlClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const transactions = { open: 0 }
    const mover = shared === undefined ? undefined : new Mover(shared, database, retryLock)
    // Closed after the connection on this thread: the last one that is closed brings the log into the database.
    if (mover !== undefined) yield* Effect.addFinalizer(() => mover.close)
    const own = OwnThread.connectionOf(database, transactions, retryLock, (parameters) => mover?.count(parameters))

    const acquirers = SqlClient.makeSqliteAcquirers<Connection>({
      connection:
        mover === undefined
          ? Effect.succeed(own)
          : Effect.withFiber((fiber) => Effect.succeed((fiber.getRef(InCommit) ? mover.connection : undefined) ?? own)),
      semaphore: Semaphore.makeUnsafe(1),
      isTransaction: (connection) => (isThread(connection) ? connection.thread.isTransaction : database.isTransaction)
    })
    const client = yield* SqlClient.make({
      ...acquirers,
      // Statements borrow theirs, so that this is for streams alone.
      acquirer: shared === undefined ? acquirers.acquirer : Effect.succeed(streaming(own, acquirers.acquirer)),
      compiler: Statement.makeCompilerSqlite(),
      driver: "sqlite-node",
      beginTransaction: OwnThread.beginTransaction,
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      spanAttributes: [["db.system.name", "sqlite"]]
    }).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))

    /** What is streamed is read by a connection of its own; where it writes or needs what only ours has, by ours alone. */
    function streaming(own: Connection, lease: Effect.Effect<Connection, SqlError, Scope.Scope>): Connection {
      const { file } = shared!
      return {
        ...own,
        executeStream: (sql, params, transform) =>
          Rows.stream((exact) => {
            const byOurs = Effect.andThen(lease, () =>
              Effect.map(retryLock(Rows.begin(database, sql, params, exact)), Rows.inTurn)
            )
            const byReader = Effect.flatMap(retryLock(reader(file)), (reader) =>
              Effect.map(retryLock(Rows.begin(reader, sql, params, exact)), Rows.inTurn)
            )
            return database.isPersonal ? byOurs : Effect.catchIf(byReader, isReadOnly, () => byOurs)
          }, transform)
      }
    }

    const begin = client.withTransaction
    const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
      Effect.suspend(() => {
        let begun = false
        const entered = Effect.sync(() => {
          begun = true
          transactions.open++
        })
        const left = Effect.sync(() => transactions.open--)
        const body = Effect.acquireUseRelease(
          entered,
          () => effect,
          () => left
        )
        return retryLock(begin(body), () => !begun)
      })
    return Object.assign(client, { withTransaction })
  })

const isThread = (connection: Connection): connection is Thread.ThreadConnection => "thread" in connection

const reader = (file: string): Effect.Effect<Database.Database, SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({ try: () => Database.openToRead(file), catch: (error) => sqlErrorOf(error, "stream") }),
    (database) => Effect.sync(() => database.close())
  )

/**
 * Starts a thread for transactions once they have become large: by then what it costs does not count. The first ones, and all of
 * a program that writes little, have no need of it.
 */
class Mover {
  private readonly start: Start
  private readonly database: Database.Database
  private readonly retryLock: RetryLock
  private parameters = 0
  private made: Thread.ThreadConnection | undefined
  private isClosed = false
  private failures = 0

  constructor(start: Start, database: Database.Database, retryLock: RetryLock) {
    this.start = start
    this.database = database
    this.retryLock = retryLock
  }

  /** Parameters of a statement that was run on the thread of the program, in a transaction. */
  count(parameters: number): void {
    this.parameters += parameters
    if (this.parameters < manyParameters || this.made !== undefined || this.isClosed) return
    if (this.database.isPersonal || this.failures >= mostFailures) return
    const thread = new Thread.Thread(this.start, (wasOpen) => {
      this.made = undefined
      this.parameters = 0
      if (!wasOpen) this.failures++
    })
    this.made = Thread.connectionOf(thread, this.retryLock)
  }

  /** Asked for while no transaction is open. One that is open all the same could not be undone. */
  get connection(): Connection | undefined {
    const { made } = this
    if (made === undefined || !made.thread.isReady || this.database.isPersonal) return undefined
    if (!made.thread.isTransaction) return made
    made.thread.end()
    return undefined
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isClosed = true
      return this.made?.thread.close ?? Effect.void
    })
  }
}

/** Some thousands of rows. */
const manyParameters = 10_000

/** Where threads cannot start, as in a bundle without the file they run, all goes on without them. */
const mostFailures = 3
