/** Why a frontier did not do what it was asked. */
import * as Schema from "effect/Schema"

/** A frontier whose items could not be added, taken or settled. Nothing of what was tried is kept. */
export class FrontierError extends Schema.TaggedError<FrontierError>()("FrontierError", {
  frontier: Schema.String,
  tried: Schema.String,
  /** Why it failed, and what to do. */
  reason: Schema.String,
  /** Of an item that was refused: which one of those that were to be added, from 0. */
  item: Schema.optionalKey(Schema.Int),
  /** True where it passes by itself, as a deadlock does, so that it may be tried again. */
  mayPass: Schema.optionalKey(Schema.Boolean)
}) {
  override get message(): string {
    return `Frontier ${JSON.stringify(this.frontier)}: could not ${this.tried}: ${this.reason}`
  }
}
