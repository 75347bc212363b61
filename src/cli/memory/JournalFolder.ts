/** The folder beside the output of a job without a database, where its journal is kept. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Db from "../../io/Db.ts"
import * as Files from "../../io/Files.ts"
import { fromPlatform } from "../../io/FilesError.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"
import type { Journal } from "../../pipeline/Journal.ts"

export const name = ".skein"

/** The path of the database of a pipeline, for messages. */
export const file = (pipeline: string): string => `${name}/${pipeline}.db`

/** The database of a pipeline that was given none, for its journal; `option` is that which names another place for it. */
export const database = (pipeline: string, option: string): Layer.Layer<Db.Db | Journal, unknown, Main.Services> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const inside = yield* Files.within(name, `${pipeline}.db`)
      yield* Effect.mapError(
        fs.makeDirectory(name, { recursive: true, mode: 0o700 }),
        (error) =>
          new CommandError(
            `${fromPlatform("make the folder for the journal,", name)(error).message} Or keep how far it is in another place, with ${option}.`
          )
      )
      return Db.sqlite(inside)
    })
  )
