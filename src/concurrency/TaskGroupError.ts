/** What can go wrong with a group and what is spawned into it. */
import * as Schema from "effect/Schema"

/** The defect of spawning into a group that is cancelling or closed. The effect was not started. */
export class GroupClosed extends Schema.TaggedError<GroupClosed>()("GroupClosed", {
  group: Schema.String,
  task: Schema.String,
  state: Schema.String
}) {
  override get message(): string {
    return `Task ${this.task} was not started: its group "${this.group}" is ${this.state}`
  }
}

/** The group was ended early by `TaskGroup.cancel`, and nothing failed. */
export class GroupCancelled extends Schema.TaggedError<GroupCancelled>()("GroupCancelled", {
  group: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Group "${this.group}" was cancelled: ${this.reason}`
  }
}

/** The defect of a `start` whose task ended before it called `ready`. */
export class NeverReady extends Schema.TaggedError<NeverReady>()("NeverReady", { task: Schema.String }) {
  override get message(): string {
    return `Task "${this.task}" ended without calling \`ready\`, which its starter waits for`
  }
}
