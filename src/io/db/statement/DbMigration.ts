/** Steps that bring the tables of a database to what a program needs, each applied once, over Effect's `Migrator`. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { hasProperty } from "effect/Predicate"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import { DbError, fromSqlError } from "../../DbError.ts"
import { Db } from "../Contract.ts"
import * as DbTransaction from "./DbTransaction.ts"
import * as SqlScript from "./SqlScript.ts"

/** By name, which begins with the number that orders them; SQL, or an effect that runs it. */
export type Migrations<R> = Readonly<Record<string, string | Effect.Effect<unknown, unknown, R>>>

interface Migration {
  readonly id: number
  /** Without its number. */
  readonly name: string
  /** As it was given. */
  readonly key: string
  readonly body: string | Effect.Effect<unknown, unknown, unknown>
  /** Of SQL: an effect has no text that could be compared. */
  readonly checksum: string | null
}

interface Applied {
  readonly id: number
  readonly name: string
  readonly checksum: string | null
}

const table = "skein_migration"
const tried = "migrate it"

/** Applies those of the record that are not yet, and gives their names. */
export const migrate = <R>(migrations: Migrations<R>): Effect.Effect<ReadonlyArray<string>, DbError, Db | R> =>
  Effect.gen(function* () {
    const db = yield* Db
    yield* DbTransaction.check(db, tried)
    const failed = (reason: string) => new DbError({ database: db.name, tried, reason })
    const given = listOf(migrations)
    if (typeof given === "string") return yield* failed(given)

    const loader: Migrator.Loader<R> = Effect.gen(function* () {
      // Whoever else migrates is waited for by now.
      const problem = whyNot(given, yield* Effect.orDie(applied(db)))
      if (problem !== undefined) return yield* new Migrator.MigrationError({ kind: "BadState", message: problem })
      return given.map((migration): Migrator.ResolvedMigration => {
        // Its services are those of the whole, which Effect's types for loaders cannot say.
        const body = apply(db, migration) as Effect.Effect<void, DbError>
        return [migration.id, migration.name, Effect.succeed(body)]
      })
    })
    yield* createTable(db)
    const done = yield* Migrator.make({})({ loader, table })
    return done.map(([id]) => given.find((migration) => migration.id === id)?.key ?? String(id))
  }).pipe(
    (effect) => Effect.flatMap(Db, (db) => Effect.provideService(effect, SqlClient.SqlClient, db.sql)),
    Effect.catch((error) =>
      Effect.flatMap(Db, ({ name }) => Effect.fail(error instanceof DbError ? error : fromMigrator(name, error)))
    )
  )

/** The files `NNN_name.sql` of a folder. */
export const folder = (path: string): Effect.Effect<Migrations<never>, DbError, Db | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const files = (yield* fs.readDirectory(path)).filter((file) => file.endsWith(".sql"))
    const texts: Record<string, string> = {}
    for (const file of files) texts[file.slice(0, -".sql".length)] = yield* fs.readFileString(`${path}/${file}`)
    return texts
  }).pipe(
    Effect.catch((error) =>
      Effect.flatMap(Db, ({ name }) =>
        Effect.fail(new DbError({ database: name, tried: `read the migrations in ${path}`, reason: error.message }))
      )
    )
  )

/** In their order, or what is wrong with a name. */
const listOf = <R>(migrations: Migrations<R>): ReadonlyArray<Migration> | string => {
  const list: Array<Migration> = []
  for (const [key, body] of Object.entries(migrations)) {
    const [, digits = "", name = ""] = /^(\d{1,15})_(.+)$/s.exec(key) ?? []
    if (name === "" || Number(digits) === 0) {
      return `${JSON.stringify(key)} is no name for a migration: give a number from 1 on, an underscore and words, as in "0001_create"`
    }
    const checksum = typeof body === "string" ? checksumOf(body) : null
    list.push({ id: Number(digits), name, key, body, checksum })
  }
  list.sort((a, b) => a.id - b.id)
  const twice = list.findIndex(({ id }, i) => id === list[i + 1]?.id)
  if (twice < 0) return list
  return `"${list[twice]!.key}" and "${list[twice + 1]!.key}" have the same number. Give one of them the next one`
}

/** The line ends are those of whoever checked the file out. */
const checksumOf = (text: string): string => new Checksum().addText(text.replaceAll("\r\n", "\n").trim()).text

/** What stands against applying these to a database that has had those. */
const whyNot = (given: ReadonlyArray<Migration>, before: ReadonlyArray<Applied>): string | undefined => {
  const newest = given.at(-1)?.id ?? 0
  const last = before.at(-1)?.id ?? 0
  for (const { checksum, id, name } of before) {
    const migration = given.find((migration) => migration.id === id)
    if (migration === undefined) {
      // A newer version of the program was here: what it has added is not this one's concern.
      if (id > newest) continue
      return `${id}_${name} was applied to it and is not among the migrations. Put it back`
    }
    if (migration.name !== name) {
      return `${id}_${name} was applied to it, where the migrations have "${migration.key}". Give it its old name, and what is new the next number`
    }
    if (checksum !== null && migration.checksum !== null && checksum !== migration.checksum) {
      return (
        `"${migration.key}" was changed after it was applied. Put it back as it was, and write what is new as a migration of its own` +
        `; if both do the same, run UPDATE ${table} SET checksum = NULL WHERE migration_id = ${id}`
      )
    }
  }
  const late = given.find(({ id }) => id < last && !before.some((applied) => applied.id === id))
  return late === undefined
    ? undefined
    : `"${late.key}" was not applied to it, and ${last}_${before.at(-1)!.name}, which follows, was. Give it the next number`
}

const apply = (db: Db, { body, checksum, id, key }: Migration): Effect.Effect<void, DbError, unknown> =>
  Effect.gen(function* () {
    yield* typeof body === "string" ? script(db, body) : body
    const { sql } = db
    yield* sql`UPDATE ${sql(table)} SET checksum = ${checksum} WHERE migration_id = ${id}`
  }).pipe(
    Effect.mapError((error) => {
      const cause = error instanceof DbError ? error.cause : error
      return new DbError({
        database: db.name,
        tried: `apply migration "${key}"`,
        reason: error instanceof DbError ? `could not ${error.tried}: ${error.reason}` : messageOf(error),
        ...(cause !== undefined && { cause })
      })
    })
  )

const script = (db: Db, text: string): Effect.Effect<void, SqlError | string> =>
  Effect.suspend((): Effect.Effect<void, SqlError | string> => {
    const word = SqlScript.controls(text)
    if (word !== undefined) {
      return Effect.fail(`it has a ${word}, and would end the transaction that it is applied in. Leave it out`)
    }
    return Effect.asVoid(db.dialect.script(db.sql, text))
  })

/** Before Effect's `Migrator` would: with room for numbers made of a date, and for checksums. */
const createTable = ({ dialect, sql }: Db): Effect.Effect<unknown, SqlError> =>
  dialect.createOnce(
    sql,
    table,
    (instant) =>
      `migration_id BIGINT PRIMARY KEY, created_at ${instant} NOT NULL DEFAULT CURRENT_TIMESTAMP, name TEXT NOT NULL, checksum TEXT`
  )

const applied = ({ sql }: Db): Effect.Effect<ReadonlyArray<Applied>, SqlError> =>
  Effect.map(
    sql<{ migration_id: number | string | bigint; name: string; checksum: string | null }>`
      SELECT migration_id, name, checksum FROM ${sql(table)} ORDER BY migration_id`.withoutTransform,
    (rows) => rows.map(({ checksum, migration_id, name }) => ({ id: Number(migration_id), name, checksum }))
  )

const fromMigrator = (database: string, error: Migrator.MigrationError | SqlError): DbError => {
  if (isSqlError(error)) return fromSqlError(database, tried)(error)
  return error.cause instanceof DbError ? error.cause : new DbError({ database, tried, reason: error.message })
}

const messageOf = (error: unknown): string =>
  typeof error === "string" ? error : hasProperty(error, "message") ? String(error.message) : String(error)
