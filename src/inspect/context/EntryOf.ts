/** What a registry tells of a task, as a line of a timeline. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type { Event } from "../../concurrency/base/TaskInfo.ts"
import type { EndEntry, TaskEntry } from "./Entry.ts"

/** Keeps nothing of what the event holds: no exit, and so no value of it. */
export const entryOf = (event: Event): TaskEntry | EndEntry => {
  const { at, kind, task } = event
  const { group, id, parent } = task
  const name = Secrets.hidden(task.name)
  if (kind === "exited") {
    const { duration, exit } = event
    if (exit._tag === "Success") return { kind, at, task: id, name, group, parent, outcome: "succeeded", duration }
    const outcome = Cause.hasInterruptsOnly(exit.cause) ? "cancelled" : "failed"
    if (outcome === "cancelled") return { kind, at, task: id, name, group, parent, outcome, duration }
    return { kind, at, task: id, name, group, parent, outcome, duration, error: errorOf(exit) }
  }
  const what = kind === "suspended" ? task.waitsFor : kind === "cancelling" ? event.why : undefined
  return typeof what === "string"
    ? { kind, at, task: id, name, group, parent, what: Secrets.hidden(what) }
    : { kind, at, task: id, name, group, parent }
}

/** A failure in one line. */
export const errorOf = ({ cause }: Exit.Failure<unknown, unknown>): string =>
  ErrorText.of(Cause.squash(cause), longest).replaceAll(/\s*\n\s*/g, " ")

/** Characters of an error. */
const longest = 500
