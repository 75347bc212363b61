/** What tables and files print by code made for a schema is what the schema says where it is interpreted, errors too. */
import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { RowRefused } from "../../src/io/db/Dialect.ts"
import * as Fields from "../../src/io/db/Fields.ts"
import * as RowEncoder from "../../src/io/db/rows/RowEncoder.ts"
import { sqlite } from "../../src/io/db/sqlite/SqliteDialect.ts"
import { CsvColumns } from "../../src/io/files/format/CsvColumns.ts"
import { jsonOf } from "../../src/io/files/format/JsonFormat.ts"

const runs = process.env["SKEIN_DEEP"] === undefined ? 300 : 10_000

type Any = Schema.Codec<any, any>

const finite = () => Schema.Number.check(Schema.isFinite())
const int = () => Schema.Number.check(Schema.isInt())
const string = () => Schema.String.annotate({})
const date = () => Schema.Date.annotate({})

/** Made anew each time: what a schema is compiled to would serve all others that it is a part of. */
const kinds: ReadonlyArray<() => Any> = [
  string,
  () => Schema.Number.annotate({}),
  finite,
  int,
  () => Schema.Number.check(Schema.isFinite(), Schema.isGreaterThan(0)),
  () => Schema.Number.check(Schema.isInt(), Schema.isBetween({ minimum: -1, maximum: 7 })),
  () => Schema.String.check(Schema.isMinLength(2), Schema.isPattern(/^[a-z]*$/)),
  () => Schema.Boolean.annotate({}),
  () => Schema.BigInt.annotate({}),
  date,
  () => Schema.Literals(["a", "true", ""]),
  () => Schema.Literal(7),
  () => Schema.Uint8Array.annotate({}),
  () => Schema.Union([finite(), Schema.Literals(["a", "b"])]),
  () =>
    string().pipe(
      Schema.decodeTo(date(), {
        decode: SchemaGetter.transform((text: string) => new Date(text)),
        encode: SchemaGetter.transform((date: Date) => date.toISOString())
      })
    ),
  () => string().pipe(Schema.decodeTo(finite(), { decode: SchemaGetter.Number(), encode: SchemaGetter.String() })),
  () => Schema.Array(finite()),
  () => Schema.Struct({ in: int(), of: Schema.optionalKey(date()) })
]
/** Those of the kinds that a cell of CSV can hold. */
const flat = kinds.length - 2

const wraps: ReadonlyArray<(schema: Any) => Any> = [
  (schema) => schema,
  (schema) => schema,
  (schema) => Schema.NullOr(schema),
  (schema) => Schema.optional(schema) as unknown as Any,
  (schema) => Schema.optionalKey(schema) as unknown as Any,
  (schema) => Schema.OptionFromNullOr(schema)
]

const numbers = [0, -0, 1, 7, 1.5, -3, 2 ** 53, 1e300, Number.NaN, Infinity, -Infinity, 12n, 2n ** 70n]
const texts = ["", "a", "ab", "true", "1.5", "null", "\ud800"]
const others = [new Date(0), new Date(Number.NaN), true, false, null, undefined, Uint8Array.of(1, 2), Symbol("s")]
const parts = [[1, 2], [Number.NaN], [], { in: 1 }, { in: 1.5 }, { in: 1, of: new Date(5) }, { in: 1, of: undefined }]
const options = [Option.none(), Option.some(1), Option.some("a"), Option.some(new Date(1))]
/** And none, where the field is left out. */
const values: ReadonlyArray<unknown> = [...numbers, ...texts, ...others, ...parts, ...options]

const pick = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
const spec = Schema.Struct({
  isClass: Schema.Boolean,
  fields: Schema.Array(Schema.Struct({ kind: pick, wrap: pick })).check(Schema.isMinLength(1), Schema.isMaxLength(4)),
  rows: Schema.Array(Schema.Array(pick).check(Schema.isMinLength(4), Schema.isMaxLength(4))).check(
    Schema.isMaxLength(20)
  )
})
type Spec = typeof spec.Type

const names = ["a", "b", "c", "d"]

interface Job {
  readonly schema: Any
  readonly make: (row: object) => unknown
}

const jobOf = ({ fields, isClass }: Omit<Spec, "rows">, count: number): Job => {
  const struct = Schema.Struct(
    Object.fromEntries(
      fields.map(({ kind, wrap }, at) => [names[at]!, wraps[wrap % wraps.length]!(kinds[kind % count]!())])
    )
  )
  if (!isClass) return { schema: struct as unknown as Any, make: (row) => row }
  class Row extends Schema.Class<Row>("Row")(struct) {}
  // Nothing checks what is in it but the encoder.
  return { schema: Row as unknown as Any, make: (row) => Object.assign(Object.create(Row.prototype) as object, row) }
}

const rowsOf = ({ fields, rows }: Spec): ReadonlyArray<object> =>
  rows.map((picks) => {
    const valued = fields.flatMap((_, at) => {
      const pick = picks[at]! % (values.length + 1)
      return pick === values.length ? [] : [[names[at]!, values[pick]] as const]
    })
    return Object.fromEntries(valued)
  })

/** Where code may not be generated, as under a strict CSP. */
const interpreted = <A>(run: () => A): A => {
  const made = globalThis.Function
  globalThis.Function = (() => {
    throw new EvalError("no code")
  }) as unknown as FunctionConstructor
  try {
    return run()
  } finally {
    globalThis.Function = made
  }
}

type Printer = (schema: Any) => (row: unknown) => unknown

/** What each of the rows becomes, or what is thrown of it. */
const printed = ({ make, schema }: Job, rows: ReadonlyArray<object>, printer: Printer): ReadonlyArray<unknown> => {
  const print = printer(schema)
  return rows.map((row) => {
    try {
      return print(make(row))
    } catch (error) {
      return `thrown: ${String(error)}`
    }
  })
}

const never = { plain: false, finite: [] }
const shown = (fields: object): unknown =>
  fields instanceof RowRefused ? { reason: fields.reason, column: fields.column } : fields

const jsonLine: Printer = (schema) => jsonOf(schema, "fix").print
const csvRecord: Printer = (schema) => {
  const columns = new CsvColumns(schema)
  return columns.encoder(columns.names)
}
const tableRow: Printer = (schema) => {
  const encode = RowEncoder.make(schema, never)
  return (row) => shown(encode(row, 1))
}

/** What comes into the columns of a table. Of a field that may be absent, the column says what is: null, undefined or none. */
const columnValues =
  (how: "plain" | "never"): Printer =>
  (schema) => {
    const fields = Result.getOrThrow(Fields.of(schema))
    const columns = fields.list.map((field) => Result.getOrThrow(sqlite.column(field)))
    const encode = RowEncoder.make(schema, how === "plain" ? fields : never)
    return (row) => {
      const given = Object.assign(Object.create(Object.getPrototypeOf(row) as object | null) as object, row) as any
      for (const { absent, name, nullable, optional } of how === "plain" || !fields.plain ? [] : fields.list) {
        if (!nullable || (given[name] ?? null) !== null) continue
        if (optional) delete given[name]
        else given[name] = absent
      }
      const encoded = encode(given, 0)
      if (encoded instanceof RowRefused) return "refused"
      const cells = columns.map((column) => column.toColumn(Fields.valueOf(encoded, column.name)))
      return cells.includes(undefined) ? "refused" : cells
    }
  }

const printers: ReadonlyArray<readonly [where: string, count: number, compiled: Printer, interpreted: Printer]> = [
  ["a line of JSON, or refuse it in the same words", kinds.length, jsonLine, jsonLine],
  ["a record of CSV, or refuse it in the same words", flat, csvRecord, csvRecord],
  ["the fields of a row, or refuse it in the same words", kinds.length, tableRow, tableRow],
  ["the values of columns, or refuse the same rows", kinds.length, columnValues("plain"), columnValues("never")]
]

describe("Compiled encoders", () => {
  for (const [what, count, compiled, interpreter] of printers) {
    const same = (spec: Omit<Spec, "rows">, rows: ReadonlyArray<object>) => {
      const expected = interpreted(() => printed(jobOf(spec, count), rows, interpreter))
      expect(printed(jobOf(spec, count), rows, compiled)).toEqual(expected)
    }
    it(`give as the schema does ${what}: each kind of field, each value`, () => {
      const rows = [{}, ...values.map((a) => ({ a }))]
      for (let kind = 0; kind < count; kind++) {
        for (let wrap = 0; wrap < wraps.length; wrap++) {
          for (const isClass of [false, true]) same({ isClass, fields: [{ kind, wrap }] }, rows)
        }
      }
    })
    it.prop(`give as the schema does ${what}`, { spec }, ({ spec }) => same(spec, rowsOf(spec)), {
      arbitrary: { runs },
      timeout: 300_000
    })
  }
})
