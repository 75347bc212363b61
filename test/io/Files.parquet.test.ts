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
})
