/** Between the encoded values of a schema and what Parquet has for them. What one cannot hold of the other is refused. */
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { SchemaElement, SchemaTree } from "hyparquet"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { Refusal } from "../Format.ts"
import { fixElement } from "./LinesFormat.ts"
import type { Leaf, Shape, Struct } from "./ParquetShape.ts"

/** As a writer of Parquet takes it; throws a `Refusal`. */
const toParquet = (shape: Shape, value: unknown, field: string): unknown => {
  if (value === null || value === undefined) return undefined
  switch (shape.kind) {
    case "list":
      return (value as ReadonlyArray<unknown>).map((item, i) => toParquet(shape.item, item, `${field}.${i}`))
    case "struct":
      return structTo(shape, value, `${field}.`)
    case "integer":
      return BigInt(value as number)
    case "bigint":
      if (BigInt.asIntN(64, value as bigint) === value) return value
      throw new Refusal("it is larger than 64 bits", "Give it as text, as with Schema.String.", field)
    case "instant": {
      const millis = DateTime.isDateTime(value) ? DateTime.toEpochMillis(value) : (value as Date).getTime()
      if (Number.isFinite(millis)) return BigInt(millis)
      throw new Refusal("it is an invalid date", fixElement, field)
    }
    case "decimal":
      return BigDecimal.format(value as BigDecimal.BigDecimal)
    case "text":
      if ((value as string).isWellFormed()) return value
      throw new Refusal(`it ${JsonText.noUtf8}`, fixElement, field)
    case "json": {
      const text = shape.json.print(value)
      if (Result.isFailure(text)) throw new Refusal(`it ${text.failure ?? "is not JSON"}`, fixElement, field)
      // The writer makes text of it again.
      return shape.json.bare ? text.success : JSON.parse(text.success)
    }
    default:
      return value
  }
}

export const structTo = ({ fields }: Struct, row: unknown, path: string): Record<string, unknown> => {
  const values: Record<string, unknown> = {}
  for (const [name, shape] of fields) {
    const value = Object.hasOwn(row as object, name) ? (row as Record<string, unknown>)[name] : undefined
    values[name] = toParquet(shape, value, path + name)
  }
  return values
}

/** From what a reader of Parquet gives to the encoded value; may throw a `Refusal`. */
export type FromParquet = (value: unknown) => unknown

/** How a column is read, or why it cannot be. The `elements` of its tree are those that `plainElements` leaves. */
export const fromParquet = (shape: Shape, tree: SchemaTree, field: string): FromParquet | Refusal => {
  const { converted_type: converted } = tree.element
  if (tree.children.length === 0) return leafFrom(shape, tree.element, field)
  if (shape.kind === "list" && converted === "LIST") {
    const [repeated] = tree.children
    const inner = repeated!.children.length === 1 ? repeated!.children[0]! : repeated!
    const item = fromParquet(shape.item, inner, field)
    if (item instanceof Refusal) return item
    return present(shape, (value) => (value as Array<unknown>).map(item))
  }
  if (shape.kind === "struct" && converted === undefined) {
    const parts: Array<readonly [string, Shape, FromParquet]> = []
    for (const [name, inner] of shape.fields) {
      const child = tree.children.find(({ element }) => element.name === name)
      if (child === undefined) {
        if (inner.optional) continue
        return new Refusal(`it has no field ${JSON.stringify(name)} in it`, fixSchema, field)
      }
      const from = fromParquet(inner, child, `${field}.${name}`)
      if (from instanceof Refusal) return from
      parts.push([name, inner, from])
    }
    return present(shape, (value) => {
      const found: Record<string, unknown> = {}
      for (const [name, inner, from] of parts) put(found, name, inner, from((value as Record<string, unknown>)[name]))
      return found
    })
  }
  if (shape.kind === "json") return present(shape, natural(tree))
  const what = converted === "LIST" ? "a list" : converted === "MAP" ? "a map" : "a struct"
  return mismatch(what, shape, field)
}

/** Sets a field, unless it is left out. */
export const put = (row: Record<string, unknown>, name: string, shape: Shape, value: unknown): void => {
  if (value !== undefined || !shape.optional) row[name] = value
}

const fixSchema = "Correct the schema, or take the column as what it is and convert it in a step."

const mismatch = (what: string, { kind }: Shape, field: string): Refusal =>
  new Refusal(`its column is ${what}, and the schema has ${words[kind]} there`, fixSchema, field)

const words: Record<Shape["kind"], string> = {
  text: "text",
  integer: "a whole number",
  real: "a number",
  boolean: "a boolean",
  bigint: "a bigint",
  bytes: "bytes",
  instant: "a date",
  decimal: "a decimal",
  json: "a value of several kinds",
  list: "a list",
  struct: "an object"
}

const present =
  ({ absent }: Shape, convert: FromParquet): FromParquet =>
  (value) =>
    value === null || value === undefined ? absent : convert(value)

/** What a leaf is without regard to how many bytes it takes. */
type Stored = "text" | "bytes" | "int" | "uint" | "real" | "half" | "boolean" | "decimal" | "instant" | "date" | "uuid"

const storedOf = ({ converted_type: converted, logical_type: logical, type }: SchemaElement): Stored | undefined => {
  if (type === "BOOLEAN") return "boolean"
  if (converted === "DECIMAL" || logical?.type === "DECIMAL") return "decimal"
  if (type === "FLOAT" || type === "DOUBLE") return "real"
  if (type === "INT96") return "instant"
  if (type === "BYTE_ARRAY") return isText(converted) || isText(logical?.type) ? "text" : "bytes"
  if (type === "FIXED_LEN_BYTE_ARRAY") {
    return logical?.type === "UUID" ? "uuid" : logical?.type === "FLOAT16" ? "half" : "bytes"
  }
  if (converted === "DATE" || logical?.type === "DATE") return "date"
  if (converted?.startsWith("TIMESTAMP") === true || logical?.type === "TIMESTAMP") return "instant"
  const isUnsigned = logical?.type === "INTEGER" ? !logical.isSigned : converted?.startsWith("UINT") === true
  return type === "INT32" || type === "INT64" ? (isUnsigned ? "uint" : "int") : undefined
}

const isText = (type: string | undefined): boolean =>
  type === "UTF8" || type === "STRING" || type === "ENUM" || type === "JSON"

/** A file's elements, with what the reader would convert and lose a part of, as it does with decimals, taken out of their leaves. */
export const plainElements = (elements: ReadonlyArray<SchemaElement>): Array<SchemaElement> => {
  let at = 0
  const walk = (asItIs: boolean): Array<SchemaElement> => {
    const element = elements[at++]!
    const children = element.num_children ?? 0
    if (children === 0 && element.type !== undefined) {
      if (asItIs) return [element]
      const { converted_type: _c, logical_type: _l, ...bare } = element
      return [storedOf(element) === "text" ? { ...bare, converted_type: "UTF8" } : bare]
    }
    const inner = asItIs || element.converted_type === "MAP" || element.logical_type?.type === "VARIANT"
    return [element, ...Array.from({ length: children }, () => walk(inner)).flat()]
  }
  return walk(false)
}

const leafFrom = (shape: Shape, element: SchemaElement, field: string): FromParquet | Refusal => {
  const stored = storedOf(element)
  const what = [element.type, element.logical_type?.type ?? element.converted_type].filter(Boolean).join(" ")
  if (stored === undefined || element.repetition_type === "REPEATED") return mismatch(what, shape, field)
  const convert = leaf(shape, stored, element, field)
  return convert === undefined ? mismatch(what, shape, field) : present(shape, convert)
}

const leaf = (shape: Shape, stored: Stored, element: SchemaElement, field: string): FromParquet | undefined => {
  const bigs = bigOf(stored, element)
  const scale = element.scale ?? (element.logical_type?.type === "DECIMAL" ? element.logical_type.scale : 0)
  switch (shape.kind) {
    case "text":
      if (stored === "text") return same
      if (stored === "bytes") return (value) => textOf(value as Uint8Array, field)
      if (stored === "uuid") return (value) => uuidOf(value as Uint8Array)
      if (stored === "decimal") return (value) => decimalText(bigs!(value), scale)
      if (stored === "date") return (value) => dayText(Number(value))
      if (stored === "instant") return (value) => instantText(nanosOf(element, value))
      return undefined
    case "integer":
    case "real":
      if (stored === "real") return same
      if (stored === "half") return (value) => halfOf(value as Uint8Array)
      if (stored === "decimal") return (value) => Number(decimalText(bigs!(value), scale))
      if (stored === "int" && element.type === "INT32") return same
      return stored === "int" || stored === "uint" ? (value) => safe(bigs!(value), field) : undefined
    case "bigint":
      return stored === "int" || stored === "uint" || (stored === "decimal" && scale === 0) ? bigs : undefined
    case "boolean":
      return stored === "boolean" ? same : undefined
    case "bytes":
      return stored === "bytes" || stored === "uuid" ? same : undefined
    case "instant":
      if (stored === "date") return (value) => instantOf(shape, Number(value) * 86_400_000)
      return stored === "instant" ? (value) => instantOf(shape, millisOf(nanosOf(element, value), field)) : undefined
    case "decimal":
      if (stored === "decimal") return (value) => BigDecimal.make(bigs!(value), scale)
      if (stored === "int" || stored === "uint") return (value) => BigDecimal.make(bigs!(value), 0)
      return stored === "text"
        ? (value) => Option.getOrElse(BigDecimal.fromString(value as string), () => value)
        : undefined
    case "json":
      if (stored === "text" || stored === "bytes") {
        return (value) =>
          shape.json.parse(unbare(shape, typeof value === "string" ? value : textOf(value as Uint8Array, field)))
      }
      return naturalLeaf(stored, element)
    default:
      // A list or an object that is kept as JSON.
      return stored === "text" ? (value) => JSON.parse(value as string) : undefined
  }
}

const same: FromParquet = (value) => value

/** JSON of what is text alone is written in quotes as all JSON is. */
const unbare = ({ json }: Leaf, text: string): unknown => (json.bare && text.startsWith('"') ? JSON.parse(text) : text)

const naturalLeaf = (stored: Stored, element: SchemaElement): FromParquet => {
  const bigs = bigOf(stored, element)
  switch (stored) {
    case "int":
    case "uint":
      return (value) => {
        const big = bigs!(value)
        return BigInt(Number(big)) === big && Number.isSafeInteger(Number(big)) ? Number(big) : big
      }
    case "instant":
      return (value) => instantText(nanosOf(element, value))
    case "date":
      return (value) => dayText(Number(value))
    case "decimal":
      return (value) => decimalText(bigs!(value), element.scale ?? 0)
    case "uuid":
      return (value) => uuidOf(value as Uint8Array)
    case "half":
      return (value) => halfOf(value as Uint8Array)
    default:
      return same
  }
}

/** As plain as JSON where no schema says more. */
const natural = (tree: SchemaTree): FromParquet => {
  const { converted_type: converted } = tree.element
  if (tree.children.length === 0) {
    const stored = storedOf(tree.element)
    const convert = stored === undefined ? same : naturalLeaf(stored, tree.element)
    return (value) => (value === null || value === undefined ? null : convert(value))
  }
  if (converted === "LIST") {
    const [repeated] = tree.children
    const item = natural(repeated!.children.length === 1 ? repeated!.children[0]! : repeated!)
    return (value) => (Array.isArray(value) ? value.map(item) : null)
  }
  if (converted !== undefined || tree.element.logical_type !== undefined) return same
  const parts = tree.children.map((child) => [child.element.name, natural(child)] as const)
  return (value) =>
    value === null || value === undefined
      ? null
      : Object.fromEntries(parts.map(([name, from]) => [name, from((value as Record<string, unknown>)[name])]))
}

const bigOf = (stored: Stored, { type }: SchemaElement): ((value: unknown) => bigint) | undefined => {
  const bits = type === "INT32" ? 32 : 64
  if (stored === "uint") return (value) => BigInt.asUintN(bits, BigInt(value as number | bigint))
  if (stored === "int" || (stored === "decimal" && (type === "INT32" || type === "INT64"))) {
    return (value) => BigInt(value as number | bigint)
  }
  return stored === "decimal" ? (value) => signed(value as Uint8Array) : undefined
}

/** Big-endian, in two's complement. */
const signed = (bytes: Uint8Array): bigint => {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return BigInt.asIntN(bytes.length * 8, value)
}

const safe = (value: bigint, field: string): number => {
  const number = Number(value)
  if (BigInt(number) === value) return number
  throw new Refusal(`${value} has more digits than a number can hold`, "Use Schema.BigInt for it.", field)
}

const decimalText = (unscaled: bigint, scale: number): string => {
  if (scale <= 0) return String(unscaled)
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0")
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

const nanosOf = ({ converted_type: converted, logical_type: logical, type }: SchemaElement, value: unknown): bigint => {
  if (type === "INT96") return value as bigint
  const unit = logical?.type === "TIMESTAMP" ? logical.unit : converted === "TIMESTAMP_MICROS" ? "MICROS" : "MILLIS"
  const factor = unit === "NANOS" ? 1n : unit === "MICROS" ? 1000n : 1_000_000n
  return BigInt(value as bigint) * factor
}

const millisOf = (nanos: bigint, field: string): number => {
  if (nanos % 1_000_000n === 0n) return Number(nanos / 1_000_000n)
  throw new Refusal(
    `${instantText(nanos)} is finer than the milliseconds of a date`,
    "Use Schema.String for it, which has all of it.",
    field
  )
}

/** As ISO 8601 has it, with as many digits as there are. */
const instantText = (nanos: bigint): string => {
  const rest = ((nanos % 1_000_000n) + 1_000_000n) % 1_000_000n
  const text = DateTime.formatIso(DateTime.makeUnsafe(Number((nanos - rest) / 1_000_000n)))
  return rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(6, "0").replace(/0{3}$/, "")}Z`
}

const instantOf = (shape: Shape, millis: number): unknown => {
  const instant = DateTime.makeUnsafe(millis)
  return "isDateTime" in shape && shape.isDateTime ? instant : DateTime.toDateUtc(instant)
}

const dayText = (days: number): string => DateTime.formatIso(DateTime.makeUnsafe(days * 86_400_000)).slice(0, 10)

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array, field: string): string => {
  try {
    return strict.decode(bytes)
  } catch {
    throw new Refusal("it is not valid UTF-8", "Use Schema.Uint8Array for it.", field)
  }
}

/** What the reader calls, whose errors say no more than that the file cannot be read. */
export const parsers = {
  stringFromBytes: (bytes: Uint8Array): string => strict.decode(bytes),
  timestampFromNanoseconds: (nanos: bigint): bigint => nanos
}

const uuidOf = (bytes: Uint8Array): string => {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}

const halfOf = (bytes: Uint8Array): number => {
  const bits = bytes[0]! | (bytes[1]! << 8)
  const sign = bits >> 15 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = (bits & 1023) / 1024
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction))
}
