/** What is wrong with a timeline that came from outside. */
import * as Schema from "effect/Schema"

/** A line that is no line of a timeline, or of a format that is not known here. */
export class BadTimeline extends Schema.TaggedError<BadTimeline>()("BadTimeline", {
  /** From 1. */
  line: Schema.Number,
  why: Schema.String
}) {
  override get message(): string {
    return `Line ${this.line} of the timeline cannot be read: ${this.why}`
  }
}
