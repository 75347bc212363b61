/** What a file as a sink keeps of itself in the checkpoint. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { FilesError } from "../../FilesError.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const WriteState = Schema.Struct({
  length: Count,
  /** Not there in what version 0.1 kept. */
  sum: Schema.optionalKey(Schema.String),
  /** How many elements are in it, where that matters. */
  rows: Schema.optionalKey(Count),
  /** Behind what is cut off to go on. */
  footer: Schema.optionalKey(Schema.Struct({ length: Count, sum: Schema.String })),
  /** Of several files, the last one, by its number, and when that was begun. */
  part: Schema.optionalKey(Count),
  begun: Schema.optionalKey(Schema.Number)
})
export type WriteState = typeof WriteState.Type

export const stateOf = (
  name: string,
  state: Option.Option<Schema.Json>
): Effect.Effect<Option.Option<WriteState>, FilesError> =>
  Option.isNone(state)
    ? Effect.succeedNone
    : Schema.decodeUnknownEffect(WriteState)(state.value).pipe(
        Effect.asSome,
        Effect.mapError(
          () =>
            new FilesError({
              kind: "BadState",
              tried: "resume writing",
              path: name,
              reason: `the journal holds ${JSON.stringify(state.value)}, which is not the state of a file`,
              fix: "This pipeline wrote somewhere else before: give it another name, or start over."
            })
        )
      )
