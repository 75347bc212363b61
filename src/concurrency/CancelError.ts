/** What comes of a region of code that was cancelled by its handle. */
import { TaggedError } from "./base/TaggedError.ts"

/** The `Cancel.scope` of this name was cancelled by its handle, and nothing failed before. */
export class ScopeCancelled extends TaggedError("ScopeCancelled")<{ readonly scope: string; readonly reason: string }> {
  override get message(): string {
    return `Cancel scope "${this.scope}" was cancelled: ${this.reason}`
  }
}
