/** The `skein` command inside of this process, in a folder: for tests that need no process, one at a time. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as TestConsole from "effect/testing/TestConsole"
import { Main } from "skein/node"
import { skein } from "../../src/cli/skein.ts"

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export const run = (cwd: string, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const before = process.cwd()
    const [logged, warned] = [(yield* TestConsole.logLines).length, (yield* TestConsole.errorLines).length]
    process.chdir(cwd)
    const exit = yield* Effect.exit(Effect.provide(skein(args), Main.layer))
    process.chdir(before)
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    const said = error === undefined ? [] : [`error: ${error instanceof Error ? error.message : String(error)}`]
    return {
      code: error === undefined ? 0 : (Runtime.getErrorExitCode(error) ?? 1),
      stdout: (yield* TestConsole.logLines).slice(logged).join("\n"),
      stderr: [...(yield* TestConsole.errorLines).slice(warned), ...said].join("\n")
    }
  })
