/**
 * HTTP for the steps of a pipeline, over Effect's `HttpClient`: checked addresses, bounded bodies, decoded values,
 * typed failures, and every request under one policy.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import * as Body from "./fetch/body/FetchBody.ts"
import * as Download from "./fetch/download/Download.ts"
import type { Downloaded, DownloadOptions } from "./fetch/download/Download.ts"
import type { NoPosition, Source } from "../pipeline/Source.ts"
import type { Db } from "./db/Contract.ts"
import type { DbError } from "./DbError.ts"
import * as CacheTable from "./fetch/cache/CacheTable.ts"
import type { CacheOptions } from "./fetch/cache/CacheTable.ts"
import * as HttpCache from "./fetch/cache/HttpCache.ts"
import type { Answer } from "./fetch/call/FetchAttempt.ts"
import { Call, type Options } from "./fetch/call/FetchCall.ts"
import * as FetchJson from "./fetch/body/FetchJson.ts"
import { check, Current, merged, type Policy } from "./fetch/policy/FetchPolicy.ts"
import type { Target } from "./fetch/call/FetchRequest.ts"
import type { Message } from "./fetch/body/Message.ts"
import * as EventSources from "./fetch/source/EventSource.ts"
import type { Event, EventOptions } from "./fetch/source/EventSource.ts"
import { following, type Next, parameterOf } from "./fetch/source/PageLinks.ts"
import * as PageSources from "./fetch/source/PageSource.ts"
import type { PagePosition } from "./fetch/source/PageSource.ts"
import * as BodySources from "./fetch/source/BodySource.ts"
import type { BodyPosition } from "./fetch/source/BodyBytes.ts"
import type { FetchError } from "./FetchError.ts"
import { type CsvFormatOptions, csvFormat } from "./files/format/CsvFormat.ts"
import { jsonlFormat } from "./files/format/JsonFormat.ts"
import { linesFormat } from "./files/format/LinesFormat.ts"
import type { FilesError } from "./FilesError.ts"
import * as TextRule from "./text/TextRule.ts"

export { FetchError, type Reason } from "./FetchError.ts"
export type { CacheOptions } from "./fetch/cache/CacheTable.ts"
export type { Downloaded, DownloadOptions, Progress } from "./fetch/download/Download.ts"
export type { Event, EventOptions } from "./fetch/source/EventSource.ts"
export type { PagePosition } from "./fetch/source/PageSource.ts"
export type { Following, Here, Next } from "./fetch/source/PageLinks.ts"
export type { BodyPosition } from "./fetch/source/BodyBytes.ts"
export type { Options } from "./fetch/call/FetchCall.ts"
export type { Breaker, Hedge, Policy, Rate } from "./fetch/policy/FetchPolicy.ts"
export type { Target } from "./fetch/call/FetchRequest.ts"
export type { Message } from "./fetch/body/Message.ts"
export { isTransient } from "./fetch/call/FetchAttempt.ts"

/** A function from an address to what is there, usable as a step: `Pipeline.map(Fetch.text())`. */
export type Fetcher<A, R = never> = (request: Target) => Effect.Effect<A, FetchError, HttpClient.HttpClient | R>

/** What is said of an answer. */
export interface Head {
  readonly status: number
  readonly headers: Headers.Headers
  /** What its header says. */
  readonly contentType: string | undefined
  /** Where it came from in the end, after redirects, without credentials. */
  readonly url: string
}

/** What a source may say of its requests: they are GET, of one body. */
export type SourceOptions = Omit<Options, "accept" | "idempotencyKey" | "method">

export interface LineOptions extends SourceOptions {
  /** Leave out lines of nothing but white space. Default false for `lines`, true for `jsonl`. */
  readonly skipBlank?: boolean | undefined
  /** The longest line or record that is accepted, in bytes. Default 16 MiB. */
  readonly maxLine?: number | undefined
}

export interface CsvOptions
  extends Omit<LineOptions, "skipBlank">, Pick<CsvFormatOptions, "delimiter" | "header" | "quote"> {}

/** How pages are read: each by its schema, then what is on it, then where it leads. */
export interface PagesOptions<S extends Schema.Constraint, Item> extends SourceOptions {
  /** Of a page, which is JSON. */
  readonly schema: S
  readonly items: (page: S["Type"]) => ReadonlyArray<Item>
  readonly next: Next<S["Type"]>
}

/** The elements of a body, with positions of bytes in it. */
export type BodySource<A> = Source<A, FetchError, HttpClient.HttpClient, BodyPosition>

/** An answer, whatever its kind. */
export interface Page extends Head {
  /** What its header says; what its first bytes look like where that says nothing, or `text/plain` of what is no text. */
  readonly contentType: string
  readonly body: Uint8Array
  /** The body as `Fetch.text` gives it; undefined where the content type is not one of text. */
  readonly text: string | undefined
  /** How long the attempt took that gave it. */
  readonly duration: Duration.Duration
}

/**
 * Sets how the requests inside are made; what it does not name stays as it is outside. Requests are counted together
 * where they go through the same `HttpClient`, however many layers and regions there are. Options that make no sense
 * are refused at once.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 *
 * const polite = Fetch.layer({ rate: { limit: 20, per: "1 second" }, perHost: 4, timeout: "10 seconds" })
 * const program = Fetch.text()("gopher://example.com").pipe(
 *   Effect.catchTag("FetchError", (error) => Effect.succeed(error.reason)),
 *   Effect.provide([polite, Http.layer()])
 * )
 *
 * await Effect.runPromise(program) // => "Url"
 * ```
 */
export const layer = (policy: Policy): Layer.Layer<never> => {
  check("Fetch.layer", policy)
  return Layer.effect(Current)(Effect.map(Current, (outer) => merged(outer, policy)))
}

/**
 * As `layer`, for one effect: a region of the program whose requests are made in another way.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 *
 * const program = Fetch.text()("http://127.0.0.1:1/").pipe(
 *   Fetch.withPolicy({ retries: 0 }),
 *   Effect.catchTag("FetchError", (error) => Effect.succeed(error.attempt)),
 *   Effect.provide(Http.layer())
 * )
 *
 * await Effect.runPromise(program) // => 1
 * ```
 */
export const withPolicy = (policy: Policy): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  check("Fetch.withPolicy", policy)
  return (effect) => Effect.updateService(effect, Current, (outer) => merged(outer, policy))
}

/**
 * Keeps answers in the table `skein_http` of the database, for whole bodies that GET gives, as their headers allow (RFC 9111): one is
 * given again without asking while `Cache-Control` or `Expires` says that it is fresh; after that its server is asked whether it is
 * still the same (`ETag`, `Last-Modified`). Addresses are kept as hashes; the answers as they came, without cookies, and to requests with
 * credentials only where they say `public`. `cache: false` in a policy leaves it aside.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { Db, Fetch } from "skein"
 * import { Drivers, Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * let asked = 0
 * const server = createServer((_, response) => {
 *   asked += 1
 *   response.writeHead(200, { "cache-control": "max-age=3600" }).end("hello")
 * })
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const cache = Fetch.cache({ maxAge: "7 days" }).pipe(Layer.provide(Db.sqlite("cache.db")), Layer.provide(Drivers.layer))
 * const twice = Effect.all([Fetch.text()(url), Fetch.text()(url)]).pipe(Effect.provide([cache, Http.layer()]))
 *
 * await Effect.runPromise(twice) // => ["hello", "hello"]
 * asked // => 1
 * server.close()
 * ```
 */
export const cache = (options: CacheOptions = {}): Layer.Layer<never, DbError, Db> => {
  CacheTable.check("Fetch.cache", options)
  return Layer.effect(HttpCache.Current)(
    Effect.map(CacheTable.make(options), (table) => new HttpCache.HttpCache(table))
  )
}

/**
 * Fetches JSON and decodes it. A body that is not JSON, or that the schema refuses, fails with reason `Decode`, naming
 * field and URL; it is not retried.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end(JSON.stringify({ name: "skein", stars: 7 })))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const Repo = Schema.Struct({ name: Schema.String, stars: Schema.Number })
 * const program = Fetch.json(Repo)(url).pipe(Effect.provide(Http.layer()))
 *
 * (await Effect.runPromise(program)).stars // => 7
 * server.close()
 * ```
 */
export const json = <S extends Schema.Constraint>(
  schema: S,
  options?: Options
): Fetcher<S["Type"], S["DecodingServices"]> =>
  fetcher(options, { accept: "application/json" }, FetchJson.decoder(schema))

/**
 * Fetches text, decoded by the rules of the web: its byte order mark, the charset of its content type, what HTML or XML
 * says of itself; else as UTF-8, or windows-1252 where it cannot be that.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("hello"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const program = Fetch.text({ maxBody: 1024, timeout: "2 seconds" })(url).pipe(Effect.provide(Http.layer()))
 *
 * await Effect.runPromise(program) // => "hello"
 * server.close()
 * ```
 */
export const text = (options?: Options): Fetcher<string> =>
  fetcher(options, {}, ({ body, response }) => TextRule.text(body, response.headers))

/**
 * Fetches the body as it is.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end(new Uint8Array([1, 2, 3])))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const program = Fetch.bytes()(url).pipe(Effect.provide(Http.layer()))
 *
 * (await Effect.runPromise(program)).length // => 3
 * server.close()
 * ```
 */
export const bytes = (options?: Options): Fetcher<Uint8Array> =>
  fetcher(options, {}, ({ body }) => Effect.succeed(Body.own(body)))

/**
 * Fetches an answer with all that is known of it. A status outside of 200 to 299 is a failure unless `accept` takes it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.writeHead(404, { "content-type": "text/plain" }).end("no"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const any = Fetch.page({ accept: (status) => !Fetch.isTransient(status) })
 * const { status, text } = await Effect.runPromise(any(url).pipe(Effect.provide(Http.layer())))
 *
 * `${status} ${text}` // => "404 no"
 * server.close()
 * ```
 */
export const page = (options?: Options): Fetcher<Page> => fetcher(options, {}, pageOf)

const pageOf = ({ outgoing, response, body, millis }: Answer): Effect.Effect<Page> =>
  Effect.map(TextRule.read(body, response.headers), ({ contentType, text }) => ({
    ...headOf({ outgoing, response }),
    contentType,
    body: Body.own(body),
    get text() {
      return text?.()
    },
    duration: Duration.millis(millis)
  }))

const headOf = ({ outgoing, response }: Pick<Answer, "outgoing" | "response">): Head => {
  const { headers, status } = response
  return { status, headers, contentType: headers["content-type"], url: outgoing.url.href }
}

/**
 * Fetches what is said of an answer, and not the answer: with method HEAD.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.writeHead(200, { "content-length": "5000000000" }).end())
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const { headers } = await Effect.runPromise(Fetch.head()(url).pipe(Effect.provide(Http.layer())))
 *
 * headers["content-length"] // => "5000000000"
 * server.close()
 * ```
 */
export const head = (options?: Omit<Options, "method">): Fetcher<Head> =>
  fetcher({ ...options, method: "HEAD" }, {}, (answer) => Effect.succeed(headOf(answer)))

/**
 * Sends a request and gives the answer: GET, or POST where there is a body, unless it names its method. JSON is refused where it
 * would lose something; a stream is sent as fast as the server takes it, and run again for another attempt. What is no GET, HEAD,
 * PUT, DELETE or OPTIONS is sent once, unless `idempotencyKey` says that it may be sent again. Every other function takes such
 * messages as well, so that each can be a step.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((request, response) => request.pipe(response))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const program = Fetch.send({ url, json: { name: "skein" } }).pipe(Effect.provide(Http.layer()))
 * const { body } = await Effect.runPromise(program)
 *
 * new TextDecoder().decode(body) // => '{"name":"skein"}'
 * server.close()
 * ```
 */
export const send = (message: Message, options?: Options): Effect.Effect<Page, FetchError, HttpClient.HttpClient> =>
  page(options)(message)

/**
 * Fetches the body piece by piece, as it is asked for, however long it is. Retries, time and size are those of the policy: once
 * the body has begun there is no other attempt, each piece has the `timeout`, and `maxBody` is unlimited unless it is given. The
 * connection and its slot are held until the stream ends.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("hello"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const size = Stream.runFold(Fetch.stream()(url), () => 0, (sum, piece) => sum + piece.length)
 *
 * await Effect.runPromise(Effect.provide(size, Http.layer())) // => 5
 * server.close()
 * ```
 */
export const stream = (
  options?: Options
): ((request: Target) => Stream.Stream<Uint8Array, FetchError, HttpClient.HttpClient>) => {
  const call = new Call(options)
  return (target) => Stream.unwrap(Effect.map(call.open(target), ({ body }) => body))
}

/**
 * Downloads to a file, which is there whole or not at all. What has arrived is kept beside it, and gone on with after a broken
 * connection, in another attempt or another run, where the server can tell that it is still the same (`ETag`, `Last-Modified`);
 * else it starts anew. Retries count attempts in a row that gave nothing. A `digest` that is given, or that the server sends
 * (`Repr-Digest`, `Content-Digest`, `Digest`), has to hold. Its size is limited by `maxBody` alone, default unlimited; `total` is for all of it. Two downloads
 * to one file at once are refused. Fails with `FetchError`, or with `FilesError` where the file is at fault.
 *
 * @example
 * ```ts
 * import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
 * import * as Effect from "effect/Effect"
 * import { Fetch } from "skein"
 * import { Http } from "skein/node"
 * import { readFileSync } from "node:fs"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("hello"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const program = Fetch.download(url, "hello.txt", {
 *   digest: "sha256-2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
 * })
 * await Effect.runPromise(Effect.provide(program, [Http.layer(), NodeFileSystem.layer]))
 *
 * readFileSync("hello.txt", "utf8") // => "hello"
 * server.close()
 * ```
 */
export const download = (
  url: string | URL,
  file: string,
  options: DownloadOptions = {}
): Effect.Effect<Downloaded, FetchError | FilesError, HttpClient.HttpClient | FileSystem.FileSystem> => {
  check("Fetch.download", options)
  const digest = Download.digestOf(options.digest)
  return Effect.suspend(() => Download.download(url, file, options, digest))
}

/**
 * The lines of a text in UTF-8 as a source. Its position is a byte of the body, undone of content codings; where the server can
 * tell that the body is still the same (`ETag`, `Last-Modified`), a later run, or this one after a broken connection, asks for the
 * rest alone, else it reads again up to there. A body that is another one up to there is refused by a checksum of what was read,
 * one that only grew goes on. Retries count attempts in a row that gave nothing. Fails with `FetchError`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch, Pipeline } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("one\ntwo\n"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const numbers = Pipeline.collect(Pipeline.from(Fetch.lines(url)))
 *
 * await Effect.runPromise(Effect.provide(numbers, Http.layer())) // => ["one", "two"]
 * server.close()
 * ```
 */
export const lines = (url: string | URL, options: LineOptions = {}): BodySource<string> =>
  BodySources.make(url, linesFormat(lineOptions(options, false)), options)

/**
 * JSON Lines as a source, one value of `schema` a line; see `lines` for how it resumes, and `Files.jsonl` for the JSON. A line that
 * does not fit is a `FetchError` of reason `Decode` with its byte offset and the field.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Fetch, Pipeline } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end('{"name":"Ulm"}\n'))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const City = Schema.Struct({ name: Schema.String })
 * const cities = Pipeline.collect(Pipeline.from(Fetch.jsonl(url, City)))
 *
 * await Effect.runPromise(Effect.provide(cities, Http.layer())) // => [{ name: "Ulm" }]
 * server.close()
 * ```
 */
export const jsonl = <A, I>(url: string | URL, schema: Schema.Codec<A, I>, options: LineOptions = {}): BodySource<A> =>
  BodySources.make(url, jsonlFormat(schema, lineOptions(options, true)), options)

/**
 * CSV as a source, one value of `schema` a record; see `lines` for how it resumes, and `Files.csv` for what is read of it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Fetch, Pipeline } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer((_, response) => response.end("people,name\n129942,Ulm\n"))
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const City = Schema.Struct({ name: Schema.String, people: Schema.Finite })
 * const cities = Pipeline.collect(Pipeline.from(Fetch.csv(url, City)))
 *
 * await Effect.runPromise(Effect.provide(cities, Http.layer())) // => [{ people: 129942, name: "Ulm" }]
 * server.close()
 * ```
 */
export const csv = <A, I>(url: string | URL, schema: Schema.Codec<A, I>, options: CsvOptions = {}): BodySource<A> =>
  BodySources.make(url, csvFormat(schema, options, lineOptions(options, true).maxLine), options)

/**
 * What is on pages that lead to each other, as a source: `items` of each page, in their order. Its position is the address of a page
 * and how many of its items are settled, so that a later run asks for that page again and goes on behind them; it is refused where
 * those are not what they were. `next` says which page follows: see `Next`. A page that was there before is a failure, and another
 * origin is not told the credentials of the first. Each page is a request under the policy.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Fetch, Pipeline } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer(({ url }, response) =>
 *   response.end(url === "/?after=b" ? '{"names":["c"]}' : '{"names":["a","b"],"last":"b"}')
 * )
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const Names = Schema.Struct({ names: Schema.Array(Schema.String), last: Schema.optionalKey(Schema.String) })
 * const names = Fetch.pages(url, {
 *   schema: Names,
 *   items: (page) => page.names,
 *   next: { cursor: "after", of: (page) => page.last }
 * })
 *
 * await Effect.runPromise(Effect.provide(Pipeline.collect(Pipeline.from(names)), Http.layer())) // => ["a", "b", "c"]
 * server.close()
 * ```
 */
export const pages = <S extends Schema.Constraint, Item>(
  url: string | URL,
  options: PagesOptions<S, Item>
): Source<Item, FetchError, HttpClient.HttpClient | S["DecodingServices"], PagePosition> => {
  const { items, next, schema, ...rest } = options
  const parts = { decode: FetchJson.decoder(schema), items, next: following(next), by: parameterOf(next) }
  return PageSources.make(url, parts, rest)
}

/**
 * Server-Sent Events as a source that ends only when the server says so (status 204): whenever the connection ends, it waits for as
 * long as the server asked and connects again, telling the last id. Connecting is a request under the policy, with its retries; what
 * is no stream of events is a failure. With `resume: "id"` its position is the id of an event, and a later run goes on behind it as
 * far as the server still has what follows; an event without an id of its own is a failure then. Without, it has no positions.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Fetch, Pipeline } from "skein"
 * import { Http } from "skein/node"
 * import { createServer } from "node:http"
 * import type { AddressInfo } from "node:net"
 *
 * const server = createServer(({ headers }, response) => {
 *   if (headers["last-event-id"] === "2") return response.writeHead(204).end()
 *   return response.writeHead(200, { "content-type": "text/event-stream" }).end("retry: 1\nid: 2\ndata: hello\n\n")
 * })
 * await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
 * const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
 *
 * const events = Pipeline.collect(Pipeline.from(Fetch.events(url)))
 *
 * await Effect.runPromise(Effect.provide(events, Http.layer())) // => [{ id: "2", event: "message", data: "hello" }]
 * server.close()
 * ```
 */
export const events: {
  (
    url: string | URL,
    options: EventOptions & { readonly resume: "id" }
  ): Source<Event & { readonly id: string }, FetchError, HttpClient.HttpClient, string>
  (
    url: string | URL,
    options?: EventOptions & { readonly resume?: undefined }
  ): Source<Event, FetchError, HttpClient.HttpClient, NoPosition>
} = (url: string | URL, options: EventOptions = {}): never => {
  check("Fetch", options)
  checkWhole("Fetch.events: maxEvent", options.maxEvent, 1, "unlimited")
  checkDuration("Fetch.events: idle", options.idle)
  checkDuration("Fetch.events: reconnect", options.reconnect)
  // The one type or the other, by an option.
  return EventSources.source(url, options) as never
}

const lineOptions = (
  options: LineOptions,
  skipBlank: boolean
): { readonly skipBlank: boolean; readonly maxLine: number } => {
  check("Fetch", options)
  checkWhole("Fetch: maxLine", options.maxLine, 1, "unlimited")
  return { skipBlank: options.skipBlank ?? skipBlank, maxLine: options.maxLine ?? 16 * 1024 * 1024 }
}

const fetcher = <A, R>(
  options: Options | undefined,
  defaults: Headers.Input,
  read: (answer: Answer) => Effect.Effect<A, FetchError, R>
): Fetcher<A, R> => {
  const call = new Call(options, defaults)
  return (target) => call.whole(target, read)
}
