/** What is wrong with asking for the value of a task. */
import * as Schema from "effect/Schema"
import type { TypedError } from "./base/TypedError.ts"

const TaskCancelledBase: TypedError<
  TaskCancelled,
  "TaskCancelled",
  { readonly task: Schema.String; readonly reason: Schema.String }
> = Schema.TaggedError<TaskCancelled>()("TaskCancelled", { task: Schema.String, reason: Schema.String })

/** The defect of a `join` on a task that was cancelled: there is no value to give. */
export class TaskCancelled extends TaskCancelledBase {
  override get message(): string {
    return `Task "${this.task}" has no value to join: it was cancelled (${this.reason}). Use \`task.exit\` to ask without failing`
  }
}

const TurnDeadlockBase: TypedError<
  TurnDeadlock,
  "TurnDeadlock",
  { readonly group: Schema.String; readonly task: Schema.String }
> = Schema.TaggedError<TurnDeadlock>()("TurnDeadlock", { group: Schema.String, task: Schema.String })

/** The defect of waiting with a turn of a group for a task that would need that turn to begin. */
export class TurnDeadlock extends TurnDeadlockBase {
  override get message(): string {
    return (
      `Task "${this.task}" can never begin: all turns of its group "${this.group}" belong to tasks that wait for it, or for ` +
      "others like it. Raise the group's `limit`, or start it in a group of its own"
    )
  }
}

const TaskFailedBase: TypedError<
  TaskFailed,
  "TaskFailed",
  { readonly task: Schema.String; readonly cause: Schema.Defect }
> = Schema.TaggedError<TaskFailed>()("TaskFailed", { task: Schema.String, cause: Schema.Defect() })

/** The defect of a `join` from outside the group that owns the task's failure. */
export class TaskFailed extends TaskFailedBase {
  override get message(): string {
    return `Task "${this.task}" failed; its group reports why. Use \`TaskGroup.supervise\` for a task whose failure you handle`
  }
}
