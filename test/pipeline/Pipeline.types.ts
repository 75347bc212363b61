/** What the types of pipelines promise; compiled, never run. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { Db, Files, type Journal, Pipeline, Sink, type Source } from "skein"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const equals = <A, B>(_: Equals<A, B>): void => {}
type Of<T> = T extends Pipeline.Pipeline<infer A, infer E, infer R, infer P> ? [A, E, R, P] : never

class ParseError {
  readonly _tag = "ParseError"
}
interface Api {
  readonly _tag: "Api"
}
const Row = Schema.Struct({ id: Schema.Number })
declare const lines: Source.Source<string, Files.FilesError, never, number>
declare const stream: Stream.Stream<string>
declare const parse: (line: string) => Effect.Effect<{ readonly id: number }, ParseError, Api>
declare const file: Sink.Sink<{ readonly id: number }, Files.FilesError, never, "effectively-once">
declare const queue: Sink.Sink<{ readonly id: number }, never, never, "at-least-once">
const table = Db.table("rows", Row, { key: "id" })

const from = Pipeline.from(lines)
equals<typeof from, Pipeline.Pipeline<string, Files.FilesError, never, number>>(true)

// Steps add their errors and services; a policy that handles the error takes it out of the type.
const mapped = from.pipe(Pipeline.map(parse, { concurrency: 4 }))
equals<typeof mapped, Pipeline.Pipeline<{ readonly id: number }, Files.FilesError | ParseError, Api, number>>(true)
const skipped = from.pipe(Pipeline.map(parse, { onError: "skip" }))
equals<typeof skipped, Pipeline.Pipeline<{ readonly id: number }, Files.FilesError, Api, number>>(true)
const kept = from.pipe(Pipeline.map(parse, { onError: { deadLetter: Schema.String } }))
equals<typeof kept, Pipeline.Pipeline<{ readonly id: number }, Files.FilesError, Api | Journal.Journal, number>>(true)
// @ts-expect-error the input of the step is a string
from.pipe(Pipeline.map(parse, { onError: { deadLetter: Schema.Number } }))

// Plain functions are steps as well, and elements keep their types through all of it.
const sizes = from.pipe(
  Pipeline.map((line) => line.length),
  Pipeline.filter((n) => n > 1),
  Pipeline.flatMap((n) => [n, String(n)]),
  Pipeline.batch(10)
)
equals<typeof sizes, Pipeline.Pipeline<ReadonlyArray<number | string>, Files.FilesError, never, number>>(true)

// Steps with a state know its type by the schema, and need a journal where keys are kept.
const once = from.pipe(Pipeline.unique((line) => line.length))
equals<typeof once, Pipeline.Pipeline<string, Files.FilesError, Journal.Journal, number>>(true)
// @ts-expect-error a key is no object
from.pipe(Pipeline.unique((line) => ({ line })))
const summed = from.pipe(Pipeline.scan(0, (sum, line) => [sum + line.length, `${sum}`], { state: Schema.Number }))
equals<typeof summed, Pipeline.Pipeline<string, Files.FilesError, never, number>>(true)
const addId = (sum: number, line: string) => Effect.map(parse(line), ({ id }) => [sum + id, id] as const)
const scanned = from.pipe(Pipeline.scan(0, addId, { state: Schema.Number }))
equals<typeof scanned, Pipeline.Pipeline<number, Files.FilesError | ParseError, Api, number>>(true)
const scanSkipped = from.pipe(Pipeline.scan(0, addId, { state: Schema.Number, onError: "skip" }))
equals<typeof scanSkipped, Pipeline.Pipeline<number, Files.FilesError, Api, number>>(true)
const scanKept = from.pipe(
  Pipeline.scan(
    0,
    (sum, line) =>
      Effect.gen(function* () {
        const { id } = yield* parse(line)
        return [sum + id, id]
      }),
    { state: Schema.Number, onError: { deadLetter: Schema.String } }
  )
)
equals<typeof scanKept, Pipeline.Pipeline<number, Files.FilesError, Api | Journal.Journal, number>>(true)
const scanPromised = from.pipe(Pipeline.scan(0, async (sum, line) => [sum, line], { state: Schema.Number }))
equals<typeof scanPromised, Pipeline.Pipeline<string, Files.FilesError, never, number>>(true)
const remembered = from.pipe(
  Pipeline.scan({ seen: [] }, ({ seen }, line) => [{ seen: [...seen, line] }, seen.length], {
    state: Schema.Struct({ seen: Schema.Array(Schema.String) })
  })
)
equals<typeof remembered, Pipeline.Pipeline<number, Files.FilesError, never, number>>(true)
const windows = from.pipe(
  Pipeline.window(
    { every: "1 minute", at: (line) => line.length, late: "1 second" },
    { initial: [], add: (lines, line) => [...lines, line], state: Schema.Array(Schema.String) }
  )
)
equals<typeof windows, Pipeline.Pipeline<Pipeline.Aggregate<ReadonlyArray<string>>, Files.FilesError, never, number>>(
  true
)

// The guarantee follows from source and sink.
const exactly = kept.pipe(Pipeline.to(table))
equals<(typeof exactly)["guarantee"], "exactly-once">(true)
const effectively = kept.pipe(Pipeline.to(Sink.all(table, file)))
equals<(typeof effectively)["guarantee"], "effectively-once">(true)
const atLeast = kept.pipe(Pipeline.to(Sink.all(table, file, queue)))
equals<(typeof atLeast)["guarantee"], "at-least-once">(true)
const atMost = Pipeline.from(stream).pipe(Pipeline.map(parse), Pipeline.to(table))
equals<(typeof atMost)["guarantee"], "at-most-once">(true)

// What goes to each of several sinks is typed by that sink, and a step before says what it is made of.
const routed = kept.pipe(
  Pipeline.to(
    Sink.route({ table, file, queue }, (row) => ({ table: [row], queue: row.id > 1 ? [{ id: row.id }] : [] }))
  )
)
equals<(typeof routed)["guarantee"], "at-least-once">(true)
const tables = Sink.route({ table, names: Db.table("names", Schema.Struct({ name: Schema.String })) }, (n: number) => ({
  table: [{ id: n }],
  names: [{ name: `${n}` }]
}))
equals<typeof tables, Sink.Sink<number, Db.DbError, Db.Db, "exactly-once", never>>(true)
// @ts-expect-error rows of the table have a number
Sink.route({ table }, (line: string) => ({ table: [{ id: line }] }))

// @ts-expect-error a sink of rows does not take lines
from.pipe(Pipeline.to(table))

// What a job cannot guarantee does not compile where it is required; what is weaker does.
void Pipeline.run(exactly, { name: "a", require: "exactly-once" })
void Pipeline.run(exactly, { name: "a", require: "at-least-once" })
void Pipeline.run(effectively, { name: "a", require: "effectively-once" })
// @ts-expect-error a file is not in the transaction
void Pipeline.run(effectively, { name: "a", require: "exactly-once" })
// @ts-expect-error duplicates are possible
void Pipeline.run(atLeast, { name: "a", require: "effectively-once" })
// @ts-expect-error a stream has no positions
void Pipeline.run(atMost, { name: "a", require: "at-least-once" })

// `run` needs the services of steps and sink, and a journal where no sink has a place for it, dead letters or not; `collect`
// needs no journal unless dead letters do.
const run = Pipeline.run(exactly, { name: "a" })
equals<Effect.Services<typeof run>, Api | Db.Db>(true)
const nowhere = Pipeline.run(kept.pipe(Pipeline.to(queue)), { name: "a" })
equals<Effect.Services<typeof nowhere>, Api | Journal.Journal>(true)
const out = Files.jsonl("out.jsonl", Row)
const keeping = (rows: Pipeline.Pipeline<Row, never, Journal.Journal, number>) => [
  rows.pipe(Pipeline.to(out)),
  rows.pipe(Pipeline.to(out, { onError: { deadLetter: Row } })),
  rows.pipe(Pipeline.to(Sink.all(out, Sink.discard))),
  rows.pipe(Pipeline.to(Sink.all(Sink.discard, out))),
  rows.pipe(Pipeline.to(Sink.route({ out, not: Sink.discard }, (row: Row) => ({ out: [row] }))))
]
equals<ReturnType<typeof keeping>[number] extends Pipeline.Job<any, infer R, any> ? R : never, FileSystem.FileSystem>(
  true
)
const lost = (rows: Pipeline.Pipeline<Row, never, never, number>) =>
  rows.pipe(
    Pipeline.to(
      Sink.all(
        Sink.discard,
        Sink.forEach((_: Row) => Effect.void)
      )
    )
  )
equals<ReturnType<typeof lost>, Pipeline.Job<never, Journal.Journal, "at-least-once">>(true)
const collected = Pipeline.collect(mapped)
equals<typeof collected, Effect.Effect<Array<{ readonly id: number }>, Files.FilesError | ParseError, Api>>(true)

// Without a run there is no RunError, but dead letters that are kept can still be too many, or not be kept.
type KeepingError = Files.FilesError | Pipeline.TooManyDeadLetters | Pipeline.BadDeadLetter | Journal.JournalError
const letters = Pipeline.collect(kept)
equals<typeof letters, Effect.Effect<Array<{ readonly id: number }>, KeepingError, Api | Journal.Journal>>(true)
const streamed = Pipeline.stream(kept)
equals<typeof streamed, Stream.Stream<{ readonly id: number }, KeepingError, Api | Journal.Journal>>(true)
const dropped = Pipeline.collect(skipped)
equals<typeof dropped, Effect.Effect<Array<{ readonly id: number }>, Files.FilesError, Api>>(true)

// What can be a source, and what has no positions then.
interface Row {
  readonly id: number
}
type NoPosition = Source.NoPosition
declare const words: Source.Source<string, never, never, number>
declare const torn: Stream.Stream<string, "torn", Api>
declare const asynchronous: () => AsyncGenerator<number>
declare const web: ReadableStream<Uint8Array>
declare const anything: any
const sources = {
  source: Pipeline.from(words),
  file: Pipeline.from(Files.lines("a")),
  stream: Pipeline.from(torn),
  array: Pipeline.from([1, 2]),
  empty: Pipeline.from([]),
  tuple: Pipeline.from(["a", "b"] as const),
  set: Pipeline.from(new Set(["a"])),
  map: Pipeline.from(new Map([["a", 1]])),
  generated: Pipeline.from(asynchronous()),
  web: Pipeline.from(web),
  any: Pipeline.from(anything),
  either: Pipeline.from(words as typeof words | Stream.Stream<number, "torn">)
}
type Sources = { readonly [Name in keyof typeof sources]: Of<(typeof sources)[Name]> }
equals<Sources["source"], [string, never, never, number]>(true)
equals<Sources["stream"], [string, "torn", Api, NoPosition]>(true)
equals<Sources["array"], [number, never, never, NoPosition]>(true)
equals<Sources["empty"], [never, never, never, NoPosition]>(true)
equals<Sources["tuple"], ["a" | "b", never, never, NoPosition]>(true)
equals<Sources["set"], [string, never, never, NoPosition]>(true)
equals<Sources["map"], [[string, number], never, never, NoPosition]>(true)
equals<Sources["generated"], [number, never, never, NoPosition]>(true)
equals<Sources["web"], [Uint8Array, never, never, NoPosition]>(true)
equals<Sources["any"], [any, any, any, NoPosition]>(true)
equals<Sources["either"], [string | number, "torn", never, number | NoPosition]>(true)
// What may have no positions promises what has none does.
const ofEither = sources.either.pipe(Pipeline.to(Sink.discard))
equals<(typeof ofEither)["guarantee"], "at-most-once">(true)
// @ts-expect-error a string is iterable, but its characters are hardly meant
void (() => Pipeline.from("a string"))
// @ts-expect-error one of them is a string
void (() => Pipeline.from("a" as string | Array<string>))
// @ts-expect-error a number is no source
void (() => Pipeline.from(3))
// @ts-expect-error nothing is no source
void (() => Pipeline.from(undefined))
// @ts-expect-error a promise has to be awaited
void (() => Pipeline.from(Promise.resolve([1])))
// @ts-expect-error a generator function has to be called
void (() => Pipeline.from(asynchronous))
// @ts-expect-error an effect is iterable, for yield*
void (() => Pipeline.from(Effect.succeed([1])))
// @ts-expect-error a pipeline is no source
void (() => Pipeline.from(from))

// A step's function gives values, effects and promises, in any mixture.
declare const one: (line: string) => Effect.Effect<1, "a", Db.Db> | Effect.Effect<2, "b", Api>
declare const two: (line: string) => Effect.Effect<1, "a", Db.Db> | Promise<2>
declare const overloaded: { (n: number): 1; (line: string): Effect.Effect<2, "o"> }
const text = Pipeline.from(words)
const outputs = {
  effects: text.pipe(Pipeline.map(one)),
  promised: text.pipe(Pipeline.map(two)),
  perhaps: text.pipe(Pipeline.map((line) => (line === "" ? null : parse(line)))),
  overloaded: text.pipe(Pipeline.map(overloaded)),
  generic: text.pipe(Pipeline.map(<T>(value: T) => [value])),
  genericEffect: text.pipe(Pipeline.map(Effect.succeed)),
  any: text.pipe(Pipeline.map((line) => JSON.parse(line))),
  nothing: text.pipe(Pipeline.map(() => {})),
  never: text.pipe(Pipeline.map(() => Effect.die("no"))),
  asynchronous: text.pipe(Pipeline.map(async (line) => line.length)),
  gen: text.pipe(
    Pipeline.map((line) =>
      Effect.gen(function* () {
        const { name } = yield* Db.Db
        return yield* parse(line + name)
      })
    )
  ),
  fn: text.pipe(
    Pipeline.map(
      Effect.fnUntraced(function* (line: string) {
        return yield* parse(line)
      })
    )
  )
}
type Outputs = { readonly [Name in keyof typeof outputs]: Of<(typeof outputs)[Name]> }
equals<Outputs["effects"], [1 | 2, "a" | "b", Db.Db | Api, number]>(true)
equals<Outputs["promised"], [1 | 2, "a", Db.Db, number]>(true)
equals<Outputs["perhaps"], [Row | null, ParseError, Api, number]>(true)
equals<Outputs["overloaded"], [2, "o", never, number]>(true)
equals<Outputs["generic"], [Array<string>, never, never, number]>(true)
equals<Outputs["genericEffect"], [string, never, never, number]>(true)
equals<Outputs["any"], [any, never, never, number]>(true)
equals<Outputs["nothing"], [void, never, never, number]>(true)
equals<Outputs["never"], [never, never, never, number]>(true)
equals<Outputs["asynchronous"], [number, never, never, number]>(true)
equals<Outputs["gen"], [Row, ParseError, Db.Db | Api, number]>(true)
equals<Outputs["fn"], [Row, ParseError, Api, number]>(true)

// A promise that rejects is a defect, or what `catch` makes of the reason; what is skipped or kept leaves the type.
const length = async (line: string) => line.length
const caught = {
  error: text.pipe(Pipeline.map(length, { catch: () => new ParseError() })),
  reason: text.pipe(Pipeline.map(length, { catch: (reason) => ({ reason }) })),
  thrown: text.pipe(Pipeline.map((line) => line.length, { catch: (reason) => String(reason) })),
  besideEffect: text.pipe(Pipeline.map(two, { catch: () => new ParseError() })),
  skipped: text.pipe(Pipeline.map(length, { catch: () => new ParseError(), onError: "skip" })),
  kept: text.pipe(Pipeline.map(length, { catch: () => "no", onError: { deadLetter: Schema.String, maxDead: "10%" } }))
}
type Caught = { readonly [Name in keyof typeof caught]: Of<(typeof caught)[Name]> }
equals<Caught["error"], [number, ParseError, never, number]>(true)
equals<Caught["reason"], [number, { reason: unknown }, never, number]>(true)
equals<Caught["thrown"], [number, string, never, number]>(true)
equals<Caught["besideEffect"], [1 | 2, "a" | ParseError, Db.Db, number]>(true)
equals<Caught["skipped"], [number, never, never, number]>(true)
equals<Caught["kept"], [number, never, Journal.Journal, number]>(true)

// A policy that is only known in part leaves in the type whatever may be.
declare const policy: { readonly onError?: "skip" | { readonly deadLetter: Schema.Codec<string> } }
declare const yes: boolean
const parts = {
  perhapsFail: text.pipe(Pipeline.map(parse, { onError: yes ? "skip" : "fail" })),
  perhapsKeep: text.pipe(Pipeline.map(parse, { onError: yes ? "skip" : { deadLetter: Schema.String } })),
  perhapsAny: text.pipe(Pipeline.map(parse, policy))
}
type Parts = { readonly [Name in keyof typeof parts]: Of<(typeof parts)[Name]> }
equals<Parts["perhapsFail"], [Row, ParseError, Api, number]>(true)
equals<Parts["perhapsKeep"], [Row, never, Api | Journal.Journal, number]>(true)
equals<Parts["perhapsAny"], [Row, ParseError, Api | Journal.Journal, number]>(true)

// A filter is given booleans, a flatMap iterables, by effects and promises as well.
const filters = {
  value: text.pipe(Pipeline.filter((line) => line !== "")),
  effect: text.pipe(Pipeline.filter(() => Effect.fail("no"))),
  promise: text.pipe(Pipeline.filter(async (line) => line !== "")),
  mixed: text.pipe(Pipeline.filter((line) => (line === "" ? true : Effect.succeed(false)))),
  any: text.pipe(Pipeline.filter((line) => JSON.parse(line)))
}
type Filters = { readonly [Name in keyof typeof filters]: Of<(typeof filters)[Name]> }
equals<Filters["value" | "promise" | "mixed" | "any"], [string, never, never, number]>(true)
equals<Filters["effect"], [string, string, never, number]>(true)
// @ts-expect-error a number is no boolean
text.pipe(Pipeline.filter((line) => line.length))
// @ts-expect-error nor is that of an effect
text.pipe(Pipeline.filter((line) => Effect.succeed(line.length)))
// @ts-expect-error nor what a promise may be of
text.pipe(Pipeline.filter(async (line) => line || true))
const flats = {
  array: text.pipe(Pipeline.flatMap((line) => [line.length])),
  perhaps: text.pipe(Pipeline.flatMap((line) => (line === "" ? [] : [line]))),
  mixed: text.pipe(Pipeline.flatMap((line) => (line === "" ? [1] : Effect.succeed(new Set(["a"]))))),
  promise: text.pipe(Pipeline.flatMap(async (line) => [line.length])),
  generator: text.pipe(
    Pipeline.flatMap(function* (line) {
      yield line.length
    })
  ),
  any: text.pipe(Pipeline.flatMap((line) => JSON.parse(line)))
}
type Flats = { readonly [Name in keyof typeof flats]: Of<(typeof flats)[Name]> }
equals<Flats["array" | "promise" | "generator"], [number, never, never, number]>(true)
equals<Flats["perhaps"], [string, never, never, number]>(true)
equals<Flats["mixed"], [string | number, never, never, number]>(true)
equals<Flats["any"], [any, never, never, number]>(true)
// @ts-expect-error a number cannot be iterated
text.pipe(Pipeline.flatMap((line) => line.length))
// @ts-expect-error an effect can, but not to elements
text.pipe(Pipeline.flatMap((line) => Effect.succeed(line.length)))

// An idempotency key needs positions; over a source without them it stays in the type, as what cannot be provided.
const pay = (line: string) => Effect.as(Pipeline.idempotencyKey, line)
equals<Of<ReturnType<typeof paid>>, [string, never, never, number]>(true)
const paid = () => text.pipe(Pipeline.map(pay))
const unpaid = Pipeline.from(["a"]).pipe(Pipeline.map(pay))
equals<Of<typeof unpaid>, [string, never, Pipeline.Positions, NoPosition]>(true)
// @ts-expect-error a list has no positions
void (() => Effect.runPromise(Pipeline.collect(unpaid)))

// A sink takes elements of its type and narrower ones; one that is made in place learns the type of the elements.
interface Wide extends Row {
  readonly name: string
}
declare const rows: Pipeline.Pipeline<Row, never, never, number>
declare const wide: Pipeline.Pipeline<Wide, never, never, number>
const narrowed = wide.pipe(Pipeline.to(table))
equals<typeof narrowed, Pipeline.Job<Db.DbError, Db.Db, "exactly-once">>(true)
rows.pipe(Pipeline.to(Sink.forEach((row) => Effect.log(row.id.toFixed()))))
rows.pipe(
  Pipeline.batch(3),
  Pipeline.to(
    Sink.make({
      name: "log",
      guarantee: "at-least-once",
      open: () => Effect.succeed({ write: (batches) => Effect.as(Effect.log(batches[0]?.[0]?.id), null) })
    })
  )
)
const apart = Pipeline.to(table)
const applied = rows.pipe(apart)
equals<typeof applied, Pipeline.Job<Db.DbError, Db.Db, "exactly-once">>(true)
equals<ReturnType<typeof direct>, Pipeline.Job<Db.DbError, Db.Db, "exactly-once">>(true)
const direct = () => Pipeline.to(table)(wide)
const refused = rows.pipe(Pipeline.to(table, { onError: { deadLetter: Row }, retry: { retryWhile: (error) => error } }))
equals<typeof refused, Pipeline.Job<Db.DbError, Db.Db, "exactly-once">>(true)
// @ts-expect-error the sink takes rows, which is what would be kept
rows.pipe(Pipeline.to(table, { onError: { deadLetter: Schema.Number } }))
// @ts-expect-error arrays of rows are no rows
rows.pipe(Pipeline.batch(3), Pipeline.to(table))
// @ts-expect-error nor are lines
text.pipe(apart)

// What is generic in a program of its own stays so.
const each = <A, B, E, R>(items: ReadonlyArray<A>, step: (item: A) => Effect.Effect<B, E, R>) =>
  Pipeline.from(items).pipe(Pipeline.map(step, { concurrency: 8 }), Pipeline.collect)
equals<ReturnType<typeof eachParsed>, Effect.Effect<Array<Row>, ParseError, Api>>(true)
const eachParsed = () => each(["a"], parse)
const gather = <A, E, R, P>(
  pipeline: Pipeline.Pipeline<A, E, R, P>
): Effect.Effect<Array<A>, E | Pipeline.DeadLetterError<R>, R> => Pipeline.collect(pipeline)
equals<ReturnType<typeof gathered>, Effect.Effect<Array<string>>>(true)
const gathered = () => gather(text)
const store = <A, E, R, P>(source: Source.Source<A, E, R, P>, codec: Schema.Codec<A, object>) =>
  Pipeline.from(source).pipe(Pipeline.to(Db.table("a", codec)))
declare const stored: Source.Source<Row, never, never, number>
equals<ReturnType<typeof storing>, Pipeline.Job<Db.DbError, Db.Db, "exactly-once">>(true)
const storing = () => store(stored, Row)
const runAny = <E, R, G extends Pipeline.Delivery>(job: Pipeline.Job<E, R, G>) => Pipeline.run(job, { name: "any" })
equals<ReturnType<typeof runAny<"e", Api, "exactly-once">>, ReturnType<typeof runOne>>(true)
declare const runOne: () => Effect.Effect<Pipeline.Summary, "e" | Pipeline.RunError | Journal.JournalError, Api>
