/** Values in PostgreSQL's binary form, each with its length before it, and what is wrong with those that have none. */
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type { Bytes } from "./Bytes.ts"
import { noNul } from "./Bytes.ts"
import { writeDecimal } from "./Decimal.ts"
import * as Instant from "./Instant.ts"

/**
 * Writes the length of a value and the value. Gives what is wrong with the value otherwise, in words that follow the name of its field,
 * and `wrong` where it is not even of the right type; what was written then is of no use.
 */
export type Write = (out: Bytes, value: unknown) => string | undefined

/** What is wrong with a value of another type: an empty text. */
export const wrong = ""

/** The text of a value, or what is wrong with it. */
export type Print = (value: unknown) => Result.Result<string, string>

export const text: Write = (out, value) => (typeof value === "string" ? out.sizedText(value) : wrong)

export const bool: Write = (out, value) => (typeof value === "boolean" ? void out.sizedByte(value ? 1 : 0) : wrong)

export const bytea: Write = (out, value) => (value instanceof Uint8Array ? void out.sizedBytes(value) : wrong)

/* Numbers. */

export const int8: Write = (out, value) => {
  if (!Number.isSafeInteger(value))
    return Number.isInteger(value) ? "is too large to be exact. Make it a bigint" : wrong
  return void out.sizedInteger(value as number)
}

export const int4: Write = (out, value) => {
  if (typeof value !== "number" || (value | 0) !== value) return beyond(value, "32-bit")
  return void out.sizedInt32(value)
}

export const int2: Write = (out, value) => {
  if (typeof value !== "number" || (value << 16) >> 16 !== value) return beyond(value, "16-bit")
  return sizedInt16(out, value)
}

export const int8OfBigint: Write = (out, value) => {
  if (typeof value !== "bigint") return wrong
  if (BigInt.asIntN(64, value) !== value)
    return "is beyond 64 bits. The option `types` can make its column NUMERIC, which keeps it"
  return void out.sizedBigint(value)
}

export const int4OfBigint: Write = (out, value) => {
  if (typeof value !== "bigint") return wrong
  return BigInt.asIntN(32, value) === value ? void out.sizedInt32(Number(value)) : beyond(value, "32-bit")
}

export const int2OfBigint: Write = (out, value) => {
  if (typeof value !== "bigint") return wrong
  return BigInt.asIntN(16, value) === value ? sizedInt16(out, Number(value)) : beyond(value, "16-bit")
}

const beyond = (value: unknown, what: string): string =>
  typeof value === "bigint" || Number.isInteger(value) ? `is beyond the ${what} integers of its column` : wrong

const sizedInt16 = (out: Bytes, value: number): undefined => {
  out.int32(2)
  out.int16(value)
}

export const float8: Write = (out, value) => (typeof value === "number" ? void out.sizedFloat64(value) : wrong)

export const float4: Write = (out, value) => {
  if (typeof value !== "number") return wrong
  const kept = Math.fround(value)
  // As PostgreSQL does with their text.
  if ((Number.isFinite(value) && !Number.isFinite(kept)) || (kept === 0 && value !== 0)) {
    return "is beyond the numbers of 32 bits of its column"
  }
  return void out.sizedFloat32(value)
}

export const numeric: Write = (out, value) =>
  typeof value === "number" || typeof value === "bigint" || typeof value === "string"
    ? writeDecimal(out, String(value))
    : wrong

export const uuid: Write = (out, value) => {
  if (typeof value !== "string") return wrong
  if (!isUuid.test(value)) return "has to be a UUID, as in 01234567-89ab-cdef-0123-456789abcdef"
  out.int32(16)
  const digits = value.replaceAll("-", "")
  for (let at = 0; at < 32; at += 2) out.byte(Number.parseInt(digits.slice(at, at + 2), 16))
  return undefined
}

const isUuid = /^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$/

/* Points in time. */

/** Microseconds from 2000 on. */
const sizedMicroseconds = (out: Bytes, milliseconds: number, microseconds: number): string | undefined => {
  if (milliseconds < Instant.earliest || milliseconds > Instant.latest) return outOfTime
  const since = (milliseconds - Instant.epoch) * 1000 + microseconds
  // Some three hundred years around 2000.
  if (Number.isSafeInteger(since)) return void out.sizedInteger(since)
  out.sizedBigint(BigInt(milliseconds - Instant.epoch) * 1000n + BigInt(microseconds))
  return undefined
}

const outOfTime = "is beyond the years that PostgreSQL keeps (4713 BC to 294276)"

/** A Date's, or a DateTime's, milliseconds from 1970 on. */
export const millisecondsOf = (value: unknown): number | undefined => {
  const found =
    value instanceof Date
      ? value.getTime()
      : hasProperty(value, "epochMilliseconds")
        ? value.epochMilliseconds
        : undefined
  return typeof found === "number" && !Number.isNaN(found) ? found : undefined
}

export const timestampOfInstant: Write = (out, value) => {
  const milliseconds = millisecondsOf(value)
  return milliseconds === undefined ? wrong : sizedMicroseconds(out, milliseconds, 0)
}

export const dateOfInstant: Write = (out, value) => {
  const milliseconds = millisecondsOf(value)
  if (milliseconds === undefined) return wrong
  return milliseconds % 86_400_000 === 0 ? sizedDays(out, milliseconds) : "has a time of day, which a date has none of"
}

const sizedDays = (out: Bytes, milliseconds: number): string | undefined => {
  if (milliseconds < Instant.earliest) return outOfTime
  return void out.sizedInt32((milliseconds - Instant.epoch) / 86_400_000)
}

const infinities: ReadonlyMap<unknown, boolean> = new Map([
  ["infinity", true],
  ["-infinity", false]
])

export const timestampOfText =
  (zoned: boolean): Write =>
  (out, value) => {
    if (typeof value !== "string") return wrong
    const infinite = infinities.get(value)
    if (infinite !== undefined) {
      return void out.sizedBigint(infinite ? 2n ** 63n - 1n : -(2n ** 63n))
    }
    const found = Instant.parse(value)
    if (found === undefined || (zoned && found.offset === undefined)) {
      return zoned
        ? "has to be a timestamp with its time zone, as in 2026-01-02T03:04:05Z"
        : "has to be a timestamp, as in 2026-01-02T03:04:05"
    }
    // PostgreSQL would leave it out and keep another time.
    if (!zoned && found.offset !== undefined && found.offset !== 0) {
      return "is at another time zone than UTC, which its column does not keep"
    }
    return sizedMicroseconds(out, found.milliseconds - (found.offset ?? 0), found.microseconds)
  }

export const dateOfText: Write = (out, value) => {
  if (typeof value !== "string") return wrong
  const infinite = infinities.get(value)
  if (infinite !== undefined) return void out.sizedInt32(infinite ? 2_147_483_647 : -2_147_483_648)
  const found = Instant.parse(value)
  if (found === undefined) return "has to be a date, as in 2026-01-02"
  if (found.timed) return "has a time of day, which a date has none of"
  return sizedDays(out, found.milliseconds)
}

/* JSON. */

export const json =
  (print: Print): Write =>
  (out, value) => {
    const form = print(value)
    return Result.isFailure(form) ? form.failure : out.sizedText(form.success)
  }

export const jsonb =
  (print: Print): Write =>
  (out, value) => {
    const form = print(value)
    if (Result.isFailure(form)) return form.failure
    // The version of the binary form comes before it.
    return hasNul(form.success) ? noNul : out.sizedText(`\u0001${form.success}`)
  }

/** Whether an escape of NUL is in a JSON text: the backslash before its `u` is not itself escaped. */
const hasNul = (text: string): boolean => text.includes("\\u0000") && /(?:^|[^\\])(?:\\\\)*\\u0000/.test(text)
