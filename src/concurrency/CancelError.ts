/** What comes of a region of code that was cancelled by its handle. */
import * as Schema from "effect/Schema"
import type { TypedError } from "./base/TypedError.ts"

const ScopeCancelledBase: TypedError<
  ScopeCancelled,
  "ScopeCancelled",
  { readonly scope: Schema.String; readonly reason: Schema.String }
> = Schema.TaggedError<ScopeCancelled>()("ScopeCancelled", { scope: Schema.String, reason: Schema.String })

/** The `Cancel.scope` of this name was cancelled by its handle, and nothing failed before. */
export class ScopeCancelled extends ScopeCancelledBase {
  override get message(): string {
    return `Cancel scope "${this.scope}" was cancelled: ${this.reason}`
  }
}
