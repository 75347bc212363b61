/** What a registry keeps: which groups are open, what was given up, and who wants to hear of it. */
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Event, GroupInfo, Kind, Listener, Orphan, TaskInfo, TaskTree, Tree } from "./TaskInfo.ts"
import type { Gate, Pass } from "./Gate.ts"
import type { Reason } from "./Reason.ts"
import type { Time } from "./Time.ts"
import type { Waiter, WaitList } from "./WaitList.ts"

/** A group as the tree shows it. */
export interface Listed {
  readonly name: string
  readonly state: GroupInfo["state"]
  /** Whether the task that opened it goes on when it ends, and not before. */
  readonly holdsOpener: boolean
  readonly unhandled: Unseen | undefined
  /** Calls `f` for the body and then for each task that has not ended. */
  readonly each: (f: (task: Entered) => void) => void
}

/** Failures of supervised tasks that nobody has looked at. */
export interface Unseen {
  /** With the moment when each failed, by `Alarm.now`. */
  readonly failed: ReadonlyMap<Entered, number>
  /** How many were logged and forgotten, and the last of them. */
  readonly late: number
  readonly lastLate: Entered | undefined
}

/** Something that a fiber waits for. */
export interface Known extends Waiter {
  readonly what: () => string
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** The task whose end it is. */
  readonly whom?: Entered | undefined
  /** What it wants to get into. */
  readonly gate?: Gate<Pass & { readonly fiber: Fiber.Fiber<unknown, unknown> | undefined }>
  /** When that began, where somebody watches. */
  since: number | undefined
}

/** A task as the tree shows it. */
export interface Entered {
  readonly id: number
  readonly name: string
  /** What `nameFor` makes its name of. */
  readonly givenName: string | number | undefined
  readonly kind: Kind
  readonly spawner: Entered | undefined
  readonly owner: { readonly name: string; readonly clock: Time; readonly complain: (thrown: unknown) => void }
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly startedAt: number
  readonly reason: Reason | undefined
  readonly info: TaskInfo
  readonly waits: WaitList<Known> | undefined
  /** What a watcher keeps of it. */
  work: object | undefined
  /** The groups it has open. */
  readonly groups: ReadonlySet<Listed> | undefined
}

export const nameFor = (given: string | number | undefined, id: number, isBody: boolean): string =>
  given === undefined ? `${isBody ? "group" : "task"}-${id}` : String(given)

/** Hears of tasks as they are, before anything is put into words: it has to be quick, and throws nothing. "exited" comes with the exit. */
export type Watcher = (kind: Event["kind"], task: Entered, exit: Exit.Exit<unknown, unknown> | undefined) => void

export class Entries {
  /** The groups that were opened outside of any task. */
  readonly roots: Set<Listed> = new Set()
  readonly orphans: Set<Orphan> = new Set()
  /** How many tasks were entered: the id of the last. */
  tasks = 0
  watchers: ReadonlyArray<Watcher> = []

  /** Adds a watcher; the function it gives takes it off. */
  watch(watcher: Watcher): () => void {
    this.watchers = [...this.watchers, watcher]
    return () => void (this.watchers = this.watchers.filter((other) => other !== watcher))
  }

  /** Adds a listener, also one that is there already; S27: one that throws is told nothing more, and the group hears why. */
  listen(hear: Listener): () => void {
    const stop = this.watch((kind, task, exit) => {
      const { clock } = task.owner
      const told = { task: task.info, at: clock.currentTimeMillisUnsafe() }
      try {
        if (kind === "exited") hear({ kind, ...told, exit: exit!, duration: durationOf(task, told.at) })
        else {
          if (kind === "started") starts.set(task, clock.monotonicTimeNanosUnsafe())
          hear(kind === "cancelling" ? { kind, ...told, why: task.reason!.message } : { kind, ...told })
        }
      } catch (thrown) {
        stop()
        task.owner.complain(thrown)
      }
    })
    return stop
  }
}

/** One that started when nobody listened was not timed. */
const durationOf = (task: Entered, at: number): number => {
  const start = starts.get(task)
  return start === undefined
    ? at - task.startedAt
    : Number(task.owner.clock.monotonicTimeNanosUnsafe() - start) / 1_000_000
}

// Beside the tasks, as most have none: each field is one in every task.
const starts = new WeakMap<Entered, bigint>()

/** The whole tree; as JSON, which is written by functions that call themselves, it is cut off where the stack would be. */
export const treeOf = (entries: Entries): Tree => {
  return shallowInJson<Tree>({ formatVersion: 1, groups: infoOf(entries.roots) })
}

/** Has these groups cut off in JSON where the stack would be. */
export const shallowInJson = <T extends { readonly groups: ReadonlyArray<GroupInfo> }>(tree: T): T =>
  Object.defineProperty(tree, "toJSON", { value: () => ({ ...tree, groups: cut(tree.groups, deepest) }) })

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
