/** Dead letters in a file, or from standard input and to standard output. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { fromPlatform } from "../../io/FilesError.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"

/** Writes them, one on a line, and gives how many. What is in the file may be all that is left of others: none is written over. */
export const write = <E, R>(
  file: string,
  lines: Stream.Stream<string, E, R>
): Effect.Effect<number, unknown, R | Main.Services> =>
  Effect.gen(function* () {
    let count = 0
    const counted = Stream.tap(lines, () => Effect.sync(() => void (count += 1)))
    if (file === "-") {
      yield* Stream.runForEach(counted, (line) => Console.log(line.trimEnd()))
      return count
    }
    const fs = yield* FileSystem.FileSystem
    if (yield* fs.exists(file)) {
      const fix = "Name another one, or move it away."
      return yield* Effect.fail(new CommandError(`Could not export to ${file}: there is something already. ${fix}`))
    }
    const part = `${file}.part`
    // For nobody else: the inputs are in it as they are.
    const written = Stream.run(Stream.encodeText(counted), fs.sink(part, { flag: "w", mode: 0o600 }))
    yield* Effect.andThen(written, fs.rename(part, file)).pipe(Effect.onError(() => Effect.ignore(fs.remove(part))))
    return count
  })

export const read = (file: string): Stream.Stream<string, unknown, Main.Services> =>
  Stream.unwrap(
    Effect.gen(function* (): Effect.fn.Return<Stream.Stream<Uint8Array, unknown>, never, Main.Services> {
      if (file === "-") return (yield* Stdio.Stdio).stdin
      const fs = yield* FileSystem.FileSystem
      return Stream.mapError(fs.stream(file), fromPlatform("read", file))
    })
  ).pipe(Stream.decodeText)
