/** The job of `skein fetch`: URLs in; what is there, as rows of a table and lines of a file, out. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import * as Db from "../../io/Db.ts"
import * as Fetch from "../../io/Fetch.ts"
import * as Files from "../../io/Files.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import * as Pipeline from "../../pipeline/Pipeline.ts"
import * as Sink from "../../pipeline/Sink.ts"
import * as Source from "../../pipeline/Source.ts"
import * as JournalFolder from "../memory/JournalFolder.ts"
import type { Plan } from "./Plan.ts"

/** What a fetch was asked to do. */
export interface Options extends Settings {
  /** The URLs, or the file that has one a line. */
  readonly source: ReadonlyArray<string> | string
}

/** As it is remembered: of URLs no more than how many, as a replay does not read them, and of a database no password. */
export interface Kept extends Settings {
  readonly source: { readonly urls: number } | string
}

interface Settings {
  readonly db?: string
  readonly out?: string
  readonly concurrency: number
  readonly perHost: number
  readonly rate?: { readonly limit: number; readonly per: number }
  readonly timeout: number
  readonly retries: number
  readonly maxBody: number
}

export const Kept: Schema.Codec<Kept> = Schema.Struct({
  source: Schema.Union([Schema.Struct({ urls: Schema.Int }), Schema.String]),
  db: Schema.optionalKey(Schema.String),
  out: Schema.optionalKey(Schema.String),
  concurrency: Schema.Int,
  perHost: Schema.Int,
  rate: Schema.optionalKey(Schema.Struct({ limit: Schema.Number, per: Schema.Number })),
  timeout: Schema.Number,
  retries: Schema.Int,
  maxBody: Schema.Int
})

export const kept = (options: Options): Kept => ({
  ...options,
  source: typeof options.source === "string" ? options.source : { urls: options.source.length },
  ...(options.db !== undefined && { db: Secrets.withoutPassword(options.db) })
})

/** For a replay. */
export const again = (kept: Kept): Options => ({
  ...kept,
  source: typeof kept.source === "string" ? kept.source : []
})

const Page = Schema.Struct({
  /** As it was asked for. */
  url: Schema.String,
  status: Schema.Int,
  contentType: Schema.NullOr(Schema.String),
  /** Of the body, in bytes. */
  size: Schema.Int,
  sha256: Schema.String,
  /** None where it is not text. */
  body: Schema.NullOr(Schema.String),
  fetchedAt: Schema.String,
  durationMs: Schema.Number,
  /** Where redirects led. */
  finalUrl: Schema.String
})

/** With `restart`, the file begins anew. */
export const make = (name: string, options: Options, restart = false): Plan => {
  const { db, out, source } = options
  const pages = Pipeline.from(
    typeof source === "string" ? Files.lines(source, { skipBlank: true }) : Source.list(source, { name: "arguments" })
  ).pipe(
    Pipeline.map(fetchPage, {
      name: "fetch",
      concurrency: options.concurrency,
      order: "completion",
      onError: { deadLetter: Schema.String }
    })
  )
  const table = Db.table("pages", Page, { key: "url" })
  const limits = Fetch.layer({
    perHost: options.perHost,
    rate: options.rate,
    timeout: Duration.millis(options.timeout),
    retries: options.retries,
    maxBody: options.maxBody
  })
  const shared = { name, layer: Layer.merge(limits, db === undefined ? JournalFolder.database(name) : Db.open(db)) }
  if (out === undefined) return { ...shared, job: Pipeline.to(table)(pages) }
  const file = Files.jsonl(out, Page, { existing: restart ? "replace" : "append" })
  const sink = db === undefined ? file : Sink.all(table, file)
  return { ...shared, out, job: Pipeline.to(sink)(pages) }
}

const get = Fetch.page()

const fetchPage = (line: string) =>
  Effect.gen(function* () {
    const url = line.trim()
    const page = yield* get(url)
    return {
      url,
      status: page.status,
      contentType: page.contentType ?? null,
      size: page.body.length,
      sha256: createHash("sha256").update(page.body).digest("hex"),
      // What has a NUL in it is no text, and none that a PostgreSQL takes.
      body: page.text?.includes("\0") === true ? null : (page.text ?? null),
      fetchedAt: DateTime.formatIso(yield* DateTime.now),
      durationMs: Duration.toMillis(page.duration),
      finalUrl: page.url
    }
  })
