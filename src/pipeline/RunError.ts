/** What ends a run besides the errors of its own source, steps and sink. */
import * as Schema from "effect/Schema"
import type { TypedError } from "../concurrency/base/TypedError.ts"
import type { Fingerprint } from "./Source.ts"

export type RunError = SourceChanged | TooManyDeadLetters | BadDeadLetter

const SourceChangedBase: TypedError<
  SourceChanged,
  "SourceChanged",
  {
    readonly pipeline: Schema.String
    readonly source: Schema.String
    readonly changes: Schema.$Array<Schema.String>
  }
> = Schema.TaggedError<SourceChanged>()("SourceChanged", {
  pipeline: Schema.String,
  source: Schema.String,
  changes: Schema.Array(Schema.String)
})

/** The source is not what it was when the pipeline last ran, so that its positions mean something else. */
export class SourceChanged extends SourceChangedBase {
  override get message(): string {
    return (
      `Cannot resume pipeline "${this.pipeline}": its source ${this.source} changed since the last run ` +
      `(${this.changes.join("; ")}). Put it back as it was, start over (onChanged: "restart"), or use another name`
    )
  }
}

/** What is different between two fingerprints, a phrase a field. */
export const changes = (was: Fingerprint, is: Fingerprint): ReadonlyArray<string> =>
  [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((field) => {
    const [before, now] = [JSON.stringify(was[field]), JSON.stringify(is[field])]
    return before === now ? [] : [`${field} was ${before ?? "absent"}, is ${now ?? "absent"}`]
  })

const TooManyDeadLettersBase: TypedError<
  TooManyDeadLetters,
  "TooManyDeadLetters",
  {
    readonly pipeline: Schema.String
    readonly step: Schema.String
    readonly dead: Schema.Number
    readonly budget: Schema.String
    readonly last: Schema.String
  }
> = Schema.TaggedError<TooManyDeadLetters>()("TooManyDeadLetters", {
  pipeline: Schema.String,
  step: Schema.String,
  dead: Schema.Number,
  budget: Schema.String,
  last: Schema.String
})

/** A step failed on more elements than its budget allows, which looks more like a broken step than like bad elements. */
export class TooManyDeadLetters extends TooManyDeadLettersBase {
  override get message(): string {
    return (
      `Pipeline "${this.pipeline}" stopped: step "${this.step}" failed on ${this.dead} elements, more than its ` +
      `budget of ${this.budget}. The last one: ${this.last}. Mend the step or raise maxDead, then run it again`
    )
  }
}

const BadDeadLetterBase: TypedError<
  BadDeadLetter,
  "BadDeadLetter",
  {
    readonly pipeline: Schema.String
    readonly step: Schema.String
    readonly tried: Schema.String
    readonly reason: Schema.String
  }
> = Schema.TaggedError<BadDeadLetter>()("BadDeadLetter", {
  pipeline: Schema.String,
  step: Schema.String,
  tried: Schema.String,
  reason: Schema.String
})

/** A dead letter could not be written or read with the schema of its step, or its step is gone. */
export class BadDeadLetter extends BadDeadLetterBase {
  override get message(): string {
    return `Pipeline "${this.pipeline}", step "${this.step}": could not ${this.tried}: ${this.reason}`
  }
}
