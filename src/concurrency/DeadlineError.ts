/** What can go wrong with a deadline: it passes, or it cannot be moved any more. */
import { span } from "./base/Span.ts"
import { TaggedError } from "./base/TaggedError.ts"

/** The work was not done in time: `deadline` is the name given, `duration` the milliseconds, `task` who waited. */
export class DeadlineExceeded extends TaggedError("DeadlineExceeded")<{
  readonly deadline?: string
  readonly duration: number
  readonly task?: string
}> {
  override get message(): string {
    const what = `${named(this.deadline)} exceeded${this.task === undefined ? "" : ` in task "${this.task}"`}`
    return this.duration > 0
      ? `${what}: not done within ${span(this.duration)}, so it was cancelled`
      : `${what}: no time was left, so it was not started`
  }
}

/** The defect of moving a deadline that cannot be moved any more. */
export class DeadlineOver extends TaggedError("DeadlineOver")<{
  readonly deadline?: string
  readonly expired: boolean
}> {
  override get message(): string {
    const why = this.expired ? "it has passed, and its body is cancelled" : "its body has ended or is being cancelled"
    return `${named(this.deadline)} was not rescheduled: ${why}. Only a deadline that is active can be moved`
  }
}

const named = (name: string | undefined): string => (name === undefined ? "Deadline" : `Deadline "${name}"`)
