/** What is wrong with a replay token. */
import * as Schema from "effect/Schema"

/** A replay token that says nothing. */
export class BadToken extends Schema.TaggedError<BadToken>()("BadToken", { token: Schema.String, why: Schema.String }) {
  override get message(): string {
    return `Cannot replay "${this.token}": ${this.why}. Copy the whole token from the message of the failed run`
  }
}
