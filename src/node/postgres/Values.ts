/**
 * Values on their way to and from PostgreSQL, all as text but bytes. What JavaScript holds without loss comes as such: bool,
 * int2, int4, float4, float8, oid, text and its like, and bytea as `Uint8Array`. Timestamps come as ISO 8601 has them. All
 * else stays the text that PostgreSQL writes, for whoever knows what it means: int8, numeric, dates, JSON, UUID, arrays.
 */
import type { Field } from "./Pg.ts"

type Parse = (text: string) => unknown

const parsers = new Map<number, Parse>([
  [16, (text) => text === "t"],
  [17, (text) => bytesOf(text)],
  [21, Number],
  [23, Number],
  [26, Number],
  [700, Number],
  [701, Number],
  [1114, (text) => isoOf(text)],
  [1115, (text) => isoIn(text)],
  [1184, (text) => isoOf(text)],
  [1185, (text) => isoIn(text)]
])

/** As JavaScript reads it, of the years that ISO 8601 has without more. */
const isoOf = (text: string): string =>
  text.replace(
    /^(\d{4}-\d\d-\d\d) ([\d:]{8})(?:\.(\d+))?(\+00)?$/,
    (_, day: string, time: string, fraction = "", zone?: string) =>
      `${day}T${time}.${String(fraction).padEnd(3, "0")}${zone === undefined ? "" : "Z"}`
  )

/** In an array's text, where timestamps stand between quotes. */
const isoIn = (text: string): string => text.replaceAll(/"([^"]+)"/g, (_, item: string) => `"${isoOf(item)}"`)

const bytesOf = (text: string): Uint8Array =>
  text.startsWith("\\x") ? new Uint8Array(Buffer.from(text.slice(2), "hex")) : unescaped(text)

/** What `bytea_output = escape` writes. */
const unescaped = (text: string): Uint8Array => {
  const bytes: Array<number> = []
  for (const [part] of text.matchAll(/\\\\|\\[0-7]{3}|[^\\]/g)) {
    if (part === "\\\\") bytes.push(0x5c)
    else bytes.push(part.startsWith("\\") ? Number.parseInt(part.slice(1), 8) : part.charCodeAt(0))
  }
  return Uint8Array.from(bytes)
}

export type Row = Record<string, unknown>
export type Read<A> = (fields: ReadonlyArray<string | null>) => A

export const readValues = (columns: ReadonlyArray<Field>): Read<ReadonlyArray<unknown>> => {
  const parse = columns.map((column) => parsers.get(column.dataTypeID))
  return (fields) => fields.map((text, i) => (text === null ? null : (parse[i]?.(text) ?? text)))
}

export const readRow = (columns: ReadonlyArray<Field>): Read<Row> => {
  const parse = columns.map((column) => parsers.get(column.dataTypeID))
  const names = columns.map((column) => column.name)
  const set = names.includes("__proto__") ? define : assign
  return (fields) => {
    const row: Row = {}
    for (let i = 0; i < names.length; i++) {
      const text = fields[i] ?? null
      const read = parse[i]
      set(row, names[i]!, text === null || read === undefined ? text : read(text))
    }
    return row
  }
}

const assign = (row: Row, name: string, value: unknown): void => {
  row[name] = value
}

/** A column may have the name of what every object has. */
const define = (row: Row, name: string, value: unknown): void => {
  Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
}

/** A parameter: dates in ISO form, arrays as those of PostgreSQL, other objects as JSON. */
export const toParameter = (value: unknown): string | Buffer | null => {
  switch (typeof value) {
    case "string":
      return value
    case "undefined":
      return null
    case "object":
      if (value === null) return null
      if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      return Array.isArray(value) ? arrayOf(value) : textOf(value)
    default:
      return String(value)
  }
}

const textOf = (value: object): string => {
  if (!(value instanceof Date)) return JSON.stringify(value)
  const text = value.toISOString()
  // PostgreSQL knows no years of six digits with a sign, and no year 0.
  if (text.startsWith("+")) return text.replace(/^\+0*/, "")
  return text.startsWith("-") || text.startsWith("0000") ? beforeChrist(value, text) : text
}

const beforeChrist = (value: Date, text: string): string =>
  `${String(1 - value.getUTCFullYear()).padStart(4, "0")}${text.slice(text.indexOf("-", 1))} BC`

const arrayOf = (values: ReadonlyArray<unknown>): string =>
  `{${values
    .map((value) => {
      if (value === null || value === undefined) return "NULL"
      if (Array.isArray(value)) return arrayOf(value)
      if (value instanceof Uint8Array) return quoted(`\\x${Buffer.from(value).toString("hex")}`)
      return quoted(typeof value === "object" ? textOf(value) : String(value))
    })
    .join(",")}}`

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&")}"`
