import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, type Sink } from "skein"
import { openingAlone, rowsOf, within, writeTo } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const Repo = Schema.Struct({ id: Schema.Int, name: Schema.String })

const run = (statement: string) => Effect.flatMap(Db.Db, ({ sql }) => sql.unsafe(statement))
const refusal = <A>(sink: Sink.Sink<A, Db.DbError, Db.Db, "exactly-once">) =>
  Effect.map(Effect.scoped(Effect.flip(sink.open(openingAlone()))), ({ reason }) => reason)
/** In order; where integers have 64 bits, drivers give them as text. */
const sorted = (table: string) =>
  Effect.map(rowsOf(table), (rows) =>
    rows
      .map((row): typeof row => ({ ...row, id: Number(row["id"]) }))
      .toSorted((a, b) => Number(a["id"]) - Number(b["id"]))
  )

describe.each(databases)("Db.table on $database", ({ database, url }) => {
  const test = (title: string, body: () => Effect.Effect<unknown, unknown, Db.Db>) =>
    it.effect(title, () => within(url)(Effect.suspend(body)))

  describe("a row whose key is there", () => {
    const twice = (options: Db.TableOptions<typeof Repo.Encoded>, then: ReadonlyArray<typeof Repo.Type>) =>
      Effect.gen(function* () {
        const sink = Db.table("repos", Repo, { key: "id", ...options })
        yield* writeTo(sink, [{ id: 1, name: "a" }])
        yield* writeTo(sink, then, Option.some(null))
        return yield* sorted("repos")
      })

    test("is replaced", () =>
      Effect.map(
        twice({}, [
          { id: 1, name: "b" },
          { id: 2, name: "c" },
          { id: 2, name: "d" }
        ]),
        (rows) =>
          assert.deepEqual(rows, [
            { id: 1, name: "b" },
            { id: 2, name: "d" }
          ])
      ))

    test('is kept with `onConflict: "ignore"`, the first of a batch too', () =>
      Effect.map(
        twice({ onConflict: "ignore" }, [
          { id: 1, name: "b" },
          { id: 2, name: "c" },
          { id: 2, name: "d" }
        ]),
        (rows) =>
          assert.deepEqual(rows, [
            { id: 1, name: "a" },
            { id: 2, name: "c" }
          ])
      ))

    test('is refused with `onConflict: "fail"`, by its key and column', () =>
      Effect.gen(function* () {
        const failing = twice({ onConflict: "fail" }, [
          { id: 2, name: "b" },
          { id: 1, name: "c" }
        ])
        const error = yield* Effect.flip(failing)
        assert.instanceOf(error, Db.DbError)
        assert.strictEqual(error.column, "id")
        assert.deepEqual(yield* sorted("repos"), [{ id: 1, name: "a" }])
      }))

    test("is not touched with `onlyChanged` where nothing changed", () =>
      Effect.gen(function* () {
        const touched =
          database === "SQLite"
            ? [
                "CREATE TABLE touched (id)",
                "CREATE TRIGGER t AFTER UPDATE ON repos BEGIN INSERT INTO touched VALUES (new.id); END"
              ]
            : [
                "CREATE TABLE touched (id int8)",
                "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO touched VALUES (new.id); RETURN new; END'",
                "CREATE TRIGGER t AFTER UPDATE ON repos FOR EACH ROW EXECUTE FUNCTION touch()"
              ]
        const Row = Schema.Struct({ id: Schema.Int, name: Schema.NullOr(Schema.String) })
        const sink = Db.table("repos", Row, { key: "id", onlyChanged: true })
        const before = [
          { id: 1, name: "a" },
          { id: 2, name: null },
          { id: 3, name: null }
        ]
        yield* writeTo(sink, before)
        yield* Effect.forEach(touched, run)
        const after = [
          { id: 1, name: "a" },
          { id: 2, name: null },
          { id: 3, name: "c" }
        ]
        yield* writeTo(sink, after, Option.some(null))
        assert.deepEqual(yield* sorted("repos"), after)
        assert.deepEqual(yield* sorted("touched"), [{ id: 3 }])
      }))

    test("has to have a key", () =>
      Effect.gen(function* () {
        const sink = Db.table("repos", Repo, { onConflict: "ignore" })
        assert.match(yield* refusal(sink), /without a `key` no two rows are the same/)
      }))
  })

  describe("a field that the table has no column for", () => {
    const Wide = Schema.Struct({ ...Repo.fields, stars: Schema.optionalKey(Schema.Int) })
    const before = Effect.suspend(() => writeTo(Db.table("repos", Repo), [{ id: 1, name: "a" }]))

    test("is refused, with the way on", () =>
      Effect.gen(function* () {
        yield* before
        assert.match(
          yield* refusal(Db.table("repos", Wide)),
          /it has no column "stars" \(\w+\), which `columns: "extend"` would add/
        )
      }))

    test('is added with `columns: "extend"`, and the rows that are there have nothing in it', () =>
      Effect.gen(function* () {
        yield* before
        const sink = Db.table("repos", Wide, { columns: "extend" })
        yield* writeTo(sink, [{ id: 2, name: "b", stars: 7 }], Option.some(null))
        const rows = yield* Db.query(Wide)`SELECT * FROM repos ORDER BY id`
        assert.deepEqual(rows, [
          { id: 1, name: "a" },
          { id: 2, name: "b", stars: 7 }
        ])
      }))

    test("is not added where every row has to have it", () =>
      Effect.gen(function* () {
        yield* before
        const Strict = Schema.Struct({ ...Repo.fields, stars: Schema.Int })
        assert.match(
          yield* refusal(Db.table("repos", Strict, { columns: "extend" })),
          /no column "stars" .*none is added for a field that every row has/
        )
      }))
  })

  describe("a table that somebody else has made", () => {
    test("may have columns of dates and JSON", () =>
      Effect.gen(function* () {
        const types = database === "SQLite" ? ["DATETIME", "JSON"] : ["timestamptz", "json"]
        yield* run(`CREATE TABLE visits (id INTEGER, at ${types[0]}, data ${types[1]})`)
        const Visit = Schema.Struct({ id: Schema.Int, at: Schema.Date, data: Schema.Json })
        const visits = [
          { id: 1, at: new Date("2024-02-29T12:00:00.123Z"), data: { a: [1, "2", null] } },
          { id: 2, at: new Date(0), data: 5 },
          { id: 3, at: new Date(0), data: "5" },
          { id: 4, at: new Date(0), data: 0.1 },
          { id: 5, at: new Date(0), data: true }
        ]
        yield* writeTo(Db.table("visits", Visit), visits)
        assert.deepEqual(yield* Db.query(Visit)`SELECT * FROM visits ORDER BY id`, visits)
      }))

    test("may have columns that the database computes, but not for a field", () =>
      Effect.gen(function* () {
        yield* run("CREATE TABLE boxes (id INTEGER, twice INTEGER GENERATED ALWAYS AS (id * 2) STORED)")
        yield* writeTo(Db.table("boxes", Schema.Struct({ id: Schema.Int })), [{ id: 2 }])
        assert.deepEqual(yield* rowsOf("boxes"), [{ id: 2, twice: 4 }])
        const Both = Schema.Struct({ id: Schema.Int, twice: Schema.Int })
        assert.match(yield* refusal(Db.table("boxes", Both)), /its column "twice" is computed by the database/)
      }))
  })
})
