import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, Journal, Pipeline, type Sink } from "skein"
import { fresh } from "../support/postgres/database.ts"
import { kept, leaseOf, openingAlone, openingBy, within, writeTo } from "../support/database.ts"

const Repo = Schema.Struct({ id: Schema.Int, name: Schema.String })
const withDb = within(fresh)
const run = (statement: string) => Effect.flatMap(Db.Db, ({ sql }) => sql.unsafe(statement))
const textOf = (query: string) => Effect.map(run(query), (rows) => rows.map((row) => Object.values(row).join("|")))
type TableSink = Sink.Sink<any, Db.DbError, Db.Db, "exactly-once">
const refusal = (sink: TableSink) =>
  Effect.map(Effect.scoped(Effect.flip(sink.open(openingAlone()))), ({ reason }) => reason)
const failing = (sink: TableSink, rows: ReadonlyArray<unknown>) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(writeTo(sink, rows))
    assert.instanceOf(error, Db.DbError)
    const at = yield* Effect.scoped(Effect.map(sink.open(openingAlone()), (writer) => writer.atFault?.(error)))
    return { error, at }
  })
/** Runs a job to its end, and gives how many became dead letters, with why. */
const buried = (sink: TableSink, rows: ReadonlyArray<unknown>) =>
  Effect.gen(function* () {
    const job = Pipeline.from(rows).pipe(Pipeline.to(sink, { onError: { deadLetter: Schema.Any } }))
    yield* Pipeline.run(job, { name: "job" })
    const { journal } = yield* Db.Db
    return yield* journal.dead(Journal.keyOf("job"))
  })

describe("Db.table on PostgreSQL: creating the table", () => {
  it.effect("makes columns from the encoded side of the schema", () =>
    withDb(
      Effect.gen(function* () {
        const Everything = Schema.Struct({
          id: Schema.Int,
          text: Schema.String,
          number: Schema.Number,
          flag: Schema.Boolean,
          big: Schema.BigInt,
          bytes: Schema.Uint8Array,
          date: Schema.Date,
          decimal: Schema.BigDecimal,
          url: Schema.URL,
          choice: Schema.NullOr(Schema.Literals(["a", "b"])),
          list: Schema.optionalKey(Schema.Array(Schema.String)),
          either: Schema.Union([Schema.String, Schema.Number])
        })
        yield* Effect.scoped(Db.table("everything", Everything, { key: ["id", "text"] }).open(openingAlone()))
        assert.deepEqual(
          yield* textOf(`SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
            WHERE attrelid = 'everything'::regclass AND attnum > 0 ORDER BY attnum`),
          [
            "id|bigint|true",
            "text|text|true",
            "number|double precision|true",
            "flag|boolean|true",
            "big|bigint|true",
            "bytes|bytea|true",
            "date|timestamp with time zone|true",
            "decimal|numeric|true",
            "url|text|true",
            "choice|text|false",
            "list|jsonb|false",
            "either|jsonb|true"
          ]
        )
        assert.deepEqual(
          yield* textOf(
            `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = 'everything'::regclass`
          ),
          ["PRIMARY KEY (id, text)"]
        )
      })
    )
  )

  it.effect("refuses what cannot be a table, saying why", () =>
    withDb(
      Effect.gen(function* () {
        const long = "é".repeat(32)
        const cases: ReadonlyArray<readonly [TableSink, RegExp]> = [
          [Db.table("pg_x", Repo), /begin with pg_ and skein_ are taken/],
          [Db.table(long, Repo), /longer than the 63 bytes/],
          [Db.table("t", Schema.Struct({ [long]: Schema.Int })), /the name of a column .* is longer than the 63 bytes/],
          [Db.table("t", Schema.Struct({ "a\0b": Schema.Int })), /the name of a column \("a\\u0000b"\) has a NUL/],
          [Db.table("t", Repo, { types: { id: "int8); DROP TABLE x; --" } }), /is no type of a column/],
          [Db.table("t", Repo, { types: { id: "bytea" } }), /the type of "id" keeps no such values: bigint/],
          [Db.table("t", Repo, { types: { name: "nosuchtype" } }), /type "nosuchtype" does not exist/]
        ]
        for (const [sink, reason] of cases) assert.match(yield* refusal(sink), reason)
        assert.deepEqual(yield* textOf("SELECT relname FROM pg_class WHERE relname IN ('t', 'pg_x')"), [])
      })
    )
  )

  it.effect("takes names for nothing but names", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE victims (x text)")
        for (const name of [`order"; DROP TABLE victims; --`, `'; DROP`, "a.b", "select", "ü ?", "$1", "%I", "Upper"]) {
          const Odd = Schema.Struct({ [name]: Schema.String, other: Schema.Int })
          for (const key of [undefined, name]) {
            const sink = Db.table(`${name}${key === undefined ? "" : "k"}`, Odd, { key } as object)
            yield* writeTo(sink, [{ [name]: name, other: 1 }] as ReadonlyArray<any>)
            yield* writeTo(sink, [{ [name]: name, other: 2 }] as ReadonlyArray<any>, Option.some(null))
          }
          const { sql } = yield* Db.Db
          const rows = yield* sql.unsafe(`SELECT * FROM "${name.replaceAll('"', '""')}k"`)
          assert.deepEqual(
            rows.map((row) => Object.values(row).map(String)),
            [[name, "2"]]
          )
        }
        assert.deepEqual(yield* textOf("SELECT * FROM victims"), [])
      })
    )
  )
})

describe("Db.table on PostgreSQL: a table that is there", () => {
  const used = (setup: string, sink: TableSink, rows: ReadonlyArray<unknown>, query: string) =>
    withDb(
      Effect.gen(function* () {
        for (const statement of setup.split(";\n")) yield* run(statement)
        yield* writeTo(sink, rows)
        return yield* textOf(query)
      })
    )
  const rows = [
    { id: 1, name: "a" },
    { id: 2, name: "b" }
  ]

  it.effect.each([
    [
      "has other columns with defaults, of identity, computed ones",
      "CREATE TABLE repos (own int GENERATED ALWAYS AS IDENTITY, id int2, name varchar(20), at timestamptz NOT NULL DEFAULT now(), twice int GENERATED ALWAYS AS (id * 2) STORED)"
    ],
    ["had a column once", "CREATE TABLE repos (gone int, id int, name text);\nALTER TABLE repos DROP COLUMN gone"],
    [
      "is in another schema of the search path",
      "CREATE SCHEMA other;\nCREATE TABLE other.repos (id int, name text);\nDO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = other, public', current_database()); END $$;\nSET search_path = other, public"
    ],
    [
      "is partitioned",
      "CREATE TABLE repos (id int, name text) PARTITION BY LIST (id);\nCREATE TABLE repos_1 PARTITION OF repos FOR VALUES IN (1);\nCREATE TABLE repos_2 PARTITION OF repos FOR VALUES IN (2)"
    ],
    [
      "is a view that passes rows on",
      "CREATE TABLE base (id int, name text);\nCREATE VIEW repos AS SELECT * FROM base"
    ],
    [
      "is a view with a trigger",
      "CREATE TABLE base (id int, name text);\nCREATE VIEW repos AS SELECT id, name FROM base WHERE id + 1 > 0 GROUP BY id, name;\nCREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO base VALUES (new.id, new.name); RETURN new; END';\nCREATE TRIGGER put INSTEAD OF INSERT ON repos FOR EACH ROW EXECUTE FUNCTION put()"
    ],
    [
      "has a rule",
      "CREATE TABLE base (id int, name text);\nCREATE TABLE repos (id int, name text);\nCREATE RULE r AS ON INSERT TO repos DO ALSO INSERT INTO base VALUES (new.id, new.name)"
    ],
    [
      "has domains and enums",
      "CREATE DOMAIN small AS int2 CHECK (VALUE < 9);\nCREATE TYPE letter AS ENUM ('a', 'b');\nCREATE TABLE repos (id small, name letter)"
    ]
  ] as const)("is used where it %s", ([, setup]) =>
    Effect.gen(function* () {
      assert.deepEqual(yield* used(setup, Db.table("repos", Repo), rows, "SELECT id, name FROM repos ORDER BY id"), [
        "1|a",
        "2|b"
      ])
    })
  )

  it.effect("is used with its rule, which COPY would not obey", () =>
    Effect.gen(function* () {
      const setup =
        "CREATE TABLE base (id int);\nCREATE TABLE repos (id int, name text);\nCREATE RULE r AS ON INSERT TO repos DO ALSO INSERT INTO base VALUES (new.id)"
      assert.deepEqual(yield* used(setup, Db.table("repos", Repo), rows, "SELECT id FROM base ORDER BY id"), ["1", "2"])
    })
  )

  it.effect("is refused where it does not fit, naming every column", () =>
    withDb(
      Effect.gen(function* () {
        yield* run(
          `CREATE TABLE repos (id text, "Name" text, stars int NOT NULL, own int GENERATED ALWAYS AS IDENTITY)`
        )
        const Own = Schema.Struct({ ...Repo.fields, own: Schema.Int })
        assert.strictEqual(
          yield* refusal(Db.table("repos", Own)),
          `the table that is there does not fit: its column "id" is text where the schema needs bigint; ` +
            `its column "own" is computed by the database, so nobody can write it; it has no column "name" (text); ` +
            `its column "stars" is NOT NULL without a default, and the schema has no such field. ` +
            `Change the table or the schema, or choose another name`
        )
      })
    )
  )

  it.effect("is refused where its key is not unique, or not before the end of a transaction", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE repos (id int, name text)")
        const byId = Db.table("repos", Repo, { key: "id" })
        assert.match(yield* refusal(byId), /"id" is not unique in it/)
        yield* run("CREATE UNIQUE INDEX part ON repos (id) WHERE id > 0")
        assert.match(yield* refusal(byId), /"id" is not unique in it/)
        yield* run("ALTER TABLE repos ADD CONSTRAINT late UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
        assert.match(yield* refusal(byId), /what makes "id" unique in it is deferrable/)
        yield* writeTo(Db.table("repos", Repo, { key: "id", onConflict: "fail" }), [])
        yield* run("ALTER TABLE repos DROP CONSTRAINT late")
        yield* run("CREATE UNIQUE INDEX whole ON repos (id)")
        yield* writeTo(byId, rows)
        yield* writeTo(byId, [{ id: 1, name: "c" }], Option.some(null))
        assert.deepEqual(yield* textOf("SELECT id, name FROM repos ORDER BY id"), ["1|c", "2|b"])
      })
    )
  )

  it.effect("has keys that only PostgreSQL tells apart", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE prices (at numeric PRIMARY KEY, price int)")
        const Price = Schema.Struct({ at: Schema.String, price: Schema.Int })
        const twice = [
          { at: "1.0", price: 1 },
          { at: "2", price: 2 },
          { at: "1.00", price: 3 }
        ]
        yield* writeTo(Db.table("prices", Price, { key: "at" }), twice)
        assert.deepEqual(yield* textOf("SELECT at::int, price FROM prices ORDER BY 1"), ["1|3", "2|2"])
        yield* run("DELETE FROM prices")
        yield* writeTo(Db.table("prices", Price, { key: "at", onConflict: "ignore" }), twice)
        assert.deepEqual(yield* textOf("SELECT at::int, price FROM prices ORDER BY 1"), ["1|1", "2|2"])
      })
    )
  )

  it.effect("has the policies of its rows obeyed", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE repos (id int, name text)")
        yield* run("ALTER TABLE repos ENABLE ROW LEVEL SECURITY")
        yield* run("ALTER TABLE repos FORCE ROW LEVEL SECURITY")
        yield* run("CREATE POLICY p ON repos USING (true) WITH CHECK (name <> 'secret')")
        const role = `r${Math.random().toString(36).slice(2)}`
        yield* run(`CREATE ROLE ${role}`)
        yield* run(`GRANT ALL ON repos TO ${role}`)
        const { sql } = yield* Db.Db
        const written = sql.withTransaction(
          Effect.gen(function* () {
            yield* sql.unsafe(`SET LOCAL ROLE ${role}`)
            const writer = yield* Db.table("repos", Repo).open(openingAlone())
            yield* writer.write(rows, Option.none())
            const error = yield* Effect.flip(writer.write([{ id: 3, name: "secret" }], Option.none()))
            assert.deepInclude(error, { row: 0 })
            assert.match(error.message, /row-level security policy/)
          })
        )
        yield* Effect.ensuring(Effect.scoped(written), Effect.ignore(run(`DROP OWNED BY ${role}; DROP ROLE ${role}`)))
        assert.deepEqual(yield* textOf("SELECT id FROM repos ORDER BY id"), ["1", "2"])
      })
    )
  )
})

describe("Db.table on PostgreSQL: which row is at fault", () => {
  const Row = Schema.Struct({ id: Schema.Int, name: Schema.NullOr(Schema.String) })
  const many = (bad: object) => [
    ...Array.from({ length: 3000 }, (_, i) => ({ id: i + 10, name: `n${i}` })),
    bad,
    { id: 5, name: "e" }
  ]

  it.effect.each([
    ["a key that is there", "id int PRIMARY KEY, name text", { id: 1, name: "x" }, "id", /duplicate key/],
    ["a value that is there", "id int, name text, UNIQUE (name)", { id: 2, name: "taken" }, "name", /duplicate key/],
    ["a CHECK", "id int, name text CHECK (name <> 'bad')", { id: 2, name: "bad" }, "name", /check constraint/],
    [
      "NOT NULL",
      "id int, name text, len text NOT NULL GENERATED ALWAYS AS (nullif(name, 'bad')) STORED",
      { id: 2, name: "bad" },
      undefined,
      /null value in column "len"/
    ],
    ["a trigger", "id int, name text", { id: 2, name: "bad" }, undefined, /no bad ones/],
    [
      "an expression",
      "id int, name text, half int GENERATED ALWAYS AS (1 / (id - 2)) STORED",
      { id: 2, name: "x" },
      undefined,
      /division by zero/
    ]
  ] as const)("is told at once of one that COPY brings: %s", ([what, columns, bad, column, message]) =>
    withDb(
      Effect.gen(function* () {
        yield* run(`CREATE TABLE repos (${columns})`)
        yield* run("INSERT INTO repos (id, name) VALUES (1, 'taken')")
        if (what === "a trigger") {
          yield* run(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.name = 'bad' THEN RAISE 'no bad ones'; END IF; RETURN new; END $$"
          )
          yield* run("CREATE TRIGGER t BEFORE INSERT ON repos FOR EACH ROW EXECUTE FUNCTION f()")
        }
        const sink = Db.table("repos", Row)
        const { at, error } = yield* failing(sink, many(bad))
        assert.deepEqual(at, [3000])
        assert.strictEqual(error.row, 3000)
        assert.match(error.message, message)
        if (column !== undefined) assert.strictEqual(error.column, column)
        const letters = yield* buried(sink, many(bad))
        assert.deepEqual(
          letters.map(({ input }) => input),
          [bad]
        )
        assert.deepEqual(yield* textOf("SELECT count(*) FROM repos"), ["3002"])
      })
    )
  )

  it.effect("is found by halves where an upsert brings it, and named by its key", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE repos (id int PRIMARY KEY, name text CHECK (name <> 'bad'))")
        // With a trigger nothing is tried by COPY, which would name the row.
        yield* run("CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        yield* run("CREATE TRIGGER same BEFORE INSERT ON repos FOR EACH ROW EXECUTE FUNCTION same()")
        const sink = Db.table("repos", Row, { key: "id" })
        const bad = { id: 2, name: "bad" }
        const whole = yield* failing(sink, many(bad))
        assert.isUndefined(whole.at)
        const single = yield* failing(sink, [bad])
        assert.deepEqual(single.at, [0])
        assert.deepInclude(single.error, { row: 0, key: `{"id":2}`, column: "name" })
        const letters = yield* buried(sink, many(bad))
        assert.deepEqual(
          letters.map(({ input }) => input),
          [bad]
        )
        assert.deepEqual(yield* textOf("SELECT count(*) FROM repos"), ["3001"])
      })
    )
  )

  it.effect("is found where a constraint would wait for COMMIT", () =>
    withDb(
      Effect.gen(function* () {
        yield* run("CREATE TABLE owners (id int PRIMARY KEY)")
        yield* run("INSERT INTO owners SELECT generate_series(0, 9000)")
        yield* run("CREATE TABLE repos (id int REFERENCES owners DEFERRABLE INITIALLY DEFERRED, name text)")
        const sink = Db.table("repos", Row)
        const bad = { id: 77_777, name: "orphan" }
        const letters = yield* buried(sink, many(bad))
        assert.deepEqual(
          letters.map(({ input }) => input),
          [bad]
        )
        assert.match(letters[0]!.cause, /foreign key/)
        assert.deepEqual(yield* textOf("SELECT count(*) FROM repos"), ["3001"])
      })
    )
  )

  it.effect.each([
    ["a NUL", "text", "a\0b", /has the character NUL in it/],
    ["a long NUL", "text", `${"x".repeat(99)}\0`, /has the character NUL in it/],
    ["half of a character", "text", "a\ud800", /lone surrogate/],
    ["half of a character in a long text", "text", `${"x".repeat(99)}\udc00`, /lone surrogate/],
    ["no UUID", "uuid", "1234", /has to be a UUID/],
    ["too long a text", "varchar(3)", "abcd", /is longer than the 3 characters/],
    ["spaces that would be cut off", "varchar(3)", "abc ", /is longer than the 3 characters/],
    ["no number", "numeric", "1,5", /has to be a string|has to be/],
    ["a day that is none", "date", "2026-02-30", /has to be a date/],
    ["a time without its zone", "timestamptz", "2026-01-02T03:04:05", /has to be a timestamp with its time zone/],
    ["a time at another zone", "timestamp", "2026-01-02T03:04:05+02:00", /another time zone/],
    ["NUL in JSON", "jsonb", `{"a":"\\u0000"}`, /has the character NUL in it/]
  ] as const)("is named by its field before the server sees it: %s", ([, type, bad, reason]) =>
    withDb(
      Effect.gen(function* () {
        const good = { uuid: "01234567-89ab-cdef-0123-456789abcdef", numeric: "1", date: "2026-01-02", jsonb: "{}" }
        const other =
          (good as Record<string, string>)[type] ?? (type.startsWith("time") ? "2026-01-02T03:04:05Z" : "abc")
        for (const options of [{}, { key: "id" }] as ReadonlyArray<object>) {
          const sink = Db.table("t", Repo, { types: { name: type }, ...options })
          const { at, error } = yield* failing(sink, [
            { id: 1, name: other },
            { id: 2, name: bad }
          ])
          assert.deepEqual(at, [1])
          assert.deepInclude(error, { row: 1, column: "name" })
          assert.match(error.message, reason)
          assert.deepEqual(yield* textOf("SELECT * FROM t"), [])
          // The session goes on.
          yield* writeTo(sink, [{ id: 1, name: other }])
          yield* run("DROP TABLE t")
        }
      })
    )
  )

  it.effect.each([
    ["a bigint beyond 64 bits", Schema.BigInt, undefined, 2n ** 63n, /is beyond 64 bits. .*NUMERIC/],
    ["an integer beyond 32 bits", Schema.Int, "int4", 2 ** 31, /is beyond the 32-bit integers/],
    ["an integer beyond 16 bits", Schema.Int, "smallint", -32_769, /is beyond the 16-bit integers/],
    ["a fraction for an integer", Schema.Number, "int4", 1.5, /has to be a number|integer/],
    ["a date before all", Schema.Date, undefined, new Date(-8.64e15), /is beyond the years/],
    ["a time of day for a date", Schema.Date, "date", new Date(1), /has a time of day/],
    ["a number too large for a real", Schema.Number, "real", 1e300, /is beyond the numbers of 32 bits/],
    ["an array in an array", Schema.Json, "int[]", [[1]], /has an array or an object in it/],
    ["a text in an array of numbers", Schema.Json, "int[]", [1, "x"], /at 1/]
  ] as const)("is named by its field before the server sees it: %s", ([, schema, type, bad, reason]) =>
    withDb(
      Effect.gen(function* () {
        const Value = Schema.Struct({ id: Schema.Int, value: schema as unknown as Schema.Codec<any> })
        const sink = Db.table("t", Value, type === undefined ? {} : { types: { value: type } })
        const { at, error } = yield* failing(sink, [{ id: 2, value: bad }])
        assert.deepEqual(at, [0])
        assert.deepInclude(error, { column: "value" })
        assert.match(error.message, reason)
      })
    )
  )

  it.effect("is not asked where the failure is not about rows", () =>
    withDb(
      Effect.gen(function* () {
        const sink = Db.table("repos", Repo)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* sink.open(openingAlone())
            yield* run("ALTER TABLE repos RENAME TO gone")
            const error = yield* Effect.flip(writer.write([{ id: 1, name: "x" }], Option.none()))
            assert.match(error.message, /"repos" does not exist/)
            assert.strictEqual(writer.atFault?.(error), "batch")
          })
        )
      })
    )
  )
})

describe("Db.table on PostgreSQL: one transaction with the journal", () => {
  it.effect("keeps rows and checkpoint together, or neither, whichever way they are written", () =>
    withDb(
      Effect.gen(function* () {
        const { journal } = yield* Db.Db
        for (const [table, options] of [
          ["copied", {}],
          ["upserted", { key: "id" as const }]
        ] as const) {
          const sink = Db.table(table, Repo, options)
          const lost = yield* Effect.scoped(
            Effect.gen(function* () {
              const lease = yield* leaseOf(journal, { pipeline: table })
              const writer = yield* sink.open(openingBy(lease))
              const write = writer.write([{ id: 1, name: "lost" }], Option.none())
              const lost = yield* Effect.flip(
                lease.commit(Effect.andThen(write, Effect.fail("after the rows" as const)))
              )
              yield* lease.commit(Effect.as(writer.write([{ id: 2, name: "kept" }], Option.none()), kept()))
              return lost
            })
          )
          assert.strictEqual(lost, "after the rows")
          assert.deepEqual(yield* textOf(`SELECT id FROM ${table}`), ["2"])
          assert.isTrue(Option.isSome(yield* journal.load(Journal.keyOf(table))))
        }
      })
    )
  )

  it.effect.each([
    { onConflict: "update" as const, expected: ["a|600", "b|998", "c|1", "d|1000", "e|1000", "f|1"] },
    { onConflict: "ignore" as const, expected: ["a|1000", "b|600", "d|1000", "e|1000"] }
  ])("writes many rows, new and known ones, as one by one ($onConflict)", ({ expected, onConflict }) =>
    withDb(
      Effect.gen(function* () {
        const sink = Db.table("repos", Repo, { key: "id", onConflict })
        const named = (name: string, from: number) => Array.from({ length: 1000 }, (_, i) => ({ id: from + i, name }))
        const { sql } = yield* Db.Db
        const write = (batch: ReadonlyArray<typeof Repo.Type>) =>
          sql.withTransaction(Effect.flatMap(opened, (writer) => writer.write(batch, Option.none())))
        const opened = yield* Effect.cached(sink.open(openingAlone()))
        yield* write(named("a", 0))
        // From the middle on they are new, and one comes twice.
        yield* write([...named("b", 600), { id: 1599, name: "c" }])
        // After that INSERT is used once, then COPY is tried again, with success and without.
        yield* write(named("d", 1600))
        yield* write(named("e", 2600))
        yield* write([{ id: 700, name: "f" }, ...named("e", 2600).slice(1)])
        assert.deepEqual(yield* textOf("SELECT name, count(*) AS n FROM repos GROUP BY name ORDER BY name"), expected)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("takes batches of any size, each row once", () =>
    withDb(
      Effect.gen(function* () {
        for (const options of [{}, { key: "id" as const }]) {
          const sink = Db.table(`t${Object.keys(options).length}`, Repo, options)
          let next = 0
          for (const size of [0, 1, 2, 9_999, 10_001, 25_000]) {
            const batch = Array.from({ length: size }, () => ({ id: next++, name: "é".repeat(next % 70) }))
            yield* writeTo(sink, batch, next === size ? Option.none() : Option.some(null))
          }
          assert.deepEqual(
            yield* textOf(
              `SELECT count(*) AS a, count(DISTINCT id) AS b, max(id) AS c, sum(length(name)) AS d FROM t${Object.keys(options).length}`
            ),
            [
              `${next}|${next}|${next - 1}|${Array.from({ length: next }, (_, i) => (i + 1) % 70).reduce((a, b) => a + b)}`
            ]
          )
        }
      })
    )
  )
})
