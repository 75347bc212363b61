/** Elements become rows as the schema's encoded side says. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import { RowRefused } from "../Dialect.ts"
import * as Fields from "../Fields.ts"
import { issueOf } from "./Issue.ts"

/** The fields of the row at a place, or why there are none; their columns check what matters of them. */
export type RowEncoder<in A> = (row: A, at: number) => object | RowRefused

export const make = <A, I extends object>(
  schema: Schema.Codec<A, I>,
  { finite, plain }: Pick<Fields.Fields, "finite" | "plain">
): RowEncoder<A> => {
  // Three times as fast; where code may not be generated, as under a strict CSP, the schema is interpreted as ever.
  SchemaJITCompiler.enable(Schema.flip(schema).ast)
  const encode = Schema.encodeUnknownExit(schema)
  const odd = finite.filter((name) => name in Object.prototype)
  const usual = finite.filter((name) => !(name in Object.prototype))

  /** What else a number is, the encoder says; of anything else the column says what it is. */
  const isFinite = (row: object): boolean => {
    for (const name of usual) {
      const value = (row as Record<string, unknown>)[name]
      if (typeof value === "number" && !Number.isFinite(value)) return false
    }
    return odd.every((name) => isNoneOrFinite(Fields.valueOf(row, name)))
  }

  return (row, at) => {
    if (plain && isFinite(row as object)) return row as object
    const encoded = encode(row)
    if (Exit.isSuccess(encoded)) return encoded.value
    const { cause } = encoded
    return new RowRefused(at, `does not encode: ${issueOf(cause)}`, fieldIn(cause), () => row)
  }
}

const isNoneOrFinite = (value: unknown): boolean => typeof value !== "number" || Number.isFinite(value)

/** The field of the first issue of an encode. */
const fieldIn = (cause: Cause.Cause<unknown>): string | undefined => {
  const error = Cause.squash(cause)
  if (!Schema.isSchemaError(error)) return undefined
  const [first] = issues(error.issue).issues
  const [field] = first?.path ?? []
  return field === undefined ? undefined : String(typeof field === "object" ? field.key : field)
}

const issues = SchemaIssue.makeFormatterStandardSchemaV1({ leafHook: () => "", checkHook: () => "" })
