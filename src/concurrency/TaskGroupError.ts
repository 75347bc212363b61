/** What can go wrong with a group and what is spawned into it. */
import { TaggedError } from "./base/TaggedError.ts"

/** The defect of spawning into a group that is cancelling or closed. The effect was not started. */
export class GroupClosed extends TaggedError("GroupClosed")<{
  readonly group: string
  readonly task: string
  readonly state: string
}> {
  override get message(): string {
    return `Task ${this.task} was not started: its group "${this.group}" is ${this.state}`
  }
}

/** The group was ended early by `TaskGroup.cancel`, and nothing failed. */
export class GroupCancelled extends TaggedError("GroupCancelled")<{ readonly group: string; readonly reason: string }> {
  override get message(): string {
    return `Group "${this.group}" was cancelled: ${this.reason}`
  }
}

/** The defect of a `start` whose task ended before it called `ready`. */
export class NeverReady extends TaggedError("NeverReady")<{ readonly task: string }> {
  override get message(): string {
    return `Task "${this.task}" ended without calling \`ready\`, which its starter waits for`
  }
}
