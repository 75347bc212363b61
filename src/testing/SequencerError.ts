/** What is wrong with a sequence of steps. */
import * as Schema from "effect/Schema"

/** A step that can never have its turn. */
export class SequenceBroken extends Schema.TaggedError<SequenceBroken>()("SequenceBroken", {
  step: Schema.Number,
  why: Schema.String
}) {
  override get message(): string {
    return `Step ${this.step} of the sequence cannot run: ${this.why}`
  }
}
