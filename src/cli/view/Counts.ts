/** How much there is in a snapshot. */
import type { GroupView, TaskView } from "../../inspect/context/Snapshot.ts"

/** All tasks in these groups, with the groups they stand in, however deep. */
export const tasksIn = (groups: ReadonlyArray<GroupView>): ReadonlyArray<TaskView> => {
  const tasks: Array<TaskView> = []
  const open = groups.toReversed()
  for (let group = open.pop(); group !== undefined; group = open.pop()) {
    for (const task of group.tasks) {
      tasks.push(task)
      for (const inner of task.groups) open.push(inner)
    }
  }
  return tasks
}

/** Bodies are no tasks to people; what a snapshot left out counts. */
export const of = (groups: ReadonlyArray<GroupView>): number => {
  let count = 0
  const open = [...groups]
  for (let group = open.pop(); group !== undefined; group = open.pop()) {
    count += group.omitted ?? 0
    for (const task of group.tasks) {
      if (task.kind !== "body") count += 1
      for (const inner of task.groups) open.push(inner)
    }
  }
  return count
}
