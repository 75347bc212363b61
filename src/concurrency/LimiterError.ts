/** What cannot be asked of a limiter. */
import { TaggedError } from "./base/TaggedError.ts"

/** The defect of asking a limiter for more permits than it has: waiting for them would never end. */
export class TooManyPermits extends TaggedError("TooManyPermits")<{ readonly asked: number; readonly limit: number }> {
  override get message(): string {
    return `Asked for ${this.asked} permits of a limiter that has ${this.limit}: ask for fewer, or resize it`
  }
}

/** The defect of asking a limiter for a permit while holding one of it: some day both would wait for one another. */
export class AlreadyHeld extends TaggedError("AlreadyHeld")<{ readonly task: string }> {
  override get message(): string {
    return `${this.task} holds a permit of this limiter already; ask for all permits at once, or use a second limiter`
  }
}
