/** Why a process cannot be looked into, in a sentence that says what to do. */
import * as ErrorText from "../../concurrency/base/ErrorText.ts"

export class SocketError extends Error {
  readonly _tag = "SocketError"
  readonly [ErrorText.worded] = true
  /** Whether nobody is at the other end any more. */
  readonly isGone: boolean

  constructor(
    message: string,
    { cause, isGone = false }: { readonly cause?: unknown; readonly isGone?: boolean } = {}
  ) {
    super(message, { cause })
    this.name = "SocketError"
    this.isGone = isGone
  }
}
