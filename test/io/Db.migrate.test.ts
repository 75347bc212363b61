/** `Db.migrate` on every database. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Db } from "skein"
import * as Child from "../support/child.ts"
import { connect, within } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const Count = Schema.Struct({ n: Schema.Int })
const count = (table: string) =>
  Effect.flatMap(Db.Db, ({ sql }) =>
    Effect.map(sql`SELECT CAST(count(*) AS INTEGER) AS n FROM ${sql(table)}`, ([row]) => row?.["n"])
  )

const first = { "0001_people": "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)" }
const second = { ...first, "0002_ada": Db.execute`INSERT INTO people VALUES (1, ${"Ada"})` }

describe.each(databases)("Db.migrate on $database", ({ database, url }) => {
  const isPostgres = database === "PostgreSQL"
  const test = (title: string, body: () => Effect.Effect<unknown, unknown, Db.Db>) =>
    it.live(title, () => within(url)(Effect.suspend(body)))
  const refusal = (migrations: Parameters<typeof Db.migrate>[0]) =>
    Effect.map(Effect.flip(Db.migrate(migrations as typeof first)), (error) => {
      assert.instanceOf(error, Db.DbError)
      return error
    })

  test("applies each once, in order, and gives their names", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* Db.migrate(first), ["0001_people"])
      assert.deepEqual(yield* Db.migrate(second), ["0002_ada"])
      assert.deepEqual(yield* Db.migrate(second), [])
      assert.strictEqual(yield* count("people"), 1)
      const order = {
        ...second,
        "10_d": "INSERT INTO people VALUES (10, 'd')",
        "9_c": "INSERT INTO people VALUES (9, 'c')"
      }
      assert.deepEqual(yield* Db.migrate(order), ["9_c", "10_d"])
    }))

  test("runs a text of many statements, whatever is in their quotes, comments and bodies", () =>
    Effect.gen(function* () {
      const shared = `
        -- one; two
        CREATE TABLE notes (id INTEGER PRIMARY KEY, "a;""b" TEXT DEFAULT 'x;''y'); /* three; */
        INSERT INTO notes VALUES (1, ';'), (2, ';;');;
      `
      const trigger = isPostgres
        ? `CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS $body$
             BEGIN INSERT INTO copies VALUES (new.id); RETURN new; END; $body$;
           CREATE TRIGGER copies AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION copy();`
        : `CREATE TEMP TABLE scratch (id);
           create trigger copies AFTER INSERT ON notes BEGIN
             INSERT INTO copies VALUES (new.id); UPDATE copies SET id = CASE WHEN id > 0 THEN id END; END;`
      const more = `CREATE TABLE copies (id INTEGER); ${trigger} INSERT INTO notes (id) VALUES (3)`
      yield* Db.migrate({ "1_notes": shared + more })
      assert.deepEqual([yield* count("notes"), yield* count("copies")], [3, 1])
      yield* Db.migrate({ "1_notes": (shared + more).replaceAll("\n", "\r\n"), "2_nothing": " -- nothing\n;" })
    }))

  test("that fail are undone, all that were new, and the one that failed is named", () =>
    Effect.gen(function* () {
      yield* Db.migrate(first)
      const failing = { ...second, "0003_bad": "CREATE TABLE more (id INTEGER); INSERT INTO nowhere VALUES (1)" }
      const error = yield* refusal(failing)
      assert.strictEqual(error.tried, 'apply migration "0003_bad"')
      assert.include(error.reason, "nowhere")
      assert.strictEqual((error.cause as { readonly _tag?: string })._tag, "SqlError")
      assert.strictEqual(yield* count("people"), 0)
      assert.instanceOf(yield* Effect.flip(count("more")), Object)

      const effects = { ...second, "0003_bad": Effect.fail({ _tag: "Mine", message: "not today" }) }
      assert.include((yield* refusal(effects)).message, 'could not apply migration "0003_bad": not today')
      const statement = { ...second, "0003_bad": Db.execute`DELETE FROM nowhere` }
      assert.include((yield* refusal(statement)).reason, 'could not execute "DELETE FROM nowhere": ')
      assert.deepEqual(yield* Db.migrate(second), ["0002_ada"])
    }))

  test("are told of what does not go with what was applied, and change nothing then", () =>
    Effect.gen(function* () {
      yield* Db.migrate({ ...first, "0003_c": "CREATE TABLE c (id INTEGER)", "0004_d": "CREATE TABLE d (id INTEGER)" })
      const reasonOf = (migrations: Parameters<typeof Db.migrate>[0]) =>
        Effect.map(refusal(migrations), ({ reason }) => reason)
      const c = { "0003_c": "CREATE TABLE c (id INTEGER)" }
      const d = { "0004_d": "CREATE TABLE d (id INTEGER)", "0005_e": "CREATE TABLE e (id INTEGER)" }
      const changed = yield* reasonOf({ ...first, "0003_c": "CREATE TABLE c (id TEXT)", ...d })
      assert.include(changed, '"0003_c" was changed after it was applied')
      assert.include(yield* reasonOf({ ...first, ...d }), "3_c was applied to it and is not among the migrations")
      assert.include(
        yield* reasonOf({ ...first, "0003_x": c["0003_c"], ...d }),
        '3_c was applied to it, where the migrations have "0003_x"'
      )
      assert.include(
        yield* reasonOf({ ...first, "0002_late": "CREATE TABLE late (id INTEGER)", ...c, ...d }),
        '"0002_late" was not applied to it, and 4_d, which follows, was'
      )
      assert.instanceOf(yield* Effect.flip(count("e")), Object)

      // As the text says: after that they are taken for the same.
      const [, statement = ""] = /run (UPDATE .*)$/.exec(changed) ?? []
      yield* Effect.flatMap(Db.Db, ({ sql }) => sql.unsafe(statement))
      assert.deepEqual(yield* Db.migrate({ ...first, "0003_c": "CREATE TABLE c (id TEXT)", ...d }), ["0005_e"])
    }))

  test("may be older than the database: what a newer program has added is left alone", () =>
    Effect.gen(function* () {
      yield* Db.migrate(second)
      assert.deepEqual(yield* Db.migrate(first), [])
    }))

  test("have a number and a name each", () =>
    Effect.gen(function* () {
      const reasonOf = (...names: ReadonlyArray<string>) =>
        Effect.map(refusal(Object.fromEntries(names.map((name) => [name, "SELECT 1"]))), ({ reason }) => reason)
      for (const name of ["create", "1", "1_", "0_create", "-1_create", "a1_create"]) {
        assert.include(yield* reasonOf(name), `${JSON.stringify(name)} is no name for a migration`)
      }
      assert.include(yield* reasonOf("1_a", "2_b", "001_c"), '"1_a" and "001_c" have the same number')
      assert.deepEqual(yield* Db.migrate({ "20261130120000_by_date": "SELECT 1" }), ["20261130120000_by_date"])
      assert.deepEqual(yield* Db.migrate({ "20261130120000_by_date": "SELECT 1" }), [])
    }))

  test("may not end the transaction they are in", () =>
    Effect.gen(function* () {
      for (const text of [
        "CREATE TABLE x (id INTEGER); COMMIT; SELECT 1",
        "begin; SELECT 1",
        "-- x\n; /* ; */ Rollback"
      ]) {
        assert.match((yield* refusal({ "1_x": text })).reason, /^it has a (COMMIT|BEGIN|ROLLBACK), /)
      }
      assert.instanceOf(yield* Effect.flip(count("x")), Object)
      yield* Db.migrate({ "1_x": `SELECT 'COMMIT;' AS "begin" -- ; COMMIT` })
    }))

  test("are the files of a folder", () =>
    Effect.gen(function* () {
      const folder = join(yield* Child.folder, "migrations")
      const read = Effect.provide(Db.migrate(folder), NodeFileSystem.layer)
      assert.include((yield* Effect.flip(read)).message, `could not read the migrations in ${folder}: `)
      mkdirSync(folder)
      writeFileSync(join(folder, "0002_more.sql"), "INSERT INTO people VALUES (2, 'Bo')")
      writeFileSync(join(folder, "0001_people.sql"), first["0001_people"])
      writeFileSync(join(folder, "README.md"), "Not SQL.")
      assert.deepEqual(yield* read, ["0001_people", "0002_more"])
      writeFileSync(join(folder, "two.sql"), "SELECT 2")
      assert.include((yield* Effect.flip(read)).reason, '"two" is no name for a migration')
    }).pipe(Effect.scoped))

  it.live("by many at once are applied once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const place = yield* url
        const all = yield* Effect.forEach(Array(8), () => connect(place), { concurrency: "unbounded" })
        const given = yield* Effect.forEach(all, (db) => Effect.provideService(Db.migrate(second), Db.Db, db), {
          concurrency: "unbounded"
        })
        assert.deepEqual(given.flat(), ["0001_people", "0002_ada"])
        const rows = yield* Effect.provideContext(
          Db.query(Count)`SELECT CAST(count(*) AS INTEGER) AS n FROM people`,
          Context.make(Db.Db, all[0]!)
        )
        assert.deepEqual(rows, [{ n: 1 }])
      })
    )
  )
})
