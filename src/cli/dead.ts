/** `skein dead`: shows what failed for good, or runs it again. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Db from "../io/Db.ts"
import type * as Main from "../node/Main.ts"
import * as Shown from "../node/Shown.ts"
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

  Exit codes: 0 listed, or replayed; 1 failed; 2 wrong usage; 130 cancelled.`

const config = {
  name: Argument.String("name").pipe(
    Argument.filter(Name.isName, () => Name.rule),
    Argument.withDescription("The name of the pipeline, which its summary begins with")
  ),
  replay: Flag.Boolean("replay").pipe(Flag.withDescription("Run them again"), Flag.withDefault(false)),
  ...Report.flags
}

interface Input extends Report.Options {
  readonly name: string
  readonly replay: boolean
}

export const dead: Command.Command<"dead", Input, {}, unknown, Main.Services> = Command.make(
  "dead",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const { name } = input
      const entry = yield* Remembered.load(name)
      const journal = yield* journalOf(name, entry)
      if (input.replay) return yield* Plan.replay(yield* planOf(name, entry), yield* Report.make(input))
      if (journal === undefined) return yield* Effect.fail(elsewhere(name))
      const letters = yield* Journal.pipe(
        Effect.flatMap((journal) => journal.dead(keyOf(name))),
        Effect.provide(Db.open(journal))
      )
      const lines = input.json ? letters.map((letter) => Shown.json(letter)) : listed(input.name, letters)
      if (lines.length > 0) yield* Console.log(lines.join("\n"))
    })
).pipe(
  Command.withShortDescription("List what failed for good, or run it again"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein dead pages", description: "List the dead letters" },
    { command: "skein dead pages --replay", description: "Run them again" }
  ])
)

/** A database that is not there is not made: it would have nothing to list, and a replay would lose what it writes. */
const journalOf = (
  name: string,
  { journal }: Remembered.Entry
): Effect.Effect<string | undefined, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = journal === undefined ? undefined : Paths.fileOf(journal)
    if (file === undefined || (yield* fs.exists(file))) return journal
    const message = `The dead letters of "${name}" were in ${file}, which is no longer there. Put it back, or run "${name}" again.`
    return yield* Effect.fail(new CommandError(message))
  })

const planOf = (name: string, entry: Remembered.Entry): Effect.Effect<Plan.Plan, unknown, Main.Services> =>
  entry.kind === "fetch"
    ? Effect.succeed(FetchPlan.make(name, FetchPlan.again(entry.options)))
    : RunPlan.make({ ...entry.options, name, otherwise: name })

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
