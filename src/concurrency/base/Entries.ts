/** What a registry keeps: which groups are open, what was given up, and who wants to hear of it. */
import type { Event, GroupInfo, Listener, Orphan, TaskInfo, TaskTree, Tree } from "./TaskInfo.ts"

/** A group as the tree shows it. */
export interface Listed {
  readonly name: string
  readonly state: GroupInfo["state"]
  /** Calls `f` for the body and then for each task that has not ended. */
  readonly each: (f: (task: Entered) => void) => void
}

/** A task as the tree shows it. */
export interface Entered {
  readonly info: TaskInfo
  /** The groups it has open. */
  readonly groups: ReadonlySet<Listed> | undefined
}

export class Entries {
  /** The groups that were opened outside of any task. */
  readonly roots: Set<Listed> = new Set()
  readonly orphans: Set<Orphan> = new Set()
  /** How many tasks were entered: the id of the last. */
  tasks = 0
  private listeners: ReadonlyArray<{ readonly hear: Listener }> = []

  get isHeard(): boolean {
    return this.listeners.length > 0
  }

  /** The same function twice is two listeners. */
  listen(hear: Listener): () => void {
    const listener = { hear }
    this.listeners = [...this.listeners, listener]
    return () => this.remove(listener)
  }

  /** Tells all who listen at this moment; S27: one that throws is told nothing more, and `report` hears why. */
  tell(event: Event, report: (thrown: unknown) => void): void {
    for (const listener of this.listeners) {
      try {
        listener.hear(event)
      } catch (thrown) {
        this.remove(listener)
        report(thrown)
      }
    }
  }

  private remove(listener: { readonly hear: Listener }): void {
    this.listeners = this.listeners.filter((other) => other !== listener)
  }
}

/** The whole tree; as JSON, which is written by functions that call themselves, it is cut off where the stack would be. */
export const treeOf = (entries: Entries): Tree => {
  const tree: Tree = { formatVersion: 1, groups: infoOf(entries.roots) }
  return Object.defineProperty(tree, "toJSON", { value: () => ({ ...tree, groups: cut(tree.groups, deepest) }) })
}

/** V8 gets to some 2,000 groups in one another. */
const deepest = 500

const cut = (groups: ReadonlyArray<GroupInfo>, levels: number): ReadonlyArray<GroupInfo> =>
  groups.map((group) =>
    levels === 0
      ? { ...group, tasks: [], omitted: count(group) }
      : { ...group, tasks: group.tasks.map((task) => ({ ...task, groups: cut(task.groups, levels - 1) })) }
  )

const count = (group: GroupInfo): number => {
  let tasks = 0
  const open = [group]
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    tasks += one.tasks.length
    // One by one: a call takes only so many arguments, and a task may have more groups open.
    for (const task of one.tasks) for (const inner of task.groups) open.push(inner)
  }
  return tasks
}

/** What these groups are now, however deep they are nested. */
export const infoOf = (groups: Iterable<Listed>): ReadonlyArray<GroupInfo> => {
  const infos: Array<GroupInfo> = []
  const open: Array<{ readonly groups: Iterable<Listed>; readonly infos: Array<GroupInfo> }> = [{ groups, infos }]
  for (let level = open.pop(); level !== undefined; level = open.pop()) {
    for (const group of level.groups) {
      const tasks: Array<TaskTree> = []
      level.infos.push({ name: group.name, state: group.state, tasks })
      group.each((task) => {
        const inner: Array<GroupInfo> = []
        tasks.push({ ...task.info, groups: inner })
        if (task.groups !== undefined && task.groups.size > 0) open.push({ groups: task.groups, infos: inner })
      })
    }
  }
  return infos
}
