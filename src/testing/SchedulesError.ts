/** What is wrong with a replay token. */
import * as Schema from "effect/Schema"
import type { TypedError } from "../concurrency/base/TypedError.ts"

const BadTokenBase: TypedError<BadToken, "BadToken", { readonly token: Schema.String; readonly why: Schema.String }> =
  Schema.TaggedError<BadToken>()("BadToken", { token: Schema.String, why: Schema.String })

/** A replay token that says nothing. */
export class BadToken extends BadTokenBase {
  override get message(): string {
    return `Cannot replay "${this.token}": ${this.why}. Copy the whole token from the message of the failed run`
  }
}
