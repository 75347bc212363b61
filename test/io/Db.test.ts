import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { writeFileSync } from "node:fs"
import { Db, Files, Journal, Pipeline, type Sink } from "skein"
import { Drivers } from "skein/node"
import {
  connect,
  kept,
  leaseOf,
  newFile,
  openingAlone,
  openingBy,
  rowsOf,
  withDb,
  writeTo
} from "../support/database.ts"

const Repo = Schema.Struct({ id: Schema.Int, name: Schema.String })
const repos = Db.table("repos", Repo)
const byId = Db.table("repos", Repo, { key: "id" })

const run = (statement: string) => Effect.flatMap(Db.Db, ({ sql }) => sql.unsafe(statement))
const opening = <A>(sink: Sink.Sink<A, Db.DbError, Db.Db, "exactly-once">) =>
  Effect.scoped(Effect.flip(sink.open(openingAlone())))
const columnsOf = (table: string) =>
  Effect.flatMap(Db.Db, ({ sql }) =>
    Effect.map(
      sql<{ name: string; type: string; notnull: number; pk: number }>`SELECT * FROM pragma_table_info(${table})`,
      (found) =>
        found.map(
          ({ name, type, notnull, pk }) => `${name} ${type}${notnull ? " NOT NULL" : ""}${pk ? ` KEY ${pk}` : ""}`
        )
    )
  )

describe("Db.table: creating the table", () => {
  it.effect("makes columns from the encoded side of the schema", () => {
    const Everything = Schema.Struct({
      id: Schema.Int,
      text: Schema.String,
      choice: Schema.Literals(["a", "b"]),
      number: Schema.Number,
      flag: Schema.Boolean,
      big: Schema.BigInt,
      bytes: Schema.Uint8Array,
      date: Schema.Date,
      fromText: Schema.NumberFromString,
      nullable: Schema.NullOr(Schema.Number),
      optional: Schema.optionalKey(Schema.String),
      list: Schema.Array(Schema.Date),
      nested: Schema.Struct({ a: Schema.Int }),
      any: Schema.Json,
      either: Schema.Union([Schema.String, Schema.Number])
    })
    return withDb(
      Effect.gen(function* () {
        const row: typeof Everything.Type = {
          id: 1,
          text: "é",
          choice: "b",
          number: 1.5,
          flag: true,
          big: 2n ** 62n + 1n,
          bytes: new Uint8Array([0, 255]),
          date: new Date("2026-01-02T03:04:05.006Z"),
          fromText: 12,
          nullable: null,
          list: [new Date(0)],
          nested: { a: 1 },
          any: { deep: [1, null, "x"] },
          either: "1"
        }
        const other = { ...row, id: 2, nullable: 2, optional: "there", flag: false, any: null, either: 1 }
        yield* writeTo(Db.table("everything", Everything, { key: "id" }), [row, other])
        assert.deepEqual(yield* columnsOf("everything"), [
          "id INTEGER NOT NULL KEY 1",
          "text TEXT NOT NULL",
          "choice TEXT NOT NULL",
          "number REAL NOT NULL",
          "flag INTEGER NOT NULL",
          "big INTEGER NOT NULL",
          "bytes BLOB NOT NULL",
          "date TEXT NOT NULL",
          "fromText TEXT NOT NULL",
          "nullable REAL",
          "optional TEXT",
          "list TEXT NOT NULL",
          "nested TEXT NOT NULL",
          "any TEXT NOT NULL",
          "either TEXT NOT NULL"
        ])
        const [kept] = yield* run(`SELECT flag, date, list, nested, "any", either FROM everything`)
        assert.deepEqual(
          { ...kept },
          {
            flag: 1,
            date: "2026-01-02T03:04:05.006Z",
            list: `["1970-01-01T00:00:00.000Z"]`,
            nested: `{"a":1}`,
            any: `{"deep":[1,null,"x"]}`,
            either: `"1"`
          }
        )
        assert.deepEqual(yield* Db.query(Everything)`SELECT * FROM everything ORDER BY id`, [row, other])
      })
    )
  })

  it.effect("takes types of columns and keys of several columns from the options", () =>
    withDb(
      Effect.gen(function* () {
        const Sample = Schema.Struct({ at: Schema.Number, sensor: Schema.String, value: Schema.Number })
        const samples = Db.table("samples", Sample, { key: ["sensor", "at"], types: { at: "INTEGER" } })
        yield* writeTo(samples, [
          { at: 1, sensor: "a", value: 1 },
          { at: 1, sensor: "b", value: 2 },
          { at: 1, sensor: "a", value: 3 }
        ])
        assert.deepEqual(yield* columnsOf("samples"), [
          "at INTEGER NOT NULL KEY 2",
          "sensor TEXT NOT NULL KEY 1",
          "value REAL NOT NULL"
        ])
        assert.deepEqual(yield* Db.query(Sample)`SELECT * FROM samples ORDER BY sensor`, [
          { at: 1, sensor: "a", value: 3 },
          { at: 1, sensor: "b", value: 2 }
        ])
      })
    )
  )

  it.effect("refuses what cannot be a table, saying why", () => {
    const cases: ReadonlyArray<readonly [Sink.Sink<any, Db.DbError, Db.Db, "exactly-once">, string]> = [
      [Db.table("", Repo), "the name of a table is one or more printable characters"],
      [Db.table("a\u0000b", Repo), "the name of a table is one or more printable characters"],
      [Db.table("sqlite_x", Repo), "names that begin with sqlite_ and skein_ are taken"],
      [Db.table("skein_dead", Repo), "names that begin with sqlite_ and skein_ are taken"],
      [Db.table("t", Schema.Record(Schema.String, Schema.Int)), "an object with named fields"],
      [Db.table("t", Schema.Struct({})), "an object with named fields"],
      [
        Db.table("t", Schema.Struct({ id: Schema.optionalKey(Schema.Int) }), { key: "id" }),
        `its key "id" is no field that every row has`
      ],
      // @ts-expect-error the key has to be a field of the schema
      [Db.table("t", Repo, { key: "nope" }), `its key "nope" is no field that every row has`]
    ]
    return withDb(
      Effect.forEach(cases, ([sink, reason]) =>
        Effect.map(opening(sink), (error) => {
          assert.instanceOf(error, Db.DbError)
          assert.include(String(error), reason)
        })
      )
    )
  })
})

describe("Db.table: a table that is there", () => {
  it.effect("is used where it fits: other columns with defaults, names in other case, columns of any type", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE repos (ID integer, Name varchar(20), noted text NOT NULL DEFAULT 'no', plain)`)
        yield* writeTo(repos, [{ id: 1, name: "a" }])
        assert.deepEqual(yield* rowsOf("repos"), [{ ID: 1, Name: "a", noted: "no", plain: null }])
      })
    )
  )

  it.effect("is refused where it does not fit, naming every column", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE repos (id TEXT, stars INTEGER NOT NULL)`)
        const error = yield* opening(repos)
        assert.strictEqual(error.tried, `open table "repos"`)
        assert.strictEqual(
          error.reason,
          `the table that is there does not fit: its column "id" is TEXT where the schema needs INTEGER; ` +
            `it has no column "name" (TEXT); its column "stars" is NOT NULL without a default, and the schema has no such field. ` +
            `Change the table or the schema, or choose another name`
        )
        assert.include(error.message, "test.db")
      })
    )
  )

  it.effect("is refused where rows may have no value for a NOT NULL column", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE t (a TEXT NOT NULL)`)
        const error = yield* opening(Db.table("t", Schema.Struct({ a: Schema.NullOr(Schema.String) })))
        assert.include(error.reason, `its column "a" is NOT NULL where the schema may have no value`)
      })
    )
  )

  it.effect("is refused where its key is not unique, and taken where an index makes it so", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE repos (id INTEGER, name TEXT)`)
        const error = yield* opening(byId)
        assert.include(error.reason, `"id" is not unique in it`)
        yield* run(`CREATE UNIQUE INDEX repos_id ON repos (id)`)
        yield* writeTo(byId, [{ id: 1, name: "a" }])
        yield* writeTo(byId, [{ id: 1, name: "b" }])
        assert.deepEqual(yield* rowsOf("repos"), [{ id: 1, name: "b" }])
      })
    )
  )

  it.effect("is refused when it is a view", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE VIEW repos AS SELECT 1 AS id, 'a' AS name`)
        assert.include((yield* opening(repos)).reason, "because it is a view")
      })
    )
  )

  it.effect("keeps its rows with `append`, and with `replace` only when nothing was committed", () =>
    withDb(
      Effect.gen(function* () {
        const fresh = Db.table("repos", Repo, { existing: "replace" })
        yield* writeTo(repos, [{ id: 1, name: "old" }])
        yield* writeTo(repos, [{ id: 2, name: "appended" }])
        assert.strictEqual((yield* rowsOf("repos")).length, 2)
        yield* writeTo(fresh, [{ id: 3, name: "new" }])
        assert.deepEqual(yield* rowsOf("repos"), [{ id: 3, name: "new" }])
        yield* writeTo(fresh, [{ id: 4, name: "resumed" }], Option.some(null))
        assert.deepEqual(yield* rowsOf("repos"), [
          { id: 3, name: "new" },
          { id: 4, name: "resumed" }
        ])
      })
    )
  )

  it.effect("is an error when it is gone although rows were committed to it: going on would lose them", () =>
    withDb(
      Effect.gen(function* () {
        const error = yield* Effect.scoped(Effect.flip(repos.open(openingAlone(Option.some(null)))))
        assert.include(error.reason, "it is gone, with rows that this pipeline has committed to it")
        assert.deepEqual(yield* columnsOf("repos"), [])
      })
    )
  )
})

describe("Db.table: writing", () => {
  it.effect("replaces the row of the same key, the last one of a batch standing", () =>
    withDb(
      Effect.gen(function* () {
        yield* writeTo(byId, [
          { id: 1, name: "a" },
          { id: 2, name: "b" },
          { id: 1, name: "c" }
        ])
        yield* writeTo(byId, [{ id: 2, name: "d" }])
        assert.deepEqual(yield* rowsOf("repos"), [
          { id: 1, name: "c" },
          { id: 2, name: "d" }
        ])
      })
    )
  )

  it.effect("leaves a row alone that is all key", () =>
    withDb(
      Effect.gen(function* () {
        const tags = Db.table("tags", Schema.Struct({ tag: Schema.String }), { key: "tag" })
        yield* writeTo(tags, [{ tag: "a" }, { tag: "a" }])
        assert.deepEqual(yield* rowsOf("tags"), [{ tag: "a" }])
      })
    )
  )

  it.effect("writes batches of any size, each row once and in order", () =>
    withDb(
      Effect.gen(function* () {
        const sizes = [0, 1, 2, 3, 255, 256, 257, 10_000]
        const ids: Array<number> = []
        for (const size of sizes) {
          const batch = Array.from({ length: size }, (_, i) => ({ id: ids.length + i, name: `n${i}` }))
          yield* writeTo(repos, batch)
          ids.push(...batch.map(({ id }) => id))
        }
        const { sql } = yield* Db.Db
        const kept = yield* sql<{ id: number }>`SELECT id FROM repos ORDER BY rowid`
        assert.deepEqual(
          kept.map(({ id }) => id),
          ids
        )
      })
    )
  )

  it.effect("keeps within the parameters that a statement may have, however wide the table", () =>
    withDb(
      Effect.gen(function* () {
        const names = Array.from({ length: 400 }, (_, i) => `c${i}`)
        const Wide = Schema.Struct(Object.fromEntries(names.map((name) => [name, Schema.Int])))
        const row = Object.fromEntries(names.map((name, i) => [name, i]))
        yield* writeTo(
          Db.table("wide", Wide),
          Array.from({ length: 300 }, () => row)
        )
        assert.strictEqual((yield* rowsOf("wide")).length, 300)
      })
    )
  )

  it.effect("encodes through the schema: classes, transformations, filters", () =>
    withDb(
      Effect.gen(function* () {
        class Visit extends Schema.Class<Visit>("Visit")({ at: Schema.DateFromString, pages: Schema.NonEmptyString }) {}
        yield* writeTo(Db.table("visits", Visit), [new Visit({ at: new Date(0), pages: "a" })])
        assert.deepEqual(yield* rowsOf("visits"), [{ at: "1970-01-01T00:00:00.000Z", pages: "a" }])
        assert.instanceOf((yield* Db.query(Visit)`SELECT * FROM visits`)[0], Visit)
      })
    )
  )

  const Row = Schema.Struct({ id: Schema.Int, x: Schema.Number, b: Schema.NullOr(Schema.Boolean), n: Schema.BigInt })
  const good: typeof Row.Type = { id: 1, x: 1, b: null, n: 1n }
  const Filtered = Schema.Struct({ id: Schema.Int, name: Schema.NonEmptyString })
  // The schemas' own types keep most of these out, until a cast or JavaScript lets them in.
  it.effect.each([
    [
      "a fraction for an integer",
      Db.table("t", Row),
      [good, { ...good, id: 1.5 }],
      `row 2 does not encode: field "id" has to be an integer`
    ],
    ["a string for a number", Db.table("t", Row), [{ ...good, x: "1" }], `field "x" has to be a number`],
    ["NaN, which SQLite would keep as NULL", Db.table("t", Row), [{ ...good, x: NaN }], `field "x" has to be a number`],
    ["a number for a boolean", Db.table("t", Row), [{ ...good, b: 1 }], `field "b" has to be a boolean or absent`],
    ["a field that is missing", Db.table("t", Row), [{ ...good, x: undefined }], `field "x" has to be a number`],
    [
      "a bigint beyond 64 bits",
      Db.table("t", Row),
      [{ ...good, n: 2n ** 63n }],
      `field "n" has to be a bigint of 64 bits`
    ],
    [
      "a negative number for a natural one",
      Db.table("t", Schema.Struct({ id: Schema.Natural })),
      [{ id: -1 }],
      `at ["id"]`
    ],
    ["a value that a filter refuses", Db.table("t", Filtered), [{ id: 1, name: "" }], `at ["name"]`]
  ] as ReadonlyArray<readonly [string, typeof repos, ReadonlyArray<any>, string]>)(
    "names row and field of %s, and keeps nothing",
    ([, sink, elements, message]) =>
      withDb(
        Effect.gen(function* () {
          const error = yield* Effect.flip(writeTo(sink, elements))
          assert.instanceOf(error, Db.DbError)
          assert.include(error.message, message)
          assert.include(error.message, `could not write ${elements.length} rows to table "t"`)
          assert.deepEqual(yield* rowsOf("t"), [])
          assert.isTrue(
            Option.isNone(yield* Effect.flatMap(Journal.Journal, (journal) => journal.load(Journal.keyOf("test"))))
          )
        })
      )
  )

  it.effect("leaves no part of a batch that fails, so that a part of it may be tried again in the same commit", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE repos (id INTEGER CHECK (id < 999), name TEXT)`)
        const { journal } = yield* Db.Db
        const batch = Array.from({ length: 1000 }, (_, id) => ({ id, name: "n" }))
        const lease = yield* leaseOf(journal)
        const writer = yield* repos.open(openingBy(lease))
        yield* lease.commit(
          Effect.gen(function* () {
            const error = yield* Effect.flip(writer.write(batch, Option.none()))
            assert.include(error.message, "CHECK constraint failed")
            yield* writer.write(batch.slice(0, 2), Option.none())
            return kept()
          })
        )
        assert.deepEqual(
          (yield* rowsOf("repos")).map(({ id }) => id),
          [0, 1]
        )
      }).pipe(Effect.scoped)
    )
  )
})

describe("Db.table: one transaction with the journal", () => {
  it.effect("keeps rows and checkpoint together, or neither", () =>
    withDb(
      Effect.gen(function* () {
        const { journal } = yield* Db.Db
        const lost = yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* leaseOf(journal)
            const writer = yield* repos.open(openingBy(lease))
            const write = writer.write([{ id: 1, name: "lost" }], Option.none())
            return yield* Effect.flip(lease.commit(Effect.andThen(write, Effect.fail("after the rows" as const))))
          })
        )
        assert.strictEqual(lost, "after the rows")
        assert.deepEqual(yield* rowsOf("repos"), [])
        assert.isTrue(Option.isNone(yield* journal.load(Journal.keyOf("test"))))

        yield* writeTo(repos, [{ id: 1, name: "kept" }])
        assert.strictEqual((yield* rowsOf("repos")).length, 1)
        assert.isTrue(Option.isSome(yield* journal.load(Journal.keyOf("test"))))
      })
    )
  )

  it.effect("keeps neither when the disk is full, and says so", () =>
    withDb(
      Effect.gen(function* () {
        const { journal, sql } = yield* Db.Db
        yield* writeTo(repos, [{ id: 0, name: "first" }])
        const before = yield* journal.load(Journal.keyOf("test"))
        const [pages] = yield* sql<{ page_count: number }>`PRAGMA page_count`
        yield* sql.unsafe(`PRAGMA max_page_count = ${(pages?.page_count ?? 0) + 2}`)
        const many = Array.from({ length: 5000 }, (_, id) => ({ id, name: "x".repeat(100) }))
        const error = yield* Effect.flip(writeTo(repos, many))
        assert.instanceOf(error, Db.DbError)
        assert.include(error.message, `could not write 5000 rows to table "repos": the disk is full`)
        assert.deepEqual(yield* rowsOf("repos"), [{ id: 0, name: "first" }])
        assert.deepEqual(yield* journal.load(Journal.keyOf("test")), before)

        // With room again, the same connection goes on.
        yield* sql`PRAGMA max_page_count = 100000`
        yield* writeTo(repos, many)
        assert.strictEqual((yield* rowsOf("repos")).length, 5001)
      })
    )
  )

  it.effect("a pipeline that fails and runs again writes each row once", () =>
    withDb(
      Effect.gen(function* () {
        const file = yield* newFile
        const lines = Array.from({ length: 5000 }, (_, id) => String(id))
        writeFileSync(file, lines.join("\n"))
        const job = (broken: string) =>
          Pipeline.from(Files.lines(file)).pipe(
            Pipeline.map((line) =>
              line === broken ? Effect.fail("broken") : Effect.succeed({ id: +line, name: line })
            ),
            Pipeline.to(repos)
          )
        const options = { name: "repos", require: "exactly-once" } as const
        assert.strictEqual(yield* Effect.flip(Pipeline.run(job("3500"), options)), "broken")
        const before = (yield* rowsOf("repos")).length
        assert.isAbove(before, 0)
        assert.isBelow(before, 3501)
        yield* Pipeline.run(job("none"), options)
        assert.deepEqual(
          (yield* rowsOf("repos")).map(({ name }) => name),
          lines
        )
      }).pipe(Effect.provide(NodeFileSystem.layer))
    )
  )
})

describe("Db.table and Db.query: names and values are never SQL", () => {
  const nasty = [
    `'; DROP TABLE victims; --`,
    `"; DROP TABLE victims; --`,
    `a"b`,
    "a.b",
    "select",
    "ü ?",
    "$1",
    ":x",
    "`",
    "]"
  ]

  it.effect("in names of tables and columns", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE victims (x)")
        for (const name of nasty) {
          const Odd = Schema.Struct({ [name]: Schema.String, other: Schema.Int })
          const sink = Db.table(name, Odd, { key: name, existing: "replace" })
          yield* writeTo(sink, [{ [name]: "v", other: 1 }] as ReadonlyArray<any>)
          yield* writeTo(sink, [{ [name]: "v", other: 2 }] as ReadonlyArray<any>, Option.some(null))
          const quoted = `"${name.replaceAll(`"`, `""`)}"`
          assert.deepEqual(
            (yield* run(`SELECT * FROM ${quoted}`)).map((row) => ({ ...row })),
            [{ [name]: "v", other: 2 }]
          )
        }
        assert.deepEqual(yield* rowsOf("victims"), [])
      })
    )
  )

  it.effect("in values", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE victims (x)")
        yield* writeTo(
          repos,
          nasty.map((name, id) => ({ id, name }))
        )
        for (const [id, name] of nasty.entries()) {
          assert.deepEqual(yield* Db.query(Repo)`SELECT * FROM repos WHERE name = ${name}`, [{ id, name }])
        }
        assert.deepEqual(yield* rowsOf("victims"), [])
      })
    )
  )

  it.effect("in an object that poses as a piece of SQL", () =>
    withDb(
      Effect.gen(function* () {
        const { sql } = yield* Db.Db
        const [key = ""] = Object.keys(sql.literal(""))
        const posing = JSON.parse(JSON.stringify({ [key]: key, segments: [{ _tag: "Literal", value: "1 OR 1" }] }))
        const error = yield* Effect.flip(Db.query(Repo)`SELECT * FROM repos WHERE id = ${0} OR id = ${posing}`)
        assert.strictEqual(
          error.message.replace(/^Database .*?: /, ""),
          `could not run the query "SELECT * FROM repos WHERE id = ? OR id = ?": ` +
            `parameter 2 is an object. Give it as Db.json(…)`
        )
      })
    )
  )
})

describe("Db.query", () => {
  it.effect("decodes each row by the schema, with parameters of every kind", () =>
    withDb(
      Effect.gen(function* () {
        const Kinds = Schema.Struct({
          s: Schema.String,
          n: Schema.Number,
          b: Schema.BigInt,
          t: Schema.Boolean,
          z: Schema.Null,
          u: Schema.Uint8Array
        })
        const value = { s: "s", n: 1.5, b: 2n ** 60n, t: true, z: null, u: new Uint8Array([1, 2]) }
        const { s, n, b, t, z, u } = value
        const rows = yield* Db.query(Kinds)`SELECT ${s} AS s, ${n} AS n, ${b} AS b, ${t} AS t, ${z} AS z, ${u} AS u`
        assert.deepEqual(rows, [value])
      })
    )
  )

  it.effect("says which row and field is not as the schema says", () =>
    withDb(
      Effect.gen(function* () {
        const error = yield* Effect.flip(Db.query(Repo)`SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, NULL`)
        assert.include(error.message, "row 2 is not as the schema says: Expected string")
        assert.include(error.message, `["name"]`)
        const missing = yield* Effect.flip(Db.query(Repo)`SELECT 1 AS id`)
        assert.include(missing.message, "Missing key")
      })
    )
  )

  it.effect("says what SQLite says of a query that is wrong", () =>
    withDb(
      Effect.gen(function* () {
        const error = yield* Effect.flip(Db.query(Repo)`SELECT * FROM nowhere`)
        assert.include(error.message, `could not run the query "SELECT * FROM nowhere": no such table: nowhere`)
        assert.strictEqual((error.cause as { readonly _tag?: string })._tag, "SqlError")
      })
    )
  )

  it.effect("says how to read an integer that a number cannot hold", () =>
    withDb(
      Effect.gen(function* () {
        const error = yield* Effect.flip(Db.query(Schema.Struct({ n: Schema.Number }))`SELECT 9007199254740993 AS n`)
        assert.include(error.message, "Read it as a bigint")
        const Exact = Schema.Struct({ n: Schema.BigInt, small: Schema.Int })
        assert.deepEqual(yield* Db.query(Exact)`SELECT 9007199254740993 AS n, 1 AS small`, [
          { n: 9007199254740993n, small: 1 }
        ])
      })
    )
  )
})

describe("Db.open", () => {
  it.effect.each([["sqlite:"], ["file://"], [""]])("opens an SQLite file from %s and its path", ([prefix]) =>
    Effect.gen(function* () {
      const file = yield* newFile
      const db = yield* connect(prefix + file)
      assert.strictEqual(db.name, file)
      assert.deepEqual(
        (yield* db.sql`SELECT 1 AS one`).map((row) => ({ ...row })),
        [{ one: 1 }]
      )
    })
  )

  it.live("says what it could not open and why, and no password", () =>
    Effect.gen(function* () {
      for (const [url, reason] of [
        ["postgres://me:secret@127.0.0.1:1/db", "no server listens at 127.0.0.1:1. Is it running?"],
        ["postgresql://me:secret@127.0.0.1:1/db?sslmode=no", "sslmode"],
        ["mysql://me:secret@host/db", "there is no driver for mysql: URLs"]
      ] as const) {
        const error = yield* Effect.flip(connect(url))
        assert.instanceOf(error, Db.DbError)
        assert.include(error.message, reason)
        assert.notInclude(JSON.stringify(error) + error.message, "secret")
      }
    })
  )

  it.effect("gives the journal that is in the database", () =>
    Effect.gen(function* () {
      const same = yield* Effect.map(Effect.all([Db.Db, Journal.Journal]), ([db, journal]) => db.journal === journal)
      assert.isTrue(same)
    }).pipe(Effect.provide(Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))))
  )
})

describe("Db.table: text that has no UTF-8 form", () => {
  const half = "a\ud800"
  const Text = Schema.Struct({ id: Schema.String, name: Schema.NullOr(Schema.String) })
  const Json = Schema.Struct({ id: Schema.Int, any: Schema.Json })
  const Either = Schema.Struct({ id: Schema.Int, any: Schema.Union([Schema.String, Schema.Number]) })
  const Template = Schema.Struct({ id: Schema.Int, any: Schema.TemplateLiteral(["x", Schema.String]) })

  it.effect.each([
    ["a key", Db.table("t", Text, { key: "id" }), { id: half, name: null }, "id"],
    ["a column", Db.table("t", Text), { id: "1", name: half }, "name"],
    ["a literal's column", Db.table("t", Template), { id: 1, any: `x${half}` }, "any"],
    ["a JSON column", Db.table("t", Json), { id: 1, any: { a: [half] } }, "any"],
    ["a name in a JSON column", Db.table("t", Json), { id: 1, any: { [half]: 1 } }, "any"],
    ["a string in a JSON column", Db.table("t", Either), { id: 1, any: half }, "any"]
  ] as ReadonlyArray<readonly [string, Sink.Sink<any, Db.DbError, Db.Db, "exactly-once">, object, string]>)(
    "is refused in %s, where it would become another text",
    ([, sink, row, column]) =>
      withDb(
        Effect.gen(function* () {
          const error = yield* Effect.flip(writeTo(sink, [row]))
          assert.instanceOf(error, Db.DbError)
          assert.deepInclude(error, { row: 0, column })
          assert.include(error.message, `row 1 does not encode: field "${column}" has half of a character in it`)
          assert.deepEqual(yield* rowsOf("t"), [])
        })
      )
  )

  it.effect("is told from text that only looks like its escape", () =>
    withDb(
      Effect.gen(function* () {
        const rows = [
          { id: 1, any: "\\ud800" },
          { id: 2, any: ["\\\\ud800", "\\", "😀"] }
        ]
        yield* writeTo(Db.table("t", Json), rows)
        assert.deepEqual(yield* Db.query(Json)`SELECT * FROM t`, rows)
      })
    )
  )

  it.effect("is refused in names of tables and columns, and in parameters", () =>
    withDb(
      Effect.gen(function* () {
        assert.include((yield* opening(Db.table(half, Repo))).reason, "printable characters")
        const odd = Db.table("t", Schema.Struct({ [half]: Schema.String }))
        assert.include((yield* opening(odd)).reason, `the name of a field ("a\\ud800") has half of a character`)
        const error = yield* Effect.flip(Db.query(Repo)`SELECT 1 AS id, ${half} AS name`)
        assert.include(error.message, "parameter 1 has half of a character")
      })
    )
  )
})

describe("Db.table: names that every object has", () => {
  const names = ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"]

  it.effect.each(names.map((name) => [name] as const))("%s is a column like any other", ([name]) =>
    withDb(
      Effect.gen(function* () {
        const Odd = Schema.Struct({ [name]: Schema.String, other: Schema.Int })
        const Parsed = Schema.Struct({ [name]: Schema.NumberFromString, other: Schema.Int })
        const Maybe = Schema.Struct({ [name]: Schema.optionalKey(Schema.String), other: Schema.Int })
        const row = { other: 1 }
        Object.defineProperty(row, name, { value: "7", enumerable: true })
        yield* writeTo(Db.table("odd", Odd, { key: name }), [row] as ReadonlyArray<any>)
        assert.deepEqual(yield* columnsOf("odd"), [`${name} TEXT NOT NULL KEY 1`, "other INTEGER NOT NULL"])
        const [kept] = yield* Db.query(Odd)`SELECT * FROM odd`
        assert.deepEqual(Object.entries(kept!), [
          [name, "7"],
          ["other", 1]
        ])

        const number = { other: 1 }
        Object.defineProperty(number, name, { value: 7, enumerable: true })
        yield* writeTo(Db.table("parsed", Parsed, { key: name }), [number] as ReadonlyArray<any>)
        assert.strictEqual(Object.entries((yield* Db.query(Parsed)`SELECT * FROM parsed`)[0]!)[0]![1], 7)

        yield* writeTo(Db.table("maybe", Maybe), [{ other: 1 }] as ReadonlyArray<any>)
        assert.deepEqual(
          (yield* Db.query(Maybe)`SELECT other FROM maybe UNION ALL SELECT 2`).map((row) => Object.entries(row)),
          [[["other", 1]], [["other", 2]]]
        )
        const missing = yield* Effect.flip(Db.query(Odd)`SELECT 1 AS other`)
        assert.include(missing.message, "Missing key")
        const short = yield* Effect.flip(writeTo(Db.table("odd", Odd), [{ other: 1 }] as ReadonlyArray<any>))
        assert.include(short.message, `field "${name}" has to be a string`)
      })
    )
  )
})

describe("Db.table: values nested deeper than the stack", () => {
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as Schema.Json
  type Tree = number | ReadonlyArray<Tree>
  const Tree: Schema.Codec<Tree> = Schema.Union([
    Schema.Number,
    Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
  ])

  it.effect.each([
    ["of JSON", Schema.Struct({ id: Schema.Int, deep: Schema.Json })],
    ["of a recursive schema", Schema.Struct({ id: Schema.Int, deep: Tree })],
    ["of a row that is encoded", Schema.Struct({ id: Schema.NumberFromString, deep: Schema.Json })],
    ["of a row that is encoded, of a recursive schema", Schema.Struct({ id: Schema.NumberFromString, deep: Tree })]
  ] as ReadonlyArray<readonly [string, Schema.Codec<any, any>]>)("are refused: %s", ([, schema]) =>
    withDb(
      Effect.gen(function* () {
        const sink = Db.table("t", schema, { key: "id" as never })
        const error = yield* Effect.flip(
          writeTo(sink, [
            { id: 1, deep: 1 },
            { id: 2, deep }
          ])
        )
        assert.instanceOf(error, Db.DbError)
        assert.strictEqual(error.row, 1)
        assert.match(error.message, /row 2 does not encode: .*nested too deep.*\(key \{"id":"?2"?\}\)$/)
      })
    )
  )

  it.effect("are refused where a table has them", () =>
    withDb(
      Effect.gen(function* () {
        const text = "[".repeat(100_000) + "]".repeat(100_000)
        for (const type of [Tree, Schema.String, Schema.Array(Schema.Int)]) {
          const exit = yield* Effect.exit(Db.query(Schema.Struct({ a: type }))`SELECT ${text} AS a`)
          if (type === Schema.String) assert.isTrue(Exit.isSuccess(exit))
          else assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined, Db.DbError)
        }
      })
    )
  )
})

describe("Db.table: which row is at fault", () => {
  /** What a writer says of the error of another. */
  const atFault = (error: Db.DbError) =>
    Effect.scoped(
      Effect.map(Db.table("other", Repo).open(openingAlone()), (writer) => {
        assert.isDefined(writer.atFault)
        return writer.atFault(error)
      })
    )
  const failing = <A>(sink: Sink.Sink<A, Db.DbError, Db.Db, "exactly-once">, elements: ReadonlyArray<A>) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(writeTo(sink, elements))
      assert.instanceOf(error, Db.DbError)
      return { error, message: error.message.replace(/^Database .*?: /, ""), at: yield* atFault(error) }
    })

  it.effect("is told by key and field for what does not encode", () =>
    withDb(
      Effect.gen(function* () {
        const Sample = Schema.Struct({ sensor: Schema.String, at: Schema.Int, value: Schema.NonEmptyString })
        const samples = Db.table("samples", Sample, { key: ["sensor", "at"] })
        const rows = [
          { sensor: "a", at: 1, value: "x" },
          { sensor: "b", at: 2, value: "" }
        ]
        const refused = yield* failing(samples, rows)
        assert.deepEqual(refused.at, [1])
        assert.deepInclude(refused.error, { row: 1, column: "value", key: `{"sensor":"b","at":2}` })
        assert.match(
          refused.message,
          /^could not write 2 rows to table "samples": row 2 does not encode: .* \(key {"sensor":"b","at":2}\)$/
        )
        const keyless = yield* failing(repos, [{ id: 1.5, name: "x" }])
        assert.deepInclude(keyless.error, { row: 0, column: "id" })
        assert.isUndefined(keyless.error.key)
      })
    )
  )

  it.effect.each([
    ["UNIQUE", "id INTEGER PRIMARY KEY, name TEXT UNIQUE", { id: 2, name: "taken" }, "name"],
    [
      "UNIQUE of two",
      "id INTEGER PRIMARY KEY, name TEXT, z INTEGER DEFAULT 1, UNIQUE (name, z)",
      { id: 2, name: "taken" },
      "name, z"
    ],
    ["CHECK", "id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad')", { id: 2, name: "bad" }, "name"],
    [
      "a named CHECK",
      "id INTEGER PRIMARY KEY, name TEXT, CONSTRAINT good CHECK (name <> 'bad')",
      { id: 2, name: "bad" },
      undefined
    ],
    [
      "NOT NULL in a trigger",
      "id INTEGER PRIMARY KEY, name TEXT, len INTEGER NOT NULL GENERATED ALWAYS AS (nullif(length(name), 3))",
      { id: 2, name: "bad" },
      "len"
    ],
    [
      "an expression that fails",
      "id INTEGER PRIMARY KEY, name TEXT, len INTEGER AS (json_extract(name, '$')) STORED",
      { id: 2, name: "bad" },
      undefined
    ]
  ] as const)("is told by key and column for a single one that the database refuses: %s", ([, columns, row, column]) =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE repos (${columns})`)
        yield* writeTo(byId, [{ id: 1, name: columns.includes("json") ? "1" : "taken" }])
        const single = yield* failing(byId, [row])
        assert.deepEqual(single.at, [0])
        assert.deepInclude(single.error, { row: 0, key: `{"id":2}` })
        assert.strictEqual(single.error.column, column)
        assert.match(
          single.message,
          /^could not write 1 rows to table "repos": row 1 was refused: .* \(key {"id":2}\)$/
        )
        // One statement takes two rows, and one the third.
        const good = [3, 4].map((id) => ({ id, name: `${id}` }))
        assert.deepEqual((yield* failing(byId, [...good, row])).at, [2])
        const many = yield* failing(byId, [...good, row, { id: 5, name: "5" }])
        assert.isUndefined(many.at)
        assert.strictEqual(many.error.column, column)
        assert.isUndefined(many.error.row)
      })
    )
  )

  it.effect("is not asked where the failure is not about rows", () =>
    withDb(
      Effect.gen(function* () {
        const { sql } = yield* Db.Db
        const one = [{ id: 1, name: "x" }]
        assert.strictEqual(yield* atFault(yield* opening(Db.table("", Repo))), "batch")
        const writing = Effect.flatMap(repos.open(openingAlone()), (writer) =>
          Effect.andThen(run("ALTER TABLE repos RENAME TO gone"), Effect.flip(writer.write(one, Option.none())))
        )
        const gone = yield* Effect.scoped(writing)
        assert.include(gone.message, "no such table")
        assert.strictEqual(yield* atFault(gone), "batch")

        yield* writeTo(repos, one)
        const [pages] = yield* sql<{ page_count: number }>`PRAGMA page_count`
        yield* sql.unsafe(`PRAGMA max_page_count = ${pages!.page_count}`)
        const full = yield* failing(repos, [{ id: 1, name: "x".repeat(100_000) }])
        assert.include(full.message, "the disk is full")
        assert.strictEqual(full.at, "batch")
        assert.isUndefined(full.error.row)
      }).pipe(Effect.scoped)
    )
  )

  it.live("is not asked where the database is locked", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const mine = yield* connect(file, { lockTimeout: 1 })
      const other = yield* connect(file)
      const writer = yield* Effect.provideService(repos.open(openingAlone()), Db.Db, mine)
      const writing = Effect.provideService(writer.write([{ id: 1, name: "x" }], Option.none()), Db.Db, mine)
      const locked = yield* other.sql.withTransaction(Effect.flip(writing))
      assert.include(locked.message, "SQLITE_BUSY")
      assert.strictEqual(writer.atFault?.(locked), "batch")
    }).pipe(Effect.scoped)
  )
})
