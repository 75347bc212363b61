/** What is wrong with asking for the value of a task. */
import { TaggedError } from "./base/TaggedError.ts"

/** The defect of a `join` on a task that was cancelled: there is no value to give. */
export class TaskCancelled extends TaggedError("TaskCancelled")<{ readonly task: string; readonly reason: string }> {
  override get message(): string {
    return `Task "${this.task}" has no value to join: it was cancelled (${this.reason}). Use \`task.exit\` to ask without failing`
  }
}

/** The defect of waiting with a turn of a group for a task that would need that turn to begin. */
export class TurnDeadlock extends TaggedError("TurnDeadlock")<{ readonly group: string; readonly task: string }> {
  override get message(): string {
    return (
      `Task "${this.task}" can never begin: all turns of its group "${this.group}" belong to tasks that wait for it, or for ` +
      "others like it. Raise the group's `limit`, or start it in a group of its own"
    )
  }
}

/** The defect of a `join` from outside the group that owns the task's failure. */
export class TaskFailed extends TaggedError("TaskFailed")<{ readonly task: string; readonly cause: unknown }> {
  override get message(): string {
    return `Task "${this.task}" failed; its group reports why. Use \`TaskGroup.supervise\` for a task whose failure you handle`
  }
}
