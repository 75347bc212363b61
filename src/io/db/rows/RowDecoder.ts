/** Rows as a driver gives them become what a schema says. */
import * as Arr from "effect/Array"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import type { Dialect } from "../Dialect.ts"
import type * as Fields from "../Fields.ts"
import { issueOf } from "./Issue.ts"

export interface RowDecoder<A> {
  /** Whether a field is a bigint, so that integers have to be read as such. */
  readonly exact: boolean
  /** The row, or what is wrong with it. */
  readonly decode: (row: object) => Result.Result<A, string>
  /** About how much memory it takes. */
  readonly bytes: (row: object) => number
}

export const make = <A, I extends object>(
  schema: Schema.Codec<A, I>,
  fields: Fields.Fields,
  dialect: Dialect
): RowDecoder<A> => {
  // As in `RowEncoder`.
  SchemaJITCompiler.enable(schema.ast)
  const decode = Schema.decodeUnknownExit(schema)
  const columns = Arr.getSuccesses(fields.list.map((field) => dialect.column(field)))
  return {
    exact: fields.list.some(({ kind }) => kind === "bigint"),
    bytes: (row) => {
      let bytes = 32
      for (const { name } of columns) bytes += weightOf((row as Record<string, unknown>)[name])
      return bytes
    },
    decode: (row) => {
      // Without a prototype, whose names a schema would take for fields.
      const encoded: Record<string, unknown> = Object.create(null)
      for (const column of columns) {
        if (!Object.hasOwn(row, column.name)) continue
        const value = column.fromColumn((row as Record<string, unknown>)[column.name])
        if (value !== undefined || !column.optional) encoded[column.name] = value
      }
      const exit = decode(encoded)
      return Exit.isSuccess(exit) ? Result.succeed(exit.value) : Result.fail(issueOf(exit.cause))
    }
  }
}

const weightOf = (value: unknown): number => {
  if (typeof value === "string") return 24 + value.length
  return value instanceof Uint8Array ? 72 + value.byteLength : 16
}
