/** Groups and tasks as a snapshot shows them. */
import type { Entered, Listed } from "../../concurrency/base/Entries.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type { GroupView, Place, TaskView, WorkView } from "../context/Snapshot.ts"

/** A task and how it is shown; what is seen later is written into it. */
export interface Shown {
  readonly task: Entered
  readonly group: Listed
  readonly view: { -readonly [K in keyof TaskView]: TaskView[K] }
}

export interface Walk {
  readonly groups: ReadonlyArray<GroupView>
  readonly tasks: ReadonlyArray<Shown>
  /** All of them, however deep. */
  readonly listed: ReadonlyArray<Listed>
}

/** What these groups are now, however deep they are nested. */
export const walk = (roots: Iterable<Listed>, workOf: (task: Entered) => WorkView | null): Walk => {
  const tasks: Array<Shown> = []
  const groups: Array<GroupView> = []
  const all: Array<Listed> = []
  const open: Array<readonly [groups: Iterable<Listed>, views: Array<GroupView>]> = [[roots, groups]]
  for (let level = open.pop(); level !== undefined; level = open.pop()) {
    const [listed, views] = level
    for (const group of listed) {
      const members: Array<TaskView> = []
      all.push(group)
      views.push({ name: Secrets.hidden(group.name), state: group.state, tasks: members })
      group.each((task) => {
        const inner: Array<GroupView> = []
        const view = viewOf(task, inner, workOf(task))
        members.push(view)
        tasks.push({ task, group, view })
        if (task.groups !== undefined && task.groups.size > 0) open.push([task.groups, inner])
      })
    }
  }
  return { groups, tasks, listed: all }
}

const viewOf = (task: Entered, groups: ReadonlyArray<GroupView>, work: WorkView | null): Shown["view"] => {
  const { group, id, kind, name, parent, since, state, waitsFor } = task.info
  return {
    id,
    name: Secrets.hidden(name),
    kind,
    parent,
    group: Secrets.hidden(group),
    state,
    since,
    waitsFor: waitsFor === null ? null : Secrets.hidden(waitsFor),
    groups,
    work,
    places: noPlaces
  }
}

const noPlaces: ReadonlyArray<Place> = []
