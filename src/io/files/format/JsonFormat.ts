/** Values of a schema as JSON: one a line, or as one array. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { isTooDeep } from "../../../concurrency/base/Nesting.ts"
import * as JsonReader from "../../text/JsonReader.ts"
import { type Format, Refusal } from "../Format.ts"
import { ArrayCutter } from "./ArrayCutter.ts"
import { LineCutter, type LineOptions } from "./LineCutter.ts"
import { fixElement } from "./LinesFormat.ts"
import { checked, misfit } from "./Misfit.ts"

export const jsonlFormat = <A, I>(schema: Schema.Codec<A, I>, options: LineOptions): Format<A> => {
  const { parseIn, print } = jsonOf(schema, fixLine)
  return {
    name: "jsonl",
    cut: (start) => new LineCutter(start, parseIn, options),
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

interface Json<A> {
  readonly parse: (text: string) => A | Refusal
  /** How lines of a text are parsed, all of which is looked at before: that costs a fifth of looking at each. */
  readonly parseIn: (text: string) => (line: string) => A | Refusal
  readonly print: (element: A) => string | Refusal
}

/** From JSON text to a value of the schema and back; `fix` is what to do about text that is none. */
export const jsonOf = <A, I>(schema: Schema.Codec<A, I>, fix: string): Json<A> => {
  const codec = Schema.toCodecJson(schema)
  const read = JsonReader.make(codec.ast)
  const tooDeep = new Refusal("it is nested too deep", fix)
  const decode = checked<unknown, A>(codec, "decode", (issue, value) => misfit(issue, fix, value), tooDeep)
  const encode = checked<A, unknown>(codec, "encode", (issue) => misfit(issue, fixElement), deepElement)
  const parseAs = (text: string, isShort: boolean): A | Refusal => {
    let value: unknown
    try {
      value = read(text, isShort)
    } catch (error) {
      if (error instanceof SyntaxError) return new Refusal(`it is not JSON: ${error.message}`, fix)
      if (isTooDeep(error)) return tooDeep
      throw error
    }
    return decode(value)
  }
  const parse = (text: string) => parseAs(text, false)
  const parseShort = (text: string) => parseAs(text, true)
  return {
    parse,
    parseIn: (text) => (JsonText.hasLongInteger(text) ? parse : parseShort),
    print: (element) => {
      const value = encode(element)
      if (value instanceof Refusal) return value
      const text = JsonText.print(value)
      return Result.isSuccess(text) ? text.success : new Refusal(`it ${text.failure}`, fixElement)
    }
  }
}

const deepElement = new Refusal(`it ${JsonText.tooDeep}`, fixElement)

const fixLine =
  "Correct the line or the schema, or take the file as `Files.lines` and parse it in a step, which may skip bad lines."
