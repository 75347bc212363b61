/** A journal by its place, a database or a file, opened without the code of the job that writes to it. */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Db from "../../io/Db.ts"
import * as Files from "../../io/Files.ts"
import { fromPlatform } from "../../io/FilesError.ts"
import type * as Main from "../../node/Main.ts"
import type { Journal } from "../../pipeline/Journal.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as Paths from "../usage/Paths.ts"

/** One that is not there is not made: it would have nothing to list, and a replay would lose what it writes. */
export const check = (place: string, name?: string): Effect.Effect<void, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = Paths.fileOf(place)
    if (file === undefined || (yield* fs.exists(file))) return
    const message =
      name === undefined
        ? `There is no database or journal ${file}. Check the path.`
        : `The dead letters of "${name}" were in ${file}, which is no longer there. Put it back, or run "${name}" again.`
    return yield* Effect.fail(new CommandError(message))
  })

/** Whatever it is: a file of SQLite begins as no journal does. */
export const open = (place: string): Layer.Layer<Journal, unknown, Main.Services> =>
  Layer.unwrap(
    Effect.gen(function* (): Effect.fn.Return<Layer.Layer<Journal, unknown, Main.Services>, unknown, Main.Services> {
      const file = Paths.fileOf(place)
      return file === undefined || !(yield* isJournalFile(file)) ? Db.open(place) : Files.journal(file)
    })
  )

const isJournalFile = (file: string) =>
  FileSystem.FileSystem.use((fs) =>
    Stream.mkString(Stream.decodeText(fs.stream(file, { bytesToRead: ByteSize.bytes(beginning.length) })))
  ).pipe(
    Effect.mapError(fromPlatform("read", file)),
    Effect.map((text) => text === beginning)
  )

const beginning = '{"format":'
