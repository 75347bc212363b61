import { beforeAll, expect, it } from "vitest"
import { hovers } from "../support/hover.ts"

// Elements have names here, as those of a program should: an editor shows a type without one over several lines.
const program = `
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, Fetch, Files, Pipeline, Sink, Source } from "skein"

interface Repo { readonly id: number; readonly name: string }
const Repo: Schema.Codec<Repo, Repo> = Schema.Struct({ id: Schema.Int, name: Schema.String })
class ParseError { readonly _tag = "ParseError" }
declare const parse: (line: string) => Effect.Effect<Repo, ParseError>
declare const words: Source.Source<string, never, never, number>

const lines = Pipeline.from(Files.lines("urls.txt"))
const list = Pipeline.from(Source.list("a b".split(" "), { name: "list" }))
const array = Pipeline.from([1, 2, 3])
const stream = Pipeline.from(Stream.fromIterable(["a", 1]))

const fetched = lines.pipe(
  Pipeline.map(Fetch.json(Repo), { concurrency: 64, order: "completion", onError: { deadLetter: Schema.String } })
)
const mapped = lines.pipe(Pipeline.map((line) => line.length))
const parsed = lines.pipe(Pipeline.map(parse, { concurrency: 4, name: "parse" }))
const skipped = lines.pipe(Pipeline.map(parse, { order: "completion", onError: "skip" }))
const promised = lines.pipe(Pipeline.map(async (line) => line.length))
const caught = lines.pipe(Pipeline.map(async (line) => line.length, { catch: (reason) => new ParseError() }))
const mixed = lines.pipe(Pipeline.map((line) => (line === "" ? null : parse(line))))
const generated = lines.pipe(Pipeline.map((line) => Effect.gen(function* () { return yield* parse(line) })))
const filtered = lines.pipe(Pipeline.filter((line) => line !== "", { name: "full" }))
const flat = lines.pipe(Pipeline.flatMap((line) => line.split("")))
const within = list.pipe(Pipeline.flatMap((path) => Files.lines(path)))
const streamed2 = list.pipe(Pipeline.flatMap((n) => Stream.fromEffect(parse(n)), { onError: "skip" }))
const merged = parsed.pipe(Pipeline.merge(array, list))
const zipped = mapped.pipe(Pipeline.zip(parsed))
const unique = lines.pipe(Pipeline.unique((line) => line.length))
const summed = lines.pipe(Pipeline.scan(0, (sum, line) => [sum + line.length, sum], { state: Schema.Number }))
const scanned = lines.pipe(
  Pipeline.scan(0, (sum, line) => Effect.map(parse(line), (repo) => [sum + repo.id, repo]), { state: Schema.Number })
)
const windows = lines.pipe(
  Pipeline.window({ count: 10 }, { initial: 0, add: (sum, line) => sum + line.length, state: Schema.Number })
)
const batched = lines.pipe(Pipeline.batch(10, { within: "1 second" }))
const weighed = lines.pipe(Pipeline.batch(10, { bytes: 1_000, key: (line) => line.length }))
const inOrder = lines.pipe(Pipeline.map(parse, { key: (line) => line.slice(0, 1), concurrency: { min: 1, max: 8 } }))
const timely = lines.pipe(Pipeline.map(parse, { timeout: { attempt: "1 second" }, retry: { retries: 2, retryWhile: (error) => error !== 1 } }))
const untimely = lines.pipe(Pipeline.map(parse, { timeout: { attempt: "1 second" }, onError: "skip" }))
const tapped = lines.pipe(Pipeline.tap((line) => parse(line), { rate: { limit: 10, per: "1 second" } }))
const keyed = list.pipe(Pipeline.map(() => Effect.flatMap(Pipeline.idempotencyKey, () => Db.Db)))
const unkeyed = array.pipe(Pipeline.map(() => Pipeline.idempotencyKey))

const job = Pipeline.from(Files.lines("urls.txt")).pipe(
  Pipeline.map(Fetch.json(Repo), { concurrency: 64, order: "completion", onError: { deadLetter: Schema.String } }),
  Pipeline.to(Db.table("repos", Repo, { key: "id" }))
)
const both = parsed.pipe(Pipeline.to(Sink.all(Db.table("repos", Repo), Files.jsonl("repos.jsonl", Repo))))
const refused = parsed.pipe(Pipeline.to(Db.table("repos", Repo), { onError: { deadLetter: Repo, maxDead: "1%" } }))
const once = array.pipe(Pipeline.to(Sink.discard))
const small = Pipeline.from(words).pipe(
  Pipeline.map(Fetch.json(Repo)),
  Pipeline.to(Db.table("repos", Repo, { key: "id" }))
)

const ran = Pipeline.run(job, { name: "repos", require: "exactly-once", maxRows: 10 })
const started = Pipeline.start(small, { name: "repos" })
const replayed = Pipeline.replay(job, { name: "repos" })
const collected = Pipeline.collect(parsed)
const letters = Pipeline.collect(fetched)
const streamed = Pipeline.stream(mapped)

const step = Pipeline.map(parse, { concurrency: 4 })
const keyedStep = Pipeline.map((n: number) => n + 1, { key: (n) => n % 3 })
const keyedAlone = Pipeline.batch(3, { key: (n: number) => n % 3 })
const batches = Pipeline.batch(3)
const sink = Pipeline.to(Files.jsonl("repos.jsonl", Repo))
`

let shown: Readonly<Record<string, string>> = {}
beforeAll(async () => {
  shown = await hovers(program)
})

it.each([
  // Sources.
  ["lines", "Pipeline.Pipeline<string, Files.FilesError, FileSystem, number>"],
  ["list", "Pipeline.Pipeline<string, never, never, number>"],
  ["array", "Pipeline.Pipeline<number, never, never, Source.NoPosition>"],
  ["stream", "Pipeline.Pipeline<string | number, never, never, Source.NoPosition>"],
  // Steps.
  ["fetched", "Pipeline.Pipeline<Repo, Files.FilesError, FileSystem | HttpClient | Journal, number>"],
  ["mapped", "Pipeline.Pipeline<number, Files.FilesError, FileSystem, number>"],
  ["parsed", "Pipeline.Pipeline<Repo, Files.FilesError | ParseError, FileSystem, number>"],
  ["skipped", "Pipeline.Pipeline<Repo, Files.FilesError, FileSystem, number>"],
  ["promised", "Pipeline.Pipeline<number, Files.FilesError, FileSystem, number>"],
  ["caught", "Pipeline.Pipeline<number, Files.FilesError | ParseError, FileSystem, number>"],
  ["mixed", "Pipeline.Pipeline<Repo | null, Files.FilesError | ParseError, FileSystem, number>"],
  ["generated", "Pipeline.Pipeline<Repo, Files.FilesError | ParseError, FileSystem, number>"],
  ["filtered", "Pipeline.Pipeline<string, Files.FilesError, FileSystem, number>"],
  ["flat", "Pipeline.Pipeline<string, Files.FilesError, FileSystem, number>"],
  ["unique", "Pipeline.Pipeline<string, Files.FilesError, FileSystem | Journal, number>"],
  ["summed", "Pipeline.Pipeline<number, Files.FilesError, FileSystem, number>"],
  ["scanned", "Pipeline.Pipeline<Repo, Files.FilesError | ParseError, FileSystem, number>"],
  ["windows", "Pipeline.Pipeline<Pipeline.Aggregate<number>, Files.FilesError, FileSystem, number>"],
  ["within", "Pipeline.Pipeline<string, Files.FilesError, FileSystem, number>"],
  ["streamed2", "Pipeline.Pipeline<Repo, never, never, number>"],
  [
    "merged",
    "Pipeline.Pipeline<string | number | Repo, Files.FilesError | ParseError, FileSystem, number | Source.NoPosition>"
  ],
  [
    "zipped",
    "Pipeline.Pipeline<readonly [number, Repo], Files.FilesError | ParseError | Pipeline.ZipUneven, FileSystem, number>"
  ],
  ["batched", "Pipeline.Pipeline<readonly string[], Files.FilesError, FileSystem, number>"],
  ["weighed", "Pipeline.Pipeline<readonly string[], Files.FilesError, FileSystem, number>"],
  ["inOrder", "Pipeline.Pipeline<Repo, Files.FilesError | ParseError, FileSystem, number>"],
  ["timely", "Pipeline.Pipeline<Repo, DeadlineExceeded | Files.FilesError | ParseError, FileSystem, number>"],
  ["untimely", "Pipeline.Pipeline<Repo, Files.FilesError, FileSystem, number>"],
  ["tapped", "Pipeline.Pipeline<string, Files.FilesError | ParseError, FileSystem, number>"],
  ["keyed", "Pipeline.Pipeline<Db.Db, never, Db.Db, number>"],
  [
    "unkeyed",
    'Pipeline.Pipeline<string, never, "An idempotency key needs a source with positions, such as Source.list or Files.lines", Source.NoPosition>'
  ],
  // Jobs.
  ["job", 'Pipeline.Job<Db.DbError | Files.FilesError, Db.Db | FileSystem | HttpClient, "exactly-once">'],
  ["both", 'Pipeline.Job<Db.DbError | Files.FilesError | ParseError, Db.Db | FileSystem, "effectively-once">'],
  ["refused", 'Pipeline.Job<Db.DbError | Files.FilesError | ParseError, Db.Db | FileSystem, "exactly-once">'],
  ["once", 'Pipeline.Job<never, never, "at-most-once">'],
  ["small", 'Pipeline.Job<Db.DbError | Fetch.FetchError, Db.Db | HttpClient, "exactly-once">'],
  // Runs.
  [
    "ran",
    "Effect.Effect<Pipeline.Summary, Db.DbError | Files.FilesError | JournalError | Pipeline.RunError, Db.Db | FileSystem | HttpClient>"
  ],
  [
    "started",
    "Effect.Effect<Pipeline.Run<Db.DbError | Fetch.FetchError | JournalError | Pipeline.RunError>, Db.DbError | Fetch.FetchError | JournalError | Pipeline.RunError, Db.Db | HttpClient | TaskGroup<never>>"
  ],
  [
    "replayed",
    "Effect.Effect<Pipeline.Summary, Db.DbError | Files.FilesError | JournalError | Pipeline.RunError, Db.Db | FileSystem | HttpClient>"
  ],
  ["collected", "Effect.Effect<Repo[], Files.FilesError | ParseError, FileSystem>"],
  [
    "letters",
    "Effect.Effect<Repo[], Pipeline.BadDeadLetter | Files.FilesError | JournalError | Pipeline.TooManyDeadLetters, FileSystem | HttpClient | Journal>"
  ],
  ["streamed", "Stream.Stream<number, Files.FilesError, FileSystem>"],
  // On their own.
  ["step", "<E, R, P>(self: Pipeline.Pipeline<string, E, R, P>) => Pipeline.Pipeline<Repo, E | ParseError, R, P>"],
  [
    "sink",
    '<E, R, P>(self: Pipeline.Pipeline<Repo, E, R, P>) => Pipeline.Job<E | Files.FilesError, FileSystem | Exclude<R, Journal>, Pipeline.Meet<P, "effectively-once">>'
  ]
])("an editor shows `%s` in one line", (name, type) => {
  expect(shown[name]).toBe(`const ${name}: ${type}`)
})
