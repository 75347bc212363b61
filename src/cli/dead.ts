/** `skein dead`: shows what failed for good, or runs it again. */
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Db from "../io/Db.ts"
import type * as Main from "../node/Main.ts"
import * as Shown from "../concurrency/base/Shown.ts"
import { keyOf, Journal, type KeptDeadLetter } from "../pipeline/Journal.ts"
import * as Remembered from "./memory/Remembered.ts"
import * as FetchPlan from "./plan/FetchPlan.ts"
import * as Plan from "./plan/Plan.ts"
import * as RunPlan from "./plan/RunPlan.ts"
import * as Report from "./report/Report.ts"
import { CommandError } from "./usage/CommandError.ts"
import * as Name from "./usage/Name.ts"
import * as Paths from "./usage/Paths.ts"

const description = `List the dead letters of a pipeline, or run them again.

  A dead letter is the input of a step that failed for good, with the cause, the attempts,
  its position in the source and the time. \`skein fetch\` and \`skein run\` remember by name
  where those of each pipeline are, for the folder that they are run in: run this in the same
  one. What is remembered is in $XDG_STATE_HOME/skein (~/.local/state/skein; on Windows
  %LOCALAPPDATA%\\skein), without the URLs and passwords that a command was given.

  Listing runs no code of the job. With --replay each runs again from the step it failed in,
  into the same database or file. What succeeds is no longer listed; what fails again is a
  new dead letter. Neither shows passwords of URLs, nor characters that a terminal would obey.

  With --db the letters are read from that database, whatever is remembered; without a name it
  lists the pipelines there that have some.

  Exit codes: 0 listed, or replayed; 1 failed; 2 wrong usage; 130 cancelled.`

const config = {
  name: Argument.String("name").pipe(
    Argument.filter(Name.isName, () => Name.rule),
    Argument.withDescription("The name of the pipeline, which its summary begins with"),
    Argument.optional
  ),
  db: Paths.database.pipe(
    Flag.withDescription("The database with the dead letters: a file of SQLite, or postgres://user@host/database"),
    Flag.optional
  ),
  replay: Flag.Boolean("replay").pipe(Flag.withDescription("Run them again"), Flag.withDefault(false)),
  ...Report.flags
}

interface Input extends Report.Options {
  readonly name: Option.Option<string>
  readonly db: Option.Option<string>
  readonly replay: boolean
}

export const dead: Command.Command<"dead", Input, {}, unknown, Main.Services> = Command.make(
  "dead",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const name = Option.getOrUndefined(input.name)
      const db = Option.getOrUndefined(input.db)
      const lines = yield* name === undefined ? namesIn(db ?? "", input.json) : linesOf(name, db, input)
      if (lines.length > 0) yield* Console.log(lines.join("\n"))
    })
).pipe(
  Command.withShortDescription("List what failed for good, or run it again"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein dead pages", description: "List the dead letters" },
    { command: "skein dead pages --replay", description: "Run them again" },
    { command: "skein dead --db postgres://ada@localhost/data", description: "List which pipelines have some" }
  ]),
  Command.validate(({ db, name, replay }) => {
    if (Option.isSome(name)) return Effect.void
    const missing = "Missing required argument: name"
    if (replay) return Effect.fail(new CliError.ValidationError({ message: `${missing}, of what is to run again` }))
    const otherwise = "Give it, or a database with --db to see whose dead letters it has"
    return Option.isSome(db)
      ? Effect.void
      : Effect.fail(new CliError.ValidationError({ message: `${missing}. ${otherwise}` }))
  })
)

/** The dead letters of a pipeline as they are shown; none where they ran again. */
const linesOf = (
  name: string,
  db: string | undefined,
  input: Input
): Effect.Effect<ReadonlyArray<string>, unknown, Main.Services> =>
  Effect.gen(function* () {
    // Listing those of a database that is given needs no memory of how they came there.
    const entry = db === undefined || input.replay ? yield* Remembered.load(name) : undefined
    const journal = db ?? entry?.journal
    if (journal !== undefined) yield* check(db === undefined ? name : undefined, journal)
    if (entry !== undefined && input.replay) {
      yield* Plan.replay(yield* planOf(name, db === undefined ? entry : into(entry, db)), yield* Report.make(input))
      return []
    }
    if (journal === undefined) return yield* Effect.fail(elsewhere(name))
    const letters = yield* Journal.pipe(
      Effect.flatMap((journal) => journal.dead(keyOf(name))),
      Effect.provide(Db.open(journal))
    )
    return input.json ? letters.map((letter) => Shown.json(letter)) : listed(name, letters)
  })

/** The pipelines that have dead letters in a database. */
const namesIn = (url: string, json: boolean): Effect.Effect<ReadonlyArray<string>, unknown, Main.Services> =>
  Effect.gen(function* () {
    yield* check(undefined, url)
    const { counts, database } = yield* Effect.provide(countsIn, Db.open(url))
    if (json) return counts.map((count) => Shown.json(count))
    if (counts.length === 0) return [`${Shown.text(database)}: no dead letters`]
    return counts.map(({ dead, pipeline }) => `${Shown.text(pipeline)}: ${dead} dead`)
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

/** A database that is not there is not made: it would have nothing to list, and a replay would lose what it writes. */
const check = (name: string | undefined, journal: string): Effect.Effect<void, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = Paths.fileOf(journal)
    if (file === undefined || (yield* fs.exists(file))) return
    const message =
      name === undefined
        ? `There is no database ${file}. Check the path.`
        : `The dead letters of "${name}" were in ${file}, which is no longer there. Put it back, or run "${name}" again.`
    return yield* Effect.fail(new CommandError(message))
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

const listed = (name: string, letters: ReadonlyArray<KeptDeadLetter>): ReadonlyArray<string> => {
  if (letters.length === 0) return [`${name}: no dead letters`]
  return [
    ...letters.flatMap((letter) => [
      `#${letter.id} ${Shown.text(letter.step)}: ${Shown.json(letter.input)}`,
      `   ${Shown.indented("   ", letter.cause)}`,
      `   attempts ${letter.attempts}, position ${Shown.json(letter.position)}, ${new Date(letter.at).toISOString()}`
    ]),
    `${name}: ${letters.length} dead; run them again with \`skein dead ${name} --replay\``
  ]
}
