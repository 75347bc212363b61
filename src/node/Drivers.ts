/** The databases that this version can open. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import { DbError, Driver } from "../io/Db.ts"
import * as Host from "./Host.ts"
import * as Sqlite from "./Sqlite.ts"

/**
 * What `Db.sqlite` and `Db.open` open databases with: SQLite, through the module that Node brings along. Other kinds of
 * URL fail with a `DbError` that says what to use.
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
      // One letter is a drive of Windows.
      const [scheme, rest] = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(url)?.slice(1) ?? ["sqlite", url]
      switch (scheme?.toLowerCase()) {
        case "sqlite":
          return Sqlite.open(rest ?? "", options)
        case "file":
          return Effect.suspend(() => Sqlite.open(fileURLToPath(url), options))
        case "postgres":
        case "postgresql":
          return Effect.fail(
            unknownKind(
              `${scheme}:…`,
              `this version has no driver for PostgreSQL. Use a SQLite file, as in Db.sqlite("data.db")`
            )
          )
        default:
          return Effect.fail(
            unknownKind(
              `${scheme}:…`,
              `there is no driver for ${scheme}: URLs. Use a SQLite file, as in Db.sqlite("data.db")`
            )
          )
      }
    }
  })
)

/** Without the rest of its URL, which may hold a password. */
const unknownKind = (database: string, reason: string): DbError => new DbError({ database, tried: "open it", reason })
