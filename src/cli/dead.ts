/** `skein dead`: shows what failed for good, runs it again, takes it out, or carries it elsewhere. */
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Db from "../io/Db.ts"
import type * as Main from "../node/Main.ts"
import * as Shown from "../concurrency/base/Shown.ts"
import * as DeadLetters from "../pipeline/DeadLetters.ts"
import * as Remembered from "./memory/Remembered.ts"
import * as FetchPlan from "./plan/FetchPlan.ts"
import * as JournalPlace from "./plan/JournalPlace.ts"
import * as LetterFile from "./plan/LetterFile.ts"
import * as Plan from "./plan/Plan.ts"
import * as RunPlan from "./plan/RunPlan.ts"
import * as Letters from "./report/Letters.ts"
import * as Report from "./report/Report.ts"
import { CommandError } from "./usage/CommandError.ts"
import * as Name from "./usage/Name.ts"
import * as Paths from "./usage/Paths.ts"
import * as Units from "./usage/Units.ts"

const description = `List the dead letters of a pipeline, run them again, take them out, or carry them elsewhere.

  A dead letter is the input of a step that failed for good, with the cause, the attempts,
  its position in the source and the time. Where those of each pipeline are is remembered by
  name, for the folder that \`skein fetch\` and \`skein run\` are run in: run this in the same
  one. What is remembered is in $XDG_STATE_HOME/skein (~/.local/state/skein; on Windows
  %LOCALAPPDATA%\\skein), without the URLs and passwords that a command was given.

  --id, --step, --cause, --since, --until and --limit say which ones are meant; without any,
  all that wait. Those of --id are shown whole, with all that they came of.

  With --replay each runs again from the step it failed in, into the same database or file.
  What succeeds is no longer listed; what fails again is a new dead letter; what cannot be
  read any more stays. --export writes lines of JSON, inputs as they are, and --import keeps
  such lines: all or none, and none that is there already. While a run is alive, --replay,
  --purge and --import are refused. Only --replay runs code of the job. A list shows no
  passwords or tokens, nor characters that a terminal would obey.

  Exit codes: 0 done; 1 failed, or all failed again; 2 wrong usage; 130 cancelled.`

const config = {
  name: Argument.String("name").pipe(
    Argument.filter(Name.isName, () => Name.rule),
    Argument.withDescription("The name of the pipeline, which its summary begins with"),
    Argument.optional
  ),
  id: Units.number("id").pipe(
    Flag.withDescription("Only this one, shown whole; give it again for more"),
    Flag.atLeast(0)
  ),
  step: Paths.text("step").pipe(Flag.withDescription("Only those of this step"), Flag.optional),
  cause: Paths.text("cause").pipe(
    Flag.withDescription("Only those with this text or class in their cause"),
    Flag.optional
  ),
  since: Units.time("since").pipe(
    Flag.withDescription("Only those given up since 2026-01-31, or since 2h"),
    Flag.optional
  ),
  until: Units.time("until").pipe(Flag.withDescription("Only those given up before then"), Flag.optional),
  limit: Units.count("limit", 1).pipe(Flag.withDescription("Only so many, the oldest first"), Flag.optional),
  replayed: Flag.Boolean("replayed").pipe(
    Flag.withDescription("Those that ran again, instead of those that wait"),
    Flag.withDefault(false)
  ),
  replay: Flag.Boolean("replay").pipe(Flag.withDescription("Run them again"), Flag.withDefault(false)),
  purge: Flag.Boolean("purge").pipe(
    Flag.withDescription("Take them out for good; say which, or --all"),
    Flag.withDefault(false)
  ),
  all: Flag.Boolean("all").pipe(Flag.withDescription("With --purge, all that wait"), Flag.withDefault(false)),
  export: Paths.stream("export").pipe(
    Flag.withDescription("Write them to a new file, or - to print them"),
    Flag.optional
  ),
  import: Paths.stream("import").pipe(Flag.withDescription("Bring in what --export wrote"), Flag.optional),
  db: Paths.database.pipe(
    Flag.withDescription("The database with them; without a name, lists its pipelines"),
    Flag.optional
  ),
  journal: Paths.file("journal").pipe(
    Flag.withDescription("The file with them: the journal of a job without a database"),
    Flag.optional
  ),
  ...Report.flags
}

interface Input extends Report.Options {
  readonly name: Option.Option<string>
  readonly id: ReadonlyArray<number>
  readonly step: Option.Option<string>
  readonly cause: Option.Option<string>
  readonly since: Option.Option<Units.Time>
  readonly until: Option.Option<Units.Time>
  readonly limit: Option.Option<number>
  readonly replayed: boolean
  readonly replay: boolean
  readonly purge: boolean
  readonly all: boolean
  readonly export: Option.Option<string>
  readonly import: Option.Option<string>
  readonly db: Option.Option<string>
  readonly journal: Option.Option<string>
}

export const dead: Command.Command<"dead", Input, {}, unknown, Main.Services> = Command.make(
  "dead",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const { journal } = input
      const name = Option.getOrUndefined(input.name)
      const place = Option.getOrUndefined(Option.orElse(input.db, () => journal))
      if (name === undefined) return yield* listNames(place ?? "", input.json)
      const filter = yield* filterOf(input)
      if (input.replay) return yield* replay(name, place, filter, input)
      const opened = JournalPlace.open(yield* placeOf(name, place))
      yield* Effect.provide(withLetters(name, filter, input), opened)
    })
).pipe(
  Command.withShortDescription("List what failed for good, run it again, or take it out"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein dead pages", description: "List the dead letters" },
    { command: "skein dead pages --replay --cause 503", description: "Run those again that failed with 503" }
  ]),
  Command.validate((input) => {
    const problem = problemOf(input)
    return problem === undefined ? Effect.void : Effect.fail(new CliError.ValidationError({ message: problem }))
  })
)

const problemOf = (input: Input): string | undefined => {
  const { all, db, journal, name, purge, replay, replayed } = input
  const actions = [
    ...(replay ? ["--replay"] : []),
    ...(purge ? ["--purge"] : []),
    ...(Option.isSome(input.export) ? ["--export"] : []),
    ...(Option.isSome(input.import) ? ["--import"] : [])
  ]
  const isMeant =
    input.id.length > 0 ||
    [input.step, input.cause, input.since, input.until, input.limit].some((option) => Option.isSome<unknown>(option))
  if (actions.length > 1) return `Give ${actions.join(" or ")}, one at a time`
  if (Option.isSome(db) && Option.isSome(journal))
    return "Give --db or --journal, not both: the letters are in one place"
  if (Option.isNone(name)) {
    const missing = "Missing required argument: name"
    if (actions.length > 0) return `${missing}, of what is to be done with`
    if (Option.isSome(journal)) return `${missing}, of the pipeline whose letters in that file are meant`
    return Option.isSome(db)
      ? undefined
      : `${missing}. Give it, or a database with --db to see whose dead letters it has`
  }
  if (purge && !isMeant && !all && !replayed) return "Say which to take out, as with --id or --cause, or --all"
  if (all && !purge) return "--all is for --purge: everything else is done with all unless it is said with which"
  if (all && isMeant) return "Say which to take out, or --all, not both"
  if (replay && replayed) return "What ran again already does not run again: leave out --replayed"
  if (replay && Option.isSome(journal)) return "A job brings its journal along: leave out --journal with --replay"
  if (Option.isSome(input.import) && (isMeant || replayed)) return "All lines of what is imported are: leave out which"
  return undefined
}

const filterOf = ({ cause, id, limit, replayed, since, step, until }: Input): Effect.Effect<DeadLetters.Filter> =>
  Effect.map(Clock.currentTimeMillis, (now) => ({
    ...(id.length > 0 && { ids: id }),
    step: Option.getOrUndefined(step),
    cause: Option.getOrUndefined(cause),
    since: Option.getOrUndefined(Option.map(since, (time) => time(now))),
    until: Option.getOrUndefined(Option.map(until, (time) => time(now))),
    limit: Option.getOrUndefined(limit),
    replayed
  }))

/** Where the letters are: as given, or as remembered. */
const placeOf = (name: string, given: string | undefined): Effect.Effect<string, unknown, Main.Services> =>
  Effect.gen(function* () {
    if (given !== undefined) return yield* Effect.as(JournalPlace.check(given), given)
    const { journal } = yield* Remembered.load(name)
    if (journal === undefined) return yield* Effect.fail(elsewhere(name))
    return yield* Effect.as(JournalPlace.check(journal, name), journal)
  })

const withLetters = (name: string, filter: DeadLetters.Filter, input: Input) =>
  Effect.gen(function* () {
    const shownName = Shown.text(name)
    const done = (text: string, counts: object) =>
      input.quiet
        ? Effect.void
        : Console.log(input.json ? Shown.json({ pipeline: name, ...counts }) : `${shownName}: ${text}`)
    if (input.purge) {
      const purged = yield* DeadLetters.purge(name, filter)
      return yield* done(`${purged} taken out`, { purged })
    }
    if (Option.isSome(input.export)) {
      const file = input.export.value
      const exported = yield* LetterFile.write(file, DeadLetters.export(name, filter))
      return file === "-" ? undefined : yield* done(`${exported} written to ${Shown.text(file)}`, { exported })
    }
    if (Option.isSome(input.import)) {
      const { added, known } = yield* DeadLetters.import(name, LetterFile.read(input.import.value))
      return yield* done(`${added} imported${known === 0 ? "" : `, ${known} known already`}`, { added, known })
    }
    let count = 0
    const show = input.id.length > 0 ? Letters.whole : Letters.brief
    yield* Stream.runForEach(DeadLetters.list(name, filter), (letter) => {
      count += 1
      return Console.log(input.json ? Shown.json(letter) : show(letter))
    })
    if (input.json) return
    if (input.replayed) return yield* Console.log(`${shownName}: ${count} ran again`)
    yield* Console.log(
      count === 0
        ? `${shownName}: no dead letters`
        : `${shownName}: ${count} dead; run them again with \`skein dead ${shownName} --replay\``
    )
  })

const replay = (name: string, db: string | undefined, { replayed: _, ...letters }: DeadLetters.Filter, input: Input) =>
  Effect.gen(function* () {
    const entry = yield* Remembered.load(name)
    const journal = db ?? entry.journal
    if (journal !== undefined) yield* JournalPlace.check(journal, db === undefined ? name : undefined)
    const plan = yield* planOf(name, db === undefined ? entry : into(entry, db))
    yield* Plan.replay(plan, yield* Report.make(input), letters)
  })

/** The pipelines that have dead letters in a database. */
const listNames = (url: string, json: boolean): Effect.Effect<void, unknown, Main.Services> =>
  Effect.gen(function* () {
    yield* JournalPlace.check(url)
    const { counts, database } = yield* Effect.provide(countsIn, Db.open(url))
    const lines = json
      ? counts.map((count) => Shown.json(count))
      : counts.length === 0
        ? [`${Shown.text(database)}: no dead letters`]
        : counts.map(({ dead, pipeline }) => `${Shown.text(pipeline)}: ${dead} dead`)
    if (lines.length > 0) yield* Console.log(lines.join("\n"))
  })

const countsIn = Effect.gen(function* () {
  const { dialect, name: database, sql } = yield* Db.Db
  const columns = yield* dialect.inspect(sql, "skein_dead")
  if (columns.length === 0) return { database, counts: [] }
  // Those of parts of a pipeline are listed by its own code; version 0.1 had none.
  const whole = columns.some((column) => column.name === "part") ? sql`AND part = ''` : sql.literal("")
  const rows = yield* sql<{ pipeline: string; dead: unknown }>`
    SELECT pipeline, count(*) AS dead FROM skein_dead WHERE replayed = 0 ${whole} GROUP BY pipeline ORDER BY pipeline`
  return { database, counts: rows.map(({ dead, pipeline }) => ({ pipeline, dead: Number(dead) })) }
})

const planOf = (name: string, entry: Remembered.Entry): Effect.Effect<Plan.Plan, unknown, Main.Services> =>
  entry.kind === "fetch"
    ? FetchPlan.again(name, entry.options)
    : RunPlan.make({ ...entry.options, name, otherwise: name })

/** The same with a database that is given anew: with a password, say. */
const into = (entry: Remembered.Entry, db: string): Remembered.Entry =>
  entry.kind === "fetch"
    ? // Where there were no rows, it was the journal alone.
      { ...entry, options: { ...entry.options, ...(entry.options.db === undefined ? { journal: db } : { db }) } }
    : { ...entry, options: { ...entry.options, db } }

const elsewhere = (name: string): CommandError =>
  new CommandError(
    `The job "${name}" brings its own journal, which only its code can open. Read the dead letters from there, or run them again with --replay.`
  )
