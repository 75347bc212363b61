/** `skein top`: what a process does, live, until a key says to leave. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { writeSync } from "node:fs"
import type { Snapshot } from "../inspect/context/Snapshot.ts"
import * as Inspected from "../node/Inspected.ts"
import type * as Main from "../node/Main.ts"
import { CommandError } from "./usage/CommandError.ts"
import * as Pid from "./usage/Pid.ts"
import * as Units from "./usage/Units.ts"
import * as Dashboard from "./view/Dashboard.ts"
import * as Screen from "./view/Screen.ts"

const description = `Show what a process does, on the whole screen of a terminal and anew each second: what looks wrong
  in it, its runs with their steps, and its tasks.

  a b n s w sort the tasks by how long they are in their state, by how long they were busy, by
  name, by state, or by what they wait for; r turns the order round. Arrows, page up and down,
  home and end scroll; q, Esc or Ctrl-C leave. It ends when the process does.

  Exit codes: 0 done; 1 failed; 2 wrong usage; 130 cancelled.`

const config = {
  pid: Pid.argument,
  interval: Units.duration("interval").pipe(
    Flag.withDescription("How often it is asked. Default 1s"),
    Flag.withDefault(Duration.seconds(1))
  )
}

interface Input {
  readonly pid: Option.Option<number>
  readonly interval: Duration.Duration
}

export const top: Command.Command<"top", Input, {}, unknown, Main.Services> = Command.make(
  "top",
  config,
  ({ interval, pid }): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const stdio = yield* Stdio.Stdio
      if (!(yield* stdio.stdinIsTerminal) || !(yield* stdio.stdoutIsTerminal)) {
        return yield* Effect.fail(
          new CommandError("There is no terminal to draw on. `skein tree` prints what there is to see.")
        )
      }
      const found = yield* Inspected.find(Option.getOrUndefined(pid))
      // What is wrong with it is told before the screen is taken.
      const first = yield* found.snapshot
      const end = yield* Effect.scoped(watch(found, first, interval))
      if (end === "gone") yield* Console.error(`note: process ${found.pid} has ended`)
    })
).pipe(
  Command.withShortDescription("Show what a process does, live"),
  Command.withDescription(description),
  Command.withExamples([{ command: "skein top", description: "Watch the only process there is" }])
)

/** Until a key says to leave, or the process is gone. */
const watch = (
  { snapshot }: Inspected.Found,
  first: Snapshot,
  interval: Duration.Duration
): Effect.Effect<"left" | "gone", never, Scope.Scope | Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    yield* screen
    const keys = yield* terminal.readInput
    const sizes = yield* terminal.size
    let [seen, view, problem]: [Snapshot, Dashboard.View, string | undefined] = [first, Dashboard.start, undefined]
    let size: Dashboard.Size = { columns: yield* terminal.columns, rows: yield* terminal.rows }
    let shown: ReadonlyArray<string> | undefined
    const draw = (): void => {
      // A terminal that is held with Ctrl-S takes nothing: what comes next is drawn when it does again.
      if (process.stdout.writableLength > 0) return
      const drawn = Dashboard.draw(seen, view, size, problem)
      view = drawn.view
      const text = shown === undefined ? Screen.whole(drawn.lines) : Screen.changes(shown, drawn.lines)
      shown = drawn.lines
      if (text !== "") process.stdout.write(text)
    }
    const pressed = Effect.map(Queue.take(keys), ({ input, key }) => {
      const next = Dashboard.press(view, key.name === "" ? Option.getOrElse(input, () => "") : key.name, size)
      if (next === undefined) return "left" as const
      view = next
      draw()
      return undefined
    })
    const resized = Effect.map(Queue.take(sizes), (now) => {
      size = now
      shown = undefined
      draw()
    })
    const asked = Effect.map(Effect.andThen(Effect.sleep(interval), Effect.result(snapshot)), (answer) => {
      if (Result.isFailure(answer)) {
        if (answer.failure.isGone) return "gone" as const
        problem = answer.failure.message
      } else [seen, problem] = [answer.success, undefined]
      draw()
      return undefined
    })
    return yield* Effect.raceAllFirst([
      // Its end is Esc or Ctrl-C, or that of the terminal.
      Effect.orElseSucceed(until(pressed), () => "left" as const),
      Effect.orElseSucceed(until(asked), () => "left" as const),
      Effect.catchCause(Effect.forever(resized), () => Effect.never)
    ])
  })

const until = <A, E, R>(step: Effect.Effect<A | undefined, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(step, (done) => (done === undefined ? until(step) : Effect.succeed(done)))

/** Taken for as long as the scope is open, and given back also where the process ends without closing it. */
const screen: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(
  Effect.acquireRelease(
    Effect.sync(() => {
      const giveBack = () => {
        process.off("exit", giveBack)
        try {
          writeSync(1, Screen.leave)
        } catch {
          // The terminal is gone, or held.
        }
      }
      process.on("exit", giveBack)
      process.stdout.write(Screen.enter)
      return giveBack
    }),
    (giveBack) => Effect.sync(giveBack)
  )
)
