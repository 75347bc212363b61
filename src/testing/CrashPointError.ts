/** What a kill of the process has shown to be wrong. */
import * as Schema from "effect/Schema"

/** A point at which the process must not end: what it leaves does not pass the check. */
export class CrashBug extends Schema.TaggedError<CrashBug>()("CrashBug", {
  /** Counted from 1; 0 for the undisturbed run. */
  point: Schema.Number,
  /** The name of the point. */
  at: Schema.String,
  seed: Schema.Number,
  /** How to repeat it. */
  repeat: Schema.String,
  /** What went wrong, as in "the {what} failed". */
  what: Schema.String,
  reason: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const where = this.point === 0 ? "Undisturbed" : `Ended at point ${this.point}, "${this.at}"`
    return `${where}: the ${this.what} failed: ${this.reason}${this.repeat}`
  }
}
