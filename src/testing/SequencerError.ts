/** What is wrong with a sequence of steps. */
import * as Schema from "effect/Schema"
import type { TypedError } from "../concurrency/base/TypedError.ts"

const SequenceBrokenBase: TypedError<
  SequenceBroken,
  "SequenceBroken",
  { readonly step: Schema.Number; readonly why: Schema.String }
> = Schema.TaggedError<SequenceBroken>()("SequenceBroken", { step: Schema.Number, why: Schema.String })

/** A step that can never have its turn. */
export class SequenceBroken extends SequenceBrokenBase {
  override get message(): string {
    return `Step ${this.step} of the sequence cannot run: ${this.why}`
  }
}
