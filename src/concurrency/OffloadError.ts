/** What can go wrong with work done elsewhere: it fails by itself, or the thread it runs in does. */
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import * as Foreign from "./base/Foreign.ts"
import type { TypedError } from "./base/TypedError.ts"

const OffloadErrorBase: TypedError<
  OffloadError,
  "OffloadError",
  { readonly job: Schema.String; readonly cause: Schema.Defect }
> = Schema.TaggedError<OffloadError>()("OffloadError", { job: Schema.String, cause: Schema.Defect() })

/** The work failed: `cause` is what the promise was rejected with, or what the function threw. */
export class OffloadError extends OffloadErrorBase {
  override get message(): string {
    return `"${this.job}" failed: ${Foreign.describe(this.cause)}`
  }
}

/** S27: equal to nothing but itself, as Effect hashes errors where it joins causes, and that would walk through all of this cause. */
export const offloadError = (job: string, cause: unknown): OffloadError =>
  Equal.byReferenceUnsafe(new OffloadError({ job, cause }))

const WorkerCrashedBase: TypedError<
  WorkerCrashed,
  "WorkerCrashed",
  { readonly pool: Schema.String; readonly job: Schema.optionalKey<Schema.String>; readonly cause: Schema.Defect }
> = Schema.TaggedError<WorkerCrashed>()("WorkerCrashed", {
  pool: Schema.String,
  job: Schema.optionalKey(Schema.String),
  cause: Schema.Defect()
})

/** The worker thread ended while it ran `job`, or, without one, before it had loaded its module. */
export class WorkerCrashed extends WorkerCrashedBase {
  override get message(): string {
    return this.job === undefined
      ? `A worker of pool "${this.pool}" could not load its module: ${Foreign.describe(this.cause)}`
      : `A worker of pool "${this.pool}" ended while it ran "${this.job}": ${Foreign.describe(this.cause)}`
  }
}

const PoolClosedBase: TypedError<
  PoolClosed,
  "PoolClosed",
  { readonly pool: Schema.String; readonly job: Schema.String }
> = Schema.TaggedError<PoolClosed>()("PoolClosed", { pool: Schema.String, job: Schema.String })

/** The defect of a call that outlives the scope of its pool. */
export class PoolClosed extends PoolClosedBase {
  override get message(): string {
    return `"${this.job}" was not done: the scope of its pool "${this.pool}" is closed`
  }
}
