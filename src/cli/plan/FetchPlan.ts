/** The job of `skein fetch`: URLs in; what is there, as rows of a table and lines of a file, out. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import * as Db from "../../io/Db.ts"
import * as Fetch from "../../io/Fetch.ts"
import * as Files from "../../io/Files.ts"
import type * as Main from "../../node/Main.ts"
import * as Pipeline from "../../pipeline/Pipeline.ts"
import * as Sink from "../../pipeline/Sink.ts"
import * as Source from "../../pipeline/Source.ts"
import * as JournalFolder from "../memory/JournalFolder.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as Terms from "../usage/Terms.ts"
import * as Asked from "./Asked.ts"
import type { Plan } from "./Plan.ts"
import * as RequestHeaders from "./RequestHeaders.ts"

/** What a fetch was asked to do. */
export interface Options extends Settings {
  /** The URLs, or the file that has one a line. */
  readonly source: ReadonlyArray<string> | string
}

/** As it is remembered: of URLs no more than how many, as a replay does not read them, and no secrets. */
export interface Kept extends Settings {
  readonly source: { readonly urls: number } | string
}

interface Settings {
  readonly db?: string
  /** `-` is standard output. */
  readonly out?: string
  readonly journal?: string
  readonly concurrency: number
  readonly perHost: number
  readonly rate?: Rate
  readonly ratePerHost?: Rate
  readonly timeout: number
  readonly retries: number
  readonly maxBody: number
  readonly maxHeaders?: number
  readonly maxDead?: MaxDead
  readonly headers?: ReadonlyArray<string>
  readonly userAgent?: string
  readonly cookies?: boolean
  readonly proxy?: string
  readonly public?: boolean
  readonly robots?: boolean
  readonly cache?: boolean
  readonly secretParams?: ReadonlyArray<string>
}

interface Rate {
  readonly limit: number
  readonly per: number
}

export type MaxDead = number | `${number}%`

const Rate: Schema.Codec<Rate> = Schema.Struct({ limit: Schema.Number, per: Schema.Number })

export const Kept: Schema.Codec<Kept> = Schema.Struct({
  source: Schema.Union([Schema.Struct({ urls: Schema.Int }), Schema.String]),
  db: Schema.optionalKey(Schema.String),
  out: Schema.optionalKey(Schema.String),
  journal: Schema.optionalKey(Schema.String),
  concurrency: Schema.Int,
  perHost: Schema.Int,
  rate: Schema.optionalKey(Rate),
  ratePerHost: Schema.optionalKey(Rate),
  timeout: Schema.Number,
  retries: Schema.Int,
  maxBody: Schema.Int,
  maxHeaders: Schema.optionalKey(Schema.Int),
  maxDead: Schema.optionalKey(Schema.Union([Schema.Int, Schema.TemplateLiteral([Schema.Number, "%"])])),
  headers: Schema.optionalKey(Schema.Array(Schema.String)),
  userAgent: Schema.optionalKey(Schema.String),
  cookies: Schema.optionalKey(Schema.Boolean),
  proxy: Schema.optionalKey(Schema.String),
  public: Schema.optionalKey(Schema.Boolean),
  robots: Schema.optionalKey(Schema.Boolean),
  cache: Schema.optionalKey(Schema.Boolean),
  secretParams: Schema.optionalKey(Schema.Array(Schema.String))
})

export const kept = (options: Options): Kept => ({
  ...options,
  source: typeof options.source === "string" ? options.source : { urls: options.source.length },
  ...(options.db !== undefined && { db: Secrets.withoutPassword(options.db) }),
  ...(options.proxy !== undefined && { proxy: Secrets.withoutPassword(options.proxy) }),
  ...(options.headers !== undefined && { headers: options.headers.map(RequestHeaders.kept) })
})

/** For a replay, which reads of a list no more than the URLs whose secrets the dead letters do not keep. */
export const again = (name: string, kept: Kept): Effect.Effect<Plan, unknown, Main.Services> =>
  Effect.gen(function* () {
    const source = typeof kept.source === "string" ? kept.source : []
    const found =
      typeof source === "string"
        ? yield* Effect.orElseSucceed(Asked.secretsIn(linesOf(source), secretsOf(kept)), () => none)
        : none
    return yield* make(name, { ...kept, source }, { found })
  })

const none: ReadonlyMap<string, string> = new Map()

const Page = Schema.Struct({
  /** As it was asked for, without its secrets. */
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
export const make = (
  name: string,
  options: Options,
  { found = none, restart = false }: { readonly found?: ReadonlyMap<string, string>; readonly restart?: boolean } = {}
): Effect.Effect<Plan, unknown, Main.Services> =>
  Effect.gen(function* () {
    const { db, journal, maxDead, out } = options
    const secret = secretsOf(options)
    const headers = yield* RequestHeaders.read(options.headers ?? [])
    const lines = Asked.source(linesOf(options.source), secret)
    const pages = Pipeline.from(lines).pipe(
      // No step before this one: what has begun would be fetched before a run stops.
      Pipeline.map((asked) => (asked.again ? Effect.succeed(duplicate) : fetchPage(asked, secret)), {
        name: "fetch",
        concurrency: options.concurrency,
        order: "completion",
        onError: { deadLetter: Asked.letter(found), maxDead }
      }),
      Pipeline.filter((page) => page !== duplicate, { name: "once" })
    )
    const policy = Fetch.layer({
      perHost: options.perHost,
      rate: options.rate,
      ratePerHost: options.ratePerHost,
      timeout: Duration.millis(options.timeout),
      retries: options.retries,
      maxBody: options.maxBody,
      maxHeaders: options.maxHeaders,
      headers,
      userAgent: options.userAgent,
      cookies: options.cookies === true ? true : undefined,
      proxy: options.proxy,
      network: options.public === true ? "public" : undefined,
      robots: options.robots,
      secretParameters: secret
    })
    const toOutput = out === "-"
    const database =
      db !== undefined
        ? Db.open(db)
        : journal !== undefined
          ? Db.sqlite(journal)
          : toOutput
            ? Db.sqlite(":memory:")
            : JournalFolder.database(name, "--journal")
    const around = options.cache === true ? Layer.merge(policy, Fetch.cache()) : policy
    const shared = {
      name,
      layer: Layer.provideMerge(around, database),
      filtered: "duplicates",
      maxDead,
      terms: Terms.ofList
    }
    const table = db === undefined ? [] : [Db.table("pages", Page, { key: "url" })]
    if (out === undefined) return { ...shared, job: Pipeline.to(table[0] ?? Sink.discard)(pages) }
    if (toOutput) {
      const lines = Files.jsonl(Files.stdout, Page)
      return table[0] === undefined
        ? { ...shared, job: Pipeline.to(lines)(pages) }
        : { ...shared, job: Pipeline.to(Sink.all(table[0], lines))(pages) }
    }
    const file = Files.jsonl(out, Page, { existing: restart ? "replace" : "append" })
    return { ...shared, out, job: Pipeline.to(table[0] === undefined ? file : Sink.all(table[0], file))(pages) }
  })

const linesOf = (source: ReadonlyArray<string> | string) =>
  typeof source === "string" ? Files.lines(source, { skipBlank: true }) : Source.list(source, { name: "list" })

const secretsOf = ({ secretParams }: Settings): ReadonlyArray<string> => secretParams ?? []

const get = Fetch.page()

/** In the place of a page that was fetched already. */
const duplicate: typeof Page.Type = Page.make({
  url: "",
  status: 0,
  contentType: null,
  size: 0,
  sha256: "",
  body: null,
  fetchedAt: "",
  durationMs: 0,
  finalUrl: ""
})

const fetchPage = ({ name, url }: Asked.Asked, secret: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if (url === undefined) return yield* Effect.fail(withoutSecret(name))
    const page = yield* Effect.mapError(get(url), Terms.ofFetch)
    return {
      url: name,
      status: page.status,
      contentType: page.contentType ?? null,
      size: page.body.length,
      sha256: createHash("sha256").update(page.body).digest("hex"),
      // What has a NUL in it is no text, and none that a PostgreSQL takes.
      body: page.text?.includes("\0") === true ? null : (page.text ?? null),
      fetchedAt: DateTime.formatIso(yield* DateTime.now),
      durationMs: Duration.toMillis(page.duration),
      finalUrl: Secrets.hidden(page.url, secret)
    }
  })

const withoutSecret = (name: string): CommandError =>
  new CommandError(
    `Cannot fetch "${name}" again: what is secret in it was not kept, and the list it was in is not there. ` +
      "Fetch it anew by its whole URL"
  )
