/** What a command says when it cannot do what it was told. */
import type * as Runtime from "effect/Runtime"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"

const exitCode: Runtime.errorExitCode = "~effect/Runtime/errorExitCode"

/** Ends the command with a message, which is the whole of what is shown, and an exit code: 1, or 2 for wrong usage. */
export class CommandError extends Error {
  readonly _tag = "CommandError"
  readonly [ErrorText.worded] = true
  override readonly "~effect/Runtime/errorExitCode": number

  constructor(message: string, options: { readonly exitCode?: 1 | 2; readonly cause?: unknown } = {}) {
    super(message, options)
    this.name = "CommandError"
    this[exitCode] = options.exitCode ?? 1
  }
}
