import { beforeAll, expect, it } from "vitest"
import { firstErrors } from "../support/compile.ts"

const prelude = `
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, Fetch, Files, Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Main } from "skein/node"

interface Row { readonly id: number }
const Row: Schema.Codec<Row, Row> = Schema.Struct({ id: Schema.Number })
declare const parse: (line: string) => Effect.Effect<Row, Db.DbError>
declare const words: Pipeline.Pipeline<string, never, never, number>
declare const rows: Pipeline.Pipeline<Row, never, never, number>
const table = Db.table("rows", Row, { key: "id" })
const toTable = words.pipe(Pipeline.map(parse), Pipeline.to(table))
const toFile = rows.pipe(Pipeline.to(Files.jsonl("rows.jsonl", Row)))
const toEffects = rows.pipe(Pipeline.to(Sink.discard))
const ofList = Pipeline.from(["a"]).pipe(Pipeline.map(parse), Pipeline.to(table))
const pay = (n: number) => Effect.map(Pipeline.idempotencyKey, (key) => key + n)
`

const argument = (given: string, wanted: string) =>
  `Argument of type '${given}' is not assignable to parameter of type '${wanted}'.`
const value = (given: string, wanted: string) => `Type '${given}' is not assignable to type '${wanted}'.`

const noSource = '"This is not a source: use a Source, such as Files.lines or Source.list, a Stream, or an iterable"'
const aFunction = '"A function is not a source: call it, and give what it returns"'
const atMost =
  '"This job is at-most-once: for more, read from a source with positions, such as Source.list or Files.lines"'
const atLeast =
  '"This job is at-least-once: for more, write to tables (Db.table, exactly-once) or files (Files.jsonl, effectively-once)"'
const effectively = '"This job is effectively-once: for exactly-once, write to nothing but tables, as Db.table does"'
const noKey = '"An idempotency key needs a source with positions, such as Source.list or Files.lines"'
const noBoolean = '"Pipeline.filter keeps what is true: give a boolean, or an effect or a promise of one"'
const noIterable =
  '"Pipeline.flatMap needs many: give an iterable, a Stream or a Source, or an effect or a promise of one; Pipeline.map takes any value"'
const mapFirst = '"Map the elements to what this sink takes"'

const cases: ReadonlyArray<readonly [name: string, code: string, first: string]> = [
  [
    "a string as a source",
    'Pipeline.from("urls.txt")',
    argument('"urls.txt"', '"A string is not a source: use Files.lines for a file, or an array"')
  ],
  ["a number as a source", "Pipeline.from(3)", argument("3", noSource)],
  ["nothing as a source", "Pipeline.from(null)", argument("null", noSource)],
  ["an object as a source", "Pipeline.from({ a: 1 })", argument("{ a: number; }", noSource)],
  [
    "a promise as a source",
    "Pipeline.from(Promise.resolve([1]))",
    argument("Promise<number[]>", '"A promise is not a source: await it first, or use an async generator"')
  ],
  ["a function as a source", "Pipeline.from(() => [1])", argument("() => number[]", aFunction)],
  [
    "a generator function as a source",
    "Pipeline.from(async function* () { yield 1 })",
    argument("() => AsyncGenerator<number, void, unknown>", aFunction)
  ],
  [
    "an effect as a source",
    "Pipeline.from(Effect.succeed([1]))",
    argument(
      "Effect<number[], never, never>",
      '"An effect is not a source: yield* it first, or use Stream.fromEffect or Stream.unwrap"'
    )
  ],
  [
    "a pipeline as a source",
    "Pipeline.from(words)",
    argument("Pipeline<string, never, never, number>", '"A pipeline is not a source: add steps to it with pipe"')
  ],
  [
    "a dead-letter schema of another type than the step takes",
    "words.pipe(Pipeline.map(parse, { onError: { deadLetter: Schema.Number } }))",
    value("Number", "SchemaOfInput<string>")
  ],
  [
    "a dead-letter schema of another type than the sink takes",
    "rows.pipe(Pipeline.to(table, { onError: { deadLetter: Schema.Number } }))",
    value("Number", "SchemaOfInput<Row>")
  ],
  [
    "an option that there is not",
    "words.pipe(Pipeline.map(parse, { concurency: 3 }))",
    "Object literal may only specify known properties, but 'concurency' does not exist in type 'StepOptions<string>'. Did you mean to write 'concurrency'?"
  ],
  ["a key that is an object", "words.pipe(Pipeline.unique((word) => ({ word })))", value("{ word: string; }", "Key")],
  [
    "a scan that gives no state",
    "words.pipe(Pipeline.scan(0, (sum, word) => sum + word.length, { state: Schema.Number }))",
    value("number", "StateAndOutput<number>")
  ],
  [
    "a scan that gives another state",
    "words.pipe(Pipeline.scan(0, (sum, word) => [word, sum], { state: Schema.Number }))",
    value("string", "number")
  ],
  [
    "a scan that begins with another state",
    'words.pipe(Pipeline.scan("", (sum, word) => [sum, word], { state: Schema.Number }))',
    argument("string", "number")
  ],
  [
    "a scan whose state is not kept",
    "words.pipe(Pipeline.scan(0, (sum, word) => [sum, word]))",
    "Expected 3 arguments, but got 2."
  ],
  [
    "a window of another value",
    "words.pipe(Pipeline.window({ count: 3 }, { initial: 0, add: (sum, word) => word, state: Schema.Number }))",
    value("string", "number")
  ],
  [
    "exactly-once of a file",
    'Pipeline.run(toFile, { name: "a", require: "exactly-once" })',
    value('"exactly-once"', effectively)
  ],
  [
    "exactly-once over a list",
    'Pipeline.run(ofList, { name: "a", require: "exactly-once" })',
    value('"exactly-once"', atMost)
  ],
  [
    "at-least-once over a list",
    'Pipeline.start(ofList, { name: "a", require: "at-least-once" })',
    value('"at-least-once"', atMost)
  ],
  [
    "exactly-once of a sink of effects",
    'Pipeline.replay(toEffects, { name: "a", require: "exactly-once" })',
    value('"exactly-once"', atLeast)
  ],
  [
    "an idempotency key without positions",
    "Effect.runPromise(Pipeline.from([1]).pipe(Pipeline.map(pay), Pipeline.collect))",
    argument(`Effect<string[], never, ${noKey}>`, "Effect<string[], never, never>")
  ],
  [
    "an idempotency key without positions, at the entry point",
    "Main.run(Pipeline.from([1]).pipe(Pipeline.map(pay), Pipeline.collect))",
    argument(`Effect<string[], never, ${noKey}>`, noKey)
  ],
  [
    "a program without a database",
    'Main.run(Pipeline.run(toTable, { name: "a" }))',
    argument(
      "Effect<Summary, DbError | JournalError | RunError, Db>",
      '"The program needs a database: provide one, as with Effect.provide(Db.sqlite(file))"'
    )
  ],
  [
    "a program without a journal",
    'Main.run(Pipeline.run(toEffects, { name: "a" }))',
    argument(
      "Effect<Summary, JournalError | RunError, Journal>",
      '"The program needs a journal: provide Files.journal(file), or Db.sqlite(file), which has one; Journal.memory starts over each time"'
    )
  ],
  [
    "a program without a group",
    "Main.run(TaskGroup.spawn(Effect.void))",
    argument(
      "Effect<Task<void, never>, never, TaskGroup<never>>",
      '"The program needs a group for its tasks: open one with TaskGroup.open"'
    )
  ],
  [
    "a program without a scope",
    "Main.run(Effect.acquireRelease(Effect.void, () => Effect.void))",
    argument("Effect<void, never, Scope>", '"The program needs a scope: end it with Effect.scoped"')
  ],
  [
    "a program without a service of its own",
    'import * as Context from "effect/Context"\nclass Mail extends Context.Service<Mail, string>()("Mail") {}\nMain.run(Effect.asVoid(Mail))',
    argument("Effect<void, never, Mail>", "Provide<Mail>")
  ],
  ["a filter by a number", "words.pipe(Pipeline.filter((word) => word.length))", value("number", noBoolean)],
  [
    "a filter by an effect of a number",
    "words.pipe(Pipeline.filter((word) => Effect.succeed(word.length)))",
    value("Effect<number, never, never>", noBoolean)
  ],
  [
    "a filter by a promise of a string",
    "words.pipe(Pipeline.filter(async (word) => word))",
    value("Promise<string>", noBoolean)
  ],
  ["a flatMap to a number", "words.pipe(Pipeline.flatMap((word) => word.length))", value("number", noIterable)],
  [
    "a flatMap to an effect of a number",
    "words.pipe(Pipeline.flatMap((word) => Effect.succeed(word.length)))",
    value("Effect<number, never, never>", noIterable)
  ],
  [
    "a sink of other elements",
    "words.pipe(Pipeline.to(table))",
    argument(
      'Sink<Row, DbError, Db, "exactly-once", never>',
      `${mapFirst} | Sink<string, DbError, Db, "exactly-once", never>`
    )
  ],
  [
    "a sink of elements behind a batch",
    "rows.pipe(Pipeline.batch(3), Pipeline.to(table))",
    argument(
      'Sink<Row, DbError, Db, "exactly-once", never>',
      `${mapFirst} | Sink<readonly Row[], DbError, Db, "exactly-once", never>`
    )
  ],
  [
    "a step of other elements",
    "rows.pipe(Pipeline.map(parse))",
    argument(
      "<E, R, P>(self: Pipeline<string, E, R, P>) => Pipeline<Row, E | DbError, R, P>",
      "(_: Pipeline<Row, never, never, number>) => Pipeline<Row, DbError, never, number>"
    )
  ]
]

let errors: Readonly<Record<string, string>> = {}
beforeAll(async () => {
  // Ends some messages of all kinds.
  const exact = / with 'exactOptionalPropertyTypes: true'\. Consider .*$/
  const found = await firstErrors(prelude, Object.fromEntries(cases.map(([name, code]) => [name, code])))
  errors = Object.fromEntries(Object.entries(found).map(([name, text]) => [name, text.replace(exact, ".")]))
})

it.each(cases)("the compiler says what to do about %s", (name, _, first) => {
  expect(errors[name]).toBe(first)
})
