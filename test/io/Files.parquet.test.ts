import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { DuckDBInstance } from "@duckdb/node-api"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline, Source } from "skein"
import { openingAlone } from "../support/database.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined

const newPath = Effect.map(
  FileSystem.FileSystem.pipe(Effect.flatMap((fs) => fs.makeTempDirectoryScoped())),
  (folder) => `${folder}/data.parquet`
)

const duck = Effect.acquireRelease(
  Effect.promise(async () => (await DuckDBInstance.create(":memory:")).connect()),
  (connection) => Effect.sync(() => connection.closeSync())
)

const sql = (query: string) =>
  Effect.gen(function* () {
    const connection = yield* duck
    const result = yield* Effect.promise(() => connection.runAndReadAll(query))
    return result.getRowObjectsJson()
  }).pipe(Effect.scoped)

const read = <A>(file: Files.ParquetFile<A>, after?: number) =>
  Stream.runCollect(file.read(Option.fromUndefinedOr(after)))

const values = <A>(file: Files.ParquetFile<A>, after?: number) =>
  Effect.map(read(file, after), (elements) => elements.map((element) => element.value))

const write = <A>(file: Files.ParquetFile<A>, elements: ReadonlyArray<A>) =>
  Pipeline.run(Pipeline.from([...elements]).pipe(Pipeline.to(file)), { name: "write" }).pipe(
    Effect.provide(Journal.memory)
  )

const All = Schema.Struct({
  text: Schema.String,
  int: Schema.Int,
  real: Schema.Number,
  flag: Schema.Boolean,
  big: Schema.BigInt,
  bytes: Schema.Uint8Array,
  date: Schema.Date,
  time: Schema.DateTimeUtc,
  decimal: Schema.BigDecimal,
  choice: Schema.Literals(["a", "b"]),
  nullable: Schema.NullOr(Schema.String),
  maybe: Schema.UndefinedOr(Schema.Int),
  optional: Schema.optionalKey(Schema.Finite),
  either: Schema.Union([Schema.String, Schema.Finite]),
  tags: Schema.Array(Schema.String),
  inner: Schema.Struct({ x: Schema.Int, y: Schema.NullOr(Schema.Array(Schema.Int)) }),
  people: Schema.NullOr(Schema.Array(Schema.Struct({ name: Schema.String, age: Schema.NullOr(Schema.Int) })))
})
type All = typeof All.Type

const full: All = {
  text: "ä€😀 \0\n",
  int: -9007199254740991,
  real: 0.1,
  flag: true,
  big: -9223372036854775808n,
  bytes: new Uint8Array([0, 255, 128]),
  date: new Date(-1),
  time: DateTime.makeUnsafe(1e12),
  decimal: BigDecimal.fromStringUnsafe("-12345678901234567890.0123"),
  choice: "b",
  nullable: "null",
  maybe: 0,
  optional: -0.5,
  either: 7,
  tags: ["", "x", "ü"],
  inner: { x: 1, y: [1, 2] },
  people: [
    { name: "Ada", age: null },
    { name: "", age: 3 }
  ]
}
const { optional: _, ...without } = full
const bare: All = {
  ...without,
  text: "",
  real: Number.NaN,
  flag: false,
  big: 9223372036854775807n,
  bytes: new Uint8Array(),
  nullable: null,
  maybe: undefined,
  either: "7",
  tags: [],
  inner: { x: 0, y: null },
  people: null
}
/** Compared by what they are, and not by what they have worked out. */
const plain = ({ decimal, time, ...row }: All) => ({
  ...row,
  decimal: BigDecimal.format(decimal),
  time: DateTime.formatIso(time)
})
const rows = [full, bare, { ...full, real: -Infinity, people: [] }, { ...bare, inner: { x: 2, y: [] } }]

describe("Files.parquet", () => {
  for (const compression of ["snappy", "gzip", "zstd", "brotli", "none"] as const) {
    it.effect(`reads what it wrote, ${compression}`, () =>
      Effect.gen(function* () {
        const file = Files.parquet(yield* newPath, All, { compression, rowGroup: 3 })
        yield* write(file, rows)
        assert.deepStrictEqual((yield* values(file)).map(plain), rows.map(plain))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  it.effect("writes what DuckDB reads", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      yield* write(Files.parquet(path, All), rows)
      const described = yield* sql(`DESCRIBE SELECT * FROM '${path}'`)
      assert.deepStrictEqual(
        described.map(({ column_name, column_type }) => `${String(column_name)} ${String(column_type)}`),
        [
          "text VARCHAR",
          "int BIGINT",
          "real DOUBLE",
          "flag BOOLEAN",
          "big BIGINT",
          "bytes BLOB",
          "date TIMESTAMP WITH TIME ZONE",
          "time TIMESTAMP WITH TIME ZONE",
          "decimal VARCHAR",
          "choice VARCHAR",
          "nullable VARCHAR",
          "maybe BIGINT",
          "optional DOUBLE",
          "either JSON",
          "tags VARCHAR[]",
          "inner STRUCT(x BIGINT, y BIGINT[])",
          'people STRUCT("name" VARCHAR, age BIGINT)[]'
        ]
      )
      const found = yield* sql(
        `SELECT text, int, big, epoch_ms(date) AS date, decimal, nullable, maybe, optional, either, tags, "inner", people FROM '${path}'`
      )
      assert.deepStrictEqual<unknown>(found[0], {
        text: "ä€😀 \0\n",
        int: "-9007199254740991",
        big: "-9223372036854775808",
        date: "-1",
        decimal: "-12345678901234567890.0123",
        nullable: "null",
        maybe: "0",
        optional: -0.5,
        either: "7",
        tags: ["", "x", "ü"],
        inner: { x: "1", y: ["1", "2"] },
        people: [
          { name: "Ada", age: null },
          { name: "", age: "3" }
        ]
      })
      assert.deepInclude<unknown>(found[1], { nullable: null, maybe: null, optional: null, tags: [], people: null })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("reads what DuckDB writes, exactly", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      yield* sql(`COPY (SELECT
        'ä€😀' AS s, NULL::VARCHAR AS none, 7::TINYINT AS i8, 65535::USMALLINT AS u16, 4294967295::UINTEGER AS u32,
        18446744073709551615::UBIGINT AS u64, -5::BIGINT AS i64, 9007199254740993::BIGINT AS big, 1.5::FLOAT AS f32,
        0.1::DOUBLE AS f64, true AS b, DATE '2024-02-29' AS d, TIMESTAMP '2024-02-29 12:00:00.123' AS ts,
        TIMESTAMP '2024-02-29 12:00:00.123456' AS us, TIMESTAMPTZ '2024-02-29 12:00:00+02' AS tz,
        TIMESTAMP_NS '2024-02-29 12:00:00.123456789' AS ns, -12.50::DECIMAL(9,2) AS dec32,
        123456789012345678.25::DECIMAL(38,2) AS dec128, '\\xAA\\x00'::BLOB AS blob,
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS id, [1, NULL, 3] AS list, {x: 1, y: ['a']} AS st,
        [{k: 'a'}, NULL] AS structs, '{"a":[1]}'::JSON AS js, 'b'::ENUM('a', 'b') AS en, MAP {'k': 1} AS m
      ) TO '${path}' (FORMAT parquet)`)
      const Row = Schema.Struct({
        s: Schema.String,
        none: Schema.NullOr(Schema.String),
        i8: Schema.Int,
        u16: Schema.Int,
        u32: Schema.Int,
        u64: Schema.BigInt,
        i64: Schema.Int,
        big: Schema.BigInt,
        f32: Schema.Number,
        f64: Schema.Number,
        b: Schema.Boolean,
        d: Schema.Date,
        ts: Schema.Date,
        us: Schema.String,
        tz: Schema.DateTimeUtc,
        ns: Schema.String,
        dec32: Schema.BigDecimal,
        dec128: Schema.BigDecimal,
        blob: Schema.Uint8Array,
        id: Schema.String,
        list: Schema.Array(Schema.NullOr(Schema.Int)),
        st: Schema.Struct({ x: Schema.Int, y: Schema.Array(Schema.String) }),
        structs: Schema.Array(Schema.NullOr(Schema.Struct({ k: Schema.String }))),
        js: Schema.Json,
        en: Schema.Literals(["a", "b"]),
        m: Schema.Record(Schema.String, Schema.Int),
        absent: Schema.optionalKey(Schema.String)
      })
      const [row] = yield* values(Files.parquet(path, Row))
      const { dec128, dec32, tz, ...others } = row!
      assert.deepStrictEqual<unknown>(
        [BigDecimal.format(dec32), BigDecimal.format(dec128), DateTime.formatIso(tz)],
        ["-12.5", "123456789012345678.25", "2024-02-29T10:00:00.000Z"]
      )
      assert.deepStrictEqual<unknown>(others, {
        s: "ä€😀",
        none: null,
        i8: 7,
        u16: 65535,
        u32: 4294967295,
        u64: 18446744073709551615n,
        i64: -5,
        big: 9007199254740993n,
        f32: 1.5,
        f64: 0.1,
        b: true,
        d: new Date("2024-02-29T00:00:00Z"),
        ts: new Date("2024-02-29T12:00:00.123Z"),
        us: "2024-02-29T12:00:00.123456Z",
        ns: "2024-02-29T12:00:00.123456789Z",
        blob: new Uint8Array([0xaa, 0]),
        id: "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        list: [1, null, 3],
        st: { x: 1, y: ["a"] },
        structs: [{ k: "a" }, null],
        js: { a: [1] },
        en: "b",
        m: { k: 1 }
      })
      const refused = [
        [Schema.Struct({ big: Schema.Int }), 'field "big": 9007199254740993 has more digits than a number can hold'],
        [Schema.Struct({ us: Schema.Date }), 'field "us": 2024-02-29T12:00:00.123456Z is finer than the milliseconds'],
        [
          Schema.Struct({ s: Schema.Int }),
          'field "s": its column is BYTE_ARRAY UTF8, and the schema has a whole number'
        ],
        [Schema.Struct({ list: Schema.String }), 'field "list": its column is a list, and the schema has text there'],
        [Schema.Struct({ st: Schema.Struct({ z: Schema.Int }) }), 'field "st": it has no field "z" in it'],
        [Schema.Struct({ nowhere: Schema.Int }), 'it has no column "nowhere"; its columns are "s", "none"'],
        [Schema.Struct({ none: Schema.String }), "Could not read row 1 of"]
      ] as const
      for (const [schema, message] of refused) {
        const error = yield* Effect.flip(read(Files.parquet<unknown, unknown>(path, schema as Schema.Codec<unknown>)))
        assert.include(error.message, message)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  const Numbered = Schema.Struct({ id: Schema.Int, name: Schema.String })
  const numbered = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => ({ id: from + i, name: `row ${from + i}` }))

  it.effect("goes on at any row, over the borders of row groups, and knows what was read", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      const all = numbered(0, 2500)
      const file = Files.parquet(path, Numbered, { rowGroup: 1000 })
      yield* write(file, all)
      const elements = yield* read(file)
      assert.deepStrictEqual(
        elements.map(({ position }) => position),
        all.map(({ id }) => id + 1)
      )
      for (const after of [0, 1, 999, 1000, 1001, 2025, 2499, 2500]) {
        assert.deepStrictEqual(yield* values(file, after), all.slice(after))
      }
      const total = elements.reduce((sum, { bytes }) => sum + bytes, 0)
      assert.isTrue(Math.abs(total - Option.getOrThrow(yield* file.size)) < 2500)
      // A file that was written anew with more behind is the same up to there.
      const kept = yield* file.fingerprint(Option.some(1500))
      const changed = (rows: typeof all, rowGroup: number) =>
        Effect.andThen(
          write(Files.parquet(path, Numbered, { rowGroup }), rows),
          Files.parquet(path, Numbered).changed!(kept, Option.some(1500))
        )
      assert.deepStrictEqual(yield* changed([...all, ...numbered(2500, 2600)], 1000), [])
      assert.notDeepEqual(yield* changed(numbered(1, 2500), 1000), [])
      assert.deepStrictEqual(yield* changed(numbered(0, 1200), 1000), [
        "1500 rows of it were read, and it has 1200 now"
      ])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("says that a file is damaged wherever it is, and never fails otherwise", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* newPath
      const file = Files.parquet(path, Numbered, { rowGroup: 50 })
      yield* write(file, numbered(0, 100))
      const bytes = new Uint8Array(yield* fs.readFile(path))
      const errorOf = (content: Uint8Array) =>
        Effect.andThen(fs.writeFile(path, content), Effect.flip(read(file))).pipe(Effect.map(({ kind }) => kind))
      for (let length = 0; length < bytes.length; length += 37) {
        assert.strictEqual(yield* errorOf(bytes.slice(0, length)), "Damaged")
      }
      for (let at = 0; at < bytes.length; at += 11) {
        const flipped = bytes.slice()
        flipped[at]! ^= 0xff
        yield* fs.writeFile(path, flipped)
        // What has no checksum may be read as something else; nothing else than these comes of it.
        const exit = yield* Effect.result(read(file))
        if (exit._tag === "Failure") assert.include(["Damaged", "BadLine"], exit.failure.kind, `byte ${at}`)
      }
      const encrypted = bytes.slice()
      encrypted.set(new TextEncoder().encode("PARE"), bytes.length - 4)
      yield* fs.writeFile(path, encrypted)
      assert.include((yield* Effect.flip(read(file))).message, "its footer is encrypted")
      yield* fs.writeFile(path, bytes)
      const small = yield* Effect.flip(read(Files.parquet(path, Numbered, { maxGroup: 100 })))
      assert.include(small.message, "100 is the limit, `maxGroup`")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("is there only when it is whole, and goes on in a later run", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* newPath
      const file = Files.parquet(path, Numbered, { rowGroup: 10 })
      const beside = path.replace("data.parquet", ".data.parquet.skein-rows")
      const there = Effect.all([fs.exists(path), fs.exists(beside)])
      const opening = (committed: Option.Option<Schema.Json>) => ({ ...openingAlone(committed), clean: false })
      /** Killed behind it: nothing is closed. */
      const begin = (committed: Option.Option<Schema.Json>) => file.open(opening(committed))

      const first = yield* Effect.scoped(
        Effect.flatMap(begin(Option.none()), ({ write }) =>
          Effect.gen(function* () {
            const one = yield* write(numbered(0, 25), Option.none())
            // Not committed.
            yield* write(numbered(900, 950), Option.some(one))
            return one
          })
        )
      )
      assert.deepStrictEqual(yield* there, [false, true])
      const second = yield* Effect.scoped(
        Effect.flatMap(begin(Option.some(first)), ({ finish, write }) =>
          Effect.gen(function* () {
            const two = yield* write(numbered(25, 31), Option.some(first))
            // It has taken its place, but that was not committed any more.
            yield* finish!(Option.some(two))
            return two
          })
        )
      )
      assert.deepStrictEqual(yield* values(file), numbered(0, 31))
      assert.deepStrictEqual(yield* there, [true, true])
      const third = yield* Effect.scoped(
        Effect.flatMap(begin(Option.some(second)), ({ close, finish }) =>
          Effect.tap(finish!(Option.some(second)), (state) => close!(Option.some(state)))
        )
      )
      assert.deepStrictEqual(yield* values(file), numbered(0, 31))
      assert.deepStrictEqual(yield* there, [true, false])
      // The source has grown: twice, as the first of these runs is killed between rename and commit.
      const fourth = yield* Effect.scoped(
        Effect.flatMap(begin(Option.some(third)), ({ finish, write }) =>
          Effect.tap(write(numbered(31, 45), Option.some(third)), (state) => finish!(Option.some(state)))
        )
      )
      const fifth = yield* Effect.scoped(
        Effect.flatMap(begin(Option.some(fourth)), ({ close, finish, write }) =>
          Effect.gen(function* () {
            const more = yield* write(numbered(45, 50), Option.some(fourth))
            const state = yield* finish!(Option.some(more))
            yield* close!(Option.some(state))
            return state
          })
        )
      )
      assert.deepStrictEqual(yield* values(file), numbered(0, 50))
      const counted = yield* sql(
        `SELECT count(*) AS n, sum(id) AS ids, min(name) AS least FROM '${path}' WHERE id < 48`
      )
      assert.deepStrictEqual<unknown>(counted, [{ n: "48", ids: String((47 * 48) / 2), least: "row 0" }])
      assert.deepStrictEqual(
        (yield* fs.readDirectory(path.replace("/data.parquet", ""))).filter((name) => !name.includes("journal")),
        ["data.parquet"]
      )
      // Somebody else's file is not added to.
      yield* write(Files.parquet(path, Numbered), numbered(7, 9))
      const error = yield* Effect.flip(Effect.scoped(begin(Option.some(fifth))))
      assert.strictEqual(error.kind, "CommittedLost")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("adds what a source has more in a later run, and keeps its place beside the file", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      const file = Files.parquet(path, Numbered, { rowGroup: 8 })
      const run = (count: number) =>
        Pipeline.run(Pipeline.from(Source.list(numbered(0, count), { name: "rows" })).pipe(Pipeline.to(file)), {
          name: "rows"
        })
      for (const count of [20, 20, 33]) {
        yield* run(count)
        assert.deepStrictEqual(yield* values(file), numbered(0, count))
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  const unwritable: ReadonlyArray<readonly [what: string, schema: Schema.Codec<any, any>, value: unknown]> = [
    ["a bigint beyond 64 bits", Schema.BigInt, 2n ** 63n],
    ["an invalid date", Schema.Date, new Date(Number.NaN)],
    ["text without a UTF-8 form", Schema.String, "\udc00"],
    ["such text in a list", Schema.Array(Schema.String), ["a", "\udc00"]]
  ]
  for (const [what, schema, value] of unwritable) {
    it.effect(`refuses to write ${what}, and names the field`, () =>
      Effect.gen(function* () {
        const file = Files.parquet(yield* newPath, Schema.Struct({ a: schema }))
        const error = yield* Effect.flip(write(file, [{ a: value }]))
        assert.include(String(error), 'field "a')
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  it("refuses wrong options at once", () => {
    assert.throws(() => Files.parquet("x", Numbered, { rowGroup: 0 }), /rowGroup must be a whole number/)
    assert.throws(() => Files.parquet("x", Numbered, { maxGroup: 0.5 }), /maxGroup must be a whole number/)
    assert.throws(() => Files.parquet("x", Numbered, { compression: "lzo" as "none" }), /compression has to be one of/)
    assert.throws(() => Files.parquet("x", Schema.Array(Schema.String)), /has to encode to an object/)
  })

  it.effect("has the sums that DuckDB has of many rows, there and back", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      yield* sql(`COPY (SELECT i AS id, CASE WHEN i % 3 = 0 THEN NULL ELSE 'näme ' || i END AS name, i / 8 AS score
        FROM range(${deep ? 100_000 : 30_000}) t(i)) TO '${path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)`)
      const Row = Schema.Struct({ id: Schema.Int, name: Schema.NullOr(Schema.String), score: Schema.Finite })
      const copy = path.replace("data", "copy")
      yield* Pipeline.run(
        Pipeline.from(Files.parquet(path, Row)).pipe(
          Pipeline.to(Files.parquet(copy, Row, { rowGroup: deep ? 30_000 : 20_000, fsync: false }))
        ),
        { name: "copy" }
      )
      const sums = (of: string) =>
        sql(`SELECT count(*) AS n, sum(id) AS ids, sum(score) AS scores, count(name) AS names,
          bit_xor(hash(name)) AS texts FROM '${of}'`)
      assert.deepStrictEqual(yield* sums(copy), yield* sums(path))
      const groups = yield* sql(`SELECT DISTINCT row_group_num_rows AS n FROM parquet_metadata('${copy}') ORDER BY n`)
      assert.deepStrictEqual<unknown>(groups, [{ n: "10000" }, { n: deep ? "30000" : "20000" }])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
