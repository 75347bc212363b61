/** A list that comes by a pipe: it is read to its end first, so that a run can go on when the same is given again. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { constants, createReadStream, fstatSync, openSync } from "node:fs"
import { Socket } from "node:net"
import { isatty, ReadStream } from "node:tty"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"
import { urlIn } from "./Asked.ts"

/** What can be read once, and is not a file. */
const piped: ReadonlySet<string> = new Set(["FIFO", "CharacterDevice", "Socket"])

/** The URLs of standard input, for `-`, or of a pipe; none of a file, which is read as the run needs it. */
export const urls = (from: string): Effect.Effect<ReadonlyArray<string> | undefined, CommandError, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (from === "-") return yield* read("standard input", (yield* Stdio.Stdio).stdin)
    const type = yield* Effect.orElseSucceed(
      Effect.map(fs.stat(from), ({ type }) => type),
      () => "Unknown" as const
    )
    return piped.has(type) ? yield* read(JSON.stringify(from), opened(from)) : undefined
  })

/** A thread that waits in `open` for whoever writes into a pipe could not be told to stop, nor could the process end. */
const opened = (from: string): Stream.Stream<Uint8Array, Error> =>
  NodeStream.fromReadable({
    evaluate: () => {
      const fd = openSync(from, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
      if (isatty(fd)) return new ReadStream(fd)
      return fstatSync(fd).isFIFO() ? new Socket({ fd, readable: true, writable: false }) : createReadStream("", { fd })
    },
    onError: (error) => (error instanceof Error ? error : new Error(String(error)))
  })

/** As long as all of it is held in memory. */
const most = 256 * 1024 * 1024

const read = (
  name: string,
  bytes: Stream.Stream<Uint8Array, Error>
): Effect.Effect<ReadonlyArray<string>, CommandError> =>
  Effect.gen(function* () {
    const wrong = (reason: string, fix: string) =>
      new CommandError(`Could not read the URLs from ${name}: ${reason}. ${fix}`)
    const parts: Array<Uint8Array> = []
    let size = 0
    yield* Stream.runForEach(bytes, (part) => {
      parts.push(part)
      size += part.length
      return size > most
        ? Effect.fail(wrong("they are more than 256 MiB", "Write them to a file, and give it as --from."))
        : Effect.void
    }).pipe(
      Effect.mapError((error) =>
        error instanceof CommandError ? error : wrong(ErrorText.of(error), "Check where it comes from.")
      )
    )
    const text = textOf(Buffer.concat(parts, size))
    if (text === undefined) {
      return yield* Effect.fail(
        wrong("it is not text in UTF-8", "Convert or decompress it first, as with iconv or gunzip.")
      )
    }
    const found: Array<string> = []
    for (const line of text.split("\n")) {
      const url = urlIn(line)
      if (url !== undefined) found.push(url)
    }
    return found
  })

/** In UTF-8, or in UTF-16 with its mark, as some shells write. */
const textOf = (bytes: Uint8Array): string | undefined => {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8"
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
