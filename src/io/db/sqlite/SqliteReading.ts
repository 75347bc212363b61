/** Keys in SQLite, where each value has a type of its own. */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Reading, KeyValue } from "../rows/Reading.ts"

export const sqliteReading: Reading = {
  exactly: (column) => column,
  keep: (value): KeyValue | undefined => {
    switch (typeof value) {
      case "string":
        return value
      case "number":
        return Number.isFinite(value) ? value : { real: String(value) }
      case "bigint":
        return Number.isSafeInteger(Number(value)) ? Number(value) : { bigint: String(value) }
      default:
        return value instanceof Uint8Array ? { bytes: Hex.encode(value) } : undefined
    }
  },
  parameter: (kept) => {
    if (typeof kept !== "object") return kept
    if ("bigint" in kept) return BigInt(kept.bigint)
    return "real" in kept ? Number(kept.real) : Result.getOrThrow(Hex.decode(kept.bytes))
  },
  // A value has one, and a column need not.
  typeOf: Option.none(),
  millis: (column) =>
    `CASE typeof(${column}) WHEN 'text' THEN (julianday(${column}) - 2440587.5) * 86400000.0 WHEN 'blob' THEN NULL ELSE ${column} END`,
  now: (clock) => ({ sql: ["", ""], parameters: [clock] }),
  // It would have to count them, on the thread of the program.
  estimate: () => Effect.succeedNone
}
