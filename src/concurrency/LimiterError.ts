/** What cannot be asked of a limiter. */
import * as Schema from "effect/Schema"

/** The defect of asking a limiter for more permits than it has: waiting for them would never end. */
export class TooManyPermits extends Schema.TaggedError<TooManyPermits>()("TooManyPermits", {
  asked: Schema.Number,
  limit: Schema.Number
}) {
  override get message(): string {
    return `Asked for ${this.asked} permits of a limiter that has ${this.limit}: ask for fewer, or resize it`
  }
}

/** The defect of asking a limiter for a permit while holding one of it: some day both would wait for one another. */
export class AlreadyHeld extends Schema.TaggedError<AlreadyHeld>()("AlreadyHeld", { task: Schema.String }) {
  override get message(): string {
    return `${this.task} holds a permit of this limiter already; ask for all permits at once, or use a second limiter`
  }
}
