/** What does not fit a schema, in the words of a refusal. */
import * as SchemaIssue from "effect/SchemaIssue"
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
