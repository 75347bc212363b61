/** Timelines as JSON Lines, and what may come in their place. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as Shown from "../../concurrency/base/Shown.ts"
import type { Entry } from "../context/Entry.ts"
import { BadTimeline } from "../TimelineError.ts"

const version = 1
const header = JSON.stringify({ "skein-timeline": version })

export const encode = (entries: Iterable<Entry>): string => {
  const lines = [header]
  for (const entry of entries) lines.push(JSON.stringify(entry))
  return `${lines.join("\n")}\n`
}

export const decode = (text: string): Result.Result<ReadonlyArray<Entry>, BadTimeline> => {
  const entries: Array<Entry> = []
  let begun = false
  let number = 0
  for (const line of text.replace(/^\uFEFF/, "").split("\n")) {
    number += 1
    const bad = (why: string) => Result.fail(new BadTimeline({ line: number, why: Shown.escaped(why) }))
    if (line.trim() === "") continue
    const value = parsed(line)
    if (value === undefined) return bad(begun ? "it is no JSON" : noHeader)
    const format = formatOf(value)
    if (format !== undefined) {
      if (format !== version) return bad(`it says format ${format}, and this version of Skein reads format ${version}`)
      begun = true
      continue
    }
    if (!begun) return bad(noHeader)
    const entry = entryOf(value)
    if (Result.isFailure(entry)) return bad(inWords(entry.failure))
    entries.push(entry.success)
  }
  return begun ? Result.succeed(entries) : Result.fail(new BadTimeline({ line: 1, why: "it is empty" }))
}

const noHeader = `a timeline begins with ${header}`

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** In words, as it may be anything. */
const formatOf = (value: unknown): number | string | undefined => {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "skein-timeline")) return undefined
  const format = (value as { readonly "skein-timeline": unknown })["skein-timeline"]
  return typeof format === "number" ? format : JSON.stringify(format).slice(0, 40)
}

const ofTask = {
  at: Schema.Finite,
  task: Schema.Int,
  name: Schema.String,
  group: Schema.String,
  parent: Schema.NullOr(Schema.Int)
}

const schema: Schema.Codec<Entry, unknown> = Schema.Union([
  Schema.Struct({
    ...ofTask,
    kind: Schema.Literals(["spawned", "started", "suspended", "resumed", "cancelling"]),
    what: Schema.optionalKey(Schema.String),
    by: Schema.optionalKey(Schema.Int)
  }),
  Schema.Struct({
    ...ofTask,
    kind: Schema.Literal("exited"),
    outcome: Schema.Literals(["succeeded", "failed", "cancelled"]),
    duration: Schema.Finite,
    error: Schema.optionalKey(Schema.String)
  }),
  Schema.Struct({
    at: Schema.Finite,
    kind: Schema.Literal("committed"),
    run: Schema.String,
    rows: Schema.Finite,
    took: Schema.Finite
  }),
  Schema.Struct({
    at: Schema.Finite,
    kind: Schema.Literal("blocked"),
    task: Schema.NullOr(Schema.Int),
    name: Schema.NullOr(Schema.String),
    took: Schema.Finite,
    stack: Schema.Array(Schema.String)
  }),
  Schema.Struct({ at: Schema.Finite, kind: Schema.Literal("lost"), count: Schema.Finite })
])

const entryOf = SchemaParser.decodeUnknownResult(schema)
const issues = SchemaIssue.makeFormatterStandardSchemaV1()

const inWords = (issue: SchemaIssue.Issue): string => {
  const [first] = issues(issue).issues
  const at = (first?.path ?? []).map((key) => String(typeof key === "object" ? key.key : key)).join(".")
  const detail = (first?.message ?? "it is no entry").split("\n")[0]!.slice(0, 200)
  return at === "" ? detail : `"${at}": ${detail}`
}
