/** What cannot be asked of a limiter. */
import * as Schema from "effect/Schema"
import type { TypedError } from "./base/TypedError.ts"

const TooManyPermitsBase: TypedError<
  TooManyPermits,
  "TooManyPermits",
  { readonly asked: Schema.Number; readonly limit: Schema.Number }
> = Schema.TaggedError<TooManyPermits>()("TooManyPermits", { asked: Schema.Number, limit: Schema.Number })

/** The defect of asking a limiter for more permits than it has: waiting for them would never end. */
export class TooManyPermits extends TooManyPermitsBase {
  override get message(): string {
    return `Asked for ${this.asked} permits of a limiter that has ${this.limit}: ask for fewer, or resize it`
  }
}

const AlreadyHeldBase: TypedError<AlreadyHeld, "AlreadyHeld", { readonly task: Schema.String }> =
  Schema.TaggedError<AlreadyHeld>()("AlreadyHeld", { task: Schema.String })

/** The defect of asking a limiter for a permit while holding one of it: some day both would wait for one another. */
export class AlreadyHeld extends AlreadyHeldBase {
  override get message(): string {
    return `${this.task} holds a permit of this limiter already; ask for all permits at once, or use a second limiter`
  }
}
