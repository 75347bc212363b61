/** Keys in PostgreSQL: as text, which is exact for every type, and of the type of what they are compared with again. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Reading } from "../rows/Reading.ts"

export const postgresReading: Reading = {
  exactly: (column) => `${column}::text`,
  keep: (value) => (typeof value === "string" ? value : undefined),
  parameter: (kept) => kept,
  // Of a subquery without rows there is still the type.
  typeOf: Option.some((column) => [`pg_typeof((SELECT ${column} FROM `, " AS q LIMIT 0))::text"]),
  millis: (column, kind) =>
    kind === "integer" || kind === "bigint" || kind === "real"
      ? column
      : `(extract(epoch FROM ${column}::timestamptz) * 1000)`,
  // The clock of the server, as its defaults and triggers have it.
  now: () => ({ sql: ["(extract(epoch FROM now()) * 1000)"], parameters: [] }),
  estimate: (sql, table) =>
    Effect.map(
      sql<{
        readonly rows: number
      }>`SELECT reltuples::float8 AS rows FROM pg_class WHERE oid = to_regclass(quote_ident(${table}))`,
      ([found]) => Option.filter(Option.fromUndefinedOr(found?.rows), (rows) => rows > 0)
    )
}
