/** Why a journal did not do what a run needs of it. */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"

/** The journal could not be read or written. What was not committed is read again by the next run. */
export class JournalError extends Schema.TaggedError<JournalError>()("JournalError", {
  pipeline: Schema.String,
  tried: Schema.String,
  reason: Schema.String,
  /** True where nothing of what was tried is kept and the reason passes by itself, as a deadlock does, so that it may be tried again. */
  mayPass: Schema.optionalKey(Schema.Boolean)
}) {
  override get message(): string {
    return `Journal of pipeline "${this.pipeline}": could not ${this.tried}: ${this.reason}`
  }
}

/** Another run of this name and partition is alive. Nothing was read or written. */
export class AlreadyRunning extends Schema.TaggedError<AlreadyRunning>()("AlreadyRunning", {
  pipeline: Schema.String,
  /** Who runs it, as in "process 4711 on host". */
  holder: Schema.String,
  /** When it began, in milliseconds since the epoch. */
  since: Schema.Number,
  /** When its lease ends unless it is renewed. */
  until: Schema.Number
}) {
  override get message(): string {
    const [since, until] = [this.since, this.until].map((at) => DateTime.formatIso(DateTime.makeUnsafe(at)))
    return (
      `Pipeline "${this.pipeline}" runs already, in ${this.holder}, since ${since}. Wait for its end, or give this run ` +
      `another name. If that one is gone, its lease ends at ${until}`
    )
  }
}

/** This run did not renew its lease in time, and another one has taken it. Nothing was committed since. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  pipeline: Schema.String,
  holder: Schema.String
}) {
  override get message(): string {
    return (
      `Pipeline "${this.pipeline}" was taken over by ${this.holder}, as this run did not renew its lease in time. ` +
      "Nothing of what it did since is committed; the other run does it again"
    )
  }
}
