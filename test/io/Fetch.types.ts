/** What must and what must not compile of the functions of Fetch. */
import { expectTypeOf } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as HttpClient from "effect/http/HttpClient"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, Fetch, Pipeline, type Source } from "skein"

const url = "https://example.com/"
const Row = Schema.Struct({ id: Schema.String, n: Schema.Finite })
type Row = typeof Row.Type
const table = Db.table("rows", Row, { key: "id" })

// Messages: one body at most, and what it is made of.
void Fetch.send({ url, json: { any: "thing" } })
void Fetch.send({ url, method: "PUT", form: { a: 1, b: ["x", true] }, headers: { "x-a": "1" }, query: { q: "1" } })
void Fetch.send({ url, multipart: { a: "1", file: { name: "x", content: Stream.make(new Uint8Array()) } } })
void Fetch.send({ url: new URL(url), body: Stream.fail("lost") })
// @ts-expect-error -- two bodies
void Fetch.send({ url, json: 1, body: "2" })
// @ts-expect-error -- a body of strings has no bytes
void Fetch.send({ url, body: Stream.make("text") })
// @ts-expect-error -- a stream that needs a service cannot be run by the transport
void Fetch.send({ url, body: Fetch.stream()(url) })
// @ts-expect-error -- a file without a name
void Fetch.send({ url, multipart: { file: { content: "x" } } })
// @ts-expect-error -- no address
void Fetch.send({ json: 1 })
expectTypeOf(Fetch.send({ url })).toEqualTypeOf<Effect.Effect<Fetch.Page, Fetch.FetchError, HttpClient.HttpClient>>()

// Every fetcher takes a message, and so is a step over messages.
const messages = Pipeline.from([1, 2]).pipe(
  Pipeline.map((n) => ({ url, method: "POST", json: { n } }) as const),
  Pipeline.map(Fetch.json(Row))
)
expectTypeOf(Pipeline.collect(messages)).toEqualTypeOf<
  Effect.Effect<Array<Row>, Fetch.FetchError, HttpClient.HttpClient>
>()

expectTypeOf(Fetch.stream()(url)).toEqualTypeOf<Stream.Stream<Uint8Array, Fetch.FetchError, HttpClient.HttpClient>>()
expectTypeOf(Fetch.head()).toEqualTypeOf<Fetch.Fetcher<Fetch.Head>>()
// @ts-expect-error -- HEAD it is
Fetch.head({ method: "GET" })

const downloaded = Fetch.download(url, "file", {
  digest: "sha256-…",
  onProgress: ({ bytes, total }) => use(bytes, total)
})
expectTypeOf<Effect.Services<typeof downloaded>>().toEqualTypeOf<HttpClient.HttpClient | FileSystem.FileSystem>()
// @ts-expect-error -- a download is a GET
void Fetch.download(url, "file", { method: "POST" })
declare const use: (bytes: number, total: number | undefined) => Effect.Effect<void>

// A body has positions, so that a table gets each element once.
const rows = Pipeline.from(Fetch.jsonl(url, Row)).pipe(Pipeline.to(table))
expectTypeOf(rows.guarantee).toEqualTypeOf<"exactly-once">()
void Pipeline.run(rows, { name: "rows", require: "exactly-once" })
void Pipeline.run(Pipeline.from(Fetch.csv(url, Row, { delimiter: ";" })).pipe(Pipeline.to(table)), {
  name: "rows",
  require: "exactly-once"
})
// @ts-expect-error -- lines are text, and no rows
Pipeline.from(Fetch.lines(url)).pipe(Pipeline.to(table))
// @ts-expect-error -- a source is of one address, and a message may be a POST
Fetch.lines({ url })
// @ts-expect-error -- what is read of a CSV has no line end to choose
Fetch.csv(url, Row, { newline: "\n" })

// Pages.
const Rows = Schema.Struct({ rows: Schema.Array(Row), after: Schema.optionalKey(Schema.String) })
const paged = Fetch.pages(url, {
  schema: Rows,
  items: (page) => page.rows,
  next: { cursor: "after", of: (page) => page.after }
})
expectTypeOf(paged).toExtend<Source.Source<Row, Fetch.FetchError, HttpClient.HttpClient, Fetch.PagePosition>>()
void Pipeline.run(Pipeline.from(paged).pipe(Pipeline.to(table)), { name: "rows", require: "exactly-once" })
Fetch.pages(url, { schema: Schema.Array(Row), items: (page) => page, next: "link" })
Fetch.pages(url, {
  schema: Rows,
  items: (page) => page.rows,
  next: (page, { items }) => (items ? page.after : undefined)
})
// @ts-expect-error -- the page has no such field
Fetch.pages(url, { schema: Rows, items: (page) => page.items, next: "link" })
// @ts-expect-error -- no way to the next page
Fetch.pages(url, { schema: Rows, items: (page) => page.rows, next: "header" })
// @ts-expect-error -- a cursor has to be found somewhere
Fetch.pages(url, { schema: Rows, items: (page) => page.rows, next: { cursor: "after" } })

// Events have positions only where each has an id.
const Event = Schema.Struct({ id: Schema.String, event: Schema.String, data: Schema.String })
const events = Pipeline.from(Fetch.events(url, { resume: "id" })).pipe(Pipeline.to(Db.table("events", Event)))
void Pipeline.run(events, { name: "events", require: "exactly-once" })
const lossy = Pipeline.from(Fetch.events(url)).pipe(
  Pipeline.map(({ data, event, id = "" }) => ({ data, event, id })),
  Pipeline.to(Db.table("events", Event))
)
void Pipeline.run(lossy, { name: "events", require: "at-most-once" })
// @ts-expect-error -- without ids nothing can be gone on with
void Pipeline.run(lossy, { name: "events", require: "at-least-once" })
// @ts-expect-error -- an event may have no id
Pipeline.from(Fetch.events(url)).pipe(Pipeline.to(Db.table("events", Event)))
