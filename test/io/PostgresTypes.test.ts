/** Values of every type there and back, by COPY and by INSERT, against a real server. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db } from "skein"
import { fresh } from "../support/postgres/database.ts"
import { within, writeTo } from "../support/database.ts"

const count = process.env["SKEIN_DEEP"] === undefined ? 150 : 20_000

const Text = Schema.String.check(Schema.makeFilter((text) => text.isWellFormed() && !text.includes("\0")))
const between = (bits: number) =>
  Schema.Int.check(Schema.isBetween({ minimum: -(2 ** (bits - 1)), maximum: 2 ** (bits - 1) - 1 }))
const Int64 = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n }))
const digits = (more: Schema.Codec<number, any>) =>
  Arbitrary.array(Arbitrary.schema(more), { minLength: 1, maxLength: 12 })
const HugeInt = Arbitrary.map(digits(between(54)), (parts) =>
  parts.reduce((all, part) => all * 2n ** 53n + BigInt(part), 0n)
)
/** Years that a Date and PostgreSQL both have. */
const milliseconds = Arbitrary.schema(
  Schema.Int.check(Schema.isBetween({ minimum: -210_866_803_200_000, maximum: 8.64e15 }))
)
const dates = Arbitrary.map(milliseconds, (at) => new Date(at))
const hex = Arbitrary.map(digits(between(32)), (parts) =>
  parts
    .map((part) => (part >>> 0).toString(16).padStart(8, "0"))
    .join("")
    .padStart(32, "a")
    .slice(0, 32)
)
const uuids = Arbitrary.map(hex, (text) => text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"))
const Json: Schema.Codec<Schema.Json> = Schema.Json.check(
  Schema.makeFilter((value) => !/\\u(0000|d[89a-f])/.test(JSON.stringify(value).replaceAll("\\\\", "")))
)
const twoDigits = (n: number) => String(Math.abs(n)).padStart(2, "0")
const days = Arbitrary.map(
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -62_000, maximum: 2_900_000 }))),
  (day) => new Date(day * 86_400_000)
)
const micros = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(between(31)), { minLength: 2, maxLength: 2 }),
  ([a = 0, b = 0]) =>
    `${new Date(a * 1000).toISOString().slice(0, 19)}.${String(Math.abs(b) % 1_000_000).padStart(6, "0")}`
)
/** As short as PostgreSQL writes it, in milliseconds at least. */
const short = (text: string) => text.replace(/(\.\d{3}\d*?)0+(?=Z|$)/, "$1")

interface Case<A> {
  readonly type: string | undefined
  readonly of: string
  readonly schema: Schema.Codec<A, any>
  readonly values?: Arbitrary.Arbitrary<A>
  readonly always?: ReadonlyArray<A>
  /** What comes back, where the type has a form of its own. */
  readonly kept?: (value: A) => A
  /** What is compared, where the type keeps less than the value. */
  readonly as?: (value: A) => unknown
  readonly before?: string
}
const one = <A>(it: Case<A>): Case<any> => it

const cases: ReadonlyArray<Case<any>> = [
  one({
    type: undefined,
    of: "strings",
    schema: Text,
    always: ["", "é", "😀".repeat(40), "x".repeat(5000), "€".repeat(9999), "\\N", "\u0001"]
  }),
  one({
    type: "varchar(3)",
    of: "strings",
    schema: Text.check(Schema.makeFilter((text) => [...text].length <= 3)),
    always: ["😀😀😀", "a  "]
  }),
  one({ type: "bpchar", of: "strings", schema: Text, kept: (text) => text }),
  one({
    type: undefined,
    of: "integers",
    schema: Schema.Int,
    always: [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1, 2 ** 32, -(2 ** 32)]
  }),
  one({ type: "int4", of: "integers", schema: between(32), always: [2 ** 31 - 1, -(2 ** 31)] }),
  one({ type: "smallint", of: "integers", schema: between(16), always: [2 ** 15 - 1, -(2 ** 15)] }),
  one({ type: "NUMERIC", of: "integers", schema: Schema.Int }),
  one({ type: "double precision", of: "integers", schema: Schema.Int }),
  one({
    type: undefined,
    of: "numbers",
    schema: Schema.Number,
    always: [NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 0.1]
  }),
  one({
    type: "real",
    of: "numbers",
    schema: Schema.Number,
    always: [NaN, Infinity, 0.5],
    as: Math.fround,
    values: Arbitrary.schema(Schema.Number.check(Schema.isBetween({ minimum: -1e30, maximum: 1e30 }))).pipe(
      Arbitrary.filter((n) => n === 0 || Math.abs(n) > 1e-30)
    )
  }),
  one({
    type: "numeric",
    of: "numbers",
    schema: Schema.Number,
    always: [NaN, Infinity, 1e21, 1e-7, 1.5e300, 5e-324, 10_000, 0.0001],
    // There is no -0.
    as: (n) => n + 0
  }),
  one({ type: undefined, of: "booleans", schema: Schema.Boolean }),
  one({ type: undefined, of: "bigints of 64 bits", schema: Int64, always: [2n ** 63n - 1n, -(2n ** 63n), 0n] }),
  one({
    type: "NUMERIC",
    of: "bigints of any size",
    schema: Schema.BigInt,
    values: HugeInt,
    always: [0n, 10n ** 500n, -(10n ** 4n), 9_999n]
  }),
  one({ type: undefined, of: "decimal numbers", schema: Schema.BigDecimal, as: BigDecimal.format }),
  one({
    type: "numeric",
    of: "texts of numbers",
    schema: Schema.String,
    values: Arbitrary.map(HugeInt, String),
    always: [
      "0",
      "1.50",
      "0.000",
      "-0.1",
      "12345.678901",
      "100000000",
      "NaN",
      "Infinity",
      `1${"0".repeat(131_071)}`,
      `0.${"0".repeat(16_382)}1`
    ]
  }),
  one({ type: undefined, of: "bytes", schema: Schema.Uint8Array, always: [new Uint8Array(70_000).fill(255)] }),
  one({ type: "uuid", of: "texts", schema: Schema.String, values: uuids }),
  one({
    type: undefined,
    of: "dates",
    schema: Schema.Date,
    values: dates,
    always: [new Date(0), new Date(-1), new Date(8.64e15), new Date("0000-01-01"), new Date("-004000-02-29T00:00:00Z")]
  }),
  one({ type: "timestamp", of: "dates", schema: Schema.Date, values: dates }),
  one({ type: "date", of: "dates", schema: Schema.Date, values: days }),
  one({
    type: undefined,
    of: "moments of UTC",
    schema: Schema.DateTimeUtc,
    values: Arbitrary.map(milliseconds, DateTime.makeUnsafe),
    as: DateTime.toEpochMillis
  }),
  one({
    type: "timestamptz",
    of: "texts",
    schema: Schema.String,
    values: Arbitrary.map(micros, (text) => `${text}Z`),
    kept: short
  }),
  one({
    type: "timestamptz",
    of: "texts of dates",
    schema: Schema.DateFromString,
    values: Arbitrary.filter(dates, (date) => /^[1-9]\d{3}-/.test(date.toISOString()))
  }),
  one({ type: "timestamp", of: "texts", schema: Schema.String, values: micros, kept: short }),
  one({
    type: "date",
    of: "texts",
    schema: Schema.String,
    values: Arbitrary.map(
      days,
      (day) => `${day.getUTCFullYear()}-${twoDigits(day.getUTCMonth() + 1)}-${twoDigits(day.getUTCDate())}`
    )
  }),
  one({
    type: "time",
    of: "texts",
    schema: Schema.String,
    values: Arbitrary.map(micros, (text) => text.slice(11)),
    kept: (text) => text.replace(/\.?0+$/, (zeros) => (zeros.startsWith(".") ? "" : ""))
  }),
  one({
    type: "inet",
    of: "texts",
    schema: Schema.String,
    values: Arbitrary.map(Arbitrary.schema(between(32)), (n) => `10.${n & 255}.${(n >>> 8) & 255}.${(n >>> 16) & 255}`)
  }),
  one({
    type: undefined,
    of: "values",
    schema: Json,
    kept: (value) => JSON.parse(JSON.stringify(value)),
    always: [null, "x", "\\u0000", 5, true, { a: { b: [1, "2", null] } }]
  }),
  one({ type: "json", of: "values", schema: Json, kept: (value) => JSON.parse(JSON.stringify(value)) }),
  one({ type: "text", of: "values", schema: Json, kept: (value) => JSON.parse(JSON.stringify(value)) }),
  one({
    type: "jsonb",
    of: "texts",
    schema: Schema.String,
    values: Arbitrary.map(Arbitrary.schema(between(54)), (n) => `{"a": ${n}}`)
  }),
  one({
    type: undefined,
    of: "objects",
    schema: Schema.Struct({ at: Schema.Date, n: Schema.BigInt, list: Schema.Array(Text) })
  }),
  one({
    type: "text[]",
    of: "arrays of strings",
    schema: Schema.Array(Text),
    always: [[], ["NULL", "null", "", `"`, "\\", "{}", ",", " a "], ["a".repeat(200_000)]]
  }),
  one({
    type: "TEXT[]",
    of: "arrays of strings or null",
    schema: Schema.Array(Schema.NullOr(Text)),
    always: [[null], [null, "NULL"]]
  }),
  one({ type: "varchar(9)[]", of: "arrays of strings", schema: Schema.Array(Text.check(Schema.isMaxLength(9))) }),
  one({ type: "bigint[]", of: "arrays of integers", schema: Schema.Array(Schema.Int) }),
  one({ type: "int4[]", of: "arrays of integers", schema: Schema.Array(between(32)) }),
  one({ type: "int8[]", of: "arrays of bigints", schema: Schema.Array(Int64) }),
  one({
    type: "float8[]",
    of: "arrays of numbers",
    schema: Schema.Array(Schema.Number),
    always: [[NaN, Infinity, -Infinity]]
  }),
  one({ type: "boolean[]", of: "arrays of booleans", schema: Schema.Array(Schema.Boolean) }),
  one({ type: "numeric[]", of: "arrays of bigints", schema: Schema.Array(Schema.BigInt) }),
  one({
    type: "timestamptz[]",
    of: "arrays of dates",
    schema: Schema.Array(Schema.Date),
    values: Arbitrary.array(dates)
  }),
  one({ type: "uuid[]", of: "arrays of texts", schema: Schema.Array(Schema.String), values: Arbitrary.array(uuids) }),
  one({
    type: "inet[]",
    of: "arrays of texts",
    schema: Schema.Array(Schema.String),
    always: [["10.0.0.1", "::1"]],
    values: Arbitrary.map(Arbitrary.schema(between(16)), (n) => [`10.0.0.${n & 255}`])
  }),
  one({
    type: "mood",
    of: "an enum's labels",
    schema: Schema.Literals(["ok", "so la la"]),
    before: `CREATE TYPE mood AS ENUM ('ok', 'so la la')`
  }),
  one({
    type: "age",
    of: "a domain's integers",
    schema: Schema.Int,
    values: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 }))),
    before: "CREATE DOMAIN age AS int2 CHECK (VALUE >= 0)"
  })
]

const same = (value: any) => value

describe("values of PostgreSQL's types come back as they were", () => {
  it.live.each(cases.map((it) => [it.of, it.type ?? "their own type", it] as const))(
    "%s in %s",
    ([, , { always = [], as = same, before, kept = same, schema, type, values }]) =>
      within(fresh)(
        Effect.gen(function* () {
          const { sql } = yield* Db.Db
          const made = yield* Arbitrary.sampleEffect(values ?? Arbitrary.schema(schema), { count })
          const Row = Schema.Struct({ id: Schema.Int, value: schema, again: Schema.NullOr(schema) })
          const rows = [...always, ...made].map((value, id) => ({ id, value, again: id % 3 === 0 ? null : value }))
          const expected = rows.map(({ again, value }) => [value, again].map((it) => (it === null ? it : as(kept(it)))))
          const seen = (found: ReadonlyArray<{ readonly value: unknown; readonly again: unknown }>) =>
            found.map(({ again, value }) => [value, again].map((it) => (it === null ? it : as(it))))
          if (before !== undefined) {
            yield* sql.unsafe(before)
            for (const table of ["copied", "inserted"]) {
              yield* sql.unsafe(`CREATE TABLE ${table} (id int PRIMARY KEY, value ${type} NOT NULL, again ${type})`)
            }
          }
          const types = type === undefined || before !== undefined ? {} : { value: type, again: type }
          yield* writeTo(Db.table("copied", Row, { types } as Db.TableOptions<any>), rows)
          yield* writeTo(Db.table("inserted", Row, { key: "id", types } as Db.TableOptions<any>), rows)
          assert.deepEqual(seen(yield* Db.query(Row)`SELECT * FROM copied ORDER BY id`), expected)
          assert.deepEqual(seen(yield* Db.query(Row)`SELECT * FROM inserted ORDER BY id`), expected)
        })
      )
  )
})
