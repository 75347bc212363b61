/** What the program gives, as a sink: each write is given as a whole, and nothing can be taken back. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Sinks from "../../../pipeline/Sink.ts"
import type { Sink } from "../../../pipeline/Sink.ts"
import type { Compression } from "../../codec/Compression.ts"
import { type FilesError, fromPlatform } from "../../FilesError.ts"
import { type Format, Refusal } from "../Format.ts"
import { noBrotli } from "./FileSink.ts"
import { badElement, Press } from "./Press.ts"

const name = "stdout"

export const stdoutSink = <A>(
  format: Format<A>,
  compression: Compression | undefined
): Sink<A, FilesError, Stdio.Stdio, "at-least-once"> =>
  Sinks.make({
    name,
    guarantee: "at-least-once",
    form:
      compression === "brotli" ? Effect.fail(noBrotli(name)) : Effect.succeed({ format: format.name, ...format.form }),
    open: () =>
      Effect.map(Stdio.Stdio, (stdio) => {
        const press = new Press(name, format, compression)
        const give = (bytes: Uint8Array) =>
          bytes.length === 0
            ? Effect.void
            : Effect.mapError(
                Stream.run(Stream.make(bytes), stdio.stdout({ endOnDone: false })),
                fromPlatform("write to", name)
              )
        const rowsOf = (since: Option.Option<unknown>): number =>
          Option.isSome(since) && typeof since.value === "number" ? since.value : 0
        return {
          write: (elements: ReadonlyArray<A>, since) =>
            Effect.gen(function* () {
              const rows = rowsOf(since)
              press.start(rows === 0, rows)
              for (const [row, element] of elements.entries()) {
                const added = press.add(element)
                if (added instanceof Refusal) return yield* badElement(name, row, elements.length, added)
                if (added) yield* Effect.flatMap(press.printed, give)
              }
              yield* Effect.flatMap(press.printed, give)
              return rows + elements.length
            }),
          finish: (since) =>
            Effect.gen(function* () {
              const rows = rowsOf(since)
              press.start(rows === 0, rows)
              yield* Effect.flatMap(press.around, give)
              return rows
            }),
          atFault: (error) => (isBad(error) ? [error.row!] : "batch")
        } satisfies Sinks.Writer<A, FilesError, never>
      })
  })

const isBad = (error: unknown): error is FilesError =>
  typeof error === "object" && error !== null && "row" in error && typeof error.row === "number"
