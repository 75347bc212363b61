/** The folder, in the one that a command is run in, where the command keeps what it has to remember. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Db from "../../io/Db.ts"
import * as Files from "../../io/Files.ts"
import type * as Main from "../../node/Main.ts"
import type { Journal } from "../../pipeline/Journal.ts"

export const name = ".skein"

/** The path of a file in the folder, which is made where there is none. */
export const path = (file: string): Effect.Effect<string, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const inside = yield* Files.within(name, file)
    yield* fs.makeDirectory(name, { recursive: true })
    return inside
  })

/** The database of a pipeline that was given none, for its journal. */
export const database = (pipeline: string): Layer.Layer<Db.Db | Journal, unknown, Main.Services> =>
  Layer.unwrap(Effect.map(path(`${pipeline}.db`), (file) => Db.sqlite(file)))
