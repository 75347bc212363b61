/** Opening a database, of whatever kind, with the journal in it. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Host } from "../../pipeline/context/Host.ts"
import { Journal } from "../../pipeline/Journal.ts"
import type { DbError } from "../DbError.ts"
import { Db, type Opened } from "./Contract.ts"
import * as SqlJournal from "./journal/SqlJournal.ts"
import { postgres as postgresDialect } from "./postgres/PostgresDialect.ts"
import { sqlite as sqliteDialect } from "./sqlite/SqliteDialect.ts"

/** Opens databases: `Drivers.layer` of `skein/node`. */
export interface Driver {
  readonly open: (url: string, options: PostgresOptions) => Effect.Effect<Opened, DbError, Scope.Scope>
}

/**
 * Opens the databases of `Db.sqlite` and `Db.open`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * // Another driver around the one there is: it says what is opened.
 * const opened: Array<string> = []
 * const telling = Layer.effect(Db.Driver)(
 *   Effect.map(Db.Driver, (driver) => ({
 *     open: (url, options) => Effect.andThen(Effect.sync(() => opened.push(url)), driver.open(url, options))
 *   }))
 * ).pipe(Layer.provide(Drivers.layer))
 *
 * await Effect.runPromise(Effect.map(Db.Db, ({ name }) => name).pipe(Effect.provide(Db.sqlite(":memory:")), Effect.provide(telling)))
 * opened // => ["sqlite::memory:"]
 * ```
 */
export const Driver: Context.Service<Driver, Driver> = Context.Service("skein/Db/Driver")

export interface OpenOptions {
  /**
   * What a commit waits for. "full", the default: the disk; a power failure loses nothing. "normal": the operating
   * system; a power failure can undo the last commits, rows and checkpoint together, so that a run goes on from there.
   */
  readonly synchronous?: "full" | "normal" | undefined
  /** How long to wait for a lock that another one holds. Default 5 seconds in SQLite, and as the server is set in PostgreSQL. */
  readonly lockTimeout?: Duration.Input | undefined
}

export interface PostgresOptions extends OpenOptions {
  /** In place of one in the URL, in `PGPASSWORD` or in `~/.pgpass`. */
  readonly password?: Redacted.Redacted<string> | string | undefined
  /** How many connections there are at most; who needs one more waits. Default 10. */
  readonly maxConnections?: number | undefined
  /**
   * How long to try to reach the server when it is starting, has too many connections, or was there and is not any more.
   * Default 30 seconds, or `connect_timeout` of the URL. A server that refuses the first connection is not waited for.
   */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * How long the server may take to answer COMMIT before it is asked on another connection what became of the transaction.
   * Default 10 seconds.
   */
  readonly commitTimeout?: Duration.Input | undefined
}

/**
 * The SQLite database in `file`, created where there is none; ":memory:" is one that ends with the program. Gives `Db`
 * and its `Journal`, and needs a `Driver`. Fails with a `DbError` when the file cannot be opened or is no database.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const name = Effect.map(Db.Db, (db) => db.name).pipe(
 *   Effect.provide(Db.sqlite("repos.db")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(name) // => "repos.db"
 * ```
 */
export const sqlite = (file: string, options: OpenOptions = {}): Layer.Layer<Db | Journal, DbError, Driver> =>
  open(`sqlite:${file}`, options)

/**
 * The PostgreSQL database at `url`, 13 or later, as in "postgres://user@host/database". What the URL leaves out comes from the
 * environment (`PGHOST`, `PGPASSWORD` and the others) and `~/.pgpass`, as for `psql`. Gives `Db` and its `Journal`, and needs a
 * `Driver` and the package `pg`. Fails with a `DbError` when there is no connection.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Sum = Schema.Struct({ sum: Schema.Int })
 * const sum = Db.query(Sum)`SELECT sum(n)::int4 AS sum FROM unnest(${[1, 2, 3]}::int4[]) AS n`.pipe(
 *   Effect.provide(Db.postgres(process.env["DATABASE_URL"]!, { maxConnections: 4 })),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(sum) // => [{ sum: 6 }]
 * ```
 */
export const postgres = (
  url: string | Redacted.Redacted<string>,
  options: PostgresOptions = {}
): Layer.Layer<Db | Journal, DbError, Driver> => open(Redacted.isRedacted(url) ? Redacted.value(url) : url, options)

/**
 * The database at `url`: a PostgreSQL, as in "postgres://user@host/database", or an SQLite file, by its path or as `sqlite:` or
 * `file:` URL. Gives `Db` and its `Journal`, and needs a `Driver`. Fails with a `DbError` for a database that cannot be opened or
 * is of a kind without a driver.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const error = Effect.flip(Db.Db).pipe(
 *   Effect.provide(Db.open("mysql://localhost/repos")),
 *   Effect.catchTag("DbError", (error) => Effect.succeed(error.tried)),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(error) // => "open it"
 * ```
 */
export const open = (url: string, options: PostgresOptions = {}): Layer.Layer<Db | Journal, DbError, Driver> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const driver = yield* Driver
      const host = yield* Host
      const opened = yield* driver.open(url, options)
      const dialect = opened.sql.onDialectOrElse({ orElse: () => sqliteDialect, pg: postgresDialect })
      const journal = SqlJournal.make({ ...opened, dialect }, host)
      return Context.make(Db, { ...opened, dialect, journal }).pipe(Context.add(Journal, journal))
    })
  )
