/** Values of a schema as JSON: one a line, or as one array. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaParser from "effect/SchemaParser"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { unlessTooDeep } from "../../../concurrency/base/Nesting.ts"
import * as JsonReader from "../../text/JsonReader.ts"
import { type Format, Refusal } from "../Format.ts"
import { ArrayCutter } from "./ArrayCutter.ts"
import { LineCutter, type LineOptions } from "./LineCutter.ts"
import { fixElement } from "./LinesFormat.ts"
import { misfit } from "./Misfit.ts"

export const jsonlFormat = <A, I>(schema: Schema.Codec<A, I>, options: LineOptions): Format<A> => {
  const { parse, print } = jsonOf(schema, fixLine)
  return {
    name: "jsonl",
    cut: (start) => new LineCutter(start, parse, options),
    print,
    ends: "\n",
    layout: { terminator: "\n" }
  }
}

export const jsonFormat = <A, I>(schema: Schema.Codec<A, I>, maxElement: number): Format<A> => {
  const { parse, print } = jsonOf(schema, "Correct the element, or the schema.")
  return {
    name: "json",
    cut: (start) => new ArrayCutter(start, parse, maxElement),
    print,
    layout: { header: "[\n", separator: ",\n", footer: "\n]\n" }
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
  const read = JsonReader.make(codec.ast)
  const decode = SchemaParser.decodeUnknownResult(codec)
  const encode = SchemaParser.encodeUnknownResult(codec)
  return {
    parse: (text) =>
      unlessTooDeep(
        () => {
          let value: unknown
          try {
            value = read(text)
          } catch (error) {
            if (!(error instanceof SyntaxError)) throw error
            return new Refusal(`it is not JSON: ${error.message}`, fix)
          }
          const result = decode(value)
          return Result.isSuccess(result) ? result.success : misfit(result.failure, fix, value)
        },
        () => new Refusal("it is nested too deep", fix)
      ),
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
