/** Values of a schema as JSON: one a line. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { unlessTooDeep } from "../../../concurrency/base/Nesting.ts"
import { type Format, Refusal } from "../Format.ts"
import { LineCutter, type LineOptions } from "./LineCutter.ts"
import { fixElement } from "./LinesFormat.ts"

export const jsonlFormat = <A, I>(schema: Schema.Codec<A, I>, options: LineOptions): Format<A> => {
  const { parse, print } = jsonOf(schema, fixLine)
  return {
    name: "jsonl",
    cut: (start) => new LineCutter(start, parse, options),
    print,
    layout: { terminator: "\n" }
  }
}

/** From JSON text to a value of the schema and back; `fix` is what to do about text that is none. */
export const jsonOf = <A, I>(
  schema: Schema.Codec<A, I>,
  fix: string
): { readonly parse: (text: string) => A | Refusal; readonly print: (element: A) => string | Refusal } => {
  const codec = Schema.toCodecJson(schema)
  // Half as fast again; where code may not be generated, as under a strict CSP, the schema is interpreted as ever.
  SchemaJITCompiler.enable(codec.ast)
  SchemaJITCompiler.enable(Schema.flip(codec).ast)
  const decode = SchemaParser.decodeUnknownResult(codec)
  const encode = SchemaParser.encodeUnknownResult(codec)
  return {
    parse: (text) => {
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch (error) {
        return new Refusal(`it is not JSON: ${error instanceof Error ? error.message : error}`, fix)
      }
      return unlessTooDeep(
        () => {
          const result = decode(value)
          return Result.isSuccess(result) ? result.success : misfit(result.failure, fix)
        },
        () => new Refusal("it is nested too deep", fix)
      )
    },
    print: (element) =>
      unlessTooDeep(
        () => {
          const result = encode(element)
          if (Result.isFailure(result)) return misfit(result.failure, fixElement)
          const text = JsonText.print(result.success)
          return Result.isSuccess(text) ? text.success : new Refusal(`it ${text.failure}`, fixElement)
        },
        () => new Refusal(`it ${JsonText.tooDeep}`, fixElement)
      )
  }
}

const fixLine =
  "Correct the line or the schema, or take the file as `Files.lines` and parse it in a step, which may skip bad lines."

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

const misfit = (issue: SchemaIssue.Issue, fix: string): Refusal => {
  const [first] = issues(issue).issues
  const field = (first?.path ?? []).map((key) => String(typeof key === "object" ? key.key : key)).join(".")
  return new Refusal(first?.message ?? "it does not fit its schema", fix, field === "" ? undefined : field)
}
