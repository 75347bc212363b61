/** What an answer is as JSON. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaIssue from "effect/SchemaIssue"
import { isTooDeep, unlessTooDeep } from "../../../concurrency/base/Nesting.ts"
import type { FetchError } from "../../FetchError.ts"
import * as JsonBytes from "../../text/JsonBytes.ts"
import * as JsonReader from "../../text/JsonReader.ts"
import type { Answer } from "../call/FetchAttempt.ts"
import { explain } from "../call/FetchCause.ts"

/** Decodes the body of an answer, or fails and names what is wrong with it, and where. */
export const decoder = <S extends Schema.Constraint>(
  schema: S
): ((answer: Answer) => Effect.Effect<S["Type"], FetchError, S["DecodingServices"]>) => {
  const codec = Schema.toCodecJson(schema)
  // Half as fast again; where code may not be generated, as under a strict CSP, the schema is interpreted as ever.
  SchemaJITCompiler.enable(codec.ast)
  const read = JsonReader.make(codec.ast)
  const decode = Schema.decodeUnknownEffect(codec, { reportInput: true })
  return (answer) => {
    const misfit = (detail: string) => answer.error("Decode", detail)
    const decoded = (text: string) => {
      let value: unknown
      try {
        value = read(text)
      } catch (error) {
        return Effect.fail(isTooDeep(error) ? misfit(tooDeep) : notJson(answer, `is not JSON: ${explain(error)}`))
      }
      const decoding = decode(value)
      if (isValue(decoding)) return decoding
      return decoding.pipe(
        Effect.mapError(({ issue }) =>
          misfit(
            unlessTooDeep(
              () => mismatch(issue, value),
              () => tooDeep
            )
          )
        ),
        Effect.catchDefect((defect) => (isTooDeep(defect) ? Effect.fail(misfit(tooDeep)) : Effect.die(defect)))
      )
    }
    const contentType = answer.response.headers["content-type"]
    const plain = JsonBytes.plain(answer.body, contentType)
    if (plain !== undefined) return decoded(plain)
    const text = JsonBytes.text(answer.body, contentType)
    return Effect.matchEffect(text, { onFailure: (detail) => Effect.fail(notJson(answer, detail)), onSuccess: decoded })
  }
}

const isValue = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Success<A> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

const notJson = (answer: Answer, detail: string): FetchError => {
  const type = answer.response.headers["content-type"] ?? "no content type"
  return answer.error("Decode", `its body (${type}) ${detail}`)
}

const tooDeep = "its JSON is nested too deep"

const formatted = SchemaIssue.makeFormatterStandardSchemaV1()

const mismatch = (issue: SchemaIssue.Issue, value: unknown): string => {
  const [first] = formatted(issue).issues
  const at = (first?.path ?? []).map((key) => (typeof key === "object" ? key.key : key))
  const { detail, path } = JsonReader.rounded(value, at) ?? { detail: first?.message ?? "it was refused", path: at }
  const where = path.length === 0 ? "" : ` at \`${path.map(String).join(".")}\``
  return `its JSON does not match the schema${where}: ${detail.length > 300 ? `${detail.slice(0, 300)}…` : detail}`
}
