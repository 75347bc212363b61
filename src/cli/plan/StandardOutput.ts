/** Standard output as a sink of lines of JSON: what was written once is gone, so that nothing of it can be resumed. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Sink from "../../pipeline/Sink.ts"
import { CommandError } from "../usage/CommandError.ts"

export const jsonl = <A, I>(schema: Schema.Codec<A, I>): Sink.Sink<A, CommandError, never, "at-least-once"> => {
  const encode = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(schema)))
  return Sink.make({
    name: "standard output",
    guarantee: "at-least-once",
    open: () =>
      Effect.succeed({
        write: (elements: ReadonlyArray<A>) =>
          elements.length === 0
            ? Effect.succeed(null)
            : Effect.as(write(`${elements.map((element) => encode(element)).join("\n")}\n`), null)
      })
  })
}

const write = (text: string): Effect.Effect<void, CommandError> =>
  Effect.callback((resume) => {
    process.stdout.write(text, (error) =>
      resume(
        error === null || error === undefined
          ? Effect.void
          : Effect.fail(new CommandError(`Could not write to standard output: ${error.message}.`, { cause: error }))
      )
    )
  })
