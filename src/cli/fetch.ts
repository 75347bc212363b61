/** `skein fetch`: fetches many URLs into a table, a file, or both. */
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Main from "../node/Main.ts"
import * as Secrets from "../concurrency/base/Secrets.ts"
import * as DefaultName from "./memory/DefaultName.ts"
import * as JournalFolder from "./memory/JournalFolder.ts"
import * as Remembered from "./memory/Remembered.ts"
import * as FetchPlan from "./plan/FetchPlan.ts"
import * as Piped from "./plan/Piped.ts"
import * as Plan from "./plan/Plan.ts"
import * as RequestHeaders from "./plan/RequestHeaders.ts"
import * as Report from "./report/Report.ts"
import * as Name from "./usage/Name.ts"
import * as Paths from "./usage/Paths.ts"
import * as Units from "./usage/Units.ts"

const isWeb = (url: string): boolean => ["http:", "https:"].includes(URL.parse(url)?.protocol ?? "")

const description = `Fetch URLs into the table "pages" of a database, a file of JSON lines, or both.

  A URL that answers with 200 to 299, after redirects, becomes a row and a line: url, status,
  contentType, size, sha256, body (if it is text), fetchedAt, durationMs, finalUrl. What fails for
  good is a dead letter: see \`skein dead\`. What is there twice is fetched once. Secrets are ***.

  The list has a URL a line; blank lines and lines of # are skipped; a pipe is read to its end.
  Run it again to go on where it stopped. Ctrl-C finishes what is in flight; a second one cancels.
  How far it is, is kept in --db, else in .skein/NAME.db. Passwords: PGPASSWORD or ~/.pgpass.

  Exit codes: 0 done, or stopped by a signal and resumable, also with dead letters; 1 failed, or all
  are dead, or more than --max-dead; 2 wrong usage; 130 cancelled.`

const many = 100

const config = {
  urls: Argument.String("url").pipe(
    Argument.withDescription("What to fetch, in full, like https://example.com/page"),
    Argument.variadic()
  ),
  from: Paths.stream("from").pipe(
    Flag.withDescription("Read the URLs from a file, a pipe or standard input"),
    Flag.optional
  ),
  db: Paths.database.pipe(
    Flag.withDescription("Write rows here, one a URL: a file of SQLite, or a PostgreSQL"),
    Flag.optional
  ),
  out: Paths.stream("out").pipe(
    Flag.withDescription("Append lines of JSON to this file, or print them"),
    Flag.optional
  ),
  journal: Paths.file("journal").pipe(
    Flag.withDescription("Keep how far it is in this file, without --db"),
    Flag.optional
  ),
  concurrency: Units.count("concurrency", 1).pipe(
    Flag.withDescription("Requests at once. Default 64"),
    Flag.withDefault(64)
  ),
  perHost: Units.count("per-host", 1).pipe(
    Flag.withDescription("Requests at once to one host. Default 8"),
    Flag.withDefault(8)
  ),
  rate: Units.rate("rate").pipe(
    Flag.withDescription("The most requests in a time, retries included: 100/s"),
    Flag.optional
  ),
  ratePerHost: Units.rate("rate-per-host").pipe(Flag.withDescription("The same for each host"), Flag.optional),
  timeout: Units.duration("timeout").pipe(
    Flag.withDescription("For one attempt, the body included. Default 10s"),
    Flag.withDefault(Duration.seconds(10))
  ),
  retries: Units.count("retries", 0).pipe(
    Flag.withDescription("Attempts after the first, where one may help. Default 4"),
    Flag.withDefault(4)
  ),
  maxBody: Units.size("max-body").pipe(
    Flag.withDescription("The largest body that is accepted. Default 16MiB"),
    Flag.withDefault(16 * 1024 * 1024)
  ),
  maxHeaders: Units.size("max-headers").pipe(
    Flag.withDescription("The most headers that are accepted. Default 64KiB"),
    Flag.optional
  ),
  maxDead: Units.share("max-dead").pipe(
    Flag.withDescription("Stop and fail when more URLs are dead. Default any"),
    Flag.optional
  ),
  header: Paths.text("header").pipe(
    Flag.withMetavar("<header|@file>"),
    Flag.filter(RequestHeaders.isHeader, () => 'a header as in "Name: value", or @ and a file of them'),
    Flag.withDescription('Send "Name: value", or those in a file'),
    Flag.between(0, many)
  ),
  userAgent: Paths.text("user-agent").pipe(Flag.withDescription('Default "skein"'), Flag.optional),
  cookies: Flag.Boolean("cookies").pipe(
    Flag.withDescription("Send back the cookies that hosts set. Default yes"),
    Flag.withDefault(true)
  ),
  proxy: Paths.text("proxy").pipe(
    Flag.withMetavar("<url>"),
    Flag.filter(isWeb, () => "the URL of a proxy, like http://proxy.example:8080"),
    Flag.withDescription("Default HTTP_PROXY, HTTPS_PROXY, NO_PROXY"),
    Flag.optional
  ),
  public: Flag.Boolean("public").pipe(
    Flag.withDescription("Refuse private and local addresses"),
    Flag.withDefault(false)
  ),
  robots: Flag.Boolean("robots").pipe(
    Flag.withDescription("Do what robots.txt says, its Crawl-delay too"),
    Flag.withDefault(false)
  ),
  cache: Flag.Boolean("cache").pipe(
    Flag.withDescription("Keep answers as they allow, beside how far it is"),
    Flag.withDefault(false)
  ),
  secretParams: Paths.text("secret-params").pipe(
    Flag.withMetavar("<names>"),
    Flag.withDescription("More names of secret parameters: code,hash"),
    Flag.optional
  ),
  name: Name.flag.pipe(Flag.withDescription("What this is remembered as. Default by --db or --out"), Flag.optional),
  restart: Flag.Boolean("restart").pipe(
    Flag.withDescription("Start over: forget what was done, empty the file; rows stay"),
    Flag.withDefault(false)
  ),
  ...Report.flags
}

interface Input extends Report.Options {
  readonly urls: ReadonlyArray<string>
  readonly from: Option.Option<string>
  readonly db: Option.Option<string>
  readonly out: Option.Option<string>
  readonly journal: Option.Option<string>
  readonly concurrency: number
  readonly perHost: number
  readonly rate: Option.Option<Units.Rate>
  readonly ratePerHost: Option.Option<Units.Rate>
  readonly timeout: Duration.Duration
  readonly retries: number
  readonly maxBody: number
  readonly maxHeaders: Option.Option<number>
  readonly maxDead: Option.Option<FetchPlan.MaxDead>
  readonly header: ReadonlyArray<string>
  readonly userAgent: Option.Option<string>
  readonly cookies: boolean
  readonly proxy: Option.Option<string>
  readonly public: boolean
  readonly robots: boolean
  readonly cache: boolean
  readonly secretParams: Option.Option<string>
  readonly name: Option.Option<string>
  readonly restart: boolean
}

export const fetch: Command.Command<"fetch", Input, {}, unknown, Main.Services> = Command.make(
  "fetch",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const { from, restart } = input
      const piped = Option.isSome(from) ? yield* Piped.urls(from.value) : undefined
      const options = optionsOf(input, piped ?? Option.getOrElse(from, () => input.urls))
      const name = Option.isSome(input.name) ? input.name.value : yield* nameOf(options)
      yield* Paths.check(rolesOf(name, options))
      const prints = options.out === "-"
      // What is printed and kept in no database is over with this process.
      const isKept = !prints || options.db !== undefined || options.journal !== undefined
      yield* Plan.start(yield* FetchPlan.make(name, options, { restart }), {
        restart,
        report: yield* Report.make(input, prints ? Console.error : Console.log),
        remember: (journal) =>
          isKept ? Remembered.save(name, { kind: "fetch", options: FetchPlan.kept(options) }, journal) : Effect.void
      })
    })
).pipe(
  Command.withShortDescription("Fetch URLs into a database or a file"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein fetch --from urls.txt --db pages.db --out pages.jsonl", description: "Fetch what a file lists" },
    { command: "sort -u urls.txt | skein fetch --from - --out - | jq .url", description: "Fetch in a pipe" }
  ]),
  Command.validate((input) => {
    const wrong = problemOf(input)
    return wrong === undefined ? Effect.void : Effect.fail(new CliError.ValidationError({ message: wrong }))
  })
)

const problemOf = ({ db, from, journal, out, urls }: Input): string | undefined => {
  if (urls.length > 0 && Option.isSome(from)) return "Give URLs or --from, not both"
  if (urls.length === 0 && Option.isNone(from)) return "Nothing to fetch: give URLs, or a file of them with --from"
  if (Option.isNone(db) && Option.isNone(out)) return "Nowhere to write to: give --db, --out or both"
  if (Option.isSome(db) && Option.isSome(journal))
    return "Give --db or --journal, not both: the database has the journal in it"
  const bad = urls.find((url) => !isWeb(url))
  return bad === undefined
    ? undefined
    : `Not a URL: ${JSON.stringify(Secrets.hidden(bad))}. Write it in full, like https://example.com/page`
}

const nameOf = ({ db, journal, out = "" }: FetchPlan.Options) => {
  if (db === undefined && out === "-") return journal === undefined ? Effect.succeed("fetch") : DefaultName.of(journal)
  const file = db === undefined ? out : Paths.fileOf(db)
  return file === undefined ? Effect.succeed(Name.ofServer(db ?? "")) : DefaultName.of(file)
}

const rolesOf = (name: string, { db, journal, out, source }: FetchPlan.Options): ReadonlyArray<Paths.Role> => {
  const prints = out === "-"
  const database = db !== undefined ? Paths.fileOf(db) : (journal ?? (prints ? undefined : JournalFolder.file(name)))
  const role = db !== undefined ? "--db" : journal !== undefined ? "--journal" : "the journal"
  return [
    ...(typeof source === "string" ? [{ role: "--from", path: source }] : []),
    ...(database === undefined ? [] : [{ role, path: database }]),
    ...(out === undefined || prints ? [] : [{ role: "--out", path: out }])
  ]
}

const optionsOf = (input: Input, source: FetchPlan.Options["source"]): FetchPlan.Options => ({
  source,
  ...given("db", input.db),
  ...given("out", input.out),
  ...given("journal", input.journal),
  ...given("rate", input.rate),
  ...given("ratePerHost", input.ratePerHost),
  ...given("maxHeaders", input.maxHeaders),
  ...given("maxDead", input.maxDead),
  ...given("userAgent", input.userAgent),
  ...given("proxy", input.proxy),
  ...given(
    "secretParams",
    Option.map(input.secretParams, (names) => names.split(/[\s,]+/).filter((name) => name !== ""))
  ),
  ...(input.header.length > 0 && { headers: input.header }),
  ...(input.public && { public: true }),
  ...(input.robots && { robots: true }),
  ...(input.cache && { cache: true }),
  concurrency: input.concurrency,
  perHost: input.perHost,
  timeout: Duration.toMillis(input.timeout),
  retries: input.retries,
  maxBody: input.maxBody,
  cookies: input.cookies
})

const given = <const K extends string, A>(key: K, value: Option.Option<A>): { readonly [_ in K]?: A } =>
  Option.isSome(value) ? ({ [key]: value.value } as { readonly [_ in K]: A }) : {}
