/** What can go wrong with a group and what is spawned into it. */
import * as Schema from "effect/Schema"
import type { TypedError } from "./base/TypedError.ts"

const GroupClosedBase: TypedError<
  GroupClosed,
  "GroupClosed",
  { readonly group: Schema.String; readonly task: Schema.String; readonly state: Schema.String }
> = Schema.TaggedError<GroupClosed>()("GroupClosed", {
  group: Schema.String,
  task: Schema.String,
  state: Schema.String
})

/** The defect of spawning into a group that is cancelling or closed. The effect was not started. */
export class GroupClosed extends GroupClosedBase {
  override get message(): string {
    return `Task ${this.task} was not started: its group "${this.group}" is ${this.state}`
  }
}

const GroupCancelledBase: TypedError<
  GroupCancelled,
  "GroupCancelled",
  { readonly group: Schema.String; readonly reason: Schema.String }
> = Schema.TaggedError<GroupCancelled>()("GroupCancelled", { group: Schema.String, reason: Schema.String })

/** The group was ended early by `TaskGroup.cancel`, and nothing failed. */
export class GroupCancelled extends GroupCancelledBase {
  override get message(): string {
    return `Group "${this.group}" was cancelled: ${this.reason}`
  }
}

const NeverReadyBase: TypedError<NeverReady, "NeverReady", { readonly task: Schema.String }> =
  Schema.TaggedError<NeverReady>()("NeverReady", { task: Schema.String })

/** The defect of a `start` whose task ended before it called `ready`. */
export class NeverReady extends NeverReadyBase {
  override get message(): string {
    return `Task "${this.task}" ended without calling \`ready\`, which its starter waits for`
  }
}
