import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Db, Pipeline, Sink, type Source } from "skein"
import { within } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const Item = Schema.Struct({ id: Schema.Int, name: Schema.String })
const Pair = Schema.Struct({ a: Schema.String, b: Schema.Int })

const exec = (...statements: ReadonlyArray<string>) =>
  Effect.flatMap(Db.Db, ({ sql }) => Effect.forEach(statements, (statement) => sql.unsafe(statement)))
const all = <A, E, R, P>(source: Source.Source<A, E, R, P>) => Pipeline.collect(Pipeline.from(source))
const read = <A, P>(source: Source.Source<A, Db.DbError, Db.Db, P>, after: Option.Option<P> = Option.none()) =>
  Stream.runCollect(source.read(after))
const insert = (count: number, from = 1) =>
  exec(
    `INSERT INTO items (id, name) WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${from + count - 1}) SELECT i, 'item ' || i FROM n`
  )
const items = (count: number) =>
  Effect.andThen(exec("CREATE TABLE items (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)"), insert(count))
const refusal = (effect: Effect.Effect<unknown, Db.DbError, Db.Db>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe.each(databases)("P10 Db.rows in $database", ({ database, url }) => {
  const inDb = within(url)
  const isPostgres = database === "PostgreSQL"

  it.effect("reads a table in the order of its key, over many pages", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(5000)
        const found = yield* all(Db.rows("items", Item, { by: "id" }))
        assert.strictEqual(found.length, 5000)
        assert.deepEqual(
          found.map(({ id }) => id),
          Array.from({ length: 5000 }, (_, i) => i + 1)
        )
        assert.deepEqual(found[9], { id: 10, name: "item 10" })
      })
    )
  )

  it.effect("goes on behind any position, and each gives the rows behind it", () =>
    inDb(
      Effect.gen(function* () {
        yield* exec("CREATE TABLE pairs (a VARCHAR(9) NOT NULL, b BIGINT NOT NULL, PRIMARY KEY (a, b))")
        const values = ["x", "X", "ä", "a b", "", "x'y", "𝄞"].flatMap((a) => [-1, 0, 7].map((b) => ({ a, b })))
        const { sql } = yield* Db.Db
        for (const { a, b } of values) yield* sql`INSERT INTO pairs VALUES (${a}, ${b})`
        const source = Db.rows("pairs", Pair, { by: ["a", "b"] })
        const found = yield* read(source)
        assert.sameDeepMembers(
          found.map(({ value }) => value),
          values
        )
        for (const [i, { position }] of found.entries()) {
          const kept = JSON.parse(JSON.stringify(position)) as Db.RowPosition
          const rest = yield* read(source, Option.some(kept))
          assert.deepEqual(
            rest.map(({ value }) => value),
            found.slice(i + 1).map(({ value }) => value)
          )
        }
      })
    )
  )

  it.effect("keeps large integers, bytes and instants in positions as they are", () =>
    inDb(
      Effect.gen(function* () {
        const Row = Schema.Struct({ big: Schema.BigInt, bytes: Schema.Uint8Array, at: Schema.Date })
        const rows = [0n, 1n, 2n].map((n) => ({
          big: 2n ** 62n + n,
          bytes: new Uint8Array([255, 0, Number(n)]),
          at: new Date(1_700_000_000_000 + Number(n))
        }))
        yield* Pipeline.run(Pipeline.from(rows).pipe(Pipeline.to(Db.table("kinds", Row))), { name: "fill" })
        for (const by of ["big", "bytes", "at"] as const) {
          const source = Db.rows("kinds", Row, { by })
          const found = yield* read(source)
          assert.deepEqual(
            found.map(({ value }) => value),
            rows
          )
          const position = JSON.parse(JSON.stringify(found[1]?.position)) as Db.RowPosition
          assert.deepEqual(
            (yield* read(source, Option.some(position))).map(({ value }) => value),
            rows.slice(2)
          )
        }
      })
    )
  )

  it.effect("reads a query with parameters, a semicolon and a comment at its end", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(10)
        const odd = Db.rows((sql) => sql`SELECT * FROM items WHERE id > ${4} AND name <> ${"item 7"}; `, Item, {
          by: "id"
        })
        assert.deepEqual(
          (yield* all(odd)).map(({ id }) => id),
          [5, 6, 8, 9, 10]
        )
        const joined = Db.rows(
          (sql) => sql`SELECT one.id, two.name FROM items one JOIN items two ON two.id = one.id + 1 -- and so on`,
          Item,
          { by: "id" }
        )
        assert.deepEqual((yield* all(joined))[0], { id: 1, name: "item 2" })
      })
    )
  )

  it.effect("resumes an incremental run with the rows that are new, whatever was changed before them", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(30)
        const job = Pipeline.from(Db.rows("items", Item, { by: "id" })).pipe(
          Pipeline.to(Db.table("copies", Item, { key: "id" }))
        )
        assert.strictEqual((yield* Pipeline.run(job, { name: "copy" })).written, 30)
        yield* exec("DELETE FROM items WHERE id = 30", "UPDATE items SET name = 'changed' WHERE id = 3")
        yield* insert(5, 31)
        const { outcome, written } = yield* Pipeline.run(job, { name: "copy" })
        assert.deepEqual({ outcome, written }, { outcome: "done", written: 5 })
        assert.strictEqual((yield* all(Db.rows("copies", Item, { by: "id" }))).length, 35)
      })
    )
  )

  it.effect("reads the table that the pipeline writes to up to where it ended when the run began", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(3000)
        const job = Pipeline.from(Db.rows("items", Item, { by: "id" })).pipe(
          Pipeline.map(({ id, name }) => Effect.succeed({ id: id + 10_000, name })),
          Pipeline.to(Db.table("items", Item, { key: "id" }))
        )
        assert.strictEqual((yield* Pipeline.run(job, { name: "double", maxRows: 50, commitEvery: 0 })).written, 3000)
        const [{ n } = { n: 0 }] = yield* Db.query(Schema.Struct({ n: Schema.Int }))`SELECT count(*) AS n FROM items`
        assert.strictEqual(n, 6000)
      })
    )
  )

  it.effect("refuses rows that share a key or have none, by name, and never passes over them", () =>
    inDb(
      Effect.gen(function* () {
        yield* exec("CREATE TABLE loose (a TEXT, b BIGINT)", "INSERT INTO loose VALUES ('x', 1), ('x', 2), ('y', 3)")
        assert.match(
          yield* refusal(all(Db.rows("loose", Pair, { by: "a" }))),
          /could not read table "loose": several rows have the same key \{"a":"x"\}.*Add a column to `by`/
        )
        assert.strictEqual((yield* all(Db.rows("loose", Pair, { by: ["a", "b"] }))).length, 3)
        yield* exec("INSERT INTO loose VALUES ('a', NULL)")
        assert.match(
          yield* refusal(all(Db.rows("loose", Pair, { by: ["a", "b"] }))),
          /a row has NULL in "b".*Leave such rows out by a query/
        )
        assert.match(yield* refusal(all(Db.rows("loose", Pair, { by: "b" }))), /a row has NULL in "b"/)
        const whole = Db.rows((sql) => sql`SELECT * FROM loose WHERE b IS NOT NULL`, Pair, { by: ["a", "b"] })
        assert.strictEqual((yield* all(whole)).length, 3)
      })
    )
  )

  it.effect("sees rows that share a key on both sides of a page, as the database compares them", () =>
    inDb(
      Effect.gen(function* () {
        const collation = isPostgres ? "COLLATE loosely" : "COLLATE NOCASE"
        if (isPostgres) {
          yield* exec("CREATE COLLATION loosely (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        }
        yield* exec(`CREATE TABLE names (a TEXT ${collation} NOT NULL, b BIGINT NOT NULL)`)
        const { sql } = yield* Db.Db
        // The first page has 64 rows.
        for (let i = 0; i < 64; i++) yield* sql`INSERT INTO names VALUES (${`n${String(i).padStart(3, "0")}`}, 1)`
        yield* sql`INSERT INTO names VALUES ('N063', 2)`
        assert.match(
          yield* refusal(all(Db.rows("names", Pair, { by: "a" }))),
          /several rows have the same key \{"a":"[nN]063"\}/
        )
        assert.strictEqual((yield* all(Db.rows("names", Pair, { by: ["a", "b"] }))).length, 65)
      })
    )
  )

  it.effect("takes names for names, whatever they hold", () =>
    inDb(
      Effect.gen(function* () {
        for (const name of [`order"; DROP TABLE "order`, "SELECT", "ä b'c", `"`, "𝄞", "items;--"]) {
          const Row = Schema.Struct({ [`${name} id`]: Schema.Int, [`no ${name}`]: Schema.String })
          const rows = [1, 2, 3].map((id) => ({ [`${name} id`]: id, [`no ${name}`]: `'${id}` })) as ReadonlyArray<
            typeof Row.Type
          >
          yield* Pipeline.run(Pipeline.from(rows).pipe(Pipeline.to(Db.table(name, Row))), { name })
          assert.deepEqual(yield* all(Db.rows(name, Row, { by: `${name} id` })), rows)
        }
        assert.match(yield* refusal(all(Db.rows("nul\0", Item, { by: "id" }))), /printable characters/)
        const value = `'); DROP TABLE "SELECT"; --`
        const found = yield* all(
          Db.rows((sql) => sql`SELECT id, name FROM (SELECT 1 AS id, 'a' AS name) AS t WHERE name = ${value}`, Item, {
            by: "id"
          })
        )
        assert.deepEqual(found, [])
      })
    )
  )

  it.effect("says what is wrong with a table, a column, a row or a parameter", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(3)
        assert.match(
          yield* refusal(all(Db.rows("nothing", Item, { by: "id" }))),
          /could not read table "nothing": .*nothing/
        )
        const Other = Schema.Struct({ id: Schema.Int, nam: Schema.String })
        assert.match(yield* refusal(all(Db.rows("items", Other, { by: "id" }))), /nam/)
        assert.match(yield* refusal(all(Db.rows("items", Other, { by: "nam" }))), /nam/)
        assert.match(yield* refusal(all(Db.rows("items", Item, { by: [] }))), /`by` names no column/)
        assert.match(yield* refusal(all(Db.rows("items", Item, { by: ["id", "id"] }))), /`by` names "id" twice/)
        assert.match(
          yield* refusal(all(Db.rows("items", Item, { by: "age" as "id" }))),
          /`by` names "age", which is no field/
        )
        const Short = Schema.Struct({ id: Schema.Int, name: Schema.Literal("item 1") })
        assert.match(
          yield* refusal(all(Db.rows("items", Short, { by: "id" }))),
          /row \{"id":"?\d+"?\} is not as the schema says/
        )
        const piece = { _tag: "Fragment" } as unknown as string
        assert.match(
          yield* refusal(all(Db.rows((sql) => sql`SELECT * FROM items WHERE name = ${piece}`, Item, { by: "id" }))),
          /parameter 1 is an object\. Give it as Db\.json/
        )
        assert.throws(() => Db.rows("items", Item, { by: "id", lag: "-1 seconds" }), /lag must be a duration/)
      })
    )
  )

  it.effect("refuses to go on with another query, parameter or key, and says which", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(10)
        const copy = (source: Source.Source<typeof Item.Type, Db.DbError, Db.Db, Db.RowPosition>) =>
          Pipeline.run(Pipeline.from(source).pipe(Pipeline.to(Db.table("copies", Item, { key: "id" }))), {
            name: "copy"
          })
        const refused = (source: Source.Source<typeof Item.Type, Db.DbError, Db.Db, Db.RowPosition>) =>
          Effect.map(Effect.flip(copy(source)), ({ _tag, message }) => `${_tag} ${message}`)
        const above = (least: number) =>
          Db.rows((sql) => sql`SELECT * FROM items WHERE id > ${least}`, Item, { by: "id" })
        yield* copy(above(3))
        assert.match(yield* refused(above(4)), /SourceChanged.*parameters was "\w+", is "\w+"/s)
        assert.match(
          yield* refused(Db.rows("items", Item, { by: "id" })),
          /SourceChanged.*table was absent, is "items"/s
        )
        const renamed = Db.rows((sql) => sql`SELECT * FROM items WHERE id > ${3}`, Item, { by: ["id", "name"] })
        assert.match(yield* refused(renamed), /SourceChanged.*by was \["id"\], is \["id","name"\]/s)
        yield* exec("ALTER TABLE items RENAME COLUMN id TO ident")
        assert.match(yield* refused(above(3)), /DbError.*could not read query "SELECT \* FROM items WHERE id > \?": /s)
      })
    )
  )

  it.effect("leaves rows that are younger than the lag for a later run", () =>
    inDb(
      Effect.gen(function* () {
        const Event = Schema.Struct({ at: Schema.Date, id: Schema.Int })
        const now = Date.now()
        yield* TestClock.setTime(now)
        const rows = [3600, 1800, 1].map((seconds, id) => ({ at: new Date(now - seconds * 1000), id }))
        yield* Pipeline.run(Pipeline.from(rows).pipe(Pipeline.to(Db.table("events", Event))), { name: "fill" })
        const ids = (lag: Duration.Input) =>
          Effect.map(all(Db.rows("events", Event, { by: ["at", "id"], lag })), (found) => found.map(({ id }) => id))
        assert.deepEqual(yield* ids("10 minutes"), [0, 1])
        assert.deepEqual(yield* ids("45 minutes"), [0])
        assert.deepEqual(yield* ids("2 hours"), [])
        assert.deepEqual(yield* ids(0), [0, 1, 2])
        const Number = Schema.Struct({ at: Schema.Int, id: Schema.Int })
        const numbers = rows.map(({ at, id }) => ({ at: at.getTime(), id }))
        yield* Pipeline.run(
          Pipeline.from(numbers).pipe(Pipeline.to(Db.table("numbers", Number, { types: { at: "BIGINT" } }))),
          { name: "fill" }
        )
        const found = yield* all(Db.rows("numbers", Number, { by: ["at", "id"], lag: "10 minutes" }))
        assert.deepEqual(
          found.map(({ id }) => id),
          [0, 1]
        )
      })
    )
  )

  it.effect("knows rows that were settled ahead of others, and refuses to go on where they are not the same ones", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(20)
        const source = Db.rows("items", Item, { by: "id" })
        // The second element waits until the run is gone; what is behind it is written.
        let stops = true
        const job = Pipeline.from(source).pipe(
          Pipeline.map((item) => (stops && item.id === 2 ? Effect.never : Effect.succeed(item)), {
            concurrency: 4,
            order: "completion"
          }),
          Pipeline.to(Db.table("copies", Item))
        )
        const run = Pipeline.run(job, { name: "copy", commitEvery: 0 })
        const begun = yield* Effect.forkChild(run)
        const { sql } = yield* Db.Db
        yield* Effect.repeat(
          Effect.orElseSucceed(sql<{ n: number }>`SELECT count(*) AS n FROM copies`, () => []),
          { while: (found) => Number(found[0]?.n ?? 0) < 19 }
        )
        yield* Fiber.interrupt(begun)
        stops = false
        yield* exec("DELETE FROM items WHERE id = 5")
        assert.match(String(yield* Effect.flip(run)), /rows behind \[.*1.*\] were added or removed/)
        yield* exec("INSERT INTO items VALUES (5, 'item 5')")
        assert.strictEqual((yield* run).written, 1)
        assert.strictEqual((yield* all(Db.rows("copies", Item, { by: "id" }))).length, 20)
      })
    )
  )

  it.effect("tells how much there is, where the database knows, and gives rows room by their size", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(2000)
        const source = Db.rows("items", Item, { by: "id" })
        if (isPostgres) yield* exec("ANALYZE items")
        const size = yield* source.size
        assert.strictEqual(Option.isSome(size), isPostgres)
        const bytes = (yield* read(source)).reduce((sum, { bytes }) => sum + bytes, 0)
        if (Option.isSome(size)) assert.approximately(size.value, bytes, bytes / 5)
        assert.isAbove(bytes, 2000 * 20)
      })
    )
  )

  it.effect("settles what it reads with what is written, in a sink that fails in the middle", () =>
    inDb(
      Effect.gen(function* () {
        yield* items(500)
        let calls = 0
        const failing = Sink.all(
          Db.table("copies", Item),
          Sink.forEach(() => (++calls === 300 ? Effect.fail("full" as const) : Effect.void))
        )
        const job = Pipeline.from(Db.rows("items", Item, { by: "id" })).pipe(Pipeline.to(failing))
        const options = { name: "copy", maxRows: 50 }
        assert.strictEqual(yield* Effect.flip(Pipeline.run(job, options)), "full")
        yield* Pipeline.run(job, options)
        assert.strictEqual((yield* all(Db.rows("copies", Item, { by: "id" }))).length, 500)
      })
    )
  )
})
