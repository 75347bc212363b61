/** What does not fit a schema, in the words of a refusal. */
import * as SchemaIssue from "effect/SchemaIssue"
import { Refusal } from "../Format.ts"

export const fixElement = "Correct the element in the step before, or the schema."

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

export const misfit = (issue: SchemaIssue.Issue, fix: string): Refusal => {
  const [first] = issues(issue).issues
  const field = (first?.path ?? []).map((key) => String(typeof key === "object" ? key.key : key)).join(".")
  return new Refusal(first?.message ?? "it does not fit its schema", fix, field === "" ? undefined : field)
}
