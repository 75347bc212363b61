/** The kinds of databases that the same tests run on, and what is done to one past all that is tested. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { DatabaseSync } from "node:sqlite"
import { newFile } from "./database.ts"
import { ask, fresh } from "./postgres/database.ts"

export interface Database {
  readonly database: string
  /** The URL of an empty one, gone with the scope. */
  readonly url: Effect.Effect<string, never, Scope.Scope>
  /** Rows of one statement. */
  readonly direct: (url: string, sql: string) => Effect.Effect<ReadonlyArray<Record<string, any>>>
  /** Makes every row that is written in this way fail, as in `INSERT ON skein_dead`, until it is mended. */
  readonly spoil: (url: string, what: string) => Effect.Effect<void>
  readonly mend: (url: string, what: string) => Effect.Effect<void>
  /** As if so much time had passed for leases. */
  readonly later: (url: string, duration: Duration.Input) => Effect.Effect<void>
}

const tableOf = (what: string): string => what.split(" ON ")[1]!

const sqlite: Database = {
  database: "SQLite",
  url: newFile,
  direct: (url, sql) =>
    Effect.sync(() => {
      const database = new DatabaseSync(url, { timeout: 10_000 })
      try {
        return database
          .prepare(sql)
          .all()
          .map((row) => ({ ...row }))
      } finally {
        database.close()
      }
    }),
  spoil: (url, what) =>
    Effect.asVoid(
      sqlite.direct(url, `CREATE TRIGGER broken BEFORE ${what} BEGIN SELECT RAISE(ABORT, 'out of ink'); END`)
    ),
  mend: (url) => Effect.asVoid(sqlite.direct(url, "DROP TRIGGER broken")),
  later: (_, duration) => TestClock.adjust(duration)
}

const postgres: Database = {
  database: "PostgreSQL",
  url: fresh,
  direct: (url, sql) => Effect.promise(() => ask<Record<string, any>>(url, sql)),
  spoil: (url, what) =>
    postgres
      .direct(
        url,
        `CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of ink'; END $$`
      )
      .pipe(
        Effect.andThen(
          postgres.direct(url, `CREATE TRIGGER broken BEFORE ${what} FOR EACH ROW EXECUTE FUNCTION broken()`)
        ),
        Effect.asVoid
      ),
  mend: (url, what) =>
    postgres
      .direct(url, `DROP TRIGGER broken ON ${tableOf(what)}`)
      .pipe(Effect.andThen(postgres.direct(url, "DROP FUNCTION broken")), Effect.asVoid),
  // Its leases go by its own clock, so the row is moved instead.
  later: (url, duration) => {
    const millis = Duration.toMillis(Duration.fromInputUnsafe(duration))
    return Effect.asVoid(
      postgres.direct(url, `UPDATE skein_run SET since = since - ${millis}, expires = expires - ${millis}`)
    )
  }
}

/** Everything holds for each: `describe.each(databases)`. */
export const databases: ReadonlyArray<Database> = [sqlite, postgres]
