/** `skein watch`: what a process does, live, as a page in a browser of this machine. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Inspected from "../node/Inspected.ts"
import type * as Main from "../node/Main.ts"
import * as Pid from "./usage/Pid.ts"
import * as Units from "./usage/Units.ts"
import * as Server from "./watch/Server.ts"

const description = `Show what a process does as a page in a browser: what looks wrong and what to do, its runs with
  their steps, and its groups with their tasks, what each waits for, and where.

  It prints the URL of the page and serves it until it is cancelled. Only a browser on this
  machine can open it, and only with that URL: what is behind the # in it is a token, made
  anew each time. The page only looks. The process is asked once a second while a page is
  open and seen, and not at all otherwise; when it ends, the page keeps what was seen last.

  Exit codes: 0 done; 1 failed; 2 wrong usage; 130 cancelled.`

const config = {
  pid: Pid.argument,
  port: Units.port("port").pipe(
    Flag.withDescription("The port on 127.0.0.1 to serve the page at. Default one that is free"),
    Flag.withDefault(0)
  )
}

interface Input {
  readonly pid: Option.Option<number>
  readonly port: number
}

export const watch: Command.Command<"watch", Input, {}, unknown, Main.Services> = Command.make(
  "watch",
  config,
  ({ pid, port }): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const found = yield* Inspected.find(Option.getOrUndefined(pid))
      // One that does not answer is told here, and not first in the page.
      yield* found.snapshot
      const { url } = yield* Server.open(found, port)
      yield* Console.log(url)
      return yield* Effect.never
    }).pipe(Effect.scoped)
).pipe(
  Command.withShortDescription("Show what a process does, live, as a page in a browser"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein watch 4711", description: "Print the URL of a page that shows process 4711" }
  ])
)
