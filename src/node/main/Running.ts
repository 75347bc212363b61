/** What still runs, in words: for someone who waits for a program to end. */
import { type GroupInfo, type Registry, type TaskTree, treeOf } from "../../concurrency/Registry.ts"

/** The tasks that hold others open, innermost first, each with its path and how long it has been in its state. */
export const describe = (registry: Registry, now: number): string => {
  const tasks = treeOf(registry).groups.flatMap((group) => leaves(group, []))
  const shown = tasks.slice(0, most).map(({ path, task }) => {
    const seconds = Math.round((now - task.since) / 1000)
    const waits = task.waitsFor === null ? "" : `, waits for ${task.waitsFor}`
    return `"${path.join(" / ")}" (${task.state} for ${seconds} s${waits})`
  })
  if (tasks.length > most) shown.push(`and ${tasks.length - most} more tasks`)
  return shown.length === 0 ? "something outside of any task" : shown.join(", ")
}

const most = 5

const leaves = (
  group: GroupInfo,
  above: ReadonlyArray<string>
): ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly task: TaskTree }> =>
  group.tasks
    .filter((task) => task.state === "running" || task.state === "cancelling")
    .flatMap((task) => {
      const path = task.kind === "body" ? [...above, group.name] : [...above, group.name, task.name]
      const inner = task.groups.flatMap((open) => leaves(open, task.kind === "body" ? above.concat(group.name) : path))
      // A body that only waits for its tasks is no news.
      return inner.length > 0 ? inner : [{ path, task }]
    })
