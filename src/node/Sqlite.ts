/** SQLite through `node:sqlite`, as the `SqlClient` of Effect: one transaction at a time, the large ones in a thread. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { realpathSync, statSync } from "node:fs"
import { checkDuration } from "../concurrency/base/Options.ts"
import type * as Db from "../io/Db.ts"
import { DbError, fromSqlError } from "../io/DbError.ts"
import * as Client from "./sqlite/Client.ts"
import * as Database from "./sqlite/Database.ts"
import { isNotOpened, sqlErrorOf, whyNotOpened } from "./sqlite/Failure.ts"
import { waitForLock } from "./sqlite/Lock.ts"

/**
 * Opens the SQLite database in `file`, in WAL mode; it is closed with the scope. What can only be read is opened for that. Statements run
 * on the calling thread; once a pipeline has written some thousands of rows, its commits go through a second connection in a thread
 * of its own, so that nothing waits for the disk. A statement or transaction that finds the database locked by another process
 * waits for it up to `lockTimeout`, by default 5 seconds, without blocking the thread. Rows of a stream are read as they are asked for, by a
 * connection of its own: others go on meanwhile. Fails with a `DbError` that says why the file cannot be opened.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Sqlite } from "skein/node"
 *
 * const program = Effect.gen(function*() {
 *   const { sql } = yield* Sqlite.open("data.db")
 *   return yield* sql`SELECT ${"a"} || ${"b"} AS ab`
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => [{ ab: "ab" }]
 * ```
 */
export const open = (file: string, options: Db.OpenOptions = {}): Effect.Effect<Db.Opened, DbError, Scope.Scope> => {
  checkDuration("Sqlite.open: lockTimeout", options.lockTimeout)
  const retryLock = waitForLock(Duration.fromInputUnsafe(options.lockTimeout ?? "5 seconds"))
  const synchronous = options.synchronous ?? "full"
  const opened = Effect.try({
    try: () => Database.open(file, synchronous),
    catch: (error) => sqlErrorOf(error, "open")
  })
  return retryLock(Effect.acquireRelease(opened, (database) => Effect.sync(() => database.close()))).pipe(
    Effect.mapError(
      (error) =>
        new DbError({
          ...fromSqlError(file, "open it")(error),
          reason: isNotOpened(error) ? whyNotOpened(file) : error.message
        })
    ),
    Effect.flatMap((database) => {
      const places = placesOf(file)
      const durable = places.length > 0
      const client = Client.make(database, retryLock, durable ? { file, synchronous } : undefined)
      return Effect.map(client, (sql) => ({ name: file, sql, places, durable }))
    })
  )
}

/** Its real path and its inode, as `FileSystem` tells them; none of a database in memory. */
const placesOf = (file: string): ReadonlyArray<string> => {
  const info = statSync(file, { bigint: true, throwIfNoEntry: false })
  return info === undefined ? [] : [realpathSync(file), `inode ${info.dev}:${info.ino}`]
}
