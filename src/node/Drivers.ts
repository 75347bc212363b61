/** The databases that this version can open. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DbError, Driver } from "../io/Db.ts"
import * as DatabaseUrl from "./DatabaseUrl.ts"
import * as Host from "./Host.ts"
import * as Postgres from "./Postgres.ts"
import * as Secrets from "../concurrency/base/Secrets.ts"
import * as Sqlite from "./Sqlite.ts"

/**
 * What `Db.sqlite`, `Db.postgres` and `Db.open` open databases with: SQLite, through the module that Node brings along, and
 * PostgreSQL, through the package `pg`. Other kinds of URL fail with a `DbError` that says what to use.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Database = Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))
 * const program = Effect.map(Db.Db, (db) => db.name).pipe(Effect.provide(Database))
 *
 * await Effect.runPromise(program) // => ":memory:"
 * ```
 */
export const layer: Layer.Layer<Driver> = Layer.merge(
  Host.layer,
  Layer.succeed(Driver, {
    open: (url, options) => {
      const at = DatabaseUrl.parse(url)
      switch (at._tag) {
        case "File":
          return Sqlite.open(at.path, options)
        case "Wrong":
          return Effect.fail(new DbError({ database: Secrets.hidden(url), tried: "open it", reason: at.reason }))
        case "Postgres":
          return Postgres.open(url, options)
        case "Server":
          return Effect.fail(unknownKind(at.scheme))
      }
    }
  })
)

/** Without the rest of its URL, which may hold a password. */
const unknownKind = (scheme: string): DbError => {
  const instead = /^(?:pg|psql|post)/i.test(scheme)
    ? "Is it postgres:?"
    : 'Use a SQLite file, as in Db.sqlite("data.db"), or PostgreSQL, as in Db.postgres("postgres://user@host/data")'
  const reason = `there is no driver for ${scheme}: URLs. ${instead}`
  return new DbError({ database: `${scheme}:…`, tried: "open it", reason })
}
