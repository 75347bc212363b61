/** How the values of a field are kept in a column of some type. */
import * as Result from "effect/Result"
import type { Field, Kind } from "../Fields.ts"
import * as ArrayText from "./ArrayText.ts"
import { Bytes } from "./Bytes.ts"
import * as Instant from "./Instant.ts"
import { type Form, oidOf, type Type } from "./Types.ts"
import * as Values from "./Values.ts"
import type { Print, Write } from "./Values.ts"

export interface Codec {
  /** What a value has to be, for messages. */
  readonly expected: string
  /** As COPY takes it; undefined where the type has no binary form that is known here. */
  readonly copy: Write | undefined
  /** As an element of an array of what the type calls its `wire`. */
  readonly wire: Write
  /** As a parameter, of a value that can be written. */
  readonly parameter: (value: unknown) => unknown
  /** From what a driver gives. */
  readonly read: (value: unknown) => unknown
}

/** How a field is kept in columns of a type; undefined where it is not. */
export const codecOf = (field: Field, type: Type): Codec | undefined => {
  const { json, kind } = field
  const { form } = type
  if (type.element !== undefined) return kind === "json" ? arrayCodec(field, type.element) : undefined
  const print: Print = (value) => Result.mapError(json.print(value), (flaw) => flaw ?? Values.wrong)
  const write = writers(print, json.bare)[kind][form]
  if (write === undefined || (form === "other" && kind === "json" && !json.bare && !isVector(type))) return undefined
  const limited = form === "text" ? limitedBy(type, write, print) : write
  return {
    expected: expectations[kind],
    copy: form === "other" ? undefined : limited,
    wire: limited,
    parameter: isPrinted(kind)
      ? (value) => {
          const text = Result.getOrElse(json.print(value), () => value)
          return kind === "instant" && form !== "text" ? Instant.toPostgres(String(text)) : text
        }
      : (value) => value,
    read: readers[kind](field, form)
  }
}

/** Whose text is that of a JSON array. */
const isVector = ({ cast }: Type): boolean => /(^|\.)"?(half)?vec(tor)?"?$/i.test(cast)

/**
 * What two values of a key have in common exactly where PostgreSQL takes them for the same; undefined where only PostgreSQL knows.
 */
export const identityOf = ({ kind }: Field, { cast, form, sized }: Type): ((value: unknown) => unknown) | undefined => {
  switch (form) {
    case "text":
      return kind === "text" && cast !== "bpchar" && cast !== "citext" ? (value) => value : undefined
    case "uuid":
      return kind === "text" ? (value) => String(value).replaceAll("-", "").toLowerCase() : undefined
    case "bool":
    case "int2":
    case "int4":
    case "int8":
    case "float8":
      return (value) => value
    case "timestamp":
    case "timestamptz":
      return kind === "instant" && !sized ? Values.millisecondsOf : undefined
    default:
      return undefined
  }
}

const isPrinted = (kind: Kind): boolean => kind === "instant" || kind === "decimal" || kind === "json"

const expectations: Readonly<Record<Kind, string>> = {
  text: "a string",
  integer: "an integer",
  real: "a number",
  boolean: "a boolean",
  bigint: "a bigint",
  bytes: "a Uint8Array",
  instant: "a point in time",
  decimal: "a decimal number",
  json: "a value with a JSON form"
}

const asIs: Print = (value) => (typeof value === "string" ? Result.succeed(value) : Result.fail(Values.wrong))

const ofType =
  (type: "bigint" | "number", write: Write): Write =>
  (out, value) =>
    typeof value === type ? write(out, value) : Values.wrong

const ofInteger =
  (write: Write): Write =>
  (out, value) =>
    Number.isInteger(value) ? write(out, value) : Values.wrong

/** Through the value's text. */
const through =
  (print: Print, write: Write): Write =>
  (out, value) => {
    const text = print(value)
    return Result.isFailure(text) ? text.failure : write(out, text.success)
  }

const exactFloat4: Write = (out, value) =>
  Number.isInteger(value) && Math.fround(value as number) !== value
    ? "is beyond the exact integers of its column"
    : ofInteger(Values.float4)(out, value)

const texts = {
  uuid: Values.uuid,
  numeric: Values.numeric,
  timestamptz: Values.timestampOfText(true),
  timestamp: Values.timestampOfText(false),
  date: Values.dateOfText
}

const writers = (print: Print, bare: boolean): Readonly<Record<Kind, { readonly [F in Form]?: Write }>> => ({
  text: {
    text: Values.text,
    other: Values.text,
    ...texts,
    numeric: (out, value) => (typeof value === "string" ? Values.numeric(out, value) : Values.wrong),
    json: Values.json(asIs),
    jsonb: Values.jsonb(asIs)
  },
  integer: {
    int8: Values.int8,
    int4: Values.int4,
    int2: Values.int2,
    float8: ofInteger(Values.float8),
    float4: exactFloat4,
    numeric: ofInteger(Values.numeric)
  },
  real: {
    float8: Values.float8,
    float4: Values.float4,
    int8: Values.int8,
    int4: Values.int4,
    int2: Values.int2,
    numeric: ofType("number", Values.numeric)
  },
  boolean: { bool: Values.bool },
  bigint: {
    int8: Values.int8OfBigint,
    int4: Values.int4OfBigint,
    int2: Values.int2OfBigint,
    numeric: ofType("bigint", Values.numeric)
  },
  bytes: { bytea: Values.bytea },
  instant: {
    timestamptz: Values.timestampOfInstant,
    timestamp: Values.timestampOfInstant,
    date: Values.dateOfInstant,
    text: through(print, Values.text)
  },
  decimal: { numeric: through(print, Values.numeric), text: through(print, Values.text) },
  json: {
    jsonb: Values.jsonb(print),
    json: Values.json(print),
    text: through(print, Values.text),
    other: through(print, Values.text),
    ...(bare && Object.fromEntries(Object.entries(texts).map(([form, write]) => [form, through(print, write)])))
  }
})

/** A text that is longer than its column, or none of an enum's, is told of before the server would; it would cut off spaces. */
const limitedBy = ({ labels, length }: Type, write: Write, print: Print): Write => {
  if (length === undefined && labels === undefined) return write
  const textOf = (value: unknown) => (typeof value === "string" ? value : Result.getOrElse(print(value), () => ""))
  return (out, value) => {
    const text = textOf(value)
    if (length !== undefined && text.length > length && [...text].length > length) {
      return `is longer than the ${length} characters of its column`
    }
    if (labels !== undefined && !labels.has(text) && typeof value === "string") {
      return `has to be one of ${[...labels].join(", ")}`
    }
    return write(out, value)
  }
}

/* Arrays. */

/** Items of an array, whether they are of the field's encoded side or of its JSON form. */
const itemWriters: { readonly [F in Form]?: Write } = {
  ...texts,
  bool: Values.bool,
  text: Values.text,
  int8: (out, value) => integerOf(out, value, Values.int8, Values.int8OfBigint),
  int4: (out, value) => integerOf(out, value, Values.int4, Values.int4OfBigint),
  int2: (out, value) => integerOf(out, value, Values.int2, Values.int2OfBigint),
  float8: (out, value) => Values.float8(out, numberOf(value)),
  float4: (out, value) => Values.float4(out, numberOf(value)),
  timestamptz: (out, value) => (value instanceof Date ? Values.timestampOfInstant : texts.timestamptz)(out, value),
  timestamp: (out, value) => (value instanceof Date ? Values.timestampOfInstant : texts.timestamp)(out, value),
  date: (out, value) => (value instanceof Date ? Values.dateOfInstant : texts.date)(out, value)
}

const integerOf = (out: Bytes, value: unknown, ofNumber: Write, ofBigint: Write): string | undefined =>
  typeof value === "number"
    ? ofNumber(out, value)
    : ofBigint(out, typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : value)

/** JSON has texts for numbers that it has no other form for. */
const numberOf = (value: unknown): unknown =>
  value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value

const arrayCodec = ({ json }: Field, element: Type): Codec | undefined => {
  const known = itemWriters[element.form]
  if (known === undefined && element.form !== "other") return undefined
  const write = limitedBy(element, known ?? Values.text, asIs)
  const oid = element.form === "other" ? undefined : oidOf(element)

  const itemsOf = (value: unknown): ReadonlyArray<unknown> | string => {
    if (Array.isArray(value) && value.every(isItem)) return value
    const text = json.print(value)
    if (Result.isFailure(text)) return text.failure ?? Values.wrong
    const items: unknown = json.bare ? text.success : JSON.parse(text.success)
    if (!Array.isArray(items)) return "has to be an array, as its column is one"
    return items.every((item) => typeof item !== "object" || item === null)
      ? items
      : "has an array or an object in it, which its column has no place for"
  }
  const flawOf = (flaw: string, at: number): string =>
    flaw === Values.wrong
      ? `has something else in it than its column's ${element.cast}, at ${at}`
      : `has an item, at ${at}, that ${flaw}`

  const copy: Write = (out, value) => {
    const items = itemsOf(value)
    if (typeof items === "string") return items
    const start = out.length
    out.int32(0)
    out.int32(items.length === 0 ? 0 : 1)
    out.int32(items.some(isNull) ? 1 : 0)
    out.int32(oid!)
    if (items.length > 0) {
      out.int32(items.length)
      out.int32(1)
    }
    for (let at = 0; at < items.length; at++) {
      const item = items[at]
      if (isNull(item)) {
        out.int32(-1)
        continue
      }
      const flaw = write(out, item)
      if (flaw !== undefined) return flawOf(flaw, at)
    }
    out.patch(start, out.length - start - 4)
    return undefined
  }
  const printed = (value: unknown): string | undefined => {
    const items = itemsOf(value)
    return typeof items === "string"
      ? undefined
      : ArrayText.print(items.map((item) => (isNull(item) ? null : textOf(item))))
  }
  const scratch = new Bytes(1024)
  const wire: Write = (out, value) => {
    const items = itemsOf(value)
    if (typeof items === "string") return items
    for (let at = 0; at < items.length; at++) {
      scratch.length = 0
      const flaw = isNull(items[at]) ? undefined : write(scratch, items[at])
      if (flaw !== undefined) return flawOf(flaw, at)
    }
    return out.sizedText(printed(value)!)
  }
  return {
    expected: "an array",
    copy: oid === undefined ? undefined : copy,
    wire,
    parameter: (value) => printed(value) ?? value,
    read: (value) => {
      const items = typeof value === "string" ? ArrayText.parse(value) : value
      return Array.isArray(items) ? json.parse(items.map((item: unknown) => itemOf(item, element.form))) : value
    }
  }
}

const isNull = (value: unknown): value is null | undefined => value === null || value === undefined

/** What is the same in the field's JSON form, or can be told from it. */
const isItem = (value: unknown): boolean => typeof value !== "object" || value === null || value instanceof Date

const textOf = (item: unknown): string => {
  if (item instanceof Date) return Instant.toPostgres(item.toISOString())
  return Object.is(item, -0) ? "-0" : String(item)
}

/** An item in the field's JSON form, of its text. */
const itemOf = (item: unknown, form: Form): unknown => {
  if (typeof item !== "string") return item
  switch (form) {
    case "bool":
      return item === "t" || item === "true"
    case "int2":
    case "int4":
    case "int8":
    case "float4":
    case "float8":
      return Number.isFinite(Number(item)) && !isInexact(item) ? Number(item) : item
    case "timestamp":
    case "timestamptz":
      return Instant.toIso(item)
    default:
      return item
  }
}

/* The way back. */

type Read = (value: unknown) => unknown

/** An integer that no number is. */
const isInexact = (text: string): boolean =>
  /^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text)) && expanded(String(Number(text))) !== text

/** Without its exponent. */
const expanded = (text: string): string => {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e\+(\d+))?$/.exec(text) ?? []
  return sign + whole + fraction.padEnd(Number(exponent), "0")
}

const readNumber: Read = (value) => {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (typeof value !== "string" || value.trim() === "" || isInexact(value)) return value
  const number = Number(value)
  return Number.isNaN(number) && value !== "NaN" ? value : number
}

const readBigint: Read = (value) =>
  typeof value === "number" && Number.isInteger(value)
    ? BigInt(value)
    : typeof value === "string" && /^-?\d+$/.test(value)
      ? BigInt(value)
      : value

const readBytes: Read = (value) => {
  if (value instanceof Uint8Array) {
    return value.constructor === Uint8Array ? value : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  }
  const hex = typeof value === "string" ? /^\\x((?:[0-9a-f]{2})*)$/.exec(value)?.[1] : undefined
  if (hex === undefined) return value
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16))
}

const readText =
  (form: Form): Read =>
  (value) =>
    typeof value === "string" && (form === "timestamptz" || form === "timestamp") ? Instant.toIso(value) : value

/** An instant's text without a time zone is that of UTC. */
const instantText = (value: unknown): unknown => {
  if (typeof value !== "string") return value
  const iso = Instant.toIso(value)
  return /T[\d:.]+$/.test(iso) ? `${iso}Z` : iso
}

const readers: Readonly<Record<Kind, (field: Field, form: Form) => Read>> = {
  text: (_, form) => readText(form),
  integer: () => readNumber,
  real: () => readNumber,
  boolean: () => (value) => value,
  bigint: () => readBigint,
  bytes: () => readBytes,
  instant:
    ({ json }) =>
    (value) =>
      json.parse(instantText(value)),
  decimal:
    ({ json }) =>
    (value) =>
      json.parse(typeof value === "number" || typeof value === "bigint" ? String(value) : value),
  json:
    ({ json }, form) =>
    (value) => {
      const parsed = json.parse(json.bare ? readText(form)(value) : value)
      if (parsed !== value || typeof value !== "string" || !value.startsWith("{")) return parsed
      // An array of PostgreSQL's, in the result of a query that does not say what of.
      const items = ArrayText.parse(value)
      if (items === undefined) return parsed
      const texts = json.parse(items)
      return texts === items ? json.parse(items.map(guessed)) : texts
    }
}

const guessed = (item: ArrayText.Item): unknown => {
  if (typeof item !== "string") return item
  if (item === "t" || item === "f") return item === "t"
  if (/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(item)) return itemOf(item, "float8")
  return Instant.toIso(item)
}
