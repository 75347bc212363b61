/** Who waits for whom, as far as tasks tell: the end of a task, permits of a limiter, and the groups that they opened. */
import type { Entered, Known, Listed } from "../../concurrency/base/Entries.ts"
import { CurrentTask } from "../../concurrency/base/TaskNode.ts"

export const waitsOf = ({ waits }: Entered): ReadonlyArray<Known> => {
  const all: Array<Known> = []
  for (let one = waits?.first; one !== undefined; one = one.after as Known | undefined) all.push(one)
  return all
}

/** What keeps a task from going on: all of these have to end, or any of them has to. */
interface Kept {
  readonly by: ReadonlyArray<Entered>
  readonly all: boolean
  /** None where it waits for a group that it opened. */
  readonly wait: Known | undefined
}

export interface Link {
  readonly task: Entered
  readonly wait: Known | undefined
}

/** Circles of tasks of which each waits for the next, and none can ever go on. */
export const circles = (tasks: Iterable<Entered>): ReadonlyArray<ReadonlyArray<Link>> => {
  const kept = new Map<Entered, Kept>()
  for (const task of tasks) {
    const one = keptOf(task)
    if (one !== undefined) kept.set(task, one)
  }
  free(kept)
  const found: Array<ReadonlyArray<Link>> = []
  const seen = new Set<Entered>()
  for (const start of kept.keys()) {
    const way: Array<Entered> = []
    let task: Entered | undefined = start
    while (task !== undefined && !seen.has(task)) {
      seen.add(task)
      way.push(task)
      task = kept.get(task)?.by.find((other) => kept.has(other))
    }
    const first = task === undefined ? -1 : way.indexOf(task)
    if (first >= 0) found.push(way.slice(first).map((task) => ({ task, wait: kept.get(task)!.wait })))
  }
  return found
}

/** Takes out whoever can go on, as far as is known, and then whom that lets go on. */
const free = (kept: Map<Entered, Kept>): void => {
  const behind = new Map<Entered, Array<Entered>>()
  for (const [task, { by }] of kept) for (const other of by) behind.set(other, [...(behind.get(other) ?? []), task])
  const next = [...kept].filter(([, one]) => canGoOn(one, kept)).map(([task]) => task)
  for (let task = next.pop(); task !== undefined; task = next.pop()) {
    if (!kept.delete(task)) continue
    for (const other of behind.get(task) ?? []) {
      const one = kept.get(other)
      if (one !== undefined && canGoOn(one, kept)) next.push(other)
    }
  }
}

const canGoOn = ({ all, by }: Kept, kept: ReadonlyMap<Entered, Kept>): boolean =>
  all ? by.every((task) => !kept.has(task)) : by.some((task) => !kept.has(task))

/** Only of what its own fiber waits for: in another one it may go on all the same. */
const keptOf = (task: Entered): Kept | undefined => {
  if (task.fiber === undefined) return undefined
  for (const wait of waitsOf(task)) {
    if (wait.fiber !== task.fiber) continue
    if (wait.whom !== undefined) return { by: [wait.whom], all: true, wait }
    if (wait.gate !== undefined) {
      const by = holdersOf(wait)
      return by.length === 0 ? undefined : { by, all: false, wait }
    }
    return undefined
  }
  for (const group of task.groups ?? []) {
    if (group.holdsOpener) return { by: membersOf(group), all: true, wait: undefined }
  }
  return undefined
}

/** None where one of them is held by no task, which nothing is known of. */
export const holdersOf = ({ gate }: Known): ReadonlyArray<Entered> => {
  const holders: Array<Entered> = []
  for (let one = gate?.inside.first; one !== undefined; one = one.after as typeof one | undefined) {
    const task = one.fiber?.getRef(CurrentTask)
    if (task === undefined) return []
    holders.push(task)
  }
  return holders
}

/** Daemons and services end when the others have. */
const membersOf = (group: Listed): ReadonlyArray<Entered> => {
  const members: Array<Entered> = []
  group.each((task) => {
    if (task.kind === "body" || task.kind === "task") members.push(task)
  })
  return members
}
