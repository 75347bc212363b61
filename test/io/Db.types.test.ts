/** Whatever a schema can say comes back from every database as it was written. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db } from "skein"
import { within, writeTo } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const count = process.env["SKEIN_DEEP"] === undefined ? 500 : 20_000

const Text = Schema.String.check(Schema.makeFilter((text) => text.isWellFormed() && !text.includes("\0")))
const Int64 = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n }))
/** Of years that have four digits. */
const Instant = Schema.Date.check(
  Schema.isBetweenDate({ minimum: new Date("0001-01-01T00:00:00Z"), maximum: new Date("9999-12-31T00:00:00Z") })
)

class Tag extends Schema.Class<Tag>("Tag")({ name: Text, weight: Schema.Finite }) {}

const Drawn = Schema.Struct({
  id: Schema.Int,
  text: Text,
  choice: Schema.Literals(["a", "b'\"", "ü"]),
  number: Schema.Finite,
  flag: Schema.Boolean,
  big: Int64,
  bytes: Schema.Uint8Array,
  at: Instant,
  price: Schema.BigDecimal,
  parsed: Schema.NumberFromString,
  none: Schema.NullOr(Schema.Finite),
  maybe: Schema.optionalKey(Text),
  unset: Schema.UndefinedOr(Schema.Boolean),
  list: Schema.Array(Schema.NullOr(Text)),
  dates: Schema.Array(Instant),
  nested: Schema.Struct({ a: Schema.Array(Schema.Int), b: Schema.NullOr(Schema.Struct({ c: Text })) }),
  tags: Schema.Array(Tag),
  either: Schema.Union([Text, Schema.Finite, Schema.Boolean])
})
const Everything = Schema.Struct({ ...Drawn.fields, utc: Schema.DateTimeUtc })
type Everything = typeof Everything.Type

/** What JSON does not tell apart, and the forms in which equal values may be written. */
const told = (row: Everything) => ({
  ...row,
  number: row.number + 0,
  price: BigDecimal.format(BigDecimal.normalize(row.price)),
  utc: DateTime.formatIso(row.utc),
  parsed: row.parsed + 0,
  none: row.none === null ? null : row.none + 0,
  either: typeof row.either === "number" ? row.either + 0 : row.either,
  nested: { ...row.nested, a: row.nested.a.map((n) => n + 0) },
  tags: row.tags.map(({ name, weight }) => ({ name, weight: weight + 0 }))
})

describe.each(databases)("types in $database", ({ url }) => {
  it.live("come back as they were", () =>
    within(url)(
      Effect.gen(function* () {
        const drawn = yield* Arbitrary.sampleEffect(Arbitrary.schema(Drawn), { count })
        const rows = drawn.map((row, id) => ({ ...row, id, utc: DateTime.fromDateUnsafe(row.at) }))
        yield* writeTo(Db.table("everything", Everything), rows)
        const found = yield* Db.query(Everything)`SELECT * FROM everything ORDER BY id`
        assert.strictEqual(found.length, count)
        for (const [i, row] of found.entries()) assert.deepEqual(told(row), told(rows[i]!))
      })
    )
  )
})
