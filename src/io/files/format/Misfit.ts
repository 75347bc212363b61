/** Values that fit a schema, and what does not, in the words of a refusal. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaParser from "effect/SchemaParser"
import { unlessTooDeep } from "../../../concurrency/base/Nesting.ts"
import { rounded } from "../../text/JsonReader.ts"
import { Refusal } from "../Format.ts"

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** `value` is the JSON that did not fit, where it is of JSON. */
export const misfit = (issue: SchemaIssue.Issue, fix: string, value?: unknown): Refusal => {
  const [first] = issues(issue).issues
  const at = (first?.path ?? []).map((key) => (typeof key === "object" ? key.key : key))
  const { detail, path } = rounded(value, at) ?? { detail: first?.message ?? "it does not fit its schema", path: at }
  return new Refusal(detail, fix, path.length === 0 ? undefined : path.map(String).join("."))
}

/**
 * Decodes or encodes by a schema, whose code is compiled: half as fast again. Where code may not be generated, as under a strict CSP, it
 * is interpreted as ever. What is wrong with a value is looked for only where something is.
 */
export const checked = <I, O>(
  schema: Schema.Codec<unknown, unknown>,
  direction: "decode" | "encode",
  refuse: (issue: SchemaIssue.Issue, input: I) => Refusal,
  tooDeep: Refusal
): ((input: I) => O | Refusal) => {
  const codec = direction === "decode" ? schema : Schema.flip(schema)
  SchemaJITCompiler.enable(codec.ast)
  const all = SchemaParser.decodeUnknownSync(codec) as (input: I) => O
  const detailed = SchemaParser.decodeUnknownResult(codec) as (input: I) => Result.Result<O, SchemaIssue.Issue>
  const explained = (input: I): O | Refusal => {
    const result = detailed(input)
    return Result.isSuccess(result) ? result.success : refuse(result.failure, input)
  }
  return (input) => {
    try {
      return all(input)
    } catch {
      return unlessTooDeep(
        () => explained(input),
        () => tooDeep
      )
    }
  }
}
