/** Lines of text. */
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { type Format, Refusal } from "../Format.ts"
import { LineCutter, type LineOptions } from "./LineCutter.ts"

export const fixElement = "Correct the element in the step before, or the schema."

const same = (line: string): string => line

export const linesFormat = (options: LineOptions): Format<string> => ({
  name: "lines",
  cut: (start) => new LineCutter(start, () => same, options),
  print: (line) => {
    if (/[\r\n]/.test(line)) {
      return new Refusal(
        "it has a line break in it and would be read as several lines",
        "Use `Files.jsonl` for such text."
      )
    }
    return line.isWellFormed() ? line : new Refusal(`it ${JsonText.noUtf8}`, fixElement)
  },
  ends: "\n",
  layout: { terminator: "\n" }
})
