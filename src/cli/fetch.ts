/** `skein fetch`: fetches many URLs into a table, a file, or both. */
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Main from "../node/Main.ts"
import * as Secrets from "../concurrency/base/Secrets.ts"
import * as DefaultName from "./memory/DefaultName.ts"
import * as JournalFolder from "./memory/JournalFolder.ts"
import * as Remembered from "./memory/Remembered.ts"
import * as FetchPlan from "./plan/FetchPlan.ts"
import * as Plan from "./plan/Plan.ts"
import * as Report from "./report/Report.ts"
import * as Name from "./usage/Name.ts"
import * as Paths from "./usage/Paths.ts"
import * as Units from "./usage/Units.ts"

const description = `Fetch URLs into the table "pages" of a database, a file of JSON lines, or both.

  Each URL that answers with a status from 200 to 299, after redirects, becomes one row and
  one line: url, status, contentType, size, sha256, body (where it is text), fetchedAt,
  durationMs and finalUrl. What fails for good (another status, no connection, too late, too
  large, a line that is no URL) becomes a dead letter: see \`skein dead\`.

  --from, --db and --out are three different files, and regular ones. A database in a PostgreSQL
  is postgres://user@host/database; give the password in PGPASSWORD or ~/.pgpass, as other users
  see command lines. It is shown and remembered nowhere.

  Run the same command again to go on where it stopped. Ctrl-C finishes what is in flight; a
  second one cancels. How far it is, is kept in the database; without --db in .skein/NAME.db
  in this folder, which belongs to the output.

  Exit codes: 0 done, or stopped by a signal and resumable; 1 failed, a missing --from file
  included; 2 wrong usage; 130 cancelled. Dead letters are no failure.`

const config = {
  urls: Argument.String("url").pipe(
    Argument.withDescription("What to fetch, in full, like https://example.com/page"),
    Argument.variadic()
  ),
  from: Paths.file("from").pipe(Flag.withDescription("Read the URLs from a file that has one a line"), Flag.optional),
  db: Paths.database.pipe(
    Flag.withDescription(
      'Write rows into the table "pages" of this database, one a URL, exactly once: a file of SQLite, or the URL of a PostgreSQL'
    ),
    Flag.optional
  ),
  out: Paths.file("out").pipe(Flag.withDescription("Append a line of JSON for each URL to this file"), Flag.optional),
  concurrency: Units.count("concurrency", 1).pipe(
    Flag.withDescription("Requests at once. Default 64"),
    Flag.withDefault(64)
  ),
  perHost: Units.count("per-host", 1).pipe(
    Flag.withDescription("Requests at once to one host. Default 8"),
    Flag.withDefault(8)
  ),
  rate: Units.rate("rate").pipe(
    Flag.withDescription("The most requests in a time, retries included, such as 100/s. Default unlimited"),
    Flag.optional
  ),
  timeout: Units.duration("timeout").pipe(
    Flag.withDescription("For one attempt, the body included. Default 10s"),
    Flag.withDefault(Duration.seconds(10))
  ),
  retries: Units.count("retries", 0).pipe(
    Flag.withDescription("Attempts after the first, where another may succeed. Default 4"),
    Flag.withDefault(4)
  ),
  maxBody: Units.size("max-body").pipe(
    Flag.withDescription("The largest body that is accepted. Default 16MiB"),
    Flag.withDefault(16 * 1024 * 1024)
  ),
  name: Name.flag.pipe(
    Flag.withDescription(
      "What this is remembered as. Default the path of the database, else of the file: a-x for a/x.db"
    ),
    Flag.optional
  ),
  restart: Flag.Boolean("restart").pipe(
    Flag.withDescription(
      "Start over: forget what was done, replace the file; rows stay until their URL is fetched anew"
    ),
    Flag.withDefault(false)
  ),
  ...Report.flags
}

interface Input extends Report.Options {
  readonly urls: ReadonlyArray<string>
  readonly from: Option.Option<string>
  readonly db: Option.Option<string>
  readonly out: Option.Option<string>
  readonly concurrency: number
  readonly perHost: number
  readonly rate: Option.Option<Units.Rate>
  readonly timeout: Duration.Duration
  readonly retries: number
  readonly maxBody: number
  readonly name: Option.Option<string>
  readonly restart: boolean
}

export const fetch: Command.Command<"fetch", Input, {}, unknown, Main.Services> = Command.make(
  "fetch",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const options = optionsOf(input)
      const name = Option.isSome(input.name) ? input.name.value : yield* nameOf(options)
      yield* Paths.check(rolesOf(name, options))
      yield* Plan.start(FetchPlan.make(name, options, input.restart), {
        restart: input.restart,
        report: yield* Report.make(input),
        remember: (journal) => Remembered.save(name, { kind: "fetch", options: FetchPlan.kept(options) }, journal)
      })
    })
).pipe(
  Command.withShortDescription("Fetch URLs into a database or a file"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein fetch --from urls.txt --db pages.db --out pages.jsonl", description: "Fetch what a file lists" },
    { command: "skein fetch https://example.com/ --out page.jsonl --rate 10/s", description: "Fetch one page" },
    {
      command: "skein fetch --from urls.txt --db postgres://ada@localhost/web",
      description: "Fetch into PostgreSQL, with the password in PGPASSWORD or ~/.pgpass"
    }
  ]),
  Command.validate((input) => {
    const wrong = problemOf(input)
    return wrong === undefined ? Effect.void : Effect.fail(new CliError.ValidationError({ message: wrong }))
  })
)

const problemOf = ({ db, from, out, urls }: Input): string | undefined => {
  if (urls.length > 0 && Option.isSome(from)) return "Give URLs or --from, not both"
  if (urls.length === 0 && Option.isNone(from)) return "Nothing to fetch: give URLs, or a file of them with --from"
  if (Option.isNone(db) && Option.isNone(out)) return "Nowhere to write to: give --db, --out or both"
  const bad = urls.find((url) => !isWeb(url))
  return bad === undefined
    ? undefined
    : `Not a URL: ${JSON.stringify(Secrets.hidden(bad))}. Write it in full, like https://example.com/page`
}

const nameOf = ({ db, out = "" }: FetchPlan.Options) => {
  const file = db === undefined ? out : Paths.fileOf(db)
  return file === undefined ? Effect.succeed(Name.ofServer(db ?? "")) : DefaultName.of(file)
}

const rolesOf = (name: string, { db, out, source }: FetchPlan.Options): ReadonlyArray<Paths.Role> => {
  const database = db === undefined ? JournalFolder.file(name) : Paths.fileOf(db)
  return [
    ...(typeof source === "string" ? [{ role: "--from", path: source }] : []),
    ...(database === undefined ? [] : [{ role: db === undefined ? "the journal" : "--db", path: database }]),
    ...(out === undefined ? [] : [{ role: "--out", path: out }])
  ]
}

const isWeb = (url: string): boolean => ["http:", "https:"].includes(URL.parse(url)?.protocol ?? "")

const optionsOf = (input: Input): FetchPlan.Options => ({
  source: Option.getOrElse(input.from, () => [...new Set(input.urls)]),
  ...(Option.isSome(input.db) && { db: input.db.value }),
  ...(Option.isSome(input.out) && { out: input.out.value }),
  ...(Option.isSome(input.rate) && { rate: input.rate.value }),
  concurrency: input.concurrency,
  perHost: input.perHost,
  timeout: Duration.toMillis(input.timeout),
  retries: input.retries,
  maxBody: input.maxBody
})
