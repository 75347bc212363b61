/** The `skein` command as an effect: what it is told in, what it does out. */
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import type * as Main from "../node/Main.ts"
import { CommandError } from "./usage/CommandError.ts"
import { dead } from "./dead.ts"
import { fetch } from "./fetch.ts"
import { ps } from "./ps.ts"
import { run } from "./run.ts"
import { top } from "./top.ts"
import { tree } from "./tree.ts"
import { watch } from "./watch.ts"

/** Does what the arguments say. Wrong usage is a `CommandError` with exit code 2. */
export const skein = (args: ReadonlyArray<string>): Effect.Effect<void, unknown, Main.Services> =>
  Command.runWith(command, { version })(args).pipe(
    Effect.catchIf(isShowHelp, (error) => Effect.fail(wrongUsage(error))),
    Effect.provide(output)
  )

/** For `Main.run`, which looks for it before the arguments are parsed. */
const debug = GlobalFlag.Setting("debug")({
  flag: Flag.Boolean("debug").pipe(
    Flag.withDescription("Show stack traces and causes of errors"),
    Flag.withDefault(false)
  )
})

const command = Command.make("skein").pipe(
  Command.withDescription("Pipelines from the command line: resumable, exactly once, nothing silently lost."),
  Command.withSubcommands([fetch, run, dead, ps, tree, top, watch]),
  Command.withGlobalFlags([debug])
)

const output = Layer.merge(
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
  CliOutput.layerPresenter({
    // What was wrong is one line on stderr, like every error, and not a screen of help.
    present: (event) => (event._tag === "InvalidInvocation" ? Effect.void : CliOutput.defaultPresenter.present(event))
  })
)

const { version }: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8")
)

const isShowHelp = (error: unknown): error is CliError.ShowHelp =>
  CliError.isCliError(error) && error._tag === "ShowHelp"

const wrongUsage = ({ commandPath, errors }: CliError.ShowHelp): CommandError => {
  const messages = errors.map(({ message }) => onOneLine(message))
  const what = messages.length === 0 ? "Missing a command" : messages.join("; ").replace(/[.]?$/, "")
  return new CommandError(`${what}. See \`${commandPath.join(" ")} --help\`.`, { exitCode: 2 })
}

const onOneLine = (text: string): string => {
  const lines = text.split("\n").map((line) => line.trim())
  return lines.filter((line) => line !== "").join(" ")
}
