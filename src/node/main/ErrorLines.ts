/** The failures of a program as lines for the person who runs it. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import * as Foreign from "../../concurrency/base/Foreign.ts"
import * as FailureLog from "../../concurrency/base/FailureLog.ts"
import * as Cancel from "../../concurrency/Cancel.ts"
import { failedAt, placeOf } from "../../pipeline/RunError.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"

export interface Options {
  readonly debug: boolean
  /** How to get a stack trace. */
  readonly hint: string
}

/** A line for each failure, with the name of its task where it comes from one; with `debug`, the whole cause too. */
export const make = (cause: Cause.Cause<unknown>, { debug, hint }: Options): ReadonlyArray<string> => {
  if (!Foreign.attempt(() => Runtime.getErrorReported(Cause.squash(cause)), true)) return []
  const details = debug ? [FailureLog.pretty(cause)] : []
  const failures = TaskGroup.failures(cause)
  if (failures.length === 0) {
    const reason = Option.map(Cancel.reasonOf(cause), ({ message }) => `: ${message}`)
    return [`error: cancelled${Option.getOrElse(reason, () => "")}`, ...details]
  }
  // The step is that of the first failure, which ended the run.
  const at = Option.map(failedAt(cause), (at) => `${placeOf(at)}: `)
  const lines = failures.map((failure, i) => {
    const { path } = failure.task
    const task = path.length > 0 ? `task "${path.join(" / ")}": ` : ""
    return "defect" in failure
      ? `error: ${task}unexpected: ${messageOf(failure.defect)}`
      : `error: ${task}${i === 0 ? Option.getOrElse(at, () => "") : ""}${messageOf(failure.error)}`
  })
  const dropped = TaskGroup.dropped(cause)
  if (dropped > 0) lines.push(`error: and ${dropped} more`)
  if (!debug && failures.some((failure) => "defect" in failure)) lines.push(`This is a bug in the program: ${hint}.`)
  return [...lines, ...details]
}

/** What an error says, on one line unless it says more than one can hold. */
const messageOf = (error: unknown): string => {
  const text = ErrorText.of(error, Infinity)
  // By lines: a pattern for the space around a newline is quadratic in space without one.
  const lines = text.split("\n").map((line) => line.trim())
  return lines.filter((line) => line !== "").join("\n  ")
}
