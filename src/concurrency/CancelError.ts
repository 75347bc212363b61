/** What comes of a region of code that was cancelled by its handle. */
import * as Schema from "effect/Schema"

/** The `Cancel.scope` of this name was cancelled by its handle, and nothing failed before. */
export class ScopeCancelled extends Schema.TaggedError<ScopeCancelled>()("ScopeCancelled", {
  scope: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Cancel scope "${this.scope}" was cancelled: ${this.reason}`
  }
}
