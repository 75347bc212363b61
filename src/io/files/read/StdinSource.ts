/** What the program is given to read: once, from its beginning. */
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { elementsOf, placed } from "../../../pipeline/context/Portion.ts"
import type { NoPosition, Source } from "../../../pipeline/Source.ts"
import { builtin } from "../../codec/Builtin.ts"
import type { Pull as Bytes } from "../../codec/Compression.ts"
import { type FilesError, fromPlatform } from "../../FilesError.ts"
import type { Format } from "../Format.ts"
import { cut } from "./Bytes.ts"
import { type CodingOptions, compressionOf, undone } from "./Coding.ts"
import { fromPull, texted } from "./FileBytes.ts"
import { bad } from "./FileSource.ts"

const name = "stdin"

export const stdinSource = <A>(
  format: Format<A>,
  coding: CodingOptions
): Source<A, FilesError, Stdio.Stdio, NoPosition> => ({
  name,
  resumable: false,
  size: Effect.succeedNone,
  fingerprint: () => Effect.succeed({}),
  places: Effect.sync(fileBehind),
  read: () =>
    Effect.gen(function* () {
      const compression = compressionOf(name, coding)
      const raw = yield* bytesOfStdin
      const plain = compression === undefined ? raw : yield* undone(name, compression, raw)
      const pull =
        format.isBinary === true ? plain : yield* texted(name, coding.encoding, plain, coding.compression !== undefined)
      const cutter = format.cut({ at: 0, before: undefined, head: new Uint8Array() })
      const refuse = (problem: Parameters<typeof bad>[1]) => Effect.fail(bad(name, problem, undefined))
      return Stream.fromPull(Effect.succeed(cut({ read: fromPull(pull) }, cutter, refuse)))
    }).pipe(
      Stream.unwrap,
      Stream.map((portion) => placed(portion, () => nowhere)),
      elementsOf
    )
})

const nowhere: NoPosition = { _tag: "NoPosition" }

const bytesOfStdin: Effect.Effect<Bytes<FilesError>, never, Stdio.Stdio | Scope.Scope> = Effect.map(
  Effect.flatMap(Stdio.Stdio, ({ stdin }) => Stream.toPull(stdin)),
  (pull) => {
    const waiting: Array<Uint8Array> = []
    return Effect.suspend(() =>
      waiting.length > 0
        ? Effect.succeed(waiting.shift())
        : Effect.map(pull, ([first, ...others]): Uint8Array | undefined => {
            waiting.push(...others)
            return first
          })
    ).pipe(
      Pull.catchDone(() => Effect.undefined),
      Effect.mapError(fromPlatform("read", name))
    )
  }
)

/** The inode of a file that stdin was redirected from. */
const fileBehind = (): ReadonlyArray<string> => {
  const fs = builtin("node:fs") as
    | { fstatSync(fd: number): { isFile(): boolean; readonly dev: number; readonly ino: number } }
    | undefined
  try {
    const info = fs?.fstatSync(0)
    return info?.isFile() === true ? [`inode ${info.dev}:${info.ino}`] : []
  } catch {
    return []
  }
}
