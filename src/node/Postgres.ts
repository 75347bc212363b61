/** PostgreSQL through the package `pg`, as the `SqlClient` of Effect: a pool of connections, with COPY on each. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import type * as Db from "../io/Db.ts"
import { DbError, fromSqlError } from "../io/DbError.ts"
import * as Commit from "./postgres/Commit.ts"
import type { Connection } from "./postgres/Connection.ts"
import * as Listen from "./postgres/Listen.ts"
import * as Pg from "./postgres/Pg.ts"
import { Pool } from "./postgres/Pool.ts"
import * as Target from "./postgres/Target.ts"
import * as Tls from "./postgres/Tls.ts"

/**
 * Opens a pool of connections to the PostgreSQL at `url`, 13 or later, which are closed with the scope; needs the package
 * `pg`. The URL, the environment (`PGPASSWORD` and the others) and `~/.pgpass` are understood as by `psql`. A statement that
 * is interrupted is cancelled in the server too. Fails with a `DbError` that says why there is no connection.
 *
 * @example
 * ```ts no-run needs a PostgreSQL
 * import { Effect } from "effect"
 * import { Postgres } from "skein/node"
 *
 * const program = Effect.gen(function*() {
 *   const { sql } = yield* Postgres.open("postgres://ada@localhost/data")
 *   return yield* sql`SELECT ${"a"} || ${"b"} AS ab`
 * })
 *
 * await Effect.runPromise(Effect.scoped(program)) // => [{ ab: "ab" }]
 * ```
 */
export const open = (
  url: string | Redacted.Redacted<string>,
  options: Db.PostgresOptions = {}
): Effect.Effect<Db.Opened, DbError, Scope.Scope> => {
  checkWhole("Postgres.open: maxConnections", options.maxConnections, 1)
  checkDuration("Postgres.open: lockTimeout", options.lockTimeout)
  checkDuration("Postgres.open: connectTimeout", options.connectTimeout)
  checkDuration("Postgres.open: commitTimeout", options.commitTimeout)
  return Effect.gen(function* () {
    const given = options.password
    const password = Redacted.isRedacted(given) ? Redacted.value(given) : given
    const target = Target.parse(Redacted.isRedacted(url) ? Redacted.value(url) : url, password, process.env)
    const refused = (database: string, reason: string) => new DbError({ database, tried: "open it", reason })
    if (typeof target === "string") return yield* Effect.fail(refused("postgres:…", target))
    const attempts = Tls.attempts(target)
    if (typeof attempts === "string") return yield* Effect.fail(refused(target.name, attempts))
    const pg = yield* Effect.tryPromise({ try: Pg.load, catch: (error) => refused(target.name, notLoaded(error)) })

    const budget =
      options.connectTimeout ??
      (target.connectTimeout === undefined ? "30 seconds" : `${target.connectTimeout} seconds`)
    const within = Duration.fromInputUnsafe(budget)
    const commitWithin = Duration.toMillis(Duration.fromInputUnsafe(options.commitTimeout ?? "10 seconds"))
    const settings = { pg, target, attempts, options: settingsOf(target, options), within }
    const pool = new Pool(settings, { maxConnections: options.maxConnections ?? 10, controlWithin: commitWithin })
    yield* Effect.addFinalizer(() => pool.close)
    // Whether there is a server, and that it lets one in, is told here and not by the first statement.
    yield* Effect.mapError(Effect.scoped(pool.acquire), fromSqlError(target.name, "open it"))

    const commit = Commit.commit({ within: commitWithin, askWithin: within, extra: pool.extra })
    const sql = yield* SqlClient.make({
      acquirer: pool.acquire,
      compiler,
      driver: "pg",
      spanAttributes: [
        ["db.system.name", "postgresql"],
        ["db.namespace", target.database],
        ["server.address", target.host],
        ["server.port", target.port]
      ],
      commit: (connection) => commit((connection as Connection).session),
      // A session that is gone has rolled back by itself.
      isTransaction: (connection) => (connection as Connection).session.broken === undefined,
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`
    }).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))
    return { name: target.name, sql, durable: true, places: [], listen: Listen.listen(pool.extra) }
  })
}

const compiler = Statement.makeCompiler({
  dialect: "pg",
  placeholder: (index) => `$${index}`,
  onIdentifier: Statement.defaultEscape('"'),
  onRecordUpdate: (placeholders, alias, columns, values, returning) => [
    `(values ${placeholders}) AS ${alias}${columns}${returning === undefined ? "" : ` RETURNING ${returning[0]}`}`,
    returning === undefined ? values.flat() : [...values.flat(), ...returning[1]]
  ],
  onCustom: () => ["", []]
})

/** Those of the URL come later and win, but for what the options say. */
const settingsOf = (target: Target.Target, options: Db.PostgresOptions): string => {
  const set = (name: string, value: string | number | undefined) => (value === undefined ? [] : [`-c ${name}=${value}`])
  const lock = options.lockTimeout
  return [
    // One that is frozen between two statements gives its locks back.
    ...set("idle_in_transaction_session_timeout", "60s"),
    target.options,
    // The forms in which values are read.
    ...set("DateStyle", "ISO"),
    ...set("extra_float_digits", 1),
    ...set("synchronous_commit", options.synchronous === "normal" ? "off" : undefined),
    ...set(
      "lock_timeout",
      lock === undefined ? undefined : Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(lock)))
    )
  ].join(" ")
}

const notLoaded = (error: unknown): string =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"
    ? "it needs the package pg, which is not installed: npm install pg"
    : `the package pg cannot be loaded: ${String(error)}`
