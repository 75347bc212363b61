/** What can go wrong with work done elsewhere: it fails by itself, or the thread it runs in does. */
import * as Equal from "effect/Equal"
import * as ErrorText from "./base/ErrorText.ts"
import { TaggedError } from "./base/TaggedError.ts"

/** The work failed: `cause` is what the promise was rejected with, or what the function threw. */
export class OffloadError extends TaggedError("OffloadError")<{ readonly job: string; readonly cause: unknown }> {
  override get message(): string {
    return `"${this.job}" failed: ${ErrorText.of(this.cause)}`
  }
}

/** S27: equal to nothing but itself, as Effect hashes errors where it joins causes, and that would walk through all of this cause. */
export const offloadError = (job: string, cause: unknown): OffloadError =>
  Equal.byReferenceUnsafe(new OffloadError({ job, cause }))

/** The worker thread ended while it ran `job`, or, without one, before it had loaded its module. */
export class WorkerCrashed extends TaggedError("WorkerCrashed")<{
  readonly pool: string
  readonly job?: string
  readonly cause: unknown
}> {
  override get message(): string {
    return this.job === undefined
      ? `A worker of pool "${this.pool}" could not load its module: ${ErrorText.of(this.cause)}`
      : `A worker of pool "${this.pool}" ended while it ran "${this.job}": ${ErrorText.of(this.cause)}`
  }
}

/** The defect of a call that outlives the scope of its pool. */
export class PoolClosed extends TaggedError("PoolClosed")<{ readonly pool: string; readonly job: string }> {
  override get message(): string {
    return `"${this.job}" was not done: the scope of its pool "${this.pool}" is closed`
  }
}
