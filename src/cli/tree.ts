/** `skein tree`: what a process does at this moment. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Shown from "../concurrency/base/Shown.ts"
import * as Inspected from "../node/Inspected.ts"
import type * as Main from "../node/Main.ts"
import * as Pid from "./usage/Pid.ts"
import * as Units from "./usage/Units.ts"
import * as Tree from "./view/Tree.ts"

const description = `Print what a process does at this moment: what looks wrong in it and what to do, its runs with
  their steps, and its groups with their tasks, how long each is in its state, and what it
  waits for.
  Tasks that differ only in numbers are one line with their count; what is in one of them is
  that of the first. Where it was started with SKEIN_INSPECT=deep, file and line of the \`yield*\`
  it waits at are told as well.

  --json prints all of it as one line of JSON.

  Exit codes: 0 done; 1 failed; 2 wrong usage; 130 cancelled.`

const config = {
  pid: Pid.argument,
  depth: Units.count("depth", 0).pipe(
    Flag.withDescription("Levels below a group that are shown. Default 20"),
    Flag.withDefault(20)
  ),
  limit: Units.count("limit", 1).pipe(
    Flag.withDescription("Lines that are shown below one line. Default 30"),
    Flag.withDefault(30)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the snapshot as JSON"), Flag.withDefault(false))
}

interface Input extends Tree.Options {
  readonly pid: Option.Option<number>
  readonly json: boolean
}

export const tree: Command.Command<"tree", Input, {}, unknown, Main.Services> = Command.make(
  "tree",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const { snapshot } = yield* Inspected.find(Option.getOrUndefined(input.pid))
      const seen = yield* snapshot
      yield* Console.log(input.json ? Shown.json(seen) : Tree.lines(seen, input).join("\n"))
    })
).pipe(
  Command.withShortDescription("Print what a process does: groups, tasks, runs, what looks wrong"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein tree 4711", description: "Print the tree of process 4711" },
    { command: "skein tree --json", description: "Print all there is of the only process, as JSON" }
  ])
)
