/** Gathers what findings are made of. */
import * as Alarm from "../../concurrency/base/Alarm.ts"
import type { Entered, Known, Listed } from "../../concurrency/base/Entries.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type { Snapshot, TaskView } from "../context/Snapshot.ts"
import type { GateView, GroupGrown, Seen, UnseenView } from "./Findings.ts"
import type { Growth } from "./Growth.ts"
import type { Overrun } from "./Meter.ts"
import type { Walk } from "./View.ts"
import { circles, holdersOf, waitsOf } from "./Waits.ts"

/** What a watch keeps, where there is one. */
export interface Kept {
  readonly growth: Growth
  readonly since: WeakMap<Known, number>
  readonly overruns: ReadonlyArray<Overrun>
}

/** Circles of tasks that wait for fibers of one another. */
type Rings = ReadonlyArray<ReadonlyArray<TaskView>>

export const seenIn = (
  { listed, tasks }: Walk,
  { at, orphans, rings, runs }: Pick<Snapshot, "at" | "orphans" | "runs"> & { readonly rings: Rings },
  kept: Kept | undefined
): Seen => {
  const waiting = tasks.filter(({ task }) => (task.waits?.size ?? 0) > 0 || (task.groups?.size ?? 0) > 0)
  const views = new Map(waiting.map(({ task, view }) => [task, view]))
  const viewOf = (task: Entered): TaskView => views.get(task) ?? { ...task.info, groups: [], work: null, places: [] }
  const known = circles(views.keys()).map((circle) =>
    circle.map(({ task, wait }) => ({ task: viewOf(task), waitsFor: wait && Secrets.hidden(wait.what()) }))
  )
  const told = new Set(known.flat().map(({ task }) => task.id))
  // What tasks say of themselves tells more, where both know of a circle.
  const others = rings.filter((ring) => !ring.some(({ id }) => told.has(id)))
  return {
    at,
    tasks: tasks.map(({ view }) => view),
    orphans,
    runs,
    circles: [...known, ...others.map((ring) => ring.map((task) => ({ task, waitsFor: task.waitsFor ?? "a fiber" })))],
    gates: gatesOf(views.keys(), at, viewOf, kept),
    groups: kept === undefined ? [] : listed.flatMap((group) => grown(group, at, kept.growth)),
    unseen: listed.flatMap(unseenIn),
    overruns: kept?.overruns ?? []
  }
}

/** Of those that are waited for, with the first that waits. */
const gatesOf = (
  tasks: Iterable<Entered>,
  at: number,
  viewOf: (task: Entered) => TaskView,
  kept: Kept | undefined
): ReadonlyArray<GateView> => {
  const sinceOf = (wait: Known): number | undefined => kept?.since.get(wait)
  const first = new Map<NonNullable<Known["gate"]>, readonly [Entered, Known]>()
  for (const task of tasks) {
    for (const wait of waitsOf(task)) {
      if (wait.gate === undefined) continue
      const before = first.get(wait.gate)
      if (before === undefined || (sinceOf(wait) ?? 0) < (sinceOf(before[1]) ?? 0)) first.set(wait.gate, [task, wait])
    }
  }
  return Array.from(first, ([gate, [task, wait]]) => ({
    limit: gate.limit,
    used: gate.used,
    holders: holdersOf(wait).map(viewOf),
    first: viewOf(task),
    waited: waitedFor(sinceOf(wait), at),
    queue: kept?.growth.look(gate, gate.waiting.size, at)
  }))
}

const waitedFor = (since: number | undefined, at: number): number | undefined =>
  since === undefined ? undefined : at - since

const grown = (group: Listed, at: number, growth: Growth): ReadonlyArray<GroupGrown> => {
  let size = 0
  group.each(() => (size += 1))
  return [{ name: Secrets.hidden(group.name), tasks: growth.look(group, size, at) }]
}

const unseenIn = ({ name, unhandled }: Listed): ReadonlyArray<UnseenView> => {
  if (unhandled === undefined) return []
  const { failed, late, lastLate } = unhandled
  const of = (task: Entered, since: number | undefined, more: number): UnseenView => ({
    task: { id: task.id, name: Secrets.hidden(task.name) },
    group: Secrets.hidden(name),
    since,
    more
  })
  if (lastLate !== undefined) return [of(lastLate, undefined, late - 1 + failed.size)]
  for (const [task, at] of failed) return [of(task, Alarm.now(task.owner.clock) - at, failed.size - 1)]
  return []
}
