/** The folder beside the output of a job without a database, where its journal is kept. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Db from "../../io/Db.ts"
import * as Files from "../../io/Files.ts"
import { fromPlatform } from "../../io/FilesError.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"
import { Journal, JournalError } from "../../pipeline/Journal.ts"

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
        fromPlatform("make the folder for the journal,", name)
      )
      return Db.sqlite(inside)
    }).pipe(
      Effect.mapError(
        ({ message }) => new CommandError(`${message} Or keep how far it is in another place, with ${option}.`)
      )
    )
  )

/** The journal of a pipeline that was given no database: a file of its own, made by the first run that has something to keep. */
export const journal = (
  pipeline: string,
  option: string
): Effect.Effect<Layer.Layer<Journal, unknown, Main.Services>, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    // What an earlier version began goes on where it is.
    if (yield* Effect.orElseSucceed(fs.exists(file(pipeline)), () => false)) return database(pipeline, option)
    const inside = yield* Files.within(name, `${pipeline}.journal`)
    return Layer.effect(
      Journal,
      Effect.map(Journal, (journal): Journal => ({
        ...journal,
        lease: (key, options) =>
          Effect.andThen(
            Effect.mapError(
              fs.makeDirectory(name, { recursive: true, mode: 0o700 }),
              (error) =>
                new JournalError({
                  pipeline,
                  tried: "make the folder for its journal",
                  reason: `${error.message}. Or keep how far it is in another place, with ${option}`
                })
            ),
            journal.lease(key, options)
          )
      }))
    ).pipe(Layer.provide(Files.journal(inside)))
  }) as Effect.Effect<Layer.Layer<Journal, unknown, Main.Services>, unknown, Main.Services>
