/** What the types of pipelines promise; compiled, never run. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { Db, type Files, type Journal, Pipeline, Sink, type Source } from "skein"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const equals = <A, B>(_: Equals<A, B>): void => {}

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

// The guarantee follows from source and sink.
const exactly = kept.pipe(Pipeline.to(table))
equals<(typeof exactly)["guarantee"], "exactly-once">(true)
const effectively = kept.pipe(Pipeline.to(Sink.all(table, file)))
equals<(typeof effectively)["guarantee"], "effectively-once">(true)
const atLeast = kept.pipe(Pipeline.to(Sink.all(table, file, queue)))
equals<(typeof atLeast)["guarantee"], "at-least-once">(true)
const atMost = Pipeline.from(stream).pipe(Pipeline.map(parse), Pipeline.to(table))
equals<(typeof atMost)["guarantee"], "at-most-once">(true)

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

// `run` needs the services of steps and sink, and a journal; `collect` needs no journal unless dead letters do.
const run = Pipeline.run(exactly, { name: "a" })
equals<Effect.Services<typeof run>, Api | Db.Db | Journal.Journal>(true)
const collected = Pipeline.collect(mapped)
equals<typeof collected, Effect.Effect<Array<{ readonly id: number }>, Files.FilesError | ParseError, Api>>(true)
