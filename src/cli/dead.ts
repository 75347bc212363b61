/** `skein dead`: shows what failed for good, or runs it again. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Main from "../node/Main.ts"
import * as Shown from "../node/Shown.ts"
import type { KeptDeadLetter } from "../pipeline/Journal.ts"
import * as Name from "./usage/Name.ts"
import * as Plan from "./plan/Plan.ts"
import * as Report from "./report/Report.ts"
import * as Remembered from "./memory/Remembered.ts"

const description = `List the dead letters of a pipeline, or run them again.

  A dead letter is the input of a step that failed for good, with the cause, the attempts,
  its position in the source and the time. \`skein fetch\` and \`skein run\` remember in the
  folder .skein, by name, where those of each pipeline are; run this in the same folder.

  With --replay each runs again from the step it failed in, into the same database or file.
  What succeeds is no longer listed; what fails again is a new dead letter.

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
      const plan = yield* Remembered.load(input.name)
      if (input.replay) return yield* Plan.replay(plan, yield* Report.make(input))
      const letters = yield* Plan.deadLetters(plan)
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
