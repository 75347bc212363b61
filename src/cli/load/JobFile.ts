/** The module of a job, imported as it stands. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as TsPaths from "./TsPaths.ts"

export type Exports = Readonly<Record<string, unknown>>

/** What the file exports; its imports are looked for by the tsconfig.json around it as well. */
export const load = (file: string): Effect.Effect<Exports, CommandError, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const whole = path.resolve(file)
    if (!(yield* Effect.orElseSucceed(fs.exists(whole), () => false))) {
      const fix = "Check the path, which starts at the folder that the command is run in."
      return yield* Effect.fail(new CommandError(`Could not run ${file}: there is no such file. ${fix}`))
    }
    const { href } = yield* Effect.orDie(path.toFileUrl(whole))
    return yield* Effect.tryPromise({
      try: () => {
        TsPaths.honour()
        return import(href) as Promise<Exports>
      },
      catch: (error) => {
        const reason = ErrorText.of(error)
        return new CommandError(`Could not run ${file}: importing it failed: ${reason}`, { cause: error })
      }
    })
  })
